"""From the table of points to Modbus addresses: which cells exist, and what they carry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from twin.core import Point, PointTable
from twin.core.points import Table
from twin.fieldbus.modbus.codec import Codec, Value, codec_for

# What one request may carry (Modbus application protocol 1.1b3, clauses 6.1 to 6.4, 6.11, 6.12).
MOST_READ: Final[dict[Table, int]] = {"coil": 2000, "discrete": 2000, "input": 125, "holding": 125}
MOST_WRITTEN: Final[dict[Table, int]] = {"coil": 1968, "holding": 123}

# Unused cells between two points that are read along with them rather than cut a block in two: less traffic
# than a second request, and a client may read the block in one go.
GAP: Final = 8


@dataclass(frozen=True)
class Block:
    """A run of cells of one unit and table.

    Attributes:
        unit: Unit identifier, 1 to 247.
        table: coil, discrete, input or holding.
        address: Zero-based address of the first cell.
        count: Cells in all, unused ones between two points included.
        points: The points in it, by address.
    """

    unit: int
    table: Table
    address: int
    count: int
    points: tuple[Point, ...]

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.count

    def split(self, most: int | None = None) -> tuple[Block, ...]:
        """The same cells in blocks of at most `most` cells (default: what one read may carry).

        Never cut through a 32-bit point, so that no value is torn between two requests. Unused cells at a cut
        are left out.
        """
        most = MOST_READ[self.table] if most is None else most
        parts: list[list[Point]] = [[]]
        for point in self.points:
            if parts[-1] and _end(point) - parts[-1][0].modbus_address > most:
                parts.append([])
            parts[-1].append(point)
        return tuple(_block(points) for points in parts)


class RegisterMap:
    """The Modbus side of a table of points.

    Attributes:
        points: The table.
        units: The unit identifiers that exist.
        blocks: Every run of cells in which no more than 8 neighbours are unused, by unit, table and address; a
            request inside one is legal, whatever its size.
        read_blocks: The same, cut to what one read may carry.
        write_blocks: What can be written without touching an unused cell, cut to what one write may carry.
    """

    def __init__(self, points: PointTable) -> None:
        self.points = points
        self.units = frozenset(point.modbus_unit for point in points)
        self.blocks = tuple(_blocks(points, GAP))
        self.read_blocks = tuple(part for block in self.blocks for part in block.split())
        self.write_blocks = tuple(
            part
            for block in _blocks((point for point in points if point.writable), 0)
            for part in block.split(MOST_WRITTEN[block.table])
        )
        self._codecs = {point.tag: codec_for(point) for point in points}
        self._cells = {
            (point.modbus_unit, point.modbus_table, point.modbus_address + offset): point
            for point in points
            for offset in range(point.width)
        }

    def at(self, unit: int, table: Table, address: int) -> Point | None:
        """The point that has this cell, or None."""
        return self._cells.get((unit, table, address))

    def codec(self, point: Point) -> Codec:
        """How this point is encoded."""
        return self._codecs[point.tag]

    def encode(self, point: Point, value: Value) -> list[int]:
        """The cells that carry `value` (engineering units), rounded and clamped to the datatype.

        Raises:
            ValueError: The value is NaN and the point a whole number.
        """
        return self._codecs[point.tag].encode(value)

    def decode(self, point: Point, cells: Sequence[int]) -> Value:
        """The value that `point.width` cells carry, in engineering units."""
        return self._codecs[point.tag].decode(cells)


def _blocks(points: Iterator[Point] | PointTable, gap: int) -> Iterator[Block]:
    placed = sorted(points, key=lambda p: (p.modbus_unit, p.modbus_table, p.modbus_address))
    for _, neighbours in groupby(placed, key=lambda p: (p.modbus_unit, p.modbus_table)):
        run: list[Point] = []
        for point in neighbours:
            if run and point.modbus_address - _end(run[-1]) > gap:
                yield _block(run)
                run = []
            run.append(point)
        yield _block(run)


def _block(run: list[Point]) -> Block:
    first = run[0]
    count = _end(run[-1]) - first.modbus_address
    return Block(first.modbus_unit, first.modbus_table, first.modbus_address, count, tuple(run))


def _end(point: Point) -> int:
    return point.modbus_address + point.width
