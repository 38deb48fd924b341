"""Finding a server again, and writing every change once, whatever breaks in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.core import NS_PER_S, PointTable, Streams, ns
from twin.fieldbus import (
    Backoff,
    BankStation,
    DeviceIdentity,
    ExceptionCode,
    FieldbusError,
    MemoryModbusClient,
    ModbusRefusal,
    NoAnswer,
    Outputs,
    RegisterBank,
    RegisterMap,
    Responder,
    SteadyClient,
    TcpWire,
)
from twin.fieldbus.modbus.client import Request

HEADER = "tag,description,unit,low,high,kind,datatype,scale,modbus_unit,modbus_table,modbus_address,opcua_path,field"
ROWS = """\
CB.OPEN,,,0,1,command,bool,1,1,coil,0,CB/Open,both,CB.IS_OPEN
CB.CLOSE,,,0,1,command,bool,1,1,coil,1,CB/Close,both,
CB.IS_OPEN,,,0,1,status,bool,1,1,discrete,0,CB/IsOpen,both,
P.SP,,kW,0,70000,setpoint,uint32,1,1,holding,0,P/Sp,both,
Q.SP,,kvar,0,100,setpoint,uint16,1,1,holding,2,Q/Sp,both,
"""


class Device(MemoryModbusClient):
    """A device behind a wire that breaks as told: before a request leaves, or after it was carried out."""

    def __init__(self, points: PointTable) -> None:
        self.map = RegisterMap(points)
        self.bank = RegisterBank(self.map)
        self.received: list[tuple[str, Any]] = []
        self.refuses: set[str] = set()
        self.breaks: list[str] = []
        self.is_there = True
        self.attempts = 0
        super().__init__(Responder(BankStation(self.bank, self._take), DeviceIdentity("HF", "1")))

    async def connect(self) -> None:
        self.attempts += 1
        if not self.is_there:
            raise FieldbusError("nothing there")
        await super().connect()

    async def exchange_all(self, requests: Sequence[Request]) -> list[bytes]:
        how = self.breaks.pop(0) if self.breaks else ""
        if how == "before" or not self.is_there:
            raise FieldbusError("not connected")
        if how == "lost":
            raise NoAnswer("the request was lost")
        answers = await super().exchange_all(requests)
        if how == "after":
            raise NoAnswer("the answer was lost")
        return answers

    def _take(self, writes: Any, _peer: Any) -> None:
        for write in writes:
            if write.point.tag in self.refuses:
                raise ModbusRefusal(ExceptionCode.ILLEGAL_FUNCTION)
            self.received.append((write.point.tag, write.value))
            if write.point.kind != "command":
                self.bank.set(write.point.tag, write.value)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.received)


class Rig:
    def __init__(self, path: Path) -> None:
        path.write_text("\n".join([f"{HEADER},feedback", *ROWS.splitlines()]))
        self.device = Device(PointTable.load(path))
        self.now_ns = 0
        self.client = SteadyClient(
            self.device, now_ns=lambda: self.now_ns, chance=Streams(1)["x"], backoff=Backoff(jitter=0.0)
        )
        self.outputs = Outputs(self.client, self.device.map)

    def stage(self, tag: str, value: float) -> None:
        self.outputs.stage(tag, value, at_ns=self.now_ns)

    def flush(self, after_s: float = 0.0) -> list[tuple[str, str]]:
        self.now_ns += ns(after_s)
        return [(each.tag, each.result) for each in asyncio.run(self.outputs.flush(self.now_ns))]


@pytest.fixture
def site(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "points.csv")


def test_the_waits_double_up_to_the_most_and_are_shortened_by_chance() -> None:
    backoff = Backoff(first_s=0.2, most_s=3.0, jitter=0.5)
    assert [backoff.wait_s(n, 0.0) for n in (1, 2, 3, 4, 5, 99)] == [0.2, 0.4, 0.8, 1.6, 3.0, 3.0]
    assert backoff.wait_s(1, 0.999) == pytest.approx(0.1, abs=0.001)


def test_it_connects_when_asked_and_not_again_too_early(site: Rig) -> None:
    async def run() -> None:
        site.device.is_there = False
        with pytest.raises(FieldbusError, match="nothing there"):
            await site.client.read_bits("discrete", 0, 1)
        for _ in range(5):
            with pytest.raises(FieldbusError, match=r"the next attempt is in 0.2 s"):
                await site.client.read_bits("discrete", 0, 1)
        assert site.device.attempts == 1
        site.now_ns += ns(0.2)
        with pytest.raises(FieldbusError, match="nothing there"):
            await site.client.connect()
        assert (site.client.failures, site.client.last_good_ns) == (2, None)
        site.device.is_there = True
        site.now_ns += ns(0.4)
        assert await site.client.read_bits("discrete", 0, 1) == [False]
        assert (site.client.failures, site.client.last_good_ns) == (0, site.now_ns)
        assert await site.client.read_bits("discrete", 0, 1) == [False]
        assert site.device.attempts == 3

    asyncio.run(run())


def test_the_same_seed_waits_the_same(site: Rig) -> None:
    def waits(seed: int) -> list[int]:
        client = SteadyClient(site.device, now_ns=lambda: 0, chance=Streams(seed)["wire"])
        times = []
        for _ in range(8):
            client._wait()
            times.append(client._not_before_ns)
        return times

    assert waits(3) == waits(3) != waits(4)


def test_a_refusal_is_an_answer_and_breaks_nothing(site: Rig) -> None:
    async def run() -> None:
        with pytest.raises(ModbusRefusal):
            await site.client.read_bits("discrete", 7, 1)
        assert (site.client.failures, site.device.attempts) == (0, 1)

    asyncio.run(run())


def test_one_write_per_change_in_the_order_asked_for(site: Rig) -> None:
    for tag, value in [("P.SP", 1), ("CB.CLOSE", True), ("P.SP", 60000), ("Q.SP", 4)]:
        site.stage(tag, value)
    assert site.flush() == [("CB.CLOSE", "done"), ("P.SP", "done"), ("Q.SP", "done")]
    assert site.flush() == []
    assert site.device.received == [("CB.CLOSE", True), ("P.SP", 60000), ("Q.SP", 4)]


def test_what_never_left_is_written_once_there_is_a_wire(site: Rig) -> None:
    site.device.breaks = ["before"]
    site.stage("CB.OPEN", True)
    site.stage("Q.SP", 9)
    assert site.flush() == []
    assert site.outputs.waiting == {"CB.OPEN": True, "Q.SP": 9}
    assert site.flush(after_s=1) == [("CB.OPEN", "done"), ("Q.SP", "done")]


def test_a_pulse_that_waits_too_long_never_leaves_but_a_setpoint_does(site: Rig) -> None:
    site.device.is_there = False
    site.stage("CB.OPEN", True)
    site.stage("Q.SP", 9)
    assert site.flush() == []
    site.device.is_there = True
    assert site.flush(after_s=30) == [("CB.OPEN", "expired"), ("Q.SP", "done")]
    assert site.device.count("CB.OPEN") == 0


@pytest.mark.parametrize("how", ["lost", "after"])
def test_a_pulse_in_doubt_is_never_repeated(site: Rig, how: str) -> None:
    site.device.breaks = [how]
    site.stage("CB.OPEN", True)
    assert site.flush() == []
    site.stage("CB.OPEN", True)  # whoever asks again while it is in doubt would double it
    assert site.flush(after_s=1) == []
    if how == "after":
        site.device.bank.set("CB.IS_OPEN", True)
        assert site.flush(after_s=1) == [("CB.OPEN", "done")]
    else:
        assert site.flush(after_s=5) == [("CB.OPEN", "unknown")]
    assert site.device.count("CB.OPEN") == (how == "after")


def test_a_pulse_that_nothing_tells_of_stays_unknown(site: Rig) -> None:
    site.device.breaks = ["after"]
    site.stage("CB.CLOSE", True)
    assert site.flush() == []
    assert site.flush(after_s=1) == []
    assert site.flush(after_s=10) == [("CB.CLOSE", "unknown")]
    assert site.device.count("CB.CLOSE") == 1


@pytest.mark.parametrize("how", ["lost", "after"])
def test_a_setpoint_in_doubt_is_read_back_first(site: Rig, how: str) -> None:
    site.device.breaks = [how]
    site.stage("P.SP", 66000)
    assert site.flush() == []
    assert site.flush(after_s=1) == [("P.SP", "done")]
    assert site.device.count("P.SP") == 1
    assert site.device.bank.get("P.SP") == 66000


def test_a_refused_change_is_told_and_forgotten(site: Rig) -> None:
    site.device.refuses = {"CB.OPEN"}
    site.stage("CB.OPEN", True)
    site.stage("Q.SP", 1)
    (refused, done) = asyncio.run(site.outputs.flush(0))
    assert (refused.result, refused.code) == ("refused", ExceptionCode.ILLEGAL_FUNCTION)
    assert done.result == "done"
    assert site.outputs.waiting == {}


def test_what_cannot_be_written_is_told_at_once(site: Rig) -> None:
    with pytest.raises(ValueError, match=r"`CB.IS_OPEN` stands in the table discrete"):
        site.stage("CB.IS_OPEN", True)
    with pytest.raises(KeyError):
        site.stage("NONE", True)


def test_what_is_staged_survives_a_snapshot(site: Rig) -> None:
    site.device.breaks = ["after"]
    site.stage("CB.OPEN", True)
    site.stage("Q.SP", 5)
    site.flush()
    other = Outputs(site.client, site.device.map)
    other.restore(site.outputs.snapshot())
    assert other.waiting == site.outputs.waiting
    site.outputs = other
    site.device.bank.set("CB.IS_OPEN", True)
    assert site.flush(after_s=1) == [("CB.OPEN", "done"), ("Q.SP", "done")]
    assert site.device.count("CB.OPEN") == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["", "before", "lost", "after"]), max_size=12), st.integers(1, 3))
def test_whatever_breaks_no_pulse_is_doubled_and_every_setpoint_arrives(
    tmp_path_factory: pytest.TempPathFactory, breaks: list[str], pulses: int
) -> None:
    site = Rig(tmp_path_factory.mktemp("site") / "points.csv")
    site.device.breaks = breaks
    told: list[tuple[str, str]] = []
    for n in range(pulses):
        site.stage("CB.CLOSE", True)
        site.stage("Q.SP", n + 1)
        told += site.flush(after_s=0.1)
    for _ in range(20):
        told += site.flush(after_s=11)  # longer than any wait
    assert site.outputs.waiting == {}
    assert site.device.bank.get("Q.SP") == pulses
    results = [result for tag, result in told if tag == "CB.CLOSE"]
    done, unknown = results.count("done"), results.count("unknown")
    assert done <= site.device.count("CB.CLOSE") <= done + unknown <= pulses


def test_over_tcp_a_server_that_comes_back_is_found_again(site: Rig) -> None:
    async def run() -> None:
        wire = TcpWire()
        responder = Responder(BankStation(site.device.bank, site.device._take), DeviceIdentity("HF", "1"))
        endpoint = await wire.serve(responder)
        client = SteadyClient(wire.client(endpoint), now_ns=lambda: site.now_ns, chance=Streams(1)["x"])
        assert await client.read_bits("discrete", 0, 1) == [False]
        await wire.close()
        await in_vain(client.read_bits, "discrete", 0, 1)
        site.now_ns += NS_PER_S
        await in_vain(client.read_bits, "discrete", 0, 1)
        await wire.serve(responder, port=endpoint.port)
        site.now_ns += NS_PER_S
        assert await client.read_bits("discrete", 0, 1) == [False]
        await client.close()
        await wire.close()

    asyncio.run(run())


async def in_vain(ask: Callable[..., Awaitable[Any]], *how: Any) -> None:
    with pytest.raises(FieldbusError):
        await ask(*how)
