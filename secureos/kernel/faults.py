"""When a task that failed is started again, and when no more.

Each start after a fault waits twice as long as the one before. A task that then runs well for `FORGIVEN_NS` begins
anew; one that keeps failing within that time has failed for good. All in the host's time, so the same run has the
same restarts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from secureos.kernel.quota import Quota

FORGIVEN_NS: Final = 60_000_000_000
_NS_PER_MS: Final = 1_000_000


@dataclass(slots=True)
class Restarts:
    """The faults of one task, and what follows from them.

    Attributes:
        count: How often it was started again, in all.
        in_a_row: Faults since it last ran well.
        started_ns: When it was last started.
        due_ns: When it is to be started again; None while it runs, and once it has failed for good.
    """

    count: int = 0
    in_a_row: int = 0
    started_ns: int = 0
    due_ns: int | None = None

    def fault(self, now_ns: int, quota: Quota) -> int | None:
        """Note a fault; when to start the task again, or None if it may not be."""
        if now_ns - self.started_ns >= FORGIVEN_NS:
            self.in_a_row = 0
        self.in_a_row += 1
        if self.in_a_row > quota.restarts:
            self.due_ns = None
        else:
            self.due_ns = now_ns + quota.backoff_ms * _NS_PER_MS * 2 ** (self.in_a_row - 1)
        return self.due_ns

    def started(self, now_ns: int) -> None:
        """Note a restart."""
        self.count += 1
        self.started_ns, self.due_ns = now_ns, None

    def snapshot(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        for name, value in state.items():
            setattr(self, name, value)
