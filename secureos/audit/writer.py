"""Writes an audit log to a file, off the hot path: records chained, checkpoints signed, losses told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import Final

from secureos.audit.checkpoint import Checkpoint, Lost, Signer, Unrecorded, sign
from secureos.audit.log import AuditLog
from secureos.audit.log_file import LogFile
from secureos.audit.merkle import Frontier
from secureos.audit.record import GENESIS, Chained

_BLOCK: Final = 1_000  # records that are written, or kept, together
_RETRY_NS: Final = 1_000_000_000  # a disk that is full is not tried again at every scan


@dataclass(frozen=True)
class InForce:
    """What a log is about: the hashes of image and policy (64 hexadecimal digits each), and the policy's version."""

    image_sha256: str
    policy_sha256: str
    policy_version: int = 0


@dataclass
class _Place:
    """How far a log is written."""

    expected: int = 0
    head: str = GENESIS
    tree: Frontier = field(default_factory=Frontier)
    checkpoints: int = 0
    link: str = GENESIS
    since: int = 0  # records since the last checkpoint
    at_ns: int = 0  # when that was

    def copy(self) -> _Place:
        return replace(self, tree=self.tree.copy())


class AuditWriter:
    """Takes from a log what is new and writes it; never raises what a disk does, but tells the log by `fail`.

    While writing fails, records wait in the log; what does not fit there is lost, safety messages last, and the next
    checkpoint says which. Counts and what was overwritten in the ring stand in every checkpoint.

    Args:
        log: Where records come from; it gets one writer.
        file: Where they go.
        signer: Signs the checkpoints.
        in_force: Tells, at each checkpoint, what is in force.
        every_records: A checkpoint stands after so many records at the latest,
        every_ns: and after so much of the host's time (ns) if there is anything new.

    Raises:
        AuditError: The log has a writer already.
    """

    def __init__(
        self,
        log: AuditLog,
        file: LogFile,
        *,
        signer: Signer,
        in_force: Callable[[], InForce],
        every_records: int = 1_000,
        every_ns: int = 10_000_000_000,
    ) -> None:
        log.attach()
        self._log = log
        self._file = file
        self._signer = signer
        self._in_force = in_force
        self._every_records, self._every_ns = every_records, every_ns
        self._place = _Place()
        self._not_before_ns: int | None = None

    @classmethod
    def create(cls, path: Path, log: AuditLog, *, signer: Signer, in_force: Callable[[], InForce]) -> AuditWriter:
        """Write a log into a file that does not exist yet.

        Raises:
            AuditError: The log has a writer already.
            OSError: The file exists or cannot be made.
        """
        return cls(log, LogFile.create(path), signer=signer, in_force=in_force)

    def drain(self, at_ns: int) -> None:
        """Write what is new; for the host to call between two scans.

        Args:
            at_ns: The host's time (ns).
        """
        self._log.fold()
        if self._not_before_ns is not None and at_ns < self._not_before_ns:
            return
        while self._write(at_ns, closing=False):
            pass

    def close(self, at_ns: int) -> None:
        """Write what is new and the closing checkpoint, and close the file.

        If that fails, `failing` of the log says why, and the file ends without its closing checkpoint.
        """
        self._log.fold()
        while self._write(at_ns, closing=True):
            pass
        try:
            self._file.close()
        except OSError as failure:
            self._fail(failure)

    def _write(self, at_ns: int, *, closing: bool) -> bool:
        """Write one block, or nothing of it; whether there may be more."""
        place = self._place.copy()
        waiting = list(self._log.pending(_BLOCK))
        more = len(waiting) == _BLOCK
        lines = self._lines(place, waiting, at_ns, last=closing and not more)
        if not lines:
            return False
        try:
            self._file.append("".join(f"{line}\n" for line in lines).encode(), sync=self._place.link != place.link)
        except OSError as failure:
            self._not_before_ns = at_ns + _RETRY_NS
            self._fail(failure)
            return False
        self._not_before_ns = None
        if self._place.link != place.link:
            self._log.counts.clear()
            self._log.lost_verdicts = 0
        self._place = place
        self._log.taken(place.expected)
        self._log.fail(None)
        return more

    def _fail(self, failure: OSError) -> None:
        self._log.fail(f"the audit log cannot be written: {failure.strerror or failure}")

    def _lines(self, place: _Place, waiting: list[Chained], at_ns: int, *, last: bool) -> list[str]:
        """The block as lines; `place` moves on with it."""
        lines = [] if place.checkpoints else [self._checkpoint(place, at_ns)]
        for one in waiting:
            if one.number != place.expected:
                lost = Lost(place.expected, one.number - 1)
                place.expected, place.head = one.number, one.previous
                lines.append(self._checkpoint(place, at_ns, lost=lost))
            lines.append(one.line)
            place.tree.append(bytes.fromhex(one.digest))
            place.expected, place.head = one.number + 1, one.digest
            place.since += 1
            if place.since >= self._every_records:
                lines.append(self._checkpoint(place, at_ns))
        news = place.since or self._log.counts or self._log.lost_verdicts
        if last or (news and at_ns - place.at_ns >= self._every_ns):
            lines.append(self._checkpoint(place, at_ns, closing=last))
        return lines

    def _checkpoint(self, place: _Place, at_ns: int, *, lost: Lost | None = None, closing: bool = False) -> str:
        first_of_block = place.link == self._place.link  # counts are told once
        in_force = self._in_force()
        counts = sorted(self._log.counts.items(), key=itemgetter(0)) if first_of_block else []
        made = Checkpoint(
            number=place.checkpoints,
            previous=place.link,
            at_ns=at_ns,
            records=place.expected,
            leaves=place.tree.size,
            root=place.tree.root().hex(),
            head=place.head,
            image_sha256=in_force.image_sha256,
            policy_sha256=in_force.policy_sha256,
            unrecorded=tuple(
                Unrecorded(*way, rule, granted, tally.count, tally.first_ns, tally.last_ns)
                for (way, rule, granted), tally in counts
            ),
            lost=lost,
            lost_verdicts=self._log.lost_verdicts if first_of_block else 0,
            closing=closing,
        )
        signed = sign(made, self._signer)
        place.checkpoints, place.link, place.since, place.at_ns = place.checkpoints + 1, signed.digest, 0, at_ns
        return signed.line
