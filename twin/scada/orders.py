"""Commands whose effect is awaited: a write that was answered is not yet a breaker that moved."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from twin.core import Point, PointTable, ns
from twin.fieldbus import Value
from twin.scada.supervision import Supervision

CONFIRMED_WITHIN_S: Final = 5.0


@dataclass(frozen=True)
class Order:
    """One command.

    Attributes:
        tag, value: What was written.
        by_ns: Until when the effect must show.
    """

    tag: str
    value: float
    by_ns: int


class Orders:
    """The commands of one person whose effect has not shown yet.

    A command has happened when its feedback shows it; a setpoint or setting when it reads as it was written. Of a
    command without a feedback nothing tells, so nothing is awaited.

    Args:
        by: Who orders, for the alarm journal.
        points: The plant's table of points.
        supervision: Where feedbacks show, and where a command is told whose effect does not show within 5 s.
    """

    def __init__(self, by: str, points: PointTable, supervision: Supervision) -> None:
        self._by = by
        self._points = points
        self._supervision = supervision
        self._orders: dict[str, Order] = {}

    def __iter__(self) -> Iterator[Order]:
        return iter(self._orders.values())

    def __len__(self) -> int:
        return len(self._orders)

    def place(self, tag: str, value: float, at_ns: int) -> None:
        """Await the effect of a command that was taken at `at_ns`."""
        point = self._points[tag]
        if point.feedback or point.kind != "command":
            self._orders[tag] = Order(tag, value, at_ns + ns(CONFIRMED_WITHIN_S))

    def to_read_back(self) -> list[str]:
        """The tags that have to be read to know whether they were taken."""
        return [tag for tag in self._orders if not self._points[tag].feedback]

    def watch(self, at_ns: int, read_back: Mapping[str, Value]) -> None:
        """Strike off what has happened, and tell of what has not in time.

        Args:
            at_ns: Now.
            read_back: What `to_read_back` asked for, by tag.
        """
        for order in list(self):
            if self._has_happened(order, at_ns, read_back):
                del self._orders[order.tag]
            elif at_ns >= order.by_ns:
                del self._orders[order.tag]
                self._supervision.note_unconfirmed(order.tag, order.value, by=self._by, at_ns=at_ns)

    def snapshot(self) -> list[list[Any]]:
        """The orders as plain values."""
        return [[order.tag, order.value, order.by_ns] for order in self]

    def restore(self, state: list[list[Any]]) -> None:
        """Take over what `snapshot` gave."""
        self._orders = {row[0]: Order(*row) for row in state}

    def _has_happened(self, order: Order, at_ns: int, read_back: Mapping[str, Value]) -> bool:
        point = self._points[order.tag]
        if point.feedback:
            shown = self._supervision.board.reading(point.feedback, at_ns)
            return shown is not None and shown.quality == "good" and bool(shown.value)
        return order.tag in read_back and _same(point, read_back[order.tag], order.value)


def _same(point: Point, read: Value, written: float) -> bool:
    """Half a count is what the way through a register may cost; a 32-bit float keeps seven digits."""
    slack = 0.0 if point.datatype == "float32" else point.scale / 2
    return math.isclose(read, written, rel_tol=1e-6, abs_tol=slack)
