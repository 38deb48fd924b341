"""The audit log: every verdict in the order in which it fell, each record bound to the one before it.

On the hot path a verdict is noted in a ring (`note`), and one that has a record of its own is put at the end of a list
(`add`); both are cheap. Whatever else there is to do is done later, between two scans: verdicts without a record
of their own are counted by way and rule (`fold`), and records are bound to each other by hash (`lines`, `pending`). A
record that is changed, removed or moved later breaks the chain at its place; a tail that is cut off, and a log that is
written anew from its beginning, are found by the signed checkpoints of `AuditWriter`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, astuple, dataclass
from itertools import islice
from typing import Any, Final

from secureos.audit.record import GENESIS, AuditError, Chained, Record, chained

Way = tuple[str, str, str, str, str]
"""The way of a message: event, src, dst, endpoint, method."""

ELSEWHERE: Final[Way] = ("", "", "", "", "")
"""Stands for all ways beyond the number that a log tells apart."""

_MOST_TALLIES: Final = 10_000

_Noted = tuple[int, Way, str, bool, bool]  # instant, way, rule, granted, recorded


@dataclass(slots=True)
class Tally:
    """How often a verdict fell, and the host's time (ns) at which it first and last did."""

    count: int
    first_ns: int
    last_ns: int


class AuditLog:
    """Collects records and counts verdicts; which verdicts get a record of their own is the kernel's matter.

    Args:
        limit: How many records are kept in memory; the oldest go first and are counted in `dropped`. Who wants them
            all has a writer take them.
        ring: How many verdicts may fall between two calls of `fold`; of more the oldest are lost, and counted.
        reserve: The same for safety messages, which others never push out; and how many records of safety messages
            are kept for a writer that cannot write, beyond `limit`.

    Attributes:
        records: Those still kept.
        granted, denied, denied_by_rule: Verdicts so far.
        counts: Verdicts without a record of their own, by way, rule and whether they were granted, since they were
            last written; complete after `fold`.
        lost_verdicts: How many were overwritten in the ring since that was last written.
        failing: Why records cannot be written at present; None while all is well. Who grants configuration changes
            and commands looks here first; safety messages are never held up by it.
        on_failure: Called when `failing` changes, with its new value.
    """

    def __init__(
        self,
        *,
        limit: int = 200_000,
        ring: int = 4_096,
        reserve: int = 1_024,
    ) -> None:
        self.records: list[Record] = []
        self.granted = 0
        self.denied = 0
        self.dropped = 0
        self.denied_by_rule: Counter[str] = Counter()
        self.counts: dict[tuple[Way, str, bool], Tally] = {}
        self.lost_verdicts = 0
        self.failing: str | None = None
        self.on_failure: Callable[[str | None], None] | None = None
        self._limit = limit
        self._hashes: list[str] = []  # of the records kept, as far as they have been bound to each other
        self._before = GENESIS  # the hash before the first record kept
        self._ring: deque[_Noted] = deque(maxlen=ring)
        self._safety_ring: deque[_Noted] = deque(maxlen=reserve)
        self._noted = 0  # since the last fold; more than the rings hold if some were overwritten
        self._taken: int | None = None  # the number of the next record to be written; None without a writer
        self._safety: set[int] = set()  # numbers of safety records that a writer still has to take
        self._reserve: deque[Chained] = deque(maxlen=reserve)

    # ---- the hot path ------------------------------------------------------------------------------------------

    def note(
        self,
        at_ns: int,
        way: Way,
        rule: str,
        *,
        granted: bool,
        recorded: bool = False,
        safety: bool = False,
    ) -> None:
        """Count a verdict and put it into the ring.

        Args:
            at_ns: When, in the host's time (ns).
            way: From whom, to whom, and what; best a tuple that is made once.
            rule: Which rule decided.
            granted: The verdict.
            recorded: Whether it has a record of its own (`add`).
            safety: Whether it is about a message that must never be blocked.
        """
        if granted:
            self.granted += 1
        else:
            self.denied += 1
            self.denied_by_rule[rule] += 1
        self._noted += 1
        (self._safety_ring if safety else self._ring).append((at_ns, way, rule, granted, recorded))

    def add(self, record: Record, *, safety: bool = False) -> None:
        """Append a record; `safety` says that it is about a message that must never be blocked."""
        self.records.append(record)
        if safety and self._taken is not None:
            self._safety.add(record.number)
        if len(self.records) > self._limit:
            # In blocks, so that a full log costs no more per record than an empty one.
            self._drop(len(self.records) - self._limit + self._limit // 10)

    def count(self, *, granted: bool, rule: str) -> None:
        """Count a verdict that is told nowhere else."""
        if granted:
            self.granted += 1
        else:
            self.denied += 1
            self.denied_by_rule[rule] += 1

    @property
    def next_number(self) -> int:
        """The number of the next record."""
        return self.dropped + len(self.records)

    # ---- off the hot path --------------------------------------------------------------------------------------

    def fold(self) -> None:
        """Empty the ring into `counts`; for the host to call between two scans."""
        self.lost_verdicts += self._noted - len(self._ring) - len(self._safety_ring)
        self._noted = 0
        for ring in (self._ring, self._safety_ring):
            for at_ns, way, rule, granted, recorded in ring:
                if not recorded:
                    self._tally(way, rule, granted, at_ns)
            ring.clear()

    def _tally(self, way: Way, rule: str, granted: bool, at_ns: int) -> None:
        found = self.counts.get((way, rule, granted))
        if found is None:
            key = (way, rule, granted) if len(self.counts) < _MOST_TALLIES else (ELSEWHERE, "", granted)
            found = self.counts.setdefault(key, Tally(0, at_ns, at_ns))
        found.count += 1
        found.last_ns = at_ns

    @property
    def head(self) -> str:
        """The hash of the last record; covers all before it."""
        self._settle()
        return self._hashes[-1] if self._hashes else self._before

    def lines(self) -> Iterable[str]:
        """The records kept as JSON lines, each with `prev` and the `hash` taken when it was first bound."""
        for index in range(len(self.records)):
            yield self._chained_at(index).line

    # ---- for the writer ----------------------------------------------------------------------------------------

    def attach(self) -> None:
        """From now on keep what is not yet written apart from what is; one writer only.

        Raises:
            AuditError: The log has a writer already.
        """
        if self._taken is not None:
            raise AuditError("the audit log is being written already; a log has one writer")
        self._taken = 0

    def pending(self, most: int) -> Iterator[Chained]:
        """The oldest records not yet written, at most so many; those lost meanwhile are missing among them."""
        yield from islice(self._reserve, most)
        begin = max(self._taken or 0, self.dropped) - self.dropped
        for index in range(begin, min(len(self.records), begin + most - len(self._reserve))):
            yield self._chained_at(index)

    def taken(self, upto: int) -> None:
        """Say that all records before number `upto` are written."""
        self._taken = upto
        while self._reserve and self._reserve[0].number < upto:
            self._reserve.popleft()
        self._safety = {number for number in self._safety if number >= upto}

    def fail(self, why: str | None) -> None:
        """Say why records cannot be written, or by None that they can again."""
        if why != self.failing:
            self.failing = why
            if self.on_failure is not None:
                self.on_failure(why)

    # ---- snapshots ---------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Counters, records and their hashes as plain values."""
        self._settle()
        self.fold()
        return {
            "granted": self.granted,
            "denied": self.denied,
            "dropped": self.dropped,
            "denied_by_rule": dict(self.denied_by_rule),
            "counts": [[*way, rule, granted, *astuple(tally)] for (way, rule, granted), tally in self.counts.items()],
            "lost_verdicts": self.lost_verdicts,
            "before": self._before,
            "hashes": list(self._hashes),
            "records": [asdict(record) for record in self.records],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave.

        Raises:
            AuditError: The log is being written; what is written cannot be taken back.
        """
        if self._taken is not None:
            raise AuditError("the audit log is being written and cannot go back; restore before a writer is attached")
        self.granted, self.denied, self.dropped = state["granted"], state["denied"], state["dropped"]
        self.denied_by_rule = Counter(state["denied_by_rule"])
        self.counts = {((*row[:5],), row[5], row[6]): Tally(*row[7:]) for row in state["counts"]}
        self.lost_verdicts = state["lost_verdicts"]
        self._noted = 0
        self._ring.clear()
        self._safety_ring.clear()
        self._before, self._hashes = state["before"], list(state["hashes"])
        self.records = [Record(**row) for row in state["records"]]

    # ---- small things ------------------------------------------------------------------------------------------

    def _chained_at(self, index: int) -> Chained:
        """A kept record bound to the one before; its hash is the one taken at the first time."""
        found = chained(self.records[index], self._hashes[index - 1] if index else self._before)
        if index == len(self._hashes):
            self._hashes.append(found.digest)
            return found
        return Chained(found.number, found.previous, found.text, self._hashes[index])

    def _settle(self) -> None:
        for index in range(len(self._hashes), len(self.records)):
            self._chained_at(index)

    def _drop(self, surplus: int) -> None:
        """Let the oldest records go; of those not yet written, keep the ones about safety messages."""
        self._settle()
        if self._taken is not None:
            begin = max(self._taken - self.dropped, 0)
            for index in range(begin, surplus):
                if self.records[index].number in self._safety:
                    self._reserve.append(self._chained_at(index))
        self._before = self._hashes[surplus - 1]
        del self.records[:surplus], self._hashes[:surplus]
        self.dropped += surplus
