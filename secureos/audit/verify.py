"""Checks a log: needs the log and a public key, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final, Literal

from secureos.audit.checkpoint import Checkpoint, Signed, Verifier, is_checkpoint, parse_checkpoint
from secureos.audit.merkle import Frontier
from secureos.audit.record import GENESIS, LONGEST_LINE, AuditError, digest_of, is_count, parts_of

Kind = Literal[
    "unreadable", "changed", "missing", "misplaced", "stray", "checkpoint", "signature", "trailing", "unfinished"
]

MOST_FINDINGS: Final = 100
"""After so many the rest of a log is not looked at."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        line: At which line, from 1.
        kind: unreadable; changed (a record); missing (records before this line); misplaced (a record moved or
            repeated); stray (a record that follows from another one); checkpoint (does not fit); signature; trailing
            (behind the end); unfinished (no closing checkpoint).
        text: What, in a sentence.
        record: The number of the record concerned, if it is one.
    """

    line: int
    kind: Kind
    text: str
    record: int | None = None

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass
class Report:
    """What came out.

    Attributes:
        records: How many records there are.
        signed: How many of them a checkpoint with a good signature covers.
        checkpoints: How many there are.
        lost: The numbers of records that the log itself says were never written: first and last of each gap.
        lost_verdicts: Verdicts that the log itself says were neither recorded nor counted.
        finished: Whether the log ends with its closing checkpoint.
        findings: What is wrong, in the order of the lines.
        last: The last checkpoint that fits.
    """

    records: int = 0
    signed: int = 0
    checkpoints: int = 0
    lost: list[tuple[int, int]] = field(default_factory=list)
    lost_verdicts: int = 0
    finished: bool = False
    findings: list[Finding] = field(default_factory=list)
    last: Checkpoint | None = None

    def ok(self, *, unfinished: bool = False) -> bool:
        """Whether nothing is wrong; `unfinished` accepts a log that is still being written or whose writer died."""
        return all(unfinished and finding.kind == "unfinished" for finding in self.findings)


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a log, each with its end; of one that is too long only a beginning that is too long as well."""
    while line := file.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE + 1)  # skip the rest of it


def verify(lines: Iterable[bytes], keys: Sequence[Verifier]) -> Report:
    """Check a whole log.

    Args:
        lines: As `read_lines` gives them.
        keys: Public keys; each checkpoint must be signed with one of them.
    """
    walk = _Walk(keys)
    for number, line in enumerate(lines, start=1):
        walk.step(number, line)
        if len(walk.report.findings) >= MOST_FINDINGS:
            return walk.report
    return walk.end()


def verify_chain(lines: Iterable[str]) -> int:
    """Check a log's chain from the very first record, but no signature; the answer is the number of records.

    Raises:
        AuditError: A line is not a record, or does not follow from the one before.
    """
    walk = _Walk(None)
    for number, line in enumerate(lines, start=1):
        walk.step(number, line.encode(errors="replace").rstrip(b"\n") + b"\n")
        if walk.report.findings:
            raise AuditError(str(walk.report.findings[0]))
    return walk.report.records


class _Walk:
    """Goes through a log line by line. After something wrong it goes on from what it finds, so as to find the rest."""

    def __init__(self, keys: Sequence[Verifier] | None) -> None:
        self.report = Report()
        self._keys = keys
        self._line = 0
        self._expected = 0
        self._follows = {GENESIS}  # what the next record may follow from; two hashes behind one that was changed
        self._tree = Frontier()
        self._whole = True  # whether all records so far are as they were written, so that roots can be compared
        self._missing: list[range] = []
        self._link = GENESIS
        self._unsigned_from = 0

    def step(self, number: int, raw: bytes) -> None:
        """Look at one line."""
        self._line = number
        if self.report.finished:
            self._find("trailing", "stands behind the closing checkpoint; it was added later")
            return
        if not raw.endswith(b"\n") and len(raw) <= LONGEST_LINE:
            self._find("unfinished", "is cut off in its middle")
            return
        try:
            line = raw[:-1].decode("ascii")
            if len(raw) > LONGEST_LINE:
                raise AuditError(f"longer than {LONGEST_LINE} bytes")
            if is_checkpoint(line):
                self._checkpoint(parse_checkpoint(line))
            else:
                self._record(line)
        except (AuditError, ValueError, RecursionError) as failure:
            why = str(failure) if isinstance(failure, AuditError) else failure.__class__.__name__
            self._break("unreadable", f"not an audit record or checkpoint ({why})")

    def end(self) -> Report:
        """Say whether the log is whole."""
        if self._keys is not None and self.report.records and not self.report.checkpoints:
            # Not even as one that is still being written: an opening checkpoint is the first that is.
            why = "it was cut off from its beginning on, or nobody ever signed for it"
            self._find("checkpoint", f"not one checkpoint stands in the log, and records follow one: {why}")
        if not self.report.finished:
            unsigned = self._expected - self._unsigned_from
            self._line += 1
            self._find(
                "unfinished",
                "the closing checkpoint is missing: the log was cut off here, or is still being written, or its "
                f"writer died; {unsigned} records before it are covered by no signature",
            )
        return self.report

    def _record(self, line: str) -> None:
        text, claimed = parts_of(line)
        row = json.loads(text)
        if not is_count(row.get("number")) or not isinstance(row.get("prev"), str):
            raise AuditError("fields are missing")
        self.report.records += 1
        digest = digest_of(text)
        if digest != claimed:
            here = self._expected
            self._break("changed", f"record {here} was changed after it was written; its hash does not fit", here)
            self._go_on(here, {claimed, digest})
            return
        if self._in_order(row["number"], row["prev"]):
            self._tree.append(bytes.fromhex(digest))
            self._go_on(row["number"], {digest})

    def _in_order(self, number: int, previous: str) -> bool:
        """Whether a sound record stands in its place, or at least behind it."""
        if number < self._expected:
            moved = any(number in gap for gap in self._missing)
            how = "it was moved here" if moved else "it stands here a second time"
            self._break("misplaced", f"record {number} does not follow from the record before it; {how}", number)
            return False
        if number > self._expected:
            gap = range(self._expected, number)
            self._missing.append(gap)
            which = f"record {gap[0]} is" if len(gap) == 1 else f"records {gap[0]} to {gap[-1]} are"
            does_not = f"record {number} does not follow from the record before it"
            self._break("missing", f"{does_not}; {which} missing: removed or moved", gap[0])
        elif previous not in self._follows:
            why = "one of the two was put in from elsewhere or written anew"
            self._break("stray", f"record {number} does not follow from the record before it; {why}", number)
        return True

    def _go_on(self, number: int, follows: set[str]) -> None:
        self._expected, self._follows = number + 1, follows

    def _checkpoint(self, signed: Signed) -> None:
        made, expected = signed.checkpoint, self.report.checkpoints
        if not self._signature_fits(signed):
            return
        if made.number != expected or made.previous != self._link:
            self._find(
                "checkpoint",
                f"checkpoint {made.number} does not follow from the one before it: one was removed or moved, or this "
                "one is of another log",
            )
        self._compare(made)
        self._link, self.report.checkpoints = signed.digest, made.number + 1
        self.report.lost_verdicts += made.lost_verdicts
        self.report.finished = made.closing

    def _signature_fits(self, signed: Signed) -> bool:
        if self._keys is None or any(signed.verified_by(key) for key in self._keys):
            return True
        number, known = signed.checkpoint.number, [key.key_id for key in self._keys]
        why = "it was changed or forged" if signed.key_id in known else f"none of the keys is `{signed.key_id}`"
        self._find("signature", f"the signature of checkpoint {number} does not fit; {why}")
        # It says nothing, but it may be the one that belongs here.
        self._link, self.report.checkpoints = signed.digest, self.report.checkpoints + 1
        self.report.finished = signed.checkpoint.closing
        return False

    def _compare(self, made: Checkpoint) -> None:
        """Hold the records so far against what was signed."""
        if made.lost is not None and made.lost.first == self._expected and made.lost.last + 1 == made.records:
            self.report.lost.append((made.lost.first, made.lost.last))
            self._expected, self._follows = made.records, {made.head}
        if not self._whole:
            return
        if (made.records, made.leaves) != (self._expected, self._tree.size):
            covers = f"checkpoint {made.number} covers the records before {made.records}"
            if made.records > self._expected:
                gap = f"records {self._expected} to {made.records - 1} are missing: cut off or moved"
                self._break("missing", f"{covers}; {gap}", self._expected)
            else:
                self._break("checkpoint", f"{covers}, not those that stand here: records were put in or written anew")
            self._go_on(made.records - 1, {made.head})
        elif made.root != self._tree.root().hex() or made.head not in self._follows:
            which = f"records {self._unsigned_from} to {made.records - 1}"
            self._break("checkpoint", f"{which} are not those that checkpoint {made.number} covers: written anew")
        else:
            self.report.last, self.report.signed, self._unsigned_from = made, made.leaves, made.records

    def _break(self, kind: Kind, text: str, record: int | None = None) -> None:
        """Something wrong with records: from here on roots cannot be compared."""
        self._whole = False
        self._find(kind, text, record)

    def _find(self, kind: Kind, text: str, record: int | None = None) -> None:
        self.report.findings.append(Finding(self._line, kind, text, record))
