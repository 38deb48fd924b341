"""What is signed: the manifest of an image, and the statement that a policy belongs to it.

Both are JSON in one form only (sorted keys, two spaces, a final newline), so that the same content has the same
bytes and the same signature. Neither holds a time of making.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeVar

from secureos.kernel.image import image_sha256
from secureos.kernel.keys import Signer
from secureos.kernel.refusals import MalformedManifest

SCHEMA: Final = 1
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"

MAX_BYTES: Final = 1_000_000
"""No manifest and no statement is larger."""

MAX_VERSION: Final = 2**31 - 1

_MAX_FILES: Final = 4096
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_POLICY_NAME: Final = re.compile(r"[^\x00-\x1f\x7f/]{1,200}")
_PATH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEY_ID: Final = re.compile(r"[0-9a-f]{16}")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")

# What stands before the signed bytes, so that a signature over the one never fits the other.
_IMAGE_PREFIX: Final = b"holdfast image 1\n"
_POLICY_PREFIX: Final = b"holdfast policy 1\n"

Read = TypeVar("Read")


@dataclass(frozen=True)
class Manifest:
    """What an image is made of.

    Attributes:
        name: Of the image.
        version: Counts up; an older one than was started before is refused.
        files: The SHA-256 of every file, by name.
        programs: The SHA-256 of the source of every task class's program.
        signer: The id of the key that signs it; None as long as nobody has.
        not_after: Its last day, if it has one.
    """

    name: str
    version: int
    files: Mapping[str, str]
    programs: Mapping[str, str]
    signer: str | None = None
    not_after: date | None = None

    @property
    def image_sha256(self) -> str:
        """The hash by which a policy names the image; the same whoever signs it."""
        return image_sha256(self.files, self.programs)

    def text(self) -> bytes:
        """The manifest as it is written."""
        tree: dict[str, Any] = {
            "schema": SCHEMA,
            "name": self.name,
            "version": self.version,
            "files": dict(self.files),
            "programs": dict(self.programs),
            "signer": self.signer,
        }
        return _written(tree | ({"not_after": self.not_after.isoformat()} if self.not_after else {}))

    def signed(self) -> bytes:
        """What the signature is over."""
        return _IMAGE_PREFIX + self.text()


@dataclass(frozen=True)
class Statement:
    """That a policy belongs to an image.

    Attributes:
        name: Of the policy.
        version: Counts up; an older one than was started before is refused.
        policy_sha256: Of the policy with all that it includes.
        image_sha256: Of the image that it was made for.
        signer: The id of the key that signs it.
    """

    name: str
    version: int
    policy_sha256: str
    image_sha256: str
    signer: str

    def tree(self) -> dict[str, Any]:
        """The statement as plain values."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "version": self.version,
            "policy_sha256": self.policy_sha256,
            "image_sha256": self.image_sha256,
            "signer": self.signer,
        }

    def signed(self) -> bytes:
        """What the signature is over."""
        return _POLICY_PREFIX + _written(self.tree())


def signature_text(signer: Signer, manifest: Manifest) -> bytes:
    """What stands in `manifest.sig`."""
    return signer.sign(manifest.signed()).hex().encode() + b"\n"


def statement_text(signer: Signer, statement: Statement) -> bytes:
    """What stands in the file beside a policy."""
    return _written({"statement": statement.tree(), "signature": signer.sign(statement.signed()).hex()})


# ---- reading -------------------------------------------------------------------------------------------------------


def read_manifest(text: bytes, where: str) -> Manifest:
    """A manifest from its bytes; who signed it is not looked at.

    Raises:
        MalformedManifest: It is too large, no JSON, not in the one form, or a value in it is wrong.
    """
    fields = _Fields(_tree(text, where), where)
    fields.only("schema", "name", "version", "files", "programs", "signer", "not_after")
    manifest = Manifest(
        name=fields.text("name", _NAME, "a name of at most 64 letters, digits and `_.-`"),
        version=fields.version("version"),
        files=fields.hashes("files", _PATH, "a file name of plain letters"),
        programs=fields.hashes("programs", _NAME, "a task class"),
        signer=None if fields.tree.get("signer", "") is None else fields.text("signer", _KEY_ID, "a key id"),
        not_after=fields.day("not_after") if "not_after" in fields.tree else None,
    )
    return _in_one_form(manifest, text, manifest.text(), where)


def read_signature(text: bytes, where: str) -> bytes:
    """The signature of a manifest from its file's bytes.

    Raises:
        MalformedManifest: It is no signature.
    """
    shown = text[:-1].decode("latin-1")
    if text[-1:] != b"\n" or not _SIGNATURE.fullmatch(shown):
        raise MalformedManifest(
            f"{where}: what stands beside it is no signature: 128 hexadecimal digits and a newline are wanted"
        )
    return bytes.fromhex(shown)


def read_statement(text: bytes, where: str) -> tuple[Statement, bytes]:
    """A statement and its signature from the bytes of the file beside a policy.

    Raises:
        MalformedManifest: It is too large, no JSON, not in the one form, or a value in it is wrong.
    """
    outer = _Fields(_tree(text, where), where)
    outer.only("statement", "signature")
    signature = bytes.fromhex(outer.text("signature", _SIGNATURE, "a signature"))
    fields = _Fields(outer.mapping("statement"), where)
    fields.only("schema", "name", "version", "policy_sha256", "image_sha256", "signer")
    statement = Statement(
        name=fields.text("name", _POLICY_NAME, "a file name of at most 200 characters"),
        version=fields.version("version"),
        policy_sha256=fields.text("policy_sha256", _SHA256, "a SHA-256"),
        image_sha256=fields.text("image_sha256", _SHA256, "a SHA-256"),
        signer=fields.text("signer", _KEY_ID, "a key id"),
    )
    form = _written({"statement": statement.tree(), "signature": signature.hex()})
    return _in_one_form((statement, signature), text, form, where)


def is_name(text: str) -> bool:
    """Whether an image or a policy may be called so."""
    return _NAME.fullmatch(text) is not None


def is_file_name(text: str) -> bool:
    """Whether a file of an image may be called so."""
    return _PATH.fullmatch(text) is not None


class _Fields:
    """The fields of one JSON object, each checked as it is taken."""

    def __init__(self, tree: Mapping[str, Any], where: str) -> None:
        self.tree = tree
        self.where = where

    def only(self, *known: str) -> None:
        for key in self.tree:
            if key not in known:
                raise self._wrong(f"unknown key `{key[:80]}`")
        if "schema" in known and self.tree.get("schema") != SCHEMA:
            raise self._wrong(f"`schema` must be {SCHEMA}")

    def text(self, key: str, pattern: re.Pattern[str], what: str) -> str:
        value = self.tree.get(key)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self._wrong(f"`{key}` must be {what}")
        return value

    def version(self, key: str) -> int:
        value = self.tree.get(key)
        if type(value) is not int or not 0 <= value <= MAX_VERSION:
            raise self._wrong(f"`{key}` must be a whole number from 0 to {MAX_VERSION}")
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.tree.get(key)
        if not isinstance(value, dict):
            raise self._wrong(f"`{key}` must be an object")
        return value

    def hashes(self, key: str, names: re.Pattern[str], what: str) -> dict[str, str]:
        rows = self.mapping(key)
        if len(rows) > _MAX_FILES:
            raise self._wrong(f"`{key}` has more than {_MAX_FILES} entries")
        for name, value in rows.items():
            if not names.fullmatch(name):
                raise self._wrong(f"`{name[:80]}` in `{key}` is not {what}")
            if not isinstance(value, str) or not _SHA256.fullmatch(value):
                raise self._wrong(f"`{name}` in `{key}` has no SHA-256")
        return rows

    def day(self, key: str) -> date:
        value = self.tree[key]
        try:
            return date.fromisoformat(value)
        except (TypeError, ValueError):
            raise self._wrong(f"`{key}` must be a day, YYYY-MM-DD") from None

    def _wrong(self, what: str) -> MalformedManifest:
        return MalformedManifest(f"{self.where}: {what}")


def _tree(text: bytes, where: str) -> dict[str, Any]:
    if len(text) > MAX_BYTES:
        raise MalformedManifest(f"{where}: is larger than {MAX_BYTES} bytes")
    try:
        tree = json.loads(text.decode("ascii"), object_pairs_hook=_once(where))
    except (ValueError, RecursionError) as failure:
        raise MalformedManifest(f"{where}: is not JSON: {failure}") from failure
    if not isinstance(tree, dict):
        raise MalformedManifest(f"{where}: must be a JSON object")
    return tree


def _once(where: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """What makes an object of its fields, and refuses one that has a field twice."""

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for name, value in pairs:
            if name in tree:
                raise MalformedManifest(f"{where}: `{name[:80]}` stands in it twice")
            tree[name] = value
        return tree

    return made


def _in_one_form(read: Read, text: bytes, form: bytes, where: str) -> Read:
    if text != form:
        raise MalformedManifest(f"{where}: is not written in the one form that counts; build and sign it anew")
    return read


def _written(tree: Mapping[str, Any]) -> bytes:
    return json.dumps(tree, indent=2, sort_keys=True).encode() + b"\n"
