"""A plant with every datatype, two units and both word orders over the wire: nothing here knows a real one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.core import Point, PointTable
from twin.core.points import Datatype
from twin.fieldbus import (
    BankStation,
    DeviceIdentity,
    ExceptionCode,
    MemoryWire,
    ModbusClient,
    ModbusRefusal,
    Reading,
    RegisterBank,
    RegisterMap,
    Responder,
    TcpWire,
    Wire,
    Write,
)

TABLE = PointTable.load(Path(__file__).parent / "every_datatype.csv")
WIRES: list[Callable[[], Wire]] = [TcpWire, MemoryWire]


class Toy:
    """The plant: it takes what it is given."""

    def __init__(self, side: Any = "scada") -> None:
        self.map = RegisterMap(TABLE.side(side))
        self.bank = RegisterBank(self.map)
        self.responder = Responder(BankStation(self.bank, self.take), DeviceIdentity("toy", "1"))

    def take(self, writes: tuple[Write, ...], _peer: Any) -> None:
        for write in writes:
            self.bank.set(write.point.tag, write.value)

    def over(self, make_wire: Callable[[], Wire], act: Callable[[ModbusClient], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            wire = make_wire()
            client = wire.client(await wire.serve(self.responder))
            try:
                await client.connect()
                return await act(client)
            finally:
                await client.close()
                await wire.close()

        return asyncio.run(run())

    async def read_all(self, client: ModbusClient) -> dict[str, Any]:
        blocks = self.map.read_blocks
        values: dict[str, Any] = {}
        for block, cells in zip(blocks, await client.read_blocks(blocks), strict=True):
            for point in block.points:
                start = point.modbus_address - block.address
                values[point.tag] = self.map.decode(point, cells[start : start + point.width])
        return values

    async def write(self, client: ModbusClient, point: Point, value: Any) -> None:
        cells = self.map.encode(point, value)
        if point.modbus_table == "coil":
            await client.write_coil(point.modbus_address, bool(cells[0]), unit=point.modbus_unit)
        else:
            await client.write_registers(point.modbus_address, cells, unit=point.modbus_unit)


def bounds(point: Point) -> list[Any]:
    return [point.low, point.high, (point.low + point.high) / 2 if point.datatype.startswith("float") else point.high]


def test_the_table_has_every_datatype_each_way() -> None:
    numbers = {(p.datatype, p.writable) for p in TABLE}
    assert {datatype for datatype, _ in numbers} == set(get_args(Datatype))
    assert len(numbers) == 2 * len(get_args(Datatype))


@pytest.mark.parametrize("make_wire", WIRES)
@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_is_stored_is_read(make_wire: Callable[[], Wire], which: int) -> None:
    toy = Toy()
    stored = {point.tag: bounds(point)[which] for point in toy.map.points}
    for tag, value in stored.items():
        toy.bank.set(tag, value)
    read = toy.over(make_wire, toy.read_all)
    assert read.keys() == stored.keys()
    for point in toy.map.points:
        assert read[point.tag] == pytest.approx(stored[point.tag], rel=1e-6), point.tag
        assert type(read[point.tag]) is type(toy.bank.get(point.tag))


@pytest.mark.parametrize("make_wire", WIRES)
def test_what_is_written_is_read_back(make_wire: Callable[[], Wire]) -> None:
    toy = Toy()

    async def act(client: ModbusClient) -> dict[str, Any]:
        for point in toy.map.points:
            if point.writable:
                await toy.write(client, point, point.high)
        return await toy.read_all(client)

    read = toy.over(make_wire, act)
    for point in toy.map.points:
        assert read[point.tag] == (pytest.approx(point.high) if point.writable else 0), point.tag


@pytest.mark.parametrize("tag", [p.tag for p in TABLE.side("scada") if p.writable and p.datatype != "bool"])
def test_beyond_its_range_or_in_half_is_03(tag: str) -> None:
    toy = Toy()
    point = toy.map.points[tag]

    async def act(client: ModbusClient) -> None:
        beyond = point.high + max(point.scale, abs(point.high) * 1e-6)
        for cells in [toy.map.encode(point, beyond), *([[0] * (point.width - 1)] if point.width > 1 else [])]:
            with pytest.raises(ModbusRefusal) as refused:
                await client.write_registers(point.modbus_address, cells, unit=point.modbus_unit)
            assert refused.value.code is ExceptionCode.ILLEGAL_DATA_VALUE

    toy.over(MemoryWire, act)


def test_each_unit_has_its_own_addresses() -> None:
    toy = Toy()
    toy.bank.set("RUN.FAULT", True)

    async def act(client: ModbusClient) -> None:
        assert await client.read_bits("discrete", 0, 1, unit=1) == [False]
        assert await client.read_bits("discrete", 0, 1, unit=2) == [True]
        for unit, code in [(0, 0x0B), (3, 0x0B), (255, 0x0B)]:
            with pytest.raises(ModbusRefusal) as refused:
                await client.read_bits("discrete", 0, 1, unit=unit)
            assert refused.value.code == code

    toy.over(MemoryWire, act)


def test_each_side_has_its_own_points() -> None:
    assert "S.FIELD" not in Toy("scada").map.points
    assert "S.F64" not in Toy("field").map.points
    assert "S.FIELD" in Toy("field").map.points


def test_what_is_bad_reads_as_its_last_value_unless_nothing_else_is_asked_for() -> None:
    toy = Toy()
    toy.bank.put("M.U16", Reading(20.0, "good", 1))
    toy.bank.put("M.I16", Reading(-12.0, "uncertain", 1))
    toy.bank.put("M.U16", Reading(0.0, "bad", 2))

    async def act(client: ModbusClient) -> None:
        assert await client.read_registers("input", 0, 2) == [0xFF88, 2000]
        with pytest.raises(ModbusRefusal) as refused:
            await client.read_registers("input", 1, 1)
        assert refused.value.code is ExceptionCode.SERVER_DEVICE_FAILURE
        toy.bank.put("M.I16", Reading(0.0, "bad", 3))
        with pytest.raises(ModbusRefusal):
            await client.read_registers("input", 0, 2)
        assert len(await client.read_registers("input", 0, 4)) == 4
        toy.bank.put("M.U16", Reading(30.0, "good", 4))
        assert await client.read_registers("input", 1, 1) == [3000]

    toy.over(MemoryWire, act)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_value_within_range_arrives_as_its_datatype_can_say_it(draw: Any) -> None:
    toy = Toy()
    point = draw.draw(st.sampled_from([p for p in toy.map.points if p.writable and p.datatype != "bool"]))
    value = draw.draw(st.floats(point.low, point.high))

    async def act(client: ModbusClient) -> None:
        await toy.write(client, point, value)

    toy.over(MemoryWire, act)
    within = {"float32": abs(value) * 1e-6 + 1e-30, "float64": 0.0}.get(point.datatype, point.scale / 2 + 1e-9)
    assert math.isclose(toy.bank.get(point.tag), value, rel_tol=1e-15, abs_tol=within)
