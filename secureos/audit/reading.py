"""Reads the records of a log that was written; whether it is whole is for `verify` to say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from secureos.audit.checkpoint import Signed, is_checkpoint, parse_checkpoint
from secureos.audit.record import LONGEST_LINE, AuditError, Record, digest_of, is_count, parts_of

_NUMBERS: Final = ("number", "at_ns", "chain")
_WORDS: Final = ("event", "src", "dst", "endpoint", "method", "decision", "rule", "reason")
_FURTHER: Final = ("message", "prev")


@dataclass(frozen=True)
class Written:
    """A record as it was read.

    Attributes:
        record: The record.
        digest: Its hash, as the line claims it.
        intact: Whether that is the hash of the line.
    """

    record: Record
    digest: str
    intact: bool


def read_log(lines: Iterable[bytes]) -> Iterator[Written | Signed]:
    """Records and checkpoints in their order.

    Raises:
        AuditError: A line is neither; the message names it.
    """
    for number, raw in enumerate(lines, start=1):
        try:
            if len(raw) > LONGEST_LINE:
                raise AuditError(f"longer than {LONGEST_LINE} bytes")
            line = raw.decode("ascii").rstrip("\n")
            yield parse_checkpoint(line) if is_checkpoint(line) else _written(line)
        except (AuditError, ValueError, RecursionError) as failure:
            why = str(failure) if isinstance(failure, AuditError) else failure.__class__.__name__
            hint = "`holdfast audit verify` tells all that is wrong with the log"
            raise AuditError(f"line {number}: not an audit record or checkpoint ({why}); {hint}") from failure


def read_records(lines: Iterable[bytes]) -> Iterator[Written]:
    """The records alone.

    Raises:
        AuditError: A line is neither a record nor a checkpoint.
    """
    return (one for one in read_log(lines) if isinstance(one, Written))


def _written(line: str) -> Written:
    text, digest = parts_of(line)
    row = json.loads(text)
    if set(row) != {*_NUMBERS, *_WORDS, *_FURTHER}:
        raise AuditError("fields are missing or added")
    if not all(is_count(row[name]) for name in _NUMBERS):
        raise AuditError("something else where a whole number belongs")
    if not all(isinstance(row[name], str) for name in _WORDS):
        raise AuditError("something else where text belongs")
    if row["decision"] not in ("granted", "denied") or not isinstance(row["message"], dict | None):
        raise AuditError("neither granted nor denied, or a message without fields")
    del row["prev"]
    return Written(Record(**row), digest, digest_of(text) == digest)
