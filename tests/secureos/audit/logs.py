"""Logs for tests: written by the real writer into memory, under keys made for the test."""

import io
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from secureos.audit import AuditLog, AuditWriter, InForce, Record
from secureos.audit.log_file import LogFile
from secureos.kernel.keys import PublicKey, Signer

SECOND = 1_000_000_000
IN_FORCE = InForce("a" * 64, "b" * 64)


def signer(seed):
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


OURS, THEIRS = signer(1), signer(2)
KEYS = [OURS.public]
assert isinstance(OURS.public, PublicKey)


class Disk(io.BytesIO):
    """A raw file in memory with room for so many bytes; it writes what fits, as a disk does, and then fails."""

    def __init__(self, room=None, fd=None):
        super().__init__()
        self.room, self.fd, self.stuck = room, fd, False

    def write(self, chunk):
        if self.room is not None:
            chunk = bytes(chunk)[: max(0, min(len(chunk), self.room - self.tell(), 100))]
            if not chunk:
                raise OSError(28, "No space left on device")
        return super().write(chunk)

    def truncate(self, size):
        if self.stuck:
            raise OSError(5, "Input/output error")
        return super().truncate(size)

    def fileno(self):
        return self.fd

    def close(self):
        """Keep what was written."""


def record(number, **changes):
    values = {
        "at_ns": number * SECOND // 4, "chain": number // 3, "event": "request", "src": "gateway", "dst": "logic",
        "endpoint": "act", "method": "Set", "decision": "denied" if number % 2 else "granted",
        "rule": f"p.psl:{number}", "reason": "why not", "message": {"v": number},
    }  # fmt: skip
    return Record(number, **{**values, **changes})


def writer(log, disk, *, every=4, key=OURS, **options):
    return AuditWriter(log, LogFile(disk), signer=key, in_force=lambda: IN_FORCE, every_records=every, **options)


def sink(tmp_path, room=None):
    """A disk whose `fsync` goes to a real file."""
    return Disk(room, (Path(tmp_path) / "sync").open("wb").fileno())


def written(count, *, fd, every=4, close=True, key=OURS, drains=(), **changes):
    """The lines of a log, drained once at the end and after each number in `drains`."""
    log, disk = AuditLog(), Disk(fd=fd)
    out = writer(log, disk, every=every, key=key)
    for number in range(count):
        log.add(record(number, **changes))
        log.note(number, ("request", "a", "b", "", "Do"), "p.psl:1", granted=True)
        if number in drains:
            out.drain(number * SECOND)
    out.drain(count * SECOND)
    if close:
        out.close(count * SECOND)
    return disk.getvalue().splitlines(keepends=True)
