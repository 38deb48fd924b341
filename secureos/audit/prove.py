"""Proves that one record is in a log: a short path from its hash to a root that was signed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from secureos.audit.checkpoint import Signed
from secureos.audit.merkle import included, inclusion_path
from secureos.audit.reading import Written, read_log
from secureos.audit.record import AuditError


@dataclass(frozen=True)
class Proof:
    """All that is needed to check it: hash the record's line, walk the path, compare the signed root.

    Attributes:
        written: The record.
        index: Its place among the leaves.
        path: The hashes from its leaf to the root.
        signed: The checkpoint whose root it is.
    """

    written: Written
    index: int
    path: tuple[bytes, ...]
    signed: Signed

    def holds(self) -> bool:
        """Whether the path leads from the record to the root; the signature is checked apart."""
        made = self.signed.checkpoint
        leaf, root = bytes.fromhex(self.written.digest), bytes.fromhex(made.root)
        return included(leaf, self.index, made.leaves, path=self.path, root=root)


def prove(lines: Iterable[bytes], number: int) -> Proof:
    """A proof for the record with this number, by the last checkpoint of the log.

    Raises:
        AuditError: There is no such record, or no checkpoint covers it.
    """
    leaves: list[bytes] = []
    found: tuple[Written, int] | None = None
    signed: Signed | None = None
    for one in read_log(lines):
        if isinstance(one, Signed):
            signed = one
            continue
        if one.record.number == number:
            found = one, len(leaves)
        leaves.append(bytes.fromhex(one.digest))
    if found is None:
        raise AuditError(f"there is no record `{number}` in the log; `holdfast audit show` lists them")
    written, index = found
    if not written.intact:
        raise AuditError(f"record `{number}` was changed after it was written; its hash does not fit")
    if signed is None or not index < signed.checkpoint.leaves <= len(leaves):
        raise AuditError(f"no checkpoint of the log covers record `{number}`")
    path = inclusion_path(leaves[: signed.checkpoint.leaves], index)
    return Proof(written, index, tuple(path), signed)
