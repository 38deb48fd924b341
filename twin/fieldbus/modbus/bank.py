"""The stored image: what a station's cells hold right now."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from twin.core.points import Table
from twin.fieldbus.errors import ExceptionCode, ModbusRefusal
from twin.fieldbus.modbus.codec import Codec, Value
from twin.fieldbus.modbus.registers import Block, RegisterMap
from twin.fieldbus.reading import Reading


class RegisterBank:
    """The cells of a register map, all zero at first.

    Only its owner changes it (`set`, `load`): a client's write asks, it does not store.
    """

    def __init__(self, registers: RegisterMap) -> None:
        self.map = registers
        self._starts: dict[tuple[int, Table], list[int]] = {}
        self._stores: dict[tuple[int, Table], list[list[int]]] = {}
        self._places: dict[str, tuple[list[int], int, int, Codec]] = {}
        self._bad: set[str] = set()
        for block in registers.blocks:
            self._add(block)

    def set(self, tag: str, value: Value) -> None:
        """Store the value of a point (engineering units), rounded and clamped to its datatype."""
        cells, start, end, codec = self._places[tag]
        cells[start:end] = codec.encode(value)

    def get(self, tag: str) -> Value:
        """The value of a point as a client would decode it."""
        cells, start, end, codec = self._places[tag]
        return codec.decode(cells[start:end])

    def put(self, tag: str, reading: Reading) -> None:
        """Store a reading; what is bad keeps the last value there was, and is told by `read`."""
        if reading.quality == "bad":
            self._bad.add(tag)
            return
        self._bad.discard(tag)
        self.set(tag, reading.value)

    def read(self, unit: int, table: Table, address: int, count: int) -> list[int]:
        """The cells that a client asks for.

        Unused cells inside a block (at most 8 between two points) read as 0. Modbus has no room for a quality: what is
        uncertain, or bad beside others that are not, reads as its last value.

        Raises:
            ModbusRefusal: 02, when the request does not lie wholly inside one block; 04, when nothing that it asks
                for is known.
        """
        cells, start = self._find(unit, table, address, count)
        if self._bad and self._is_all_bad(unit, table, range(address, address + count)):
            reason = f"nothing is known of unit {unit}, {table} {address} to {address + count - 1}"
            raise ModbusRefusal(ExceptionCode.SERVER_DEVICE_FAILURE, reason)
        return cells[start : start + count]

    def words(self, block: Block) -> list[int]:
        """The cells of a block, or of a part of one."""
        store, start = self._find(block.unit, block.table, block.address, block.count)
        return store[start : start + block.count]

    def load(self, block: Block, cells: Sequence[int]) -> None:
        """Store the cells of a whole block, or of a part of one, as `words` or a client's read gave them.

        Raises:
            ValueError: There are more or fewer cells than the block has.
        """
        if len(cells) != block.count:
            raise ValueError(
                f"a block of {block.count} cells at {block.table} {block.address} cannot take {len(cells)}"
            )
        store, start = self._find(block.unit, block.table, block.address, block.count)
        store[start : start + block.count] = map(int, cells)

    def _is_all_bad(self, unit: int, table: Table, addresses: range) -> bool:
        asked = {point.tag for at in addresses if (point := self.map.at(unit, table, at)) is not None}
        return bool(asked) and asked <= self._bad

    def _find(self, unit: int, table: Table, address: int, count: int) -> tuple[list[int], int]:
        starts = self._starts.get((unit, table), [])
        which = bisect_right(starts, address) - 1
        if which >= 0:
            cells = self._stores[unit, table][which]
            start = address - starts[which]
            if start + count <= len(cells):
                return cells, start
        reason = f"unit {unit} has no points at {table} {address} to {address + count - 1}"
        raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_ADDRESS, reason)

    def _add(self, block: Block) -> None:
        cells = [0] * block.count
        self._starts.setdefault((block.unit, block.table), []).append(block.address)
        self._stores.setdefault((block.unit, block.table), []).append(cells)
        for point in block.points:
            start = point.modbus_address - block.address
            self._places[point.tag] = (cells, start, start + point.width, self.map.codec(point))
