"""The audit log: every verdict in the order in which it fell, each record bound to the one before it.

A record's hash covers the record and the hash of its predecessor, and is taken when the record is added, so a record
that is changed, removed or moved later breaks the chain at its place. (A tail that is cut off, and a log that is
written anew from its beginning, are found only by a signed checkpoint, which this log does not have.)
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

GENESIS = "0" * 64


class AuditError(Exception):
    """The audit log is broken; the message says at which record and how."""


@dataclass(frozen=True, slots=True)
class Record:
    """One verdict.

    Attributes:
        number: Position in the log, from 0.
        at_ns: When, in the host's time (ns).
        chain: Correlation id: all messages that one outside request or one scan caused share it.
        event: execute, request, response, error or security.
        src, dst: Names of the tasks; dst is empty for a security event.
        endpoint, method: What was called; empty for execute.
        decision: granted or denied.
        rule: The deciding rule as `file:line`, or `kernel` where the kernel itself refused.
        reason: One sentence.
        message: What the message held, within bounds; None for execute.
    """

    number: int
    at_ns: int
    chain: int
    event: str
    src: str
    dst: str
    endpoint: str
    method: str
    decision: Literal["granted", "denied"]
    rule: str
    reason: str
    message: dict[str, Any] | None = None


_FIELDS = tuple(field.name for field in fields(Record))
_COMPACT = (",", ":")


class AuditLog:
    """Collects records and counts verdicts; which verdicts get a record of their own is the kernel's matter.

    Args:
        limit: How many records are kept in memory; the oldest go first and are counted in `dropped`. Who wants them
            all takes them by `on_line` as they come.
        on_line: Called with each record as the line of JSON that `lines` would give.

    Attributes:
        records: Those still kept.
        head: Hash of the last record; covers all before it.
    """

    def __init__(self, *, limit: int = 200_000, on_line: Callable[[str], None] | None = None) -> None:
        self.records: list[Record] = []
        self.granted = 0
        self.denied = 0
        self.dropped = 0
        self.denied_by_rule: Counter[str] = Counter()
        self.head = GENESIS
        self.on_line = on_line
        self._limit = limit
        self._hashes: list[str] = []  # of each record kept, and before them that of the last one dropped
        self._before = GENESIS

    def add(self, record: Record) -> None:
        """Append a record and bind it to the one before."""
        text = _text(record, self.head)
        self.head = _digest(text)
        self.records.append(record)
        self._hashes.append(self.head)
        if self.on_line is not None:
            self.on_line(_line(text, self.head))
        if len(self.records) > self._limit:
            # In blocks, so that a full log costs no more per record than an empty one.
            surplus = len(self.records) - self._limit + self._limit // 10
            self._before = self._hashes[surplus - 1]
            del self.records[:surplus], self._hashes[:surplus]
            self.dropped += surplus

    def count(self, *, granted: bool, rule: str) -> None:
        """Count a verdict, whether or not it gets a record of its own."""
        if granted:
            self.granted += 1
        else:
            self.denied += 1
            self.denied_by_rule[rule] += 1

    @property
    def next_number(self) -> int:
        """The number of the next record."""
        return self.dropped + len(self.records)

    def lines(self) -> Iterable[str]:
        """The records kept as JSON lines, each with `prev` and the `hash` taken when it was added."""
        previous = self._before
        for record, digest in zip(self.records, self._hashes, strict=True):
            yield _line(_text(record, previous), digest)
            previous = digest

    def snapshot(self) -> dict[str, Any]:
        """Counters, records and their hashes as plain values."""
        return {
            "granted": self.granted,
            "denied": self.denied,
            "dropped": self.dropped,
            "denied_by_rule": dict(self.denied_by_rule),
            "before": self._before,
            "hashes": list(self._hashes),
            "records": [asdict(record) for record in self.records],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self.granted, self.denied, self.dropped = state["granted"], state["denied"], state["dropped"]
        self.denied_by_rule = Counter(state["denied_by_rule"])
        self._before, self._hashes = state["before"], list(state["hashes"])
        self.records = [Record(**row) for row in state["records"]]
        self.head = self._hashes[-1] if self._hashes else self._before


def verify_chain(lines: Iterable[str]) -> int:
    """Check a log's chain from the very first record; the answer is the number of records.

    Raises:
        AuditError: A line is not a record, or does not follow from the one before.
    """
    previous, count = GENESIS, 0
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            claimed = row.pop("hash")
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as failure:
            raise AuditError(f"line {number}: not an audit record ({failure.__class__.__name__})") from failure
        if row.get("prev") != previous or row.get("number") != count:
            raise AuditError(f"line {number}: does not follow from the record before it; one was removed or moved")
        if _digest(json.dumps(row, separators=_COMPACT)) != claimed:
            raise AuditError(f"line {number}: was changed after it was written; its hash does not fit")
        previous = claimed
        count += 1
    return count


def _text(record: Record, previous: str) -> str:
    """What is hashed: the record as compact JSON, its fields in their order, then the hash before it."""
    row = {name: getattr(record, name) for name in _FIELDS}
    row["prev"] = previous
    return json.dumps(row, separators=_COMPACT)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _line(text: str, digest: str) -> str:
    return f'{text[:-1]},"hash":"{digest}"}}'
