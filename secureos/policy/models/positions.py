"""Where switched equipment stands, as its contacts report it; in doubt while it may be on its way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from secureos.policy.models.changes import put
from secureos.policy.models.measured import NS_PER_MS, Measurements, Watch
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
        measured: Where the reports are kept; its points must hold the contacts.
        contacts: Which ones are followed.
        settle_ms: Longer than a command takes to show in the reports.

    Attributes:
        since: What each contact reads, and since when; replaced, never changed in place.
    """

    def __init__(self, measured: Measurements, contacts: Iterable[str], *, settle_ms: int) -> None:
        self._measured = measured
        self._contacts = frozenset(contacts)
        self._watch = Watch(self._contacts)
        self._settle_ns = settle_ms * NS_PER_MS
        self.since: Mapping[str, Since] = {}
        self._commanded: dict[str, int] = {}

    def follow(self, undo: Undo) -> bool:
        """Take over the report that `measured` has just taken over; whether there is news of any contact."""
        new = self._watch.rows(self._measured.latest, self.since)
        if not new:
            return False
        changed = {
            contact: Since(self._measured.latest_ns, value)
            for contact, value in dict(new).items()  # of two rows on one contact, the later
            if contact not in self.since or self.since[contact].value != value
        }
        if changed:
            undo.append(partial(self._put, self.since))
            self._put({**self.since, **changed})
        self._watch.left(self.since)
        return True

    def command(self, event: Event, undo: Undo, contact: str) -> None:
        """A command that moves this equipment was granted."""
        put(undo, self._commanded, contact, event.at_ns)

    def read(self, contact: str, at_ns: int) -> tuple[Position, str]:
        """The position, and for one that cannot be known (which counts as `moving`) the reason."""
        value = self._measured.read(contact, at_ns)
        if isinstance(value, str):
            return "moving", value
        settled_ns = max(self.since[contact].at_ns, self._commanded.get(contact, 0)) + self._settle_ns
        if at_ns < settled_ns:
            return "moving", ""
        return ("closed" if value else "open"), ""

    def snapshot(self) -> dict[str, Any]:
        """Reports, since when, and when commanded."""
        return {
            "reports": self._measured.snapshot(self._contacts),
            "since": {contact: list(self.since[contact]) for contact in sorted(self.since)},
            "commanded": dict(sorted(self._commanded.items())),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave, but for the reports, which `measured` keeps."""
        self._put({contact: Since(*row) for contact, row in state["since"].items()})
        self._commanded.clear()
        self._commanded.update(state["commanded"])

    def _put(self, since: Mapping[str, Since]) -> None:
        self.since = since
