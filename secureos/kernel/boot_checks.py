"""What is verified before anything starts: image, programs and policy, each against somebody's signature.

An image folder with a manifest has to prove it. One without, as it is shipped and worked on, is signed by this
machine's development key at its first start; the signature is kept in the state folder, and whatever changes is
another image with a signature of its own. That shows what ran; it does not show that somebody else vouches for it,
so a host can ask for signed images only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from secureos.kernel import refusals
from secureos.kernel.floors import floor_of, image_floor, policy_floor, raise_floor
from secureos.kernel.image import Image, load_image
from secureos.kernel.keys import PublicKey, Signer, development_key, trusted_keys
from secureos.kernel.manifest import Manifest, Statement, signature_text, statement_text
from secureos.kernel.safety_check import check_safety
from secureos.kernel.sources import source_of
from secureos.kernel.state import keep, private_folder
from secureos.kernel.trust import (
    VerifiedPolicy,
    is_signed,
    same_programs,
    statement_path,
    verify_image,
    verify_manifest,
    verify_policy,
    verify_statement,
)
from secureos.policy import Policy, PolicyError, load_policy

_DIGITS: Final = 16

Programs = Mapping[str, type]
"""The class of the program that the host registers for each task."""


@dataclass(frozen=True)
class Trust:
    """What the host lets start.

    Attributes:
        today: For last days of keys and images.
        require_signed: Whether image and policy must have been signed before; nothing is signed on the spot then.
    """

    today: date
    require_signed: bool = False


@dataclass(frozen=True)
class Checked:
    """An image and a policy that may start.

    Attributes:
        image, policy: What was read; the image's hash is over its programs too.
        manifest, statement: What was signed.
        image_key, policy_key: By whom.
        at_start: Whether either was signed on the spot, by this machine.
    """

    image: Image
    policy: Policy
    manifest: Manifest
    statement: Statement
    image_key: PublicKey
    policy_key: PublicKey
    at_start: bool

    def started(self) -> None:
        """To be told once it has started well: older versions are refused from now on."""
        name = self.manifest.name
        for floor, version in (
            (image_floor(name), self.manifest.version),
            (policy_floor(name, self.statement.name), self.statement.version),
        ):
            if version > 0:  # what is signed on the spot has no versions
                raise_floor(floor, version)

    def as_json(self) -> dict[str, Any]:
        """What a record says about it."""
        return {
            "image": self.manifest.name,
            "image_version": self.manifest.version,
            "signed_by": str(self.image_key),
            "policy_version": self.statement.version,
            "policy_signed_by": str(self.policy_key),
            "signed_at_start": self.at_start,
        }


def boot_checks(
    folder: Path, policy: Path, *, name: str, programs: Programs, trust: Trust, include: Sequence[Path] = ()
) -> Checked:
    """Read and verify the image in `folder` and a policy for it; nothing is started.

    Args:
        folder: The image.
        policy: The policy's file.
        name: What the image must be called, or is called if it is signed on the spot.
        programs: What the host would run.
        trust: What the host lets start.
        include: Further folders with interface descriptions, for an image that is not built yet.

    Raises:
        TrustError: Something is not as it was signed, or not signed.
        ImageError, PolicyError: The image or the policy is wrong.
        StateUnavailable, KeyUnusable: This machine's own key cannot be used.
    """
    if is_signed(folder):
        image, manifest, image_key = _built_image(folder, name, programs, trust)
    elif trust.require_signed:
        raise refusals.Unsigned(f"`{folder}` is not signed; build and sign an image: holdfast image build")
    else:
        image, manifest, image_key = _image_of_here(folder, name, programs, trust, include)
    image = replace(image, programs=manifest.programs, safety=image.safety.on(trust.today))
    return _with_policy(policy, image, manifest, image_key, trust, built=is_signed(folder))


def another_policy(path: Path, running: Checked, *, trust: Trust) -> Checked:
    """Read and verify another policy for an image that runs, as at its start; nothing is put in force.

    Args:
        path: The policy's file.
        running: What was verified when the image started.
        trust: What the host lets start.

    Raises:
        TrustError: It is not as it was signed, or not signed where the image was.
        PolicyError: It is wrong, or can refuse what is never blocked.
        StateUnavailable, KeyUnusable: This machine's own key cannot be used.
    """
    # Whether the image had to prove itself was settled at its start; what became of its folder since says nothing.
    built = not running.at_start
    return _with_policy(path, running.image, running.manifest, running.image_key, trust, built=built)


def program_hashes(image: Image, programs: Programs) -> dict[str, str]:
    """The SHA-256 of the source of each task class's program.

    Raises:
        UnknownProgram: Tasks and programs do not belong together one by one.
        WrongClass: Two programs are registered for tasks of the same class.
    """
    tasks = {spec.task for spec in image.tasks}
    for task in sorted(tasks ^ programs.keys()):
        lacks = "no program is registered for task" if task in tasks else "the image declares no task"
        raise refusals.UnknownProgram(f"{lacks} `{task}`")
    hashes: dict[str, str] = {}
    for spec in image.tasks:
        sha256 = source_of(programs[spec.task]).sha256
        if hashes.setdefault(spec.task_class.name, sha256) != sha256:
            raise refusals.WrongClass(f"task `{spec.task}` is of class `{spec.task_class.name}` as another program is")
    return hashes


def _with_policy(
    path: Path, image: Image, manifest: Manifest, image_key: PublicKey, trust: Trust, *, built: bool
) -> Checked:
    rules = load_policy(path, image.catalogue, include=(image.folder,))
    refused = check_safety(rules, image.safety)
    if refused:
        raise PolicyError(refused)
    if built or trust.require_signed or statement_path(path).exists():
        verified, at_start = _built_policy(path, manifest.name, rules, image, trust), not built
    else:
        verified, at_start = _policy_of_here(manifest.name, rules, image, trust), True
    return Checked(image, rules, manifest, verified.statement, image_key, verified.signed_by, at_start)


# ---- signed before -------------------------------------------------------------------------------------------------


def _built_image(folder: Path, name: str, programs: Programs, trust: Trust) -> tuple[Image, Manifest, PublicKey]:
    floor = floor_of(image_floor(name))
    verified = verify_image(folder, trusted_keys(), today=trust.today, floor=floor)
    manifest = verified.manifest
    if manifest.name != name:
        raise refusals.OtherImage(f"`{folder}` is an image for `{manifest.name}`, and one for `{name}` is wanted")
    image = load_image(folder)
    if image.files != manifest.files:
        raise refusals.FileChanged(f"`{folder}` was changed while it was read, or holds what no image holds")
    same_programs(manifest, program_hashes(image, programs))
    return image, manifest, verified.signed_by


def _built_policy(path: Path, name: str, rules: Policy, image: Image, trust: Trust) -> VerifiedPolicy:
    floor = floor_of(policy_floor(name, rules.name))
    return verify_policy(path, rules, trusted_keys(), image_sha256=image.sha256, today=trust.today, floor=floor)


# ---- signed on the spot --------------------------------------------------------------------------------------------


def _image_of_here(
    folder: Path, name: str, programs: Programs, trust: Trust, include: Sequence[Path]
) -> tuple[Image, Manifest, PublicKey]:
    image, signer = load_image(folder, include=include), development_key()
    made = Manifest(name, 0, image.files, program_hashes(image, programs), signer.key_id)
    stem = f"{name}-{made.image_sha256[:_DIGITS]}"
    text = _kept(signer, f"{stem}.json", made.text())
    signature = _kept(signer, f"{stem}.sig", signature_text(signer, made))
    manifest, key = verify_manifest(
        text.read_bytes(), signature.read_bytes(), _itself(signer), today=trust.today, floor=0, where=str(text)
    )
    if manifest != made:
        raise refusals.FileChanged(f"`{text}` is about another image than the one it is kept for; remove it")
    return image, manifest, key


def _policy_of_here(name: str, rules: Policy, image: Image, trust: Trust) -> VerifiedPolicy:
    signer = development_key()
    made = Statement(rules.name, 0, rules.sha256, image.sha256, signer.key_id)
    which = hashlib.sha256(f"{rules.name}\0{rules.sha256}".encode()).hexdigest()[:_DIGITS]
    kept = _kept(signer, f"{name}-{image.sha256[:_DIGITS]}-{which}.psl.sig", statement_text(signer, made))
    return verify_statement(
        kept.read_bytes(),
        rules,
        _itself(signer),
        image_sha256=image.sha256,
        today=trust.today,
        floor=0,
        where=str(kept),
    )


def _kept(signer: Signer, name: str, content: bytes) -> Path:
    """What this machine signed, as it was kept at the first start."""
    path = private_folder("signed", signer.key_id) / name
    if not path.exists():
        keep(path, content)
    return path


def _itself(signer: Signer) -> dict[str, PublicKey]:
    return {signer.key_id: signer.public}
