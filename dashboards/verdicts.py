"""The verdict feed: the audit records that a person wants to see, one row each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from scenarios.player import Answered
from secureos.audit import AuditLog, Record
from twin.core import NS_PER_S, ns

ROWS: Final = 40
"""How many rows are kept for the screen; the audit log has them all."""

# A call chain that begins here came from outside; all others are the controller's own cyclic traffic.
_ENTRANCE: Final = "gateway"


@dataclass(frozen=True)
class _Verdict:
    at_ns: int
    granted: bool
    subject: str
    operation: str
    tags: tuple[str, ...]
    rule: str
    reason: str
    count: int = 1

    def like(self, other: _Verdict) -> bool:
        """Whether the two differ in nothing but their instant and count."""
        return replace(self, at_ns=0, count=1) == replace(other, at_ns=0, count=1)


class VerdictFeed:
    """Reads an audit log as it grows: every denial, and the grants of commands that came from outside."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._next = 0
        self._rows: deque[_Verdict] = deque(maxlen=ROWS)

    def read(self) -> None:
        """Take in what was recorded since the last time; between instants, so that every call chain is whole."""
        fresh = list(self._fresh())[::-1]
        for chain, records in groupby(fresh, key=lambda record: record.chain):
            for verdict in _of_chain(chain, list(records)):
                self._append(verdict)

    def rows(self, answered: Iterable[Answered]) -> list[dict[str, Any]]:
        """The rows, newest first, as JSON values.

        Args:
            answered: The commands of the run. A grant's record does not hold the message; the command that was
                answered in the same instant tells which point it was for.
        """
        tags = {ns(one.at_s): one.tag for one in answered}
        return [_shown(verdict, tags.get(verdict.at_ns, "")) for verdict in reversed(self._rows)]

    def _fresh(self) -> Iterable[Record]:
        begin, self._next = self._next, self._audit.next_number
        for record in reversed(self._audit.records):
            if record.number < begin:
                return
            yield record

    def _append(self, verdict: _Verdict) -> None:
        if self._rows and verdict.like(self._rows[-1]) and not verdict.granted:
            verdict = replace(verdict, count=self._rows[-1].count + 1)
            self._rows.pop()
        self._rows.append(verdict)


def _of_chain(chain: int, records: list[Record]) -> list[_Verdict]:
    """The denials of a chain; without one, the innermost grant, if the chain came from outside."""
    denied = [record for record in records if record.decision == "denied"]
    if denied:
        return [_verdict(record) for record in denied]
    requests = [record for record in records if record.event == "request"]
    if chain and requests and requests[0].src == _ENTRANCE:
        return [_verdict(requests[-1])]
    return []


def _verdict(record: Record) -> _Verdict:
    operation = ".".join(part for part in (record.endpoint, record.method) if part) or record.event
    if record.dst:
        operation = f"{record.dst}.{operation}"
    named = (record.message or {}).get("tags", ())
    tags = tuple(str(tag) for tag in named) if isinstance(named, list) else ()
    return _Verdict(record.at_ns, record.decision == "granted", record.src, operation, tags, record.rule, record.reason)


def _shown(verdict: _Verdict, answered_tag: str) -> dict[str, Any]:
    return {
        "at_s": verdict.at_ns / NS_PER_S,
        "granted": verdict.granted,
        "subject": verdict.subject,
        "operation": verdict.operation,
        "object": ", ".join(verdict.tags) or answered_tag,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "count": verdict.count,
    }
