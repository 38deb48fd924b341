"""The order of the cells in the process image: one row of 16-bit cells that field I/O, logic and gateways share.

The cells are those of every point that is read on both sides of the controller, block by block of the register
map, so that whole blocks are copied and nothing is looked up by name while scanning.
"""

from __future__ import annotations

from collections.abc import Sequence

from twin.core.points import Point, PointTable
from twin.fieldbus import Block, RegisterMap, Value

READ_TABLES = ("discrete", "input")


def to_counts(point: Point, value: Value) -> int:
    """A value in engineering units as the integer that travels in a message: counts of the point's scale."""
    return round(value / point.scale)


def from_counts(point: Point, counts: int) -> float:
    """The value in engineering units that an integer in a message stands for."""
    return counts * point.scale


class ImageLayout:
    """Where each point's cells stand in the process image.

    Attributes:
        blocks: What is read at once, in the order in which the cells follow one another.
        size: How many cells there are.
    """

    def __init__(self, points: PointTable) -> None:
        shared = [p for p in points if p.field == "both" and p.modbus_table in READ_TABLES]
        self._map = RegisterMap(PointTable(shared, source=points.source))
        self.blocks: tuple[Block, ...] = self._map.read_blocks
        self.size = sum(block.count for block in self.blocks)
        self._place: dict[str, tuple[Point, int]] = {}
        offset = 0
        for block in self.blocks:
            for point in block.points:
                self._place[point.tag] = (point, offset + point.modbus_address - block.address)
            offset += block.count

    def __contains__(self, tag: str) -> bool:
        return tag in self._place

    def counts(self, tag: str, cells: Sequence[int]) -> int:
        """What the cells say of `tag`, in counts of its scale."""
        point, start = self._place[tag]
        return to_counts(point, self._map.decode(point, cells[start : start + point.width]))
