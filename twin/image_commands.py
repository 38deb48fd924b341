"""The commands `image build`, `sign`, `verify`, `inspect`, `keygen` and `trust`.

They stand here and not in the secure OS because the host alone knows which programs it has for an image's tasks.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from secureos.kernel import ImageError, load_image
from secureos.kernel.boot_checks import program_hashes
from secureos.kernel.floors import floor_of, image_floor, policy_floor
from secureos.kernel.image import Image, image_files
from secureos.kernel.inspection import Inspection, Power, Size, as_json, inspect_image
from secureos.kernel.keys import (
    PublicKey,
    Signer,
    development_key,
    new_signer,
    read_public_key,
    read_signer,
    trust,
    trusted_keys,
)
from secureos.kernel.manifest import (
    MANIFEST,
    MAX_BYTES,
    MAX_VERSION,
    SIGNATURE,
    Manifest,
    Statement,
    is_file_name,
    is_name,
    read_manifest,
    signature_text,
    statement_text,
)
from secureos.kernel.refusals import Unsigned
from secureos.kernel.trust import (
    VerifiedPolicy,
    is_signed,
    same_programs,
    statement_path,
    verify_image,
    verify_policy,
)
from secureos.policy import Policy, load_policy
from twin.controller import INTERFACES
from twin.controller.programs import HOSTED, PROGRAMS
from twin.core import find_plant, plant_names

SCHEMA = 1

_PIPED_WIDTH = 200  # a file or another program is no 80 columns wide

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, show_default=False)]
PlaceArgument = Annotated[str, typer.Argument(metavar="DIR|PLANT", show_default=False)]
VersionOption = Annotated[int, typer.Option(min=1, max=MAX_VERSION, help="Counts up; older ones are refused.")]
SignerOption = Annotated[
    Path | None, typer.Option("--key", metavar="KEY.pem", help="Sign with this key; else with this machine's own.")
]
DayOption = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Its last day.", show_default="none")]

app = typer.Typer(
    help="Build, sign, verify and look into images: what is flashed into a controller.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def add_commands(root: typer.Typer) -> None:
    """Add `image` to the command line's root."""
    root.add_typer(app, name="image")


@app.command("build")
def build_command(
    source: PlaceArgument,
    *,
    out: Annotated[Path, typer.Option(file_okay=False, help="A new folder for the image.")],
    name: Annotated[str | None, typer.Option(help="What it is for; a plant's name.", show_default="PLANT")] = None,
    version: VersionOption = 1,
    include: Annotated[
        list[Path], typer.Option("-I", "--include", metavar="DIR", help="Interface descriptions from here too.")
    ] = [],  # noqa: B006 -- the library wants a list and never changes it
    not_after: DayOption = None,
) -> None:
    """Collect all that makes an image into one folder, with a manifest of hashes. Nobody has signed it yet.

    Example: holdfast image build substation --out image --version 2
    """
    folder = _folder(source)
    called = name or (source if source in plant_names() else folder.resolve().name)
    if not is_name(called):
        raise typer.BadParameter(f"`{called}` is no name of letters, digits and `_.-`", param_hint="--name")
    folders = (folder, *(() if is_signed(folder) else (INTERFACES, *include)))
    image = load_image(folder, include=folders[1:])
    manifest = Manifest(called, version, image.files, program_hashes(image, PROGRAMS), not_after=_day(not_after))
    _copy({**image_files(folders), **{path.name: path for path in sorted(folder.glob("*.psl"))}}, out)
    _write(out / MANIFEST, manifest.text())
    print(f"{out}: image {called} {version}, {len(manifest.files)} files, {len(manifest.programs)} programs")
    print(f"sign it: holdfast image sign {out}", file=sys.stderr)


@app.command("sign")
def sign_command(
    folder: FolderArgument,
    *,
    key: SignerOption = None,
    policy: Annotated[
        list[str], typer.Option("--policy", metavar="FILE.psl", help="Sign only this policy, for the image as it is.")
    ] = [],  # noqa: B006
    version: Annotated[int | None, typer.Option(min=1, max=MAX_VERSION, help="Of the policies; else the image's.")] = (
        None
    ),
) -> None:
    """Sign a built image and its policies, or with `--policy` a policy alone.

    The policy is an artefact of its own: it names the image that it belongs to, and can be changed and signed again,
    by another key if you like, without touching the image.

    Example: holdfast image sign image --key vendor.pem
    Example: holdfast image sign image --policy security.psl --version 3 --key operator.pem
    """
    signer = read_signer(key) if key else development_key()
    manifest = _manifest(folder)
    if not policy:
        manifest = replace(manifest, signer=signer.key_id)
        _write(folder / MANIFEST, manifest.text())
        _write(folder / SIGNATURE, signature_text(signer, manifest))
        print(f"{folder}: image {manifest.name} {manifest.version} signed by {signer.public}")
    image = load_image(folder)
    for path in [folder / name for name in policy] or _policies(folder):
        _sign_policy(path, folder, image, signer=signer, manifest=manifest, version=version)


@app.command("verify")
def verify_command(
    folder: FolderArgument,
    *,
    key: Annotated[
        list[Path], typer.Option("--key", metavar="PUB.pem", help="Only this key counts; else those trusted here.")
    ] = [],  # noqa: B006
    json_: JsonOption = False,
) -> None:
    """Check that an image and its policies are exactly what somebody trusted has signed.

    Example: holdfast image verify image --key vendor.pub.pem
    """
    keys = {one.key_id: one for one in map(read_public_key, key)} if key else trusted_keys()
    today = datetime.now(UTC).date()
    floor = floor_of(image_floor(_manifest(folder).name))
    verified = verify_image(folder, keys, today=today, floor=floor)
    image = load_image(folder)
    same_programs(verified.manifest, program_hashes(image, PROGRAMS))
    policies = {
        path.name: _verified_policy(path, folder, image, manifest=verified.manifest, keys=keys, today=today)
        for path in _policies(folder)
    }
    _print_verified(folder, verified.manifest, verified.signed_by, policies, as_json_=json_)


@app.command("inspect")
def inspect_command(place: PlaceArgument, *, json_: JsonOption = False) -> None:
    """Show the trusted computing base of an image, and what each task could do if it were hostile.

    Lines are those that hold code. The Python interpreter and third-party libraries beneath are not counted.

    Example: holdfast image inspect substation
    """
    folder = _folder(place)
    image = load_image(folder, include=() if (folder / MANIFEST).exists() else (INTERFACES,))
    image = replace(image, programs=program_hashes(image, PROGRAMS))
    policies = [_policy(path, folder, image) for path in _policies(folder)]
    inspection = inspect_image(image, policies, HOSTED)
    if json_:
        print(json.dumps(as_json(inspection), indent=2))
    else:
        _print_inspection(inspection)


@app.command("keygen")
def keygen_command(
    out: Annotated[Path, typer.Argument(metavar="NAME", show_default=False)], *, not_after: DayOption = None
) -> None:
    """Make a pair of keys: NAME.pem to sign with, which stays with you, and NAME.pub.pem for those who verify.

    Example: holdfast image keygen vendor --not-after 2030-12-31
    """
    private, public = out.with_name(f"{out.name}.pem"), out.with_name(f"{out.name}.pub.pem")
    for path in (private, public):
        if path.exists():
            raise typer.BadParameter(f"`{path}` is there already, and a key is never written over")
    signer = new_signer()
    _write_private(private, signer.pem().encode())
    _write(public, PublicKey(signer.public.raw, _day(not_after)).pem().encode())
    print(f"{signer.public}: {private} to sign with, {public} to verify with")


@app.command("trust")
def trust_command(key: Annotated[Path, typer.Argument(metavar="PUB.pem", show_default=False)]) -> None:
    """Let what a key has signed start on this machine from now on.

    Example: holdfast image trust vendor.pub.pem
    """
    public = read_public_key(key)
    print(f"{public} is trusted here; to take that back, remove {trust(public)}")


# ---- files ---------------------------------------------------------------------------------------------------------


def _folder(place: str) -> Path:
    """The folder of an image, or that of a plant's image."""
    if place in plant_names():
        return find_plant(place).image
    if not Path(place).is_dir():
        raise typer.BadParameter(f"`{place}` is neither a folder nor a plant; plants: {', '.join(plant_names())}")
    return Path(place)


def _copy(files: Mapping[str, Path], out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        raise typer.BadParameter(f"`{out}` is not empty", param_hint="--out")
    for name, path in files.items():
        if not is_file_name(name):
            raise ImageError(f"`{path}`: a file of an image has a name of letters, digits and `_.-`")
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        _write(out / name, path.read_bytes())


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as failure:
        raise typer.BadParameter(f"`{path}` cannot be written: {failure.strerror}") from None


def _write_private(path: Path, content: bytes) -> None:
    """Write a new file that nobody but its owner may read, from its first byte on."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except OSError as failure:
        raise typer.BadParameter(f"`{path}` cannot be written: {failure.strerror}") from None


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not path.is_file():
        raise Unsigned(f"`{folder}` has no {MANIFEST}; make one: holdfast image build")
    with path.open("rb") as file:
        return read_manifest(file.read(MAX_BYTES + 1), str(path))


def _policies(folder: Path) -> list[Path]:
    """The policies in an image's folder; those with tests in their name are no policies."""
    return sorted(path for path in folder.glob("*.psl") if not path.name.endswith(".pal.psl"))


def _policy(path: Path, folder: Path, image: Image) -> Policy:
    return load_policy(path, image.catalogue, include=(folder,))


def _sign_policy(
    path: Path, folder: Path, image: Image, *, signer: Signer, manifest: Manifest, version: int | None
) -> None:
    policy = _policy(path, folder, image)
    number = version if version is not None else manifest.version
    statement = Statement(policy.name, number, policy.sha256, manifest.image_sha256, signer.key_id)
    _write(statement_path(path), statement_text(signer, statement))
    print(f"{path}: policy {policy.name} {statement.version} signed by {signer.public}")


def _verified_policy(
    path: Path, folder: Path, image: Image, *, manifest: Manifest, keys: Mapping[str, PublicKey], today: date
) -> VerifiedPolicy:
    policy = _policy(path, folder, image)
    floor = floor_of(policy_floor(manifest.name, policy.name))
    return verify_policy(path, policy, keys, image_sha256=manifest.image_sha256, today=today, floor=floor)


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"`{text}` is no day, YYYY-MM-DD", param_hint="--not-after") from None


# ---- for people ----------------------------------------------------------------------------------------------------


def _terminal() -> Console:
    """Standard output: coloured and as wide as the terminal, plain and wide when piped."""
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    return Console(highlight=False, markup=False, soft_wrap=False, width=width)


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _print_verified(
    folder: Path, manifest: Manifest, key: PublicKey, policies: Mapping[str, VerifiedPolicy], *, as_json_: bool
) -> None:
    rows = {name: {"version": one.statement.version, "signed_by": str(one.signed_by)} for name, one in policies.items()}
    if as_json_:
        tree = {"schema": SCHEMA, "image": manifest.name, "version": manifest.version, "signed_by": str(key)}
        more = {"image_sha256": manifest.image_sha256, "files": len(manifest.files), "policies": rows}
        print(json.dumps({**tree, **more}, indent=2))
        return
    print(f"{folder}: image {manifest.name} {manifest.version}, signed by {key}")
    print(f"  {len(manifest.files)} files and {len(manifest.programs)} programs are those that were signed")
    for name, row in rows.items():
        print(f"  policy {name} {row['version']}, signed by {row['signed_by']}")


def _print_inspection(inspection: Inspection) -> None:
    console = _terminal()
    console.print(f"image {inspection.image_sha256}\n")
    console.print(_size_table(inspection))
    console.print()
    console.print(_task_table(inspection))
    console.print("\nwhat each task could do if it were hostile, by what it holds and what the policy lets pass;")
    console.print("what a receiver passes on is judged again, as the receiver's own message:\n")
    console.print(_power_table(inspection.powers))


def _size_table(inspection: Inspection) -> Table:
    numbers = ("modules", "lines", "bytes")
    table = _table("trusted computing base", *numbers, right=numbers)

    def row(name: str, size: Size) -> None:
        table.add_row(name, f"{size.modules:,}", f"{size.lines:,}", f"{size.bytes:,}")

    for part, size in inspection.base.items():
        row(f"secure OS: {part}", size)
    for task in inspection.tasks:
        if task.trusted:
            row(f"task {task.task}", task.size)
    row("total, shared modules once", inspection.total)
    return table


def _task_table(inspection: Inspection) -> Table:
    table = _table("task", "class", "own lines", "with what it uses", "holds", "trusted", right=("own lines",))
    for task in inspection.tasks:
        holds = [f"channel {name} to {target}" for name, target in task.channels.items()]
        holds += [f"device {name}" for name in task.devices]
        why = f"yes: {', and '.join(task.because)}" if task.trusted else "no"
        uses = f"{task.size.lines:,} lines in {task.size.modules} modules"
        table.add_row(task.task, task.task_class, f"{task.own.lines:,}", uses, ", ".join(holds) or "nothing", why)
    return table


def _power_table(powers: Mapping[str, Iterable[Power]]) -> Table:
    table = _table("policy", "task", "may send", "under")
    for policy, rows in powers.items():
        for one in rows:
            to = f"{one.called} to {one.to}" if one.to else f"{one.called} to the security module"
            under = {"anything": "no condition", "never": "refused"}.get(one.condition, ", ".join(one.rules))
            table.add_row(policy, one.task, to, under)
    return table
