"""Keys: who signs an image or a policy, and whose signature counts on this machine.

Keys are ed25519 (RFC 8032) in PEM files (RFC 7468). This machine's own key, the development key, stands in
`keys/development.pem` of the state folder and is made at its first use; public keys of others in `trusted/`.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from secureos.kernel.refusals import KeyUnusable
from secureos.kernel.state import keep, private_folder, renew, state_folder

_MAX_BYTES: Final = 10_000
_KEY_ID_DIGITS: Final = 16
_LAST_DAY: Final = "Not-After"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class PublicKey:
    """A key that signatures are checked with.

    Attributes:
        raw: Its 32 bytes.
        not_after: The last day on which it counts; None for ever.
        development: Whether it is the one that this machine made for itself.
    """

    raw: bytes
    not_after: date | None = None
    development: bool = False

    @property
    def key_id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of its bytes."""
        return hashlib.sha256(self.raw).hexdigest()[:_KEY_ID_DIGITS]

    def __str__(self) -> str:
        return f"{'development ' if self.development else ''}key {self.key_id}"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the holder of the private key signed the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def pem(self) -> str:
        """The key as a PEM file; a last day stands before it as explanatory text (RFC 7468, section 5.2)."""
        text = Ed25519PublicKey.from_public_bytes(self.raw).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        until = f"{_LAST_DAY}: {self.not_after.isoformat()}\n" if self.not_after else ""
        return until + text.decode()


class Signer:
    """A private key, and what it signs."""

    def __init__(self, private: Ed25519PrivateKey, *, development: bool = False) -> None:
        self._private = private
        raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.public = PublicKey(raw, development=development)

    @property
    def key_id(self) -> str:
        """The id of its public key."""
        return self.public.key_id

    def sign(self, message: bytes) -> bytes:
        """The signature over a message (64 bytes); the same for the same message."""
        return self._private.sign(message)

    def pem(self) -> str:
        """The private key as a PEM file (PKCS #8, not encrypted)."""
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


def new_signer() -> Signer:
    """A new key from the system's own randomness."""
    return Signer(Ed25519PrivateKey.generate())


def development_key_path() -> Path:
    """Where this machine's own key stands or will stand."""
    return state_folder() / "keys" / "development.pem"


def development_key() -> Signer:
    """This machine's own key, made at its first use; two processes that come at once get the same one.

    Raises:
        StateUnavailable: There is nowhere to keep it.
        KeyUnusable: What stands in its place is no key, or others may read it.
    """
    path = private_folder("keys") / development_key_path().name
    if not path.exists():
        keep(path, new_signer().pem().encode())
    return read_signer(path, development=True)


def read_signer(path: Path, *, development: bool = False) -> Signer:
    """The private key in a PEM file.

    Raises:
        KeyUnusable: It cannot be read, is no ed25519 key, or others may read it.
    """
    content = _read(path)
    try:
        private = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as failure:
        raise _no_key(path, "private") from failure
    if not isinstance(private, Ed25519PrivateKey):
        raise _no_key(path, "private")
    if path.stat().st_mode & _OTHERS:
        raise KeyUnusable(f"others may read the private key `{path}`; make it yours alone: chmod 600 {path}")
    return Signer(private, development=development)


def read_public_key(path: Path) -> PublicKey:
    """The public key in a PEM file, with its last day if a line `Not-After: YYYY-MM-DD` stands before it.

    Raises:
        KeyUnusable: It cannot be read, or is no ed25519 key.
    """
    content = _read(path)
    try:
        public = serialization.load_pem_public_key(content)
        not_after = _last_day(content.decode())
    except (ValueError, UnsupportedAlgorithm) as failure:
        raise _no_key(path, "public") from failure
    if not isinstance(public, Ed25519PublicKey):
        raise _no_key(path, "public")
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return PublicKey(raw, not_after)


def trusted_keys(further: Iterable[Path] = ()) -> dict[str, PublicKey]:
    """The keys whose signatures count here, by their ids: this machine's own, those in `trusted/`, and `further` ones.

    Raises:
        StateUnavailable: There is nowhere to keep this machine's own key.
        KeyUnusable: One of the files is no key.
    """
    kept = sorted((state_folder() / "trusted").glob("*.pem"))
    keys = [read_public_key(path) for path in (*kept, *further)]
    return {key.key_id: key for key in (*keys, development_key().public)}


def trust(key: PublicKey) -> Path:
    """Let the signatures of a key count on this machine from now on; where it is kept."""
    path = private_folder("trusted") / f"{key.key_id}.pem"
    renew(path, key.pem().encode())
    return path


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as failure:
        raise KeyUnusable(f"the key `{path}` cannot be read: {failure.strerror}") from failure
    if len(content) > _MAX_BYTES:
        raise KeyUnusable(f"`{path}` is larger than {_MAX_BYTES} bytes, so it is no key")
    return content


def _last_day(text: str) -> date | None:
    before = text.partition("-----BEGIN")[0]
    # However it is written: a last day that is overlooked is a key that counts for ever.
    rows = (line.partition(":") for line in before.splitlines())
    days = [day.strip() for name, _, day in rows if name.strip().casefold() == _LAST_DAY.casefold()]
    return min(map(date.fromisoformat, days), default=None)


def _no_key(path: Path, kind: str) -> KeyUnusable:
    return KeyUnusable(f"`{path}` holds no {kind} ed25519 key in PEM form; `holdfast image keygen` makes a pair")
