"""Whether an image and a policy are what somebody trusted has signed. Each refusal has its own error.

The order of questions: is there a signature, can it be read, whose is it, does it belong to the text, is it still
good, is the version not older than one that was started, and are files and programs those that were signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from secureos.kernel import refusals
from secureos.kernel.keys import PublicKey
from secureos.kernel.manifest import (
    MANIFEST,
    MAX_BYTES,
    SIGNATURE,
    Manifest,
    Statement,
    read_manifest,
    read_signature,
    read_statement,
)
from secureos.policy import Policy

BESIDE_POLICY: Final = ".sig"
"""What follows a policy file's name in the name of the file with its statement."""

_POLICY_SUFFIXES: Final = (".psl", ".sig")
_MOST_FILES: Final = 10_000

Keys = Mapping[str, PublicKey]


@dataclass(frozen=True)
class VerifiedImage:
    """An image folder whose content was signed by somebody trusted."""

    folder: Path
    manifest: Manifest
    signed_by: PublicKey


@dataclass(frozen=True)
class VerifiedPolicy:
    """A policy that was signed for an image by somebody trusted."""

    statement: Statement
    signed_by: PublicKey


def is_signed(folder: Path) -> bool:
    """Whether a folder claims to be a signed image, and has to prove it."""
    return any((folder / name).exists() for name in (MANIFEST, SIGNATURE))


def verify_image(
    folder: Path, trusted_keys: Keys, *, today: date, floor: int, programs: Mapping[str, str] | None = None
) -> VerifiedImage:
    """Check that a folder holds exactly what its manifest names, signed by a trusted key.

    Args:
        folder: The image, with `manifest.json` and `manifest.sig`.
        trusted_keys: Whose signatures count, by key id.
        today: For last days of keys and images.
        floor: The newest version that was started so far.
        programs: The SHA-256 of the source of each task class's program that the host would run; None: not asked.

    Raises:
        TrustError: Something is not as it was signed; each case has its own class.
    """
    if not (folder / MANIFEST).exists():
        raise refusals.Unsigned(f"`{folder}` has no {MANIFEST}; make one: holdfast image build")
    if not (folder / SIGNATURE).exists():
        raise refusals.Unsigned(f"`{folder}` has no {SIGNATURE}; make one: holdfast image sign {folder}")
    text = _bounded(folder / MANIFEST)
    manifest, key = verify_manifest(
        text, _bounded(folder / SIGNATURE), trusted_keys, today=today, floor=floor, where=str(folder / MANIFEST)
    )
    _same_files(folder, manifest.files)
    if programs is not None:
        same_programs(manifest, programs)
    return VerifiedImage(folder, manifest, key)


def verify_manifest(
    text: bytes, signature: bytes, trusted_keys: Keys, *, today: date, floor: int, where: str
) -> tuple[Manifest, PublicKey]:
    """Check a manifest by itself: form, signature, key, last day, version.

    Raises:
        TrustError: See the cases in `refusals`.
    """
    manifest = read_manifest(text, where)
    if manifest.signer is None:
        raise refusals.Unsigned(f"{where}: names nobody who signs it; sign it: holdfast image sign")
    key = _key(manifest.signer, trusted_keys, today=today, where=where)
    if not key.verifies(read_signature(signature, where), manifest.signed()):
        raise refusals.BadSignature(f"{where}: the signature of {key} does not belong to it; it was changed since")
    if manifest.not_after is not None and today > manifest.not_after:
        raise refusals.ExpiredImage(f"{where}: its last day was {manifest.not_after}; ask for a newer image")
    _not_older(manifest.version, floor, where)
    return manifest, key


def verify_policy(
    path: Path, policy: Policy, trusted_keys: Keys, *, image_sha256: str, today: date, floor: int
) -> VerifiedPolicy:
    """Check that the policy in a file was signed for an image by a trusted key; the statement stands beside it.

    Raises:
        TrustError: Something is not as it was signed; each case has its own class.
    """
    beside = statement_path(path)
    if not beside.exists():
        raise refusals.Unsigned(f"`{path}` has no signature beside it; make one: holdfast image sign DIR --policy …")
    return verify_statement(
        _bounded(beside), policy, trusted_keys, image_sha256=image_sha256, today=today, floor=floor, where=str(beside)
    )


def verify_statement(
    text: bytes, policy: Policy, trusted_keys: Keys, *, image_sha256: str, today: date, floor: int, where: str
) -> VerifiedPolicy:
    """Check a policy's statement by itself: form, signature, key, version, and that it is about this policy and image.

    Raises:
        TrustError: See the cases in `refusals`.
    """
    statement, signature = read_statement(text, where)
    key = _key(statement.signer, trusted_keys, today=today, where=where)
    if not key.verifies(signature, statement.signed()):
        raise refusals.BadSignature(f"{where}: the signature of {key} does not belong to it; it was changed since")
    if statement.policy_sha256 != policy.sha256 or statement.name != policy.name:
        raise refusals.PolicyChanged(
            f"{where}: was signed for policy `{statement.name}` {statement.policy_sha256[:16]}…, "
            f"and this is `{policy.name}` {policy.sha256[:16]}…"
        )
    if statement.image_sha256 != image_sha256:
        raise refusals.OtherImage(
            f"{where}: the policy belongs to image {statement.image_sha256[:16]}…, this one is {image_sha256[:16]}…; "
            "have it checked and signed for this image"
        )
    _not_older(statement.version, floor, where)
    return VerifiedPolicy(statement, key)


def statement_path(policy: Path) -> Path:
    """Where the statement of a policy file stands."""
    return policy.with_name(policy.name + BESIDE_POLICY)


def same_programs(manifest: Manifest, programs: Mapping[str, str]) -> None:
    """Check that the host would run exactly the programs that were signed.

    Raises:
        UnknownProgram: A class has a program on one side only.
        WrongClass: A program is registered for a class, and another class's program was signed.
        WrongProgram: A program's source is not the one that was signed.
    """
    for name in sorted(programs.keys() - manifest.programs.keys()):
        raise refusals.UnknownProgram(f"the host registers a program for `{name}`, which the manifest does not name")
    for name in sorted(manifest.programs.keys() - programs.keys()):
        raise refusals.UnknownProgram(f"the manifest names a program for `{name}`, and the host registers none")
    owners = {sha256: name for name, sha256 in manifest.programs.items()}
    for name, sha256 in sorted(programs.items()):
        if sha256 == manifest.programs[name]:
            continue
        if sha256 in owners:
            raise refusals.WrongClass(f"the program registered for class `{name}` was signed for `{owners[sha256]}`")
        raise refusals.WrongProgram(
            f"the program of class `{name}` is {sha256[:16]}…, and {manifest.programs[name][:16]}… was signed; "
            "use the version that was signed, or have this one signed"
        )


# ---- the steps -----------------------------------------------------------------------------------------------------


def _bounded(path: Path) -> bytes:
    """A file's bytes, and one more than is allowed if it is too large: the reader refuses that."""
    if path.exists() and not path.is_file():  # a pipe would keep the reader waiting for ever
        raise refusals.MalformedManifest(f"{path}: is no plain file")
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as failure:
        raise refusals.MalformedManifest(f"{path}: cannot be read: {failure.strerror}") from failure


def _key(signer: str, trusted_keys: Keys, *, today: date, where: str) -> PublicKey:
    key = trusted_keys.get(signer)
    if key is None:
        raise refusals.UnknownKey(f"{where}: key {signer} is not trusted here; if it should be: holdfast image trust")
    if key.not_after is not None and today > key.not_after:
        raise refusals.ExpiredKey(f"{where}: the last day of {key} was {key.not_after}; have it signed by a newer key")
    return key


def _not_older(version: int, floor: int, where: str) -> None:
    if version < floor:
        raise refusals.Downgraded(f"{where}: is version {version}, and version {floor} was started here before")


def _same_files(folder: Path, signed: Mapping[str, str]) -> None:
    """Check that exactly the signed files are there, policies apart."""
    found = dict(_found(folder))
    for name in sorted(signed.keys() - found.keys()):
        raise refusals.FileMissing(f"`{folder}` lacks `{name}`, which the manifest names")
    for name in sorted(found.keys() - signed.keys()):
        raise refusals.FileExtra(f"`{folder}` holds `{name}`, which the manifest does not name")
    for name, sha256 in sorted(signed.items()):
        if _hash(found[name]) != sha256:
            raise refusals.FileChanged(f"`{found[name]}` is not the file that was signed")


def _found(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file below a folder that is no policy and no signature, by its name.

    Raises:
        FileExtra: There is something that is neither file nor folder, or too much.
    """
    for number, path in enumerate(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if number >= _MOST_FILES:
            raise refusals.FileExtra(f"`{folder}` holds more than {_MOST_FILES} files")
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise refusals.FileExtra(f"`{path}` is no plain file; an image holds nothing else")
        if path.is_file() and name != MANIFEST and path.suffix not in _POLICY_SUFFIXES:
            yield name, path


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as failure:
        raise refusals.FileChanged(f"`{path}` cannot be read: {failure.strerror}") from failure
