"""Checkpoints: signed lines in a log that say how many records stand before them, and which.

A checkpoint holds the root of the Merkle tree over the records' hashes, the head of their chain, what was in force, the
verdicts that have no record of their own, and what was lost. Checkpoints are numbered and each holds the hash of the
one before. The first opens a log, the last closes it, so that a log that was cut off is known by its end.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from secureos.audit.record import AuditError, is_count

SCHEMA: Final = 1

_DOMAIN: Final = b"holdfast audit checkpoint 1\n"  # so that no other signature of the same key can pass for this one
_LINE: Final = re.compile(r'\{"checkpoint":(\{.*\}),"key_id":"([0-9a-zA-Z._-]{1,64})","signature":"([0-9a-f]{128})"\}')
_HASH: Final = re.compile(r"[0-9a-f]{64}")


class Signer(Protocol):
    """Who signs checkpoints."""

    @property
    def key_id(self) -> str:
        """The name of its key: at most 64 letters, digits, dots, dashes."""

    def sign(self, message: bytes) -> bytes:
        """An ed25519 signature (64 bytes, RFC 8032)."""


class Verifier(Protocol):
    """A public key."""

    @property
    def key_id(self) -> str:
        """Its name."""

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the holder of the private key signed the message."""


@dataclass(frozen=True)
class Lost:
    """Records that were never written: the numbers of the first and the last."""

    first: int
    last: int


@dataclass(frozen=True)
class Unrecorded:
    """How often a verdict fell that has no record of its own.

    Attributes:
        event, src, dst, endpoint, method: The way; all empty for those beyond the number that a log tells apart.
        rule: Which rule decided.
        granted: The verdict.
        count: How often since the checkpoint before.
        first_ns, last_ns: When first and last, in the host's time (ns).
    """

    event: str
    src: str
    dst: str
    endpoint: str
    method: str
    rule: str
    granted: bool
    count: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True)
class Checkpoint:
    """What is signed.

    Attributes:
        number: Position among the checkpoints of the log, from 0.
        previous: Hash of the checkpoint before.
        at_ns: When, in the host's time (ns).
        records: The number that the next record must have.
        leaves: How many records stand in the log before it; fewer than `records` if some were lost.
        root: Root of the Merkle tree over their hashes.
        head: The hash that the next record must follow from.
        image_sha256, policy_sha256: What was in force.
        unrecorded: The verdicts without a record of their own.
        lost: The records lost directly before it.
        lost_verdicts: Verdicts neither recorded nor counted since the checkpoint before.
        closing: Whether the log ends here.
    """

    number: int
    previous: str
    at_ns: int
    records: int
    leaves: int
    root: str
    head: str
    image_sha256: str
    policy_sha256: str
    unrecorded: tuple[Unrecorded, ...] = ()
    lost: Lost | None = None
    lost_verdicts: int = 0
    closing: bool = False

    def text(self) -> str:
        """What is signed and hashed: compact JSON."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, separators=(",", ":"))


@dataclass(frozen=True)
class Signed:
    """A checkpoint as it stands in a log."""

    checkpoint: Checkpoint
    text: str
    key_id: str
    signature: bytes

    @property
    def digest(self) -> str:
        """What the next checkpoint holds of it."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def line(self) -> str:
        """The line, without its end."""
        return f'{{"checkpoint":{self.text},"key_id":"{self.key_id}","signature":"{self.signature.hex()}"}}'

    def verified_by(self, key: Verifier) -> bool:
        """Whether the signature is the key's."""
        return key.verifies(self.signature, _DOMAIN + self.text.encode())


def sign(checkpoint: Checkpoint, signer: Signer) -> Signed:
    """Sign a checkpoint."""
    text = checkpoint.text()
    return Signed(checkpoint, text, signer.key_id, signer.sign(_DOMAIN + text.encode()))


def is_checkpoint(line: str) -> bool:
    """Whether a line means to be a checkpoint."""
    return line.startswith('{"checkpoint":')


def parse_checkpoint(line: str) -> Signed:
    """Read a line; its signature is not checked.

    Raises:
        AuditError: It is not a checkpoint; the message says why.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        raise AuditError("not a signed checkpoint")
    text, key_id, signature = found.groups()
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as failure:
        raise AuditError(f"not a checkpoint ({failure.__class__.__name__})") from failure
    if row.pop("schema", None) != SCHEMA:
        raise AuditError(f"a checkpoint of another schema; this program reads schema {SCHEMA}")
    return Signed(_checkpoint(row), text, key_id, bytes.fromhex(signature))


def _checkpoint(row: dict[str, Any]) -> Checkpoint:
    try:
        lost = Lost(**row.pop("lost")) if row["lost"] is not None else row.pop("lost")
        unrecorded = tuple(Unrecorded(**one) for one in row.pop("unrecorded"))
        found = Checkpoint(**row, lost=lost, unrecorded=unrecorded)
    except (TypeError, KeyError) as failure:
        raise AuditError("a checkpoint with fields missing or added") from failure
    whole = [found.number, found.at_ns, found.records, found.leaves, found.lost_verdicts]
    whole += [lost.first, lost.last] if lost is not None else []
    whole += [number for one in unrecorded for number in (one.count, one.first_ns, one.last_ns)]
    if not all(map(is_count, whole)) or type(found.closing) is not bool:
        raise AuditError("a checkpoint with something else where a whole number belongs")
    if not all(isinstance(value, str) and _HASH.fullmatch(value) for value in (found.previous, found.root, found.head)):
        raise AuditError("a checkpoint with something else where a hash belongs")
    return found
