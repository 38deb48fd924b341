"""The alarm journal: what became of which alarm, when, and by whom."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from twin.core import NS_PER_S
from twin.core.alarm_columns import Priority
from twin.fieldbus import Value
from twin.scada.alarm import State, What


@dataclass(frozen=True)
class AlarmEvent:
    """One row of the journal.

    Attributes:
        at_ns: When, in simulated nanoseconds.
        alarm: Its name; for a command that was not confirmed, the command's tag.
        event: What happened.
        state: Of the alarm, afterwards.
        priority, value, limit, unit: Of the alarm; the value is the last one known, None where there was none.
        first_out: Whether it was the first of its group.
        by: Who did it; empty where the process or the plant's logic did.
        reason: Why, as they said.
        until_ns: Until when, for a shelved alarm.
    """

    at_ns: int
    alarm: str
    event: What | Literal["unconfirmed"]
    state: State
    priority: Priority
    value: Value | None
    limit: float
    unit: str
    first_out: bool = False
    by: str = ""
    reason: str = ""
    until_ns: int | None = None

    def as_row(self) -> dict[str, Any]:
        """The row as it is written to `alarms.jsonl`: instants in seconds."""
        row = asdict(self)
        until_ns = row.pop("until_ns")
        return {
            "at_s": row.pop("at_ns") / NS_PER_S,
            **row,
            "until_s": None if until_ns is None else until_ns / NS_PER_S,
        }


class Journal:
    """The last rows, oldest first.

    Args:
        most: How many are kept; older ones are dropped and counted.

    Attributes:
        dropped: How many rows are gone.
    """

    def __init__(self, most: int = 100_000) -> None:
        self.dropped = 0
        self._rows: deque[AlarmEvent] = deque(maxlen=most)

    def __iter__(self) -> Iterator[AlarmEvent]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, event: AlarmEvent) -> None:
        """Write one row."""
        self.dropped += len(self._rows) == self._rows.maxlen
        self._rows.append(event)

    def snapshot(self) -> dict[str, Any]:
        """The rows as plain values."""
        return {"dropped": self.dropped, "rows": [asdict(event) for event in self._rows]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self.dropped = state["dropped"]
        self._rows.clear()
        self._rows.extend(AlarmEvent(**row) for row in state["rows"])
