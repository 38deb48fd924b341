"""Supervision of one plant: readings in; alarms, journal and history out. It does no input or output itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twin.core import PointTable, ns
from twin.fieldbus import Reading, Value
from twin.scada.alarm_system import AlarmSystem
from twin.scada.board import Board
from twin.scada.definitions import AlarmDefinition, alarm_definitions
from twin.scada.historian import Historian
from twin.scada.journal import AlarmEvent, Journal
from twin.scada.metrics import AlarmMetrics, alarm_metrics

STALE_AFTER_S: Final = 5.0

# An operator who sees nothing must know it: the one alarm that no point of the plant can raise.
NOTHING_HEARD: Final = AlarmDefinition(
    name="SUPERVISION.stale.on",
    tag="SUPERVISION.stale",
    kind="on",
    limit=1.0,
    unit="",
    description="No values come from the controller",
    priority="high",
    cause="the controller, its gateway or the network between has failed or is under attack",
    consequence="what the screens show is old; commands may not arrive",
    response="send somebody to the plant, and call who looks after the network",
    respond_within_s=60.0,
)


def supervised_alarms(points: PointTable) -> tuple[AlarmDefinition, ...]:
    """The alarms that supervision of a plant has: those of the SCADA side of its points, and that nothing is heard."""
    return (*alarm_definitions(points.side("scada")), NOTHING_HEARD)


class Supervision:
    """What a control room makes of the readings of one plant.

    Args:
        points: The plant's table of points; those of the SCADA side count.
        historian: Where readings are kept, if anywhere.
        stale_after_s: From which age on a reading is no longer good (s).

    Attributes:
        board: The last reading of every point.
        alarms: The alarms of the plant, and the one that nothing is heard of it.
        journal: What became of them.
    """

    def __init__(
        self, points: PointTable, *, historian: Historian | None = None, stale_after_s: float = STALE_AFTER_S
    ) -> None:
        self.board = Board(ns(stale_after_s))
        self.journal = Journal()
        self.alarms = AlarmSystem(supervised_alarms(points), self.journal.add)
        self.historian = historian

    def observe(self, at_ns: int, readings: Mapping[str, Reading]) -> None:
        """Take in what a poll gave, by tag; call it with nothing when a poll gave nothing, so that time goes on."""
        self.board.take(at_ns, readings)
        nothing_heard = Reading(self.board.is_stale(at_ns), "good", at_ns)
        self.alarms.observe(at_ns, {**readings, NOTHING_HEARD.tag: nothing_heard})
        if self.historian is not None:
            self.historian.add(readings)

    def note_unconfirmed(self, tag: str, value: Value, *, by: str, at_ns: int) -> None:
        """Write to the journal that a command was taken, and its effect did not show in time."""
        self.journal.add(AlarmEvent(at_ns, tag, "unconfirmed", "normal", "low", value, value, "", by=by))

    def metrics(self, until_ns: int) -> AlarmMetrics:
        """The alarm load from the start of the journal to `until_ns`."""
        return alarm_metrics(self.journal, until_ns=until_ns)

    def snapshot(self) -> dict[str, Any]:
        """Board, alarms and journal as plain values; history stays where it is."""
        return {
            "board": self.board.snapshot(),
            "alarms": self.alarms.snapshot(),
            "journal": self.journal.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self.board.restore(state["board"])
        self.alarms.restore(state["alarms"])
        self.journal.restore(state["journal"])


def good(values: Mapping[str, Value], at_ns: int) -> dict[str, Reading]:
    """Values that were read without complaint at `at_ns` as readings, by tag: Modbus itself carries no quality."""
    return {tag: Reading(value, "good", at_ns) for tag, value in values.items()}
