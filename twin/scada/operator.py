"""The operator that a script moves: orders, watches that what was ordered happens, and answers alarms."""

from __future__ import annotations

from typing import Any, Final

from twin.core import NS_PER_S, ns
from twin.scada.orders import Orders
from twin.scada.station import NotSelected, OperatorStation
from twin.scada.supervision import Supervision

SELECTED_FOR_S: Final = 30.0


class Operator:
    """A person at a station, who works at the instants that a script names.

    Args:
        name: Who it is, for the alarm journal.
        station: Where they sit.
        supervision: What they see.

    Attributes:
        orders: Commands whose effect has not shown yet.
    """

    def __init__(self, name: str, station: OperatorStation, supervision: Supervision) -> None:
        self.name = name
        self.station = station
        self.supervision = supervision
        self.orders = Orders(name, station.points, supervision)
        self._in_hand: dict[str, int] = {}

    async def write(self, tag: str, value: float, at_ns: int) -> None:
        """Write a point, selecting it first where that is asked for, and await its effect.

        Raises:
            CommandRefused, NotSelected, KeyError: As `OperatorStation.write`.
        """
        await self.station.write(tag, value)
        self.orders.place(tag, value, at_ns)

    async def select(self, tag: str, at_ns: int) -> None:
        """Take a command in hand, to order it or let go of it within 30 s. Raises `CommandRefused`: as the station."""
        await self.station.select(tag)
        self._in_hand[tag] = at_ns

    async def operate(self, tag: str, value: float, at_ns: int) -> None:
        """Order what was taken in hand.

        Raises:
            NotSelected: It was not, or longer than 30 s ago (it is let go of), or the gateway does not show it so.
            CommandRefused: The gateway answered with an exception.
        """
        taken_ns = self._in_hand.pop(tag, None)
        if taken_ns is None:
            raise NotSelected(tag, "it was not taken in hand")
        if at_ns - taken_ns > ns(SELECTED_FOR_S):
            await self.station.cancel(tag)
            raise NotSelected(tag, f"it was taken in hand {(at_ns - taken_ns) / NS_PER_S:g} s ago")
        await self.station.operate(tag, value)
        self.orders.place(tag, value, at_ns)

    async def cancel(self, tag: str) -> None:
        """Let go of a command. Raises `CommandRefused`: as the station."""
        self._in_hand.pop(tag, None)
        await self.station.cancel(tag)

    async def watch(self, at_ns: int) -> None:
        """See whether what was ordered has happened; what has not in time is written to the alarm journal.

        Raises:
            FieldbusError: The wire failed.
        """
        read_back = {tag: await self.station.read(tag) for tag in self.orders.to_read_back()}
        self.orders.watch(at_ns, read_back)

    def acknowledge(self, alarm: str, at_ns: int) -> bool:
        """Acknowledge an alarm; whether there was anything to acknowledge. Raises `AlarmError`: there is none."""
        return self.supervision.alarms.acknowledge(alarm, by=self.name, at_ns=at_ns)

    def shelve(self, alarm: str, reason: str, *, for_s: float, at_ns: int) -> None:
        """Take an alarm off the list for a time (s). Raises `AlarmError`: as `AlarmSystem.shelve`."""
        self.supervision.alarms.shelve(alarm, by=self.name, reason=reason, for_s=for_s, at_ns=at_ns)

    def snapshot(self) -> dict[str, Any]:
        """What is in hand and awaited, as plain values."""
        return {"orders": self.orders.snapshot(), "in_hand": dict(self._in_hand)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self.orders.restore(state["orders"])
        self._in_hand = dict(state["in_hand"])
