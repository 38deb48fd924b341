"""One verdict as it is recorded, and how a record is bound to the one before it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple

GENESIS: Final = "0" * 64
"""What stands for the hash before the first record, and before the first checkpoint."""

LONGEST_LINE: Final = 1 << 20
"""No line of a log is longer (bytes)."""

_TAIL: Final = 256  # what a line holds besides the text of its record
_ENCODE: Final = json.JSONEncoder(separators=(",", ":")).encode
_LINE: Final = re.compile(r'(\{.*),"hash":"([0-9a-f]{64})"\}')


class AuditError(Exception):
    """An audit log is broken or cannot be read; the message says at which line and how."""


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


class Chained(NamedTuple):
    """A record bound to the one before it.

    Attributes:
        number: The record's.
        previous: Hash of the record before (64 hexadecimal digits).
        text: What is hashed: compact JSON of the record's fields in their order, then `prev`.
        digest: SHA-256 of the text (64 hexadecimal digits).
    """

    number: int
    previous: str
    text: str
    digest: str

    @property
    def line(self) -> str:
        """The record as it stands in the log, without the end of the line."""
        return f'{self.text[:-1]},"hash":"{self.digest}"}}'


def chained(record: Record, previous: str) -> Chained:
    """Bind a record to the one before; a message too long for a line is left out and said to be."""
    text = _text(record, previous)
    if len(text) > LONGEST_LINE - _TAIL:
        text = _text(replace(record, message={"": "too long to be recorded"}), previous)
    return Chained(record.number, previous, text, digest_of(text))


def parts_of(line: str) -> tuple[str, str]:
    """The text of a record's line that is hashed, and the hash it claims.

    Raises:
        AuditError: The line has no hash at its end.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        raise AuditError("it has no hash at its end")
    return f"{found[1]}}}", found[2]


def is_count(value: object) -> bool:
    """Whether it is a number as a log holds them: whole, and within 63 bits."""
    return type(value) is int and 0 <= value < 2**63


def digest_of(text: str) -> str:
    """SHA-256 as hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _text(record: Record, previous: str) -> str:
    return _ENCODE(
        {
            "number": record.number,
            "at_ns": record.at_ns,
            "chain": record.chain,
            "event": record.event,
            "src": record.src,
            "dst": record.dst,
            "endpoint": record.endpoint,
            "method": record.method,
            "decision": record.decision,
            "rule": record.rule,
            "reason": record.reason,
            "message": record.message,
            "prev": previous,
        }
    )
