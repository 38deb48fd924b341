"""The specification's own examples and tables, byte for byte (MODBUS application protocol V1.1b3; clauses named).

The station behind is a plain one, with every address of every table: what is tested is the protocol and no points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadCoilsResponse
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadHoldingRegistersResponse

from twin.core.points import Table
from twin.fieldbus import DeviceIdentity, ExceptionCode, ModbusRefusal, Peer, Refusal, Responder
from twin.fieldbus.modbus.pdus import (
    bits_of,
    bits_payload,
    encode,
    read_request,
    registers_of,
    registers_payload,
)
from twin.fieldbus.modbus.responder import NATIVE_CODES

PEER = Peer("127.0.0.1", 0, 1)
IDENTITY = DeviceIdentity("Product code XX", "V2.11", vendor_name="Company identification")


class PlainStation:
    """All that can be addressed, in one unit."""

    units = frozenset({1})

    def __init__(self) -> None:
        self.cells: dict[str, list[int]] = {name: [0] * 65536 for name in ("coil", "discrete", "input", "holding")}
        self.refusal: Exception | None = None

    def read(self, _unit: int, table: Table, address: int, count: int, _peer: Peer) -> Sequence[int]:
        self._check(address, count)
        return self.cells[table][address : address + count]

    def write(self, _unit: int, table: Table, address: int, cells: Sequence[int], _peer: Peer) -> None:
        self._check(address, len(cells))
        self.cells[table][address : address + len(cells)] = cells

    def _check(self, address: int, count: int) -> None:
        if self.refusal is not None:
            raise self.refusal
        if address + count > 65536:
            raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_ADDRESS)

    def put(self, table: str, address: int, values: Sequence[int]) -> None:
        self.cells[table][address : address + len(values)] = values


class Device:
    def __init__(self) -> None:
        self.station = PlainStation()
        self.responder = Responder(self.station, IDENTITY)

    def ask(self, pdu: str, *, unit: int = 1) -> str:
        body = bytes([unit]) + bytes.fromhex(pdu)
        answer = self.responder.respond(b"\x15\x01\0\0" + len(body).to_bytes(2) + body, PEER)
        assert answer is not None
        assert answer[:4] == b"\x15\x01\0\0"
        assert int.from_bytes(answer[4:6]) == len(answer) - 6 <= 254
        assert answer[6] == unit
        return answer[7:].hex()


@pytest.fixture
def device() -> Device:
    return Device()


def bits(text: str) -> list[int]:
    return [int(digit) for digit in text.replace(" ", "")]


def test_6_1_read_coils(device: Device) -> None:
    device.station.put("coil", 0x13, bits("10110011 11010110 101"))
    assert device.ask("01 0013 0013") == "0103cd6b05"


def test_6_2_read_discrete_inputs(device: Device) -> None:
    device.station.put("discrete", 0xC4, bits("00110101 11011011 101011"))
    assert device.ask("02 00c4 0016") == "0203acdb35"


def test_6_3_read_holding_registers(device: Device) -> None:
    device.station.put("holding", 0x6B, [0x022B, 0, 0x64])
    assert device.ask("03 006b 0003") == "0306022b00000064"


def test_6_4_read_input_registers(device: Device) -> None:
    device.station.put("input", 8, [0x0A])
    assert device.ask("04 0008 0001") == "0402000a"


def test_6_5_write_single_coil(device: Device) -> None:
    assert device.ask("05 00ac ff00") == "0500acff00"
    assert device.station.cells["coil"][0xAC] == 1
    assert device.ask("05 00ac 0000") == "0500ac0000"
    assert device.station.cells["coil"][0xAC] == 0


def test_6_6_write_single_register(device: Device) -> None:
    assert device.ask("06 0001 0003") == "0600010003"
    assert device.station.cells["holding"][1] == 3


def test_6_8_return_query_data(device: Device) -> None:
    assert device.ask("08 0000 a537") == "080000a537"


def test_6_8_counters(device: Device) -> None:
    assert device.ask("08 000a 0000") == "08000a0000"
    device.ask("03 0000 0001")
    device.ask("63")
    device.ask("03 0000 0001", unit=7)
    device.station.refusal = Refusal("busy")
    device.ask("03 0000 0001")
    counted = {code: device.ask(f"08 {code} 0000")[6:] for code in ("000b", "000c", "000d", "000e", "000f", "0011")}
    assert counted == {
        "000b": "0005",  # messages: four, and this one
        "000c": "0000",  # communication errors
        "000d": "0003",  # exceptions: an unknown function, an absent unit, a busy server
        "000e": "0007",  # of the eight until now, one was for a unit that is not there
        "000f": "0000",  # unanswered
        "0011": "0001",  # busy
    }
    device.responder.counters.messages = 0x1_0004
    assert device.ask("08 000b 0000") == "08000b0005"
    assert device.ask("08 000a 0000") == "08000a0000"
    assert device.ask("08 000d 0000") == "08000d0000"


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 9, 0x10, 0x12, 0x13, 0x14, 0x15, 0xFFFF])
def test_6_8_what_is_about_serial_lines_is_refused(device: Device, code: int) -> None:
    assert device.ask(f"08 {code:04x} 0000") == "8801"


@pytest.mark.parametrize("pdu", ["08 000a 0001", "08 000b ff00", "08 000b 0000 0000", "08 0000", "08 00", "08"])
def test_6_8_a_wrong_value_or_length_is_03(device: Device, pdu: str) -> None:
    assert device.ask(pdu) == "8803"


def test_6_11_write_multiple_coils(device: Device) -> None:
    assert device.ask("0f 0013 000a 02 cd01") == "0f0013000a"
    assert device.station.cells["coil"][0x13:0x1D] == bits("10110011 10")


def test_6_12_write_multiple_registers(device: Device) -> None:
    assert device.ask("10 0001 0002 04 000a 0102") == "1000010002"
    assert device.station.cells["holding"][1:3] == [0x0A, 0x0102]


def test_6_16_mask_write_register(device: Device) -> None:
    device.station.put("holding", 4, [0x12])
    assert device.ask("16 0004 00f2 0025") == "16000400f20025"
    assert device.station.cells["holding"][4] == 0x17


@pytest.mark.parametrize(
    ("and_mask", "or_mask", "result"), [(0, 0xBEEF, 0xBEEF), (0xFFFF, 0xBEEF, 0x1234), (0xFF00, 0, 0x1200)]
)
def test_6_16_result_is_current_and_mask_or_or_mask_and_not_mask(
    device: Device, and_mask: int, or_mask: int, result: int
) -> None:
    device.station.put("holding", 4, [0x1234])
    device.ask(f"16 0004 {and_mask:04x} {or_mask:04x}")
    assert device.station.cells["holding"][4] == result


def test_6_17_read_write_multiple_registers(device: Device) -> None:
    device.station.put("holding", 3, [0x00FE, 0x0ACD, 0x0001, 0x0003, 0x000D, 0x00FF])
    assert device.ask("17 0003 0006 000e 0003 06 00ff 00ff 00ff") == "170c00fe0acd00010003000d00ff"
    assert device.station.cells["holding"][0x0E:0x11] == [0xFF] * 3


def test_6_17_the_write_comes_before_the_read(device: Device) -> None:
    assert device.ask("17 0003 0001 0003 0001 02 abcd") == "1702abcd"


def test_6_21_read_device_identification(device: Device) -> None:
    company, product, version = b"Company identification", b"Product code XX", b"V2.11"
    objects = b"\0\x16" + company + b"\1\x0f" + product + b"\2\5" + version
    # The example's conformity level is 01, stream access alone; ours has individual access, too.
    assert device.ask("2b 0e 01 00") == "2b0e0181000003" + objects.hex()
    assert device.ask("2b 0e 04 02") == "2b0e0481000001" + (b"\2\5" + version).hex()


def test_6_21_regular_and_extended() -> None:
    device = Device()
    identity = DeviceIdentity("P", "1", vendor_name="V", product_name="N", application_name="A")
    device.responder = Responder(device.station, identity)
    basic, regular = "000156010150020131", "04014e060141"
    assert device.ask("2b 0e 01 00") == "2b0e0182000003" + basic
    assert device.ask("2b 0e 02 00") == "2b0e0282000005" + basic + regular
    assert device.ask("2b 0e 03 00") == "2b0e0382000005" + basic + regular, "it has no more than that"
    assert device.ask("2b 0e 02 04") == "2b0e0282000002" + regular
    assert device.ask("2b 0e 02 03") == "2b0e0282000005" + basic + regular, "there is no object 3: from the start"
    assert device.ask("2b 0e 04 06") == "2b0e0482000001060141"
    assert device.ask("2b 0e 04 03") == "ab02"


def test_6_21_a_stream_that_does_not_fit_goes_on_where_it_says() -> None:
    device = Device()
    texts = [f"{n:x}" * 60 for n in range(9)]
    device.responder = Responder(device.station, DeviceIdentity("P", "1", vendor_name="V", extended=lambda: texts))
    told: dict[int, str] = {}
    first = 0
    for _ in range(9):
        answer = bytes.fromhex(device.ask(f"2b 0e 03 {first:02x}"))
        assert len(answer) <= 253
        rest = answer[7:]
        for _ in range(answer[6]):
            told[rest[0]] = rest[2 : 2 + rest[1]].decode()
            rest = rest[2 + rest[1] :]
        assert rest == b""
        if answer[4] == 0:
            break
        assert answer[4] == 0xFF
        first = answer[5]
    assert told == {0: "V", 1: "P", 2: "1", **dict(enumerate(texts, 0x80))}


READS = [(1, "coil", 2000), (2, "discrete", 2000), (3, "holding", 125), (4, "input", 125)]


@pytest.mark.parametrize(("code", "_table", "most"), READS)
def test_6_1_to_6_4_quantity_first_then_address(device: Device, code: int, _table: str, most: int) -> None:
    size = (most + 7) // 8 if code <= 2 else 2 * most
    assert device.ask(f"{code:02x} 0000 {most:04x}") == f"{code:02x}{size:02x}" + "00" * size
    assert device.ask(f"{code:02x} {65536 - most:04x} {most:04x}") == f"{code:02x}{size:02x}" + "00" * size
    for quantity in (0, most + 1, 0xFFFF):
        assert device.ask(f"{code:02x} ffff {quantity:04x}") == f"{code | 0x80:02x}03"
    for address, quantity in ((65536 - most + 1, most), (0xFFFF, 2)):
        assert device.ask(f"{code:02x} {address:04x} {quantity:04x}") == f"{code | 0x80:02x}02"


def coils(count: int) -> bytes:
    size = (count + 7) // 8
    return bytes([size]) + b"\xff" * size


def words(count: int) -> bytes:
    return bytes([2 * count]) + b"\1\2" * count


@pytest.mark.parametrize(("code", "most", "payload"), [(15, 1968, coils), (16, 123, words)])
def test_6_11_and_6_12_quantity_first_then_address(device: Device, code: int, most: int, payload: Any) -> None:
    for quantity in (1, most):
        request = f"{code:02x} 0000 {quantity:04x} {payload(quantity).hex()}"
        assert device.ask(request) == f"{code:02x}0000{quantity:04x}"
    table = device.station.cells["coil" if code == 15 else "holding"]
    assert table[most - 1] != 0
    assert table[most] == 0, "bits that fill up the last byte are not written"
    assert device.ask(f"{code:02x} ffff 0002 {payload(2).hex()}") == f"{code | 0x80:02x}02"
    assert device.ask(f"{code:02x} ffff 0000 00") == f"{code | 0x80:02x}03"
    assert device.ask(f"{code:02x} ffff {most + 1:04x} 00") == f"{code | 0x80:02x}03"


SERVED = {1, 2, 3, 4, 5, 6, 8, 15, 16, 22, 23, 43}


@pytest.mark.parametrize("code", sorted(set(range(1, 128)) - SERVED))
def test_7_a_function_that_is_not_served_is_01_under_its_own_code(device: Device, code: int) -> None:
    for rest in ("", "0000 0001", "00" * 252):
        assert device.ask(f"{code:02x} {rest}") == f"{code | 0x80:02x}01"


@pytest.mark.parametrize("kind", sorted(NATIVE_CODES))
def test_7_every_refusal_has_its_code(device: Device, kind: Any) -> None:
    device.station.refusal = Refusal(kind, "because")
    assert device.ask("06 0000 0001") == f"86{NATIVE_CODES[kind]:02x}"
    assert device.ask("03 0000 0001") == f"83{NATIVE_CODES[kind]:02x}"
    assert device.responder.failures == 0


@given(st.lists(st.booleans(), min_size=1, max_size=2000))
def test_bits_are_those_of_the_library(values: list[bool]) -> None:
    theirs = encode(ReadCoilsResponse(bits=values))
    assert bytes([1]) + bits_payload([int(value) for value in values]) == theirs
    assert bits_of(theirs, len(values)) == values
    response = ReadCoilsResponse()
    response.decode(theirs[1:])
    assert response.bits[: len(values)] == values


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=125))
def test_registers_are_those_of_the_library(values: list[int]) -> None:
    theirs = encode(ReadHoldingRegistersResponse(registers=values))
    assert bytes([3]) + registers_payload(values) == theirs
    assert registers_of(theirs, len(values)) == values


@given(st.integers(0, 65000), st.integers(1, 125))
def test_requests_are_those_of_the_library(address: int, count: int) -> None:
    assert read_request("coil", address, count) == encode(ReadCoilsRequest(address=address, count=count))
    assert read_request("holding", address, count) == encode(ReadHoldingRegistersRequest(address=address, count=count))


@given(st.binary(max_size=260), st.integers(1, 2000))
def test_an_answer_that_is_none_is_told_apart(pdu: bytes, count: int) -> None:
    bits, registers = bits_of(pdu, count), registers_of(pdu, min(count, 125))
    assert bits is None or len(bits) == count
    assert registers is None or len(registers) == min(count, 125)
