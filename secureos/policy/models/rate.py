"""The model `Rate`: so many within a time, and no more."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from secureos.policy.models.changes import drop, put
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.measured import MAX_MS, NS_PER_MS
from secureos.policy.models.model import Model, Operation, Undo
from secureos.policy.values import COMPUTED, INTEGER

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

_MAX_COUNT: Final = 1_000_000
_MAX_SUBJECTS: Final = 65_536


class Rate(Model):
    """Limits how often something happens, per subject: a burst at once, and then a steady rate.

    Parameters (`config = { … }`, all integers):
        count, per_ms: The steady rate: `count` (1 to 1,000,000) in `per_ms` (1 ms to 30 days).
        burst: How many may come at once after a pause, 1 to 1,000,000.
        subjects: How many subjects are remembered at a time, 1 to 65,536.

    Rules:
        take {sid, n}: Takes `n` at once; denied if the rate does not allow it now, or if `n` is negative.

    Expressions:
        left {sid}: How many could be taken now.

    Semantics:
        The generic cell rate algorithm in its form of virtual scheduling, in integer nanoseconds: one costs the
        interval `per_ms / count`, rounded up. With TAT the theoretical arrival time of a subject (at first: now), `n`
        are granted iff max(now, TAT) + n · interval ≤ now + burst · interval; TAT becomes the left side. What is
        denied costs nothing. A subject that could take a full burst is forgotten when room is needed; if none can be
        forgotten, a further subject is denied.

    Errors:
        Refused at load: missing or unknown settings, numbers outside their bounds.

    Example::

        policy object pace : Rate { config = { count : 1, per_ms : 1000, burst : 2, subjects : 16 } }
        request dst=Pump method=Set { pace.take {sid : src_sid, n : 1} }
        assert {
            sequence {
                grant request src=Panel dst=Pump method=Set { rpm : 1 }
                grant request src=Panel dst=Pump method=Set { rpm : 2 }
                deny  request src=Panel dst=Pump method=Set { rpm : 3 }
            }
        }

    Source:
        ITU-T I.371, Traffic control and congestion control in B-ISDN, Annex A (GCRA).
    """

    kind = "Rate"

    def __init__(self, name: str, *, interval_ns: int, burst: int, subjects: int) -> None:
        super().__init__(name)
        self.interval_ns = interval_ns
        self.tolerance_ns = burst * interval_ns
        self.subjects = subjects
        self.arrival_ns: dict[int, int] = {}
        self.rules = {"take": Operation(self._take, {"sid": INTEGER, "n": INTEGER})}
        self.expressions = {"left": Operation(self._left, {"sid": INTEGER}, value=COMPUTED)}

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check the numbers."""
        configuration.types()
        keys = configuration.keys(configuration.config(), ("count", "per_ms", "burst", "subjects"))
        count = configuration.integer(keys.get("count"), 1, _MAX_COUNT)
        per_ns = configuration.integer(keys.get("per_ms"), 1, MAX_MS) * NS_PER_MS
        return partial(
            cls,
            configuration.name,
            interval_ns=-(-per_ns // count),
            burst=configuration.integer(keys.get("burst"), 1, _MAX_COUNT),
            subjects=configuration.integer(keys.get("subjects"), 1, _MAX_SUBJECTS),
        )

    def snapshot(self) -> Any:  # noqa: ANN401
        """The theoretical arrival time of each subject, in ns."""
        return [[sid, self.arrival_ns[sid]] for sid in sorted(self.arrival_ns)]

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self.arrival_ns.clear()
        self.arrival_ns.update(state)

    def _take(self, event: Event, undo: Undo, sid: int, n: int) -> str | None:
        now_ns = event.at_ns
        if n < 0:
            return f"`{self.name}`: {n} cannot be taken"
        after_ns = max(now_ns, self.arrival_ns.get(sid, 0)) + n * self.interval_ns
        if after_ns > now_ns + self.tolerance_ns:
            wait_ms = -(-(after_ns - now_ns - self.tolerance_ns) // NS_PER_MS)
            most = self.tolerance_ns // self.interval_ns
            if n > most:
                return f"`{self.name}`: {n} asked at once by {sid}, at most {most} are allowed"
            return f"`{self.name}`: {sid} asks too often; {n} can be had in {wait_ms} ms"
        if sid not in self.arrival_ns and len(self.arrival_ns) >= self.subjects:
            self._forget(now_ns, undo)
            if len(self.arrival_ns) >= self.subjects:
                return f"`{self.name}`: {self.subjects} others are being counted, there is no room for {sid}"
        put(undo, self.arrival_ns, sid, after_ns)
        return None

    def _left(self, event: Event, sid: int) -> int:
        now_ns = event.at_ns
        return (now_ns + self.tolerance_ns - max(now_ns, self.arrival_ns.get(sid, 0))) // self.interval_ns

    def _forget(self, now_ns: int, undo: Undo) -> None:
        for sid in [sid for sid, arrival_ns in self.arrival_ns.items() if arrival_ns <= now_ns]:
            drop(undo, self.arrival_ns, sid)
