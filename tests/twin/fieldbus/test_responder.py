"""Every function code and every exception code, byte for byte (application protocol 1.1b3, clause 6)."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU

from twin.fieldbus import (
    BankStation,
    DeviceIdentity,
    ExceptionCode,
    MemoryModbusClient,
    ModbusRefusal,
    Peer,
    RegisterBank,
    RegisterMap,
    Responder,
)


def test_reads(rig: Any) -> None:
    for tag, value in {"CB1.CLOSE": True, "HORN.ACK": True, "CB1.POS": True, "MODE": 0xABCD, "BUS.V": 20.0}.items():
        rig.bank.set(tag, value)
    assert rig.ask("01 0000 0005") == "010111"
    assert rig.ask("02 000a 0003") == "020101"
    assert rig.ask("03 000a 0001") == "0302abcd"
    assert rig.ask("04 0000 0002") == "040407d00000"


@pytest.mark.parametrize(
    ("pdu", "answer", "written"),
    [
        ("05 0000 ff00", "050000ff00", {"CB1.CLOSE": True}),
        ("05 0001 0000", "0500010000", {"CB1.OPEN": False}),
        ("06 0000 fff9", "060000fff9", {"TAP.SP": -7}),
        ("06 0003 0003", "0600030003", {"COSPHI.SP": 0.3}),
        ("0f 0000 0002 01 02", "0f00000002", {"CB1.CLOSE": False, "CB1.OPEN": True}),
        ("10 0000 0003 06 0002 0000 ea60", "1000000003", {"TAP.SP": 2, "P.SP": 60000}),
        ("10 0004 0002 04 41a0 0000", "1000040002", {"V.SP": 20.0}),
        ("10 0006 0002 04 ffff fff6", "1000060002", {"Q.SP": -10}),
        ("16 000a 00f2 0025", "16000a00f20025", {"MODE": 0x17}),
        ("17 000a 0001 000a 0001 02 0055", "17020055", {"MODE": 0x55}),
    ],
)
def test_writes_become_one_call_with_values(rig: Any, pdu: str, answer: str, written: dict[str, Any]) -> None:
    rig.bank.set("MODE", 0x12)  # the example of clause 6.16
    assert rig.ask(pdu) == answer
    assert rig.written == [written]


def test_the_station_itself_stores_nothing(rig: Any) -> None:
    seen = []
    station = BankStation(rig.bank, lambda writes, peer: seen.append((writes[0].value, peer.session)))
    responder = Responder(station, DeviceIdentity("HF", "1"))
    answer = responder.respond(rig.adu("06 000a 0007"), Peer("10.0.0.1", 1, 42))
    assert answer is not None
    assert seen == [(7, 42)]
    assert rig.bank.get("MODE") == 0


def test_diagnostics_echo(rig: Any) -> None:
    assert rig.ask("08 0000 a537") == "080000a537"
    assert rig.ask("08 0000 a5370102") == "080000a5370102"


def test_identification(rig: Any) -> None:
    vendor, product, revision = b"Holdfast".hex(), b"HF-RTU".hex(), b"1.2.3".hex()
    objects = f"0008{vendor}0106{product}0205{revision}"
    assert rig.ask("2b 0e 01 00") == f"2b0e0181000003{objects}"
    assert rig.ask("2b 0e 03 00") == f"2b0e0381000003{objects}"
    assert rig.ask("2b 0e 01 02") == f"2b0e0181000001 0205{revision}".replace(" ", "")
    assert rig.ask("2b 0e 01 77") == f"2b0e0181000003{objects}"
    assert rig.ask("2b 0e 04 01") == f"2b0e0481000001 0106{product}".replace(" ", "")


def test_two_responders_have_two_identities(rig: Any) -> None:
    other = Responder(rig.station, DeviceIdentity("OTHER", "9", vendor_name="Elsewhere"))
    answer = other.respond(rig.adu("2b 0e 04 00"), rig.peer)
    assert answer is not None
    assert answer.endswith(b"Elsewhere")
    assert rig.ask("2b 0e 04 00").endswith(b"Holdfast".hex())


def test_a_devices_own_objects_are_told_as_they_are_now(rig: Any) -> None:
    own = ["ab"]
    rig.responder = Responder(rig.station, DeviceIdentity("HF", "1", extended=lambda: own))
    basic = f"0008{b'Holdfast'.hex()}01024846020131"
    assert rig.ask("2b 0e 01 00") == f"2b0e0183000003{basic}"
    assert rig.ask("2b 0e 01 80") == f"2b0e0183000003{basic}"  # basic access does not reach it, and starts anew
    assert rig.ask("2b 0e 02 00") == f"2b0e0283000003{basic}"
    assert rig.ask("2b 0e 03 00") == f"2b0e0383000004{basic}80026162"
    assert rig.ask("2b 0e 03 80") == "2b0e038300000180026162"
    own[:] = ["cd", "e"]
    assert rig.ask("2b 0e 03 80") == "2b0e038300000280026364810165"
    assert rig.ask("2b 0e 04 81") == "2b0e0483000001810165"
    assert rig.ask("2b 0e 04 82") == "ab02"


def test_objects_that_do_not_fit_into_one_answer_follow_in_the_next(rig: Any) -> None:
    rig.responder = Responder(rig.station, DeviceIdentity("HF", "1", extended=lambda: ["x" * 80, "y" * 80, "z" * 80]))
    first, second = bytes.fromhex(rig.ask("2b 0e 03 00")), bytes.fromhex(rig.ask("2b 0e 03 82"))
    assert len(first) <= 253
    assert (first[4], first[5], first[6]) == (0xFF, 0x82, 5)  # more follows, from object 0x82 on; five are here
    assert second[4:] == bytes([0, 0, 1, 0x82, 80]) + b"z" * 80


@pytest.mark.parametrize("text", ["", "x" * 81, "Größe"])
def test_an_identity_that_cannot_travel_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot identify a device"):
        DeviceIdentity(text, "1")


@pytest.mark.parametrize(
    ("pdu", "answer"),
    [
        # 01 illegal function
        *(
            (f"{code:02x} 0000 0001", f"{code | 0x80:02x}01")
            for code in (0, 7, 9, 11, 12, 17, 20, 21, 24, 65, 100, 127)
        ),
        *((f"{code:02x} 0000 0001", f"{code:02x}01") for code in (0x80, 0x83, 0x90, 0xFF)),
        ("08 0001 0000", "8801"),
        ("08 0004 0000", "8801"),
        ("2b 0d 01 00", "ab01"),
        ("2b 0d", "ab01"),
        # 02 illegal data address
        ("01 0004 0002", "8102"),
        ("02 0000 0001", "8202"),
        ("03 0000 007d", "8302"),
        ("03 ffff 007d", "8302"),
        ("04 0009 0001", "8402"),
        ("05 0002 ff00", "8502"),
        ("06 0008 0000", "8602"),
        ("0f 0001 0002 01 03", "8f02"),
        ("10 0007 0002 04 0000 0000", "9003"),
        ("10 0008 0001 02 0000", "9002"),
        ("16 0008 0000 0000", "9602"),
        ("16 0064 0000 0000", "9602"),
        ("17 0064 0001 000a 0001 02 0055", "9702"),
        ("17 000a 0001 0064 0001 02 0055", "9702"),
        ("2b 0e 04 09", "ab02"),
        # 03 illegal data value: quantity
        ("01 0000 0000", "8103"),
        ("01 0000 07d1", "8103"),
        ("02 0000 07d1", "8203"),
        ("03 0000 0000", "8303"),
        ("03 0000 007e", "8303"),
        ("04 0000 007e", "8403"),
        ("0f 0000 0000 00", "8f03"),
        ("0f 0000 07b1 f7" + "00" * 247, "8f03"),
        ("10 0000 0000 00", "9003"),
        ("10 0000 007c f8" + "00" * 247, "9003"),
        ("17 0000 0000 0000 0001 02 0000", "9703"),
        ("17 0000 007e 0000 0001 02 0000", "9703"),
        ("17 0000 0001 0000 0000 00", "9703"),
        ("17 0000 0001 0000 007a f4" + "00" * 243, "9703"),
        # 03: length and byte count
        ("01", "8103"),
        ("03 0000", "8303"),
        ("03 0000 0001 00", "8303"),
        ("05 0000 ff00 00", "8503"),
        ("06 0000", "8603"),
        ("0f 0000 0002 02 0300", "8f03"),
        ("0f 0000 0002 01", "8f03"),
        ("0f 0000 0002 01 03 00", "8f03"),
        ("0f", "8f03"),
        ("10 0000 0001 04 0000 0000", "9003"),
        ("10 0000 0002 02 0000", "9003"),
        ("10 0000 0001 02 0000 00", "9003"),
        ("10 0000 0001 02", "9003"),
        ("16 000a 0000", "9603"),
        ("17 000a 0001 000a 0001 02", "9703"),
        ("17 000a 0001 000a 0001 04 0055 0055", "9703"),
        ("08", "8803"),
        ("08 0000", "8803"),
        ("08 0000 a5", "8803"),
        ("2b", "ab03"),
        ("2b 0e 01", "ab03"),
        ("2b 0e 01 00 00", "ab03"),
        # 03: value
        ("05 0000 1234", "8503"),
        ("05 0000 0001", "8503"),
        ("05 0004 0000", "8503"),
        ("06 0000 0009", "8603"),
        ("06 0003 0004", "8603"),
        ("06 0001 0001", "8603"),
        ("06 0002 0001", "8603"),
        ("16 0001 ffff 0000", "9603"),
        ("10 0001 0002 04 0001 1171", "9003"),
        ("10 0004 0002 04 7fc0 0000", "9003"),
        ("10 0004 0002 04 7f80 0000", "9003"),
        ("10 0000 0002 04 0000 0000", "9003"),
        ("2b 0e 00 00", "ab03"),
        ("2b 0e 05 00", "ab03"),
    ],
)
def test_what_cannot_be_is_refused_with_the_right_code(rig: Any, pdu: str, answer: str) -> None:
    assert rig.ask(pdu) == answer
    assert rig.written == []
    assert rig.responder.failures == 0


def test_one_bad_point_refuses_the_whole_write(rig: Any) -> None:
    assert rig.ask("10 0000 0004 08 0002 0000 0001 0009") == "9003"  # COSPHI.SP 0.9 of at most 0.3
    assert rig.written == []
    assert rig.bank.get("TAP.SP") == 0


@pytest.mark.parametrize("code", list(ExceptionCode))
def test_the_owner_refuses_with_any_code(rig: Any, code: ExceptionCode) -> None:
    rig.refuse_with = ModbusRefusal(code, "not now")
    assert rig.ask("06 000a 0001") == f"86{code:02x}"
    assert rig.responder.failures == 0


def test_a_station_that_fails_answers_04_and_is_counted(rig: Any, capfd: Any) -> None:
    rig.refuse_with = RuntimeError("a broken owner")
    assert rig.ask("05 0000 ff00") == "8504"
    assert rig.responder.failures == 1
    assert str(rig.responder.last_failure) == "a broken owner"
    assert capfd.readouterr() == ("", "")


class Liar:
    """A station that gives other than what was asked for."""

    units = frozenset({1})

    def __init__(self, cells: list[int]) -> None:
        self.cells = cells

    def read(self, *_: object) -> list[int]:
        return self.cells

    def write(self, *_: object) -> None:
        raise AssertionError


@pytest.mark.parametrize(("pdu", "cells"), [("03 0000 0002", [1]), ("03 0000 0001", [70000]), ("01 0000 0001", [])])
def test_a_station_that_gives_nonsense_answers_04(rig: Any, pdu: str, cells: list[int]) -> None:
    rig.responder = Responder(Liar(cells), DeviceIdentity("HF", "1"))
    assert rig.ask(pdu) == f"{pdu[0]}{pdu[1]}04".replace("0", "8", 1)
    assert rig.responder.failures == 1


def test_units(rig: Any) -> None:
    for itself in (0, 1, 255):
        assert rig.ask("03 000a 0001", unit=itself) == "03020000"
    for absent in (2, 17, 247, 254):
        assert rig.ask("03 000a 0001", unit=absent) == "830b"
        assert rig.ask("08 0000 a537", unit=absent) == "880b"
        assert rig.ask("2b 0e 01 00", unit=absent) == "ab0b"


def test_with_two_units_nobody_is_the_device_itself() -> None:
    class Pair(Liar):
        units = frozenset({1, 2})

    responder = Responder(Pair([7]), DeviceIdentity("HF", "1"))
    answers = {}
    for unit in (0, 1, 2, 255):
        adu = bytes([0, 1, 0, 0, 0, 6, unit, 3, 0, 0, 0, 1])
        answer = responder.respond(adu, Peer("127.0.0.1", 0, 1))
        assert answer is not None
        answers[unit] = answer[7:].hex()
    assert answers == {0: "830b", 1: "03020007", 2: "03020007", 255: "830b"}


@pytest.mark.parametrize(
    "adu",
    [
        "",
        "0001",
        "0001 0000 0006 01 03 0000",
        "0001 0001 0006 01 03 000a 0001",
        "0001 0000 0006 01 03 000a 0001 00",
        "0001 0000 0001 01",
        "0001 0000 0000",
        "0001 0000 00ff 01" + "00" * 254,
    ],
)
def test_what_is_not_one_frame_is_not_answered(rig: Any, adu: str) -> None:
    assert rig.responder.respond(bytes.fromhex(adu), rig.peer) is None


def respond_and_parse(rig: Any, adu: bytes) -> None:
    answer = rig.responder.respond(adu, rig.peer)
    if answer is None:
        return
    if adu[7] & 0x7F == 0:  # the library cannot decode what refuses function 0
        assert answer[7] == 0x80
        return
    framer = FramerSocket(DecodePDU(False))
    used, response = framer.handleFrame(answer, adu[6], 0)
    assert used == len(answer) <= 260
    assert response is not None
    assert response.function_code in (adu[7], adu[7] | 0x80)
    assert rig.responder.failures == 0


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_are_answered_sensibly_or_not_at_all(rig: Any, adu: bytes) -> None:
    respond_and_parse(rig, adu)


@settings(max_examples=800, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 255),
    st.sampled_from([1, 2, 3, 4, 5, 6, 8, 15, 16, 22, 23, 43]) | st.integers(0, 255),
    st.lists(st.sampled_from([0, 1, 2, 3, 4, 8, 10, 14, 0x7D, 0xFF]) | st.integers(0, 255), max_size=252),
)
def test_any_request_in_a_good_frame_is_answered(rig: Any, unit: int, code: int, rest: list[int]) -> None:
    body = bytes([unit, code, *rest])
    adu = b"\0\1\0\0" + len(body).to_bytes(2) + body
    assert rig.responder.respond(adu, rig.peer) is not None
    respond_and_parse(rig, adu)


def test_a_copied_station_lives_on_its_own(rig: Any) -> None:
    bank = RegisterBank(RegisterMap(rig.map.points))
    line = MemoryModbusClient(Responder(BankStation(bank, rig.on_write), DeviceIdentity("HF", "1")))
    bank_copy, line_copy = copy.deepcopy((bank, line))
    bank_copy.set("MODE", 9)

    async def mode(client: MemoryModbusClient) -> list[int]:
        await client.connect()
        return await client.read_registers("holding", 10, 1)

    assert asyncio.run(mode(line)) == [0]
    assert asyncio.run(mode(line_copy)) == [9]
