"""Tells a capture of the wire what the security module decided about a request."""

from __future__ import annotations

from itertools import takewhile

from secureos.audit import AuditLog


class VerdictWitness:
    """What the security module said about a client's request, for the capture.

    Args:
        audit: Of the controller.
    """

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    def mark(self) -> int:
        """The number that the next record will have."""
        return self._audit.next_number

    def since(self, mark: int) -> str:
        """Denied and why, or granted; empty if nothing was recorded."""
        records = [*takewhile(lambda record: record.number >= mark, reversed(self._audit.records))]
        denial = next((record for record in records if record.decision == "denied"), None)
        if denial is not None:
            return f"denied by {denial.rule}: {denial.reason}"
        return "granted" if records else ""
