"""Where a twin's audit is written: `audit.jsonl`, signed with this machine's own key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from secureos.audit import AuditWriter
from secureos.kernel.keys import development_key
from twin.assembly import Twin

AUDIT_FILE: Final = "audit.jsonl"


def audit_writer(folder: Path, twin: Twin) -> AuditWriter:
    """A writer for all that a connected twin has recorded and will record.

    Raises:
        OSError: There is an audit in the folder already, or it cannot be written.
        StateUnavailable, KeyUnusable: This machine's own key cannot be used.
    """
    kernel = twin.controller.kernel
    return AuditWriter.create(
        folder / AUDIT_FILE, kernel.audit, signer=development_key(), in_force=lambda: kernel.in_force
    )


class ServedAudit:
    """The audit of a twin that is served: written between two instants; without a folder not at all.

    Args:
        folder: Where to, or None.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._writer: AuditWriter | None = None

    def open(self, twin: Twin) -> None:
        """Begin, with the records of the start."""
        if self._folder is not None:
            self._writer = audit_writer(self._folder, twin)
            twin.controller.kernel.audit.on_failure = _tell

    def drain(self, now_ns: int) -> None:
        """Write what is new."""
        if self._writer is not None:
            self._writer.drain(now_ns)

    def close(self, now_ns: int) -> None:
        """Write the rest and the closing checkpoint."""
        if self._writer is not None:
            self._writer.close(now_ns)


def _tell(failing: str | None) -> None:
    print(failing or "the audit log is written again", file=sys.stderr)
