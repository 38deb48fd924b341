"""Where switched equipment stands, as its contacts report it; in doubt while it may be on its way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from secureos.policy.models.changes import put
from secureos.policy.models.measured import NS_PER_MS, Measurements
from secureos.policy.models.model import Undo

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

Position = Literal["closed", "open", "moving"]


class Since(NamedTuple):
    """What a contact reads, and since when it has read so in every report."""

    at_ns: int
    value: int | None


class Positions:
    """The positions of a fixed set of contacts, 1 while closed.

    A report is always a little old, and what was commanded since is on its way. So a position counts only after it
    has been reported for `settle_ms`, and so long after the last command that moves it; until then it is `moving`.

    Args:
        name: Of the policy object, for its sentences.
        contacts: Which ones are followed.
        settle_ms: Longer than a command takes to show in the reports.
        max_age_ms: A report older than that is as good as none.
    """

    def __init__(self, name: str, contacts: Iterable[str], *, settle_ms: int, max_age_ms: int) -> None:
        self._reports = Measurements(name, contacts, max_age_ms)
        self._settle_ns = settle_ms * NS_PER_MS
        self._since: dict[str, Since] = {}
        self._commanded: dict[str, int] = {}

    def observe(
        self, event: Event, undo: Undo, points: Sequence[str], values: Sequence[int], quality: Sequence[int]
    ) -> str | None:
        """Take over a report. None, or why it cannot be read."""
        why = self._reports.observe(event, undo, points, values, quality)
        if why is not None:
            return why
        for contact in self._reports.points.intersection(points):
            value = self._reports.readings[contact].value
            if contact not in self._since or self._since[contact].value != value:
                put(undo, self._since, contact, Since(event.at_ns, value))
        return None

    def command(self, event: Event, undo: Undo, contact: str) -> None:
        """A command that moves this equipment was granted."""
        put(undo, self._commanded, contact, event.at_ns)

    def read(self, contact: str, at_ns: int) -> tuple[Position, str]:
        """The position, and for one that cannot be known (which counts as `moving`) the reason."""
        value = self._reports.read(contact, at_ns)
        if isinstance(value, str):
            return "moving", value
        settled_ns = max(self._since[contact].at_ns, self._commanded.get(contact, 0)) + self._settle_ns
        if at_ns < settled_ns:
            return "moving", ""
        return ("closed" if value else "open"), ""

    def snapshot(self) -> dict[str, Any]:
        """Reports, since when, and when commanded."""
        return {
            "reports": self._reports.snapshot(),
            "since": {contact: list(self._since[contact]) for contact in sorted(self._since)},
            "commanded": dict(sorted(self._commanded.items())),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self._reports.restore(state["reports"])
        self._since.clear()
        self._since.update((contact, Since(*row)) for contact, row in state["since"].items())
        self._commanded.clear()
        self._commanded.update(state["commanded"])
