"""The audit log: every verdict in the order in which it fell, each record bound to the one before it.

A record's hash covers the record and the hash of its predecessor, so a record that is changed, removed or moved
breaks the chain at its place. (A cut-off tail is found only by a signed checkpoint, which this log does not have.)
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
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
        count: How many verdicts of the same kind this record stands for.
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
    count: int = 1


class AuditLog:
    """Collects verdicts: every denial, every grant that the kernel asks to record, and counters for the rest.

    Args:
        limit: How many records are kept in memory; the oldest go first and are counted in `dropped`.
    """

    def __init__(self, *, limit: int = 200_000) -> None:
        self.records: list[Record] = []
        self.granted = 0
        self.denied = 0
        self.dropped = 0
        self.denied_by_rule: Counter[str] = Counter()
        self._limit = limit
        self._next = 0

    def add(self, record: Record) -> None:
        """Append a record."""
        self.records.append(record)
        self._next = record.number + 1
        if len(self.records) > self._limit:
            # In blocks, so that a full log costs no more per record than an empty one.
            surplus = len(self.records) - self._limit + self._limit // 10
            del self.records[:surplus]
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
        return self._next

    def lines(self) -> Iterable[str]:
        """The records as JSON lines, each with `prev` and `hash` (SHA-256 over the line without `hash`)."""
        previous = GENESIS
        for record in self.records:
            row = {**asdict(record), "prev": previous}
            previous = _hash(row)
            yield json.dumps({**row, "hash": previous}, separators=(",", ":"))

    def snapshot(self) -> dict[str, Any]:
        """Counters and records as plain values."""
        return {
            "granted": self.granted,
            "denied": self.denied,
            "dropped": self.dropped,
            "denied_by_rule": dict(self.denied_by_rule),
            "next": self._next,
            "records": [asdict(record) for record in self.records],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self.granted, self.denied, self.dropped = state["granted"], state["denied"], state["dropped"]
        self.denied_by_rule = Counter(state["denied_by_rule"])
        self._next = state["next"]
        self.records = [Record(**row) for row in state["records"]]


def verify_chain(lines: Iterable[str]) -> int:
    """Check a log's chain from its first line; the answer is the number of records.

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
        if row.get("prev") != previous:
            raise AuditError(f"line {number}: does not follow from the record before it; one was removed or moved")
        if _hash(row) != claimed:
            raise AuditError(f"line {number}: was changed after it was written; its hash does not fit")
        previous = claimed
        count += 1
    return count


def _hash(row: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
