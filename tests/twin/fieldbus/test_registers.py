"""From the table of points to cells and back."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.core import Point, PointTable
from twin.fieldbus import ExceptionCode, ModbusRefusal, RegisterBank, RegisterMap

ORDERS = ["high_first", "low_first"]


def point(datatype: Any, **changes: Any) -> Point:
    table = "coil" if datatype == "bool" else "holding"
    fields: dict[str, Any] = {
        "tag": "X",
        "description": "",
        "unit": "",
        "low": 0,
        "high": 1,
        "kind": "setting",
        "datatype": datatype,
        "scale": 1,
        "modbus_unit": 1,
        "modbus_table": table,
        "modbus_address": 0,
        "opcua_path": "",
        "field": "both",
    }
    return Point(**{**fields, **changes})


def registers(*points: Point) -> RegisterMap:
    return RegisterMap(PointTable(points))


@pytest.mark.parametrize(
    ("datatype", "scale", "value", "cells"),
    [
        ("bool", 1, True, [1]),
        ("bool", 1, 0, [0]),
        ("uint16", 1, 65535, [0xFFFF]),
        ("uint16", 1, 70000, [0xFFFF]),
        ("uint16", 1, -1, [0]),
        ("uint16", 0.01, 20.004, [2000]),
        ("uint16", 0.01, math.inf, [0xFFFF]),
        ("int16", 1, -1, [0xFFFF]),
        ("int16", 0.1, -40.0, [0xFE70]),
        ("int16", 1, -40000, [0x8000]),
        ("int16", 1, 40000, [0x7FFF]),
        ("int16", 10, 126, [13]),
        ("int32", 1, -2, [0xFFFF, 0xFFFE]),
        ("int32", 1, 2**40, [0x7FFF, 0xFFFF]),
        ("uint32", 1, 0x12345678, [0x1234, 0x5678]),
        ("uint32", 1, -5, [0, 0]),
        ("float32", 1, 50.0, [0x4248, 0]),
        ("float32", 1, 1e300, [0x7F7F, 0xFFFF]),
        ("float32", 1, -1e300, [0xFF7F, 0xFFFF]),
        ("int64", 1, -2, [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE]),
        ("int64", 1, 2**70, [0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF]),
        ("uint64", 1, 0x0123456789ABCDEF, [0x0123, 0x4567, 0x89AB, 0xCDEF]),
        ("float64", 1, 1.5, [0x3FF8, 0, 0, 0]),
    ],
)
def test_encodes_scaled_rounded_and_clamped(datatype: str, scale: float, value: float, cells: list[int]) -> None:
    one = point(datatype, scale=scale, low=-1e9, high=1e9)
    assert registers(one).encode(one, value) == cells


def test_a_whole_number_cannot_carry_nan() -> None:
    one = point("int16")
    with pytest.raises(ValueError, match="`X` is a whole number"):
        registers(one).encode(one, math.nan)


def test_decimal_scales_decode_to_the_decimal_meant() -> None:
    one = point("uint16", scale=0.1)
    decoded = [registers(one).decode(one, [counts]) for counts in (3, 7, 11)]
    assert decoded == [0.3, 0.7, 1.1]  # 3 * 0.1 would be 0.30000000000000004


def test_types_of_decoded_values() -> None:
    assert registers(point("bool")).decode(point("bool"), [1]) is True
    assert type(registers(point("int16")).decode(point("int16"), [9])) is int
    assert type(registers(point("int16", scale=0.5)).decode(point("int16", scale=0.5), [8])) is float


@given(st.sampled_from([("int16", 16), ("int32", 32), ("int64", 64)]), st.sampled_from(ORDERS), st.data())
def test_signed_whole_numbers_survive_the_way(kind: tuple[str, int], order: Any, draw: Any) -> None:
    datatype, bits = kind
    value = draw.draw(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    one = point(datatype, low=-(2**31), high=2**31, word_order=order)
    codec = registers(one).codec(one)
    cells = codec.encode(value)
    assert codec.decode(cells) == value
    highest_first = cells if order == "high_first" else cells[::-1]
    assert b"".join(cell.to_bytes(2) for cell in highest_first) == value.to_bytes(bits // 8, signed=True)


@given(st.floats(allow_nan=False), st.sampled_from(ORDERS))
def test_doubles_survive_the_way(value: float, order: Any) -> None:
    one = point("float64", word_order=order)
    cells = registers(one).encode(one, value)
    assert registers(one).decode(one, cells) == value
    highest_first = cells if order == "high_first" else cells[::-1]
    assert struct.pack(">4H", *highest_first) == struct.pack(">d", value)


def test_singles_with_the_low_word_first() -> None:
    one = point("float32", word_order="low_first", low=0, high=60)
    codec = registers(one).codec(one)
    assert codec.encode(50.0) == [0, 0x4248]
    assert codec.decode([0, 0x4248, 7, 7]) == 50.0
    assert codec.admits([0, 0x4248])
    assert not codec.admits([0, 0xC248])


@given(st.floats(width=32, allow_nan=False))
def test_singles_survive_the_way_with_the_high_word_first(value: float) -> None:
    one = point("float32")
    cells = registers(one).encode(one, value)
    assert struct.pack(">HH", *cells) == struct.pack(">f", value)
    assert registers(one).decode(one, cells) == value


@given(st.integers(-3000, 3000), st.integers(0, 3000), st.sampled_from([0.1, 0.01, 0.3, 1, 7, 0.001]))
def test_a_point_admits_its_own_bounds_and_nothing_beyond(low: int, span: int, scale: float) -> None:
    one = point("int16", scale=scale, low=low * scale, high=(low + span) * scale)
    codec = registers(one).codec(one)
    assert codec.admits([low & 0xFFFF])
    assert codec.admits([(low + span) & 0xFFFF])
    assert not codec.admits([(low - 1) & 0xFFFF])
    assert not codec.admits([(low + span + 1) & 0xFFFF])


def test_a_single_admits_its_rounded_bounds_but_neither_nan_nor_infinity() -> None:
    one = point("float32", low=0.1, high=0.7)  # neither is a single
    codec = registers(one).codec(one)
    assert codec.admits(codec.encode(0.1))
    assert codec.admits(codec.encode(0.7))
    assert not codec.admits(codec.encode(0.7001))
    assert not codec.admits(codec.encode(math.nan))
    assert not codec.admits(codec.encode(math.inf))


def test_blocks_bridge_small_gaps_only(rig: Any) -> None:
    spans = [(b.unit, b.table, b.address, b.count) for b in rig.map.blocks]
    assert spans == [
        (1, "coil", 0, 5),
        (1, "coil", 40, 1),
        (1, "discrete", 10, 3),
        (1, "holding", 0, 11),
        (1, "input", 0, 8),
        (1, "input", 200, 1),
    ]


def test_write_blocks_hold_no_unused_cell(rig: Any) -> None:
    spans = [(b.table, b.address, b.count) for b in rig.map.write_blocks]
    assert spans == [("coil", 0, 2), ("coil", 4, 1), ("coil", 40, 1), ("holding", 0, 8), ("holding", 10, 1)]
    assert all(sum(p.width for p in b.points) == b.count for b in rig.map.write_blocks)


def test_a_block_is_split_at_the_protocol_s_limits_and_never_through_a_point() -> None:
    wide = [point("uint32", tag=f"W{n}", modbus_address=1 + 2 * n) for n in range(130)]
    one = registers(point("uint16", tag="N"), *wide)
    assert [(b.address, b.count) for b in one.blocks] == [(0, 261)]
    assert [(b.address, b.count) for b in one.read_blocks] == [(0, 125), (125, 124), (249, 12)]
    assert [(b.address, b.count) for b in one.write_blocks] == [(0, 123), (123, 122), (245, 16)]
    assert sum(len(b.points) for b in one.read_blocks) == 131
    bits = registers(*(point("bool", tag=f"B{n}", modbus_address=n) for n in range(2100)))
    assert [b.count for b in bits.read_blocks] == [2000, 100]
    assert [b.count for b in bits.write_blocks] == [1968, 132]


def test_at_finds_every_cell_of_a_point(rig: Any) -> None:
    assert rig.map.at(1, "holding", 1).tag == rig.map.at(1, "holding", 2).tag == "P.SP"
    assert rig.map.at(1, "holding", 8) is None
    assert rig.map.at(2, "holding", 1) is None
    assert rig.map.units == {1}


def test_the_bank_keeps_values_and_blocks(rig: Any) -> None:
    bank = rig.bank
    for tag, value in {"BUS.V": 20.05, "TR.T": -12.3, "F1.P": -5000, "F1.E": 2**32 - 1, "F1.FREQ": 49.5}.items():
        bank.set(tag, value)
        assert bank.get(tag) == value
    block = next(b for b in rig.map.blocks if b.table == "input" and b.address == 0)
    words = bank.words(block)
    assert words == [2005, 0xFF85, 0xFFFF, 0xEC78, 0xFFFF, 0xFFFF, 0x4246, 0]
    other = RegisterBank(rig.map)
    other.load(block, words)
    assert other.get("F1.P") == -5000
    other.load(block.split(most=2)[1], [1, 2])
    assert other.get("F1.P") == 0x10002
    with pytest.raises(ValueError, match="a block of 8 cells at input 0 cannot take 3"):
        other.load(block, [1, 2, 3])


def test_bits_that_come_as_booleans_are_stored_as_numbers(rig: Any) -> None:
    block = rig.map.blocks[2]
    rig.bank.load(block, [True, False, True])
    assert [type(cell) for cell in rig.bank.words(block)] == [int, int, int]
    assert rig.bank.get("CB1.LOCAL") is True


def test_the_bank_reads_across_a_small_gap_and_nowhere_else(rig: Any) -> None:
    rig.bank.set("MODE", 7)
    assert rig.bank.read(1, "holding", 7, 4) == [0, 0, 0, 7]
    for unit, table, address, count in [
        (1, "holding", 10, 2),
        (1, "holding", 11, 1),
        (1, "input", 7, 2),
        (1, "input", 199, 2),
        (1, "discrete", 9, 1),
        (2, "holding", 0, 1),
    ]:
        with pytest.raises(ModbusRefusal) as refusal:
            rig.bank.read(unit, table, address, count)
        assert refusal.value.code is ExceptionCode.ILLEGAL_DATA_ADDRESS
