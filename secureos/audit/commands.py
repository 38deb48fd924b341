"""The commands `audit verify`, `show`, `export` and `prove`."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from secureos.audit.checkpoint import Verifier
from secureos.audit.export import EXPORTERS
from secureos.audit.printable import printable
from secureos.audit.prove import Proof
from secureos.audit.prove import prove as prove_record
from secureos.audit.reading import Written, read_records
from secureos.audit.record import AuditError, Record
from secureos.audit.verify import Report, read_lines, verify

SCHEMA: Final = 1
LOG_NAME: Final = "audit.jsonl"

_INVALID: Final = 3  # among the exit codes of the whole command line
_PIPED_WIDTH: Final = 200
_NS_PER_S: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ExportFormat(StrEnum):
    """How records are written."""

    ecs = "ecs"
    ocsf = "ocsf"
    cef = "cef"
    jsonl = "jsonl"


LogArgument = Annotated[
    Path, typer.Argument(metavar="FILE|RUNFOLDER", help="The log, or the folder it stands in.", show_default=False)
]
KeyOption = Annotated[
    list[Path], typer.Option("--key", metavar="FILE.pem", help="Only this public key counts; may be repeated.")
]
DeniedOption = Annotated[bool, typer.Option("--denied", help="Only denials.")]
TaskOption = Annotated[str, typer.Option(metavar="NAME", help="Only what this task sent or received.")]
RuleOption = Annotated[str, typer.Option(metavar="TEXT", help="Only what a rule with this in its place decided.")]
ChainOption = Annotated[int | None, typer.Option(min=0, metavar="NUMBER", help="Only this call chain.")]
SinceOption = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Only from this instant of the run on.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer(help="Verify, read and export the record of verdicts.", no_args_is_help=True, rich_markup_mode=None)


def add_commands(root: typer.Typer) -> None:
    """Add `audit` to the command line's root."""
    root.add_typer(app, name="audit")


@app.command("verify")
def verify_command(
    log: LogArgument,
    *,
    key: KeyOption = [],  # noqa: B006
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Accept a log that has no closing checkpoint (yet).")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Check that no record was changed, removed, moved, put in or cut off, and that the checkpoints are signed.

    Without `--key` the keys that this machine trusts count, its own development key among them. Ends with 3 if anything
    is wrong. A log without its closing checkpoint is wrong, because its end may have been cut off.

    Example: holdfast audit verify runs/mass-open
    """
    path, keys = _path(log), _keys(key)
    with _opened(path) as file:
        report = verify(read_lines(file), keys)
    ok = report.ok(unfinished=unfinished)
    if json_:
        print(json.dumps({"schema": SCHEMA, "file": str(path), "ok": ok, **_plain(report)}, indent=2))
    else:
        _print_report(report, ok=ok)
    if not ok:
        raise typer.Exit(_INVALID)


@app.command("show")
def show_command(
    log: LogArgument,
    *,
    denied: DeniedOption = False,
    task: TaskOption = "",
    rule: RuleOption = "",
    chain: ChainOption = None,
    since: SinceOption = 0.0,
    last: Annotated[int | None, typer.Option(min=1, metavar="COUNT", help="Only the last so many.")] = None,
    json_: JsonOption = False,
) -> None:
    """Show the records of a log as a table; whether they are as they were written is for `audit verify` to say.

    Example: holdfast audit show runs/mass-open --denied --last 20
    """
    with _opened(_path(log)) as file:
        wanted = _wanted(read_records(read_lines(file)), denied=denied, task=task, rule=rule, chain=chain, since=since)
        shown: Iterable[Written] = wanted if last is None else deque(wanted, last)
        if json_:
            for one in shown:
                print(json.dumps({**asdict(one.record), "hash": one.digest}))
        else:
            _print_records(one.record for one in shown)


@app.command("export")
def export_command(
    log: LogArgument,
    *,
    format_: Annotated[ExportFormat, typer.Option("--format", help="How they are written.")] = ExportFormat.jsonl,
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M:%S"], help="When the run began (UTC); 1970 if it is left out."),
    ] = None,
    denied: DeniedOption = False,
    task: TaskOption = "",
    rule: RuleOption = "",
    chain: ChainOption = None,
    since: SinceOption = 0.0,
) -> None:
    """Write the records of a log to standard output, one a line, for a collector of security events.

    Example: holdfast audit export runs/mass-open --format ecs --start 2026-03-01T08:00:00
    """
    exporter, begun, release = EXPORTERS[format_.value], (start or _EPOCH).replace(tzinfo=UTC), version("holdfast")
    with _opened(_path(log)) as file:
        records = read_records(read_lines(file))
        for one in _wanted(records, denied=denied, task=task, rule=rule, chain=chain, since=since):
            try:
                print(exporter(one, begun, release))
            except OverflowError as failure:
                raise AuditError("no calendar goes that far; give an earlier `--start`") from failure


@app.command("prove")
def prove_command(
    log: LogArgument,
    number: Annotated[int, typer.Argument(min=0, metavar="NUMBER", help="Of the record.", show_default=False)],
    *,
    key: KeyOption = [],  # noqa: B006
    json_: JsonOption = False,
) -> None:
    """Prove that one record is in a log, without the other records: the path from its hash to a signed root.

    Example: holdfast audit prove runs/mass-open 17 --json
    """
    path, keys = _path(log), _keys(key)
    with _opened(path) as file:
        proof = prove_record(read_lines(file), number)
    if not proof.holds():
        raise AuditError(f"`{path}`, the path from record `{number}` does not lead to the root that was signed")
    if not any(proof.signed.verified_by(one) for one in keys):
        raise AuditError(f"`{path}`, the signature of the last checkpoint fits none of the keys")
    _print_proof(proof, as_json=json_)


# ---- reading -------------------------------------------------------------------------------------------------------


def _path(log: Path) -> Path:
    return log / LOG_NAME if log.is_dir() else log


def _keys(paths: Sequence[Path]) -> list[Verifier]:
    # Keys are the kernel's; nothing else here knows it.
    from secureos.kernel.keys import read_public_key, trusted_keys

    return [read_public_key(path) for path in paths] or list(trusted_keys().values())


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as failure:
        raise AuditError(f"the audit log `{path}` cannot be read: {failure.strerror}") from failure
    with file:
        try:
            yield file
        except AuditError as failure:
            raise AuditError(f"`{path}`, {failure}") from failure


def _wanted(
    records: Iterable[Written], *, denied: bool, task: str, rule: str, chain: int | None, since: float
) -> Iterator[Written]:
    for one in records:
        record = one.record
        if (
            (not denied or record.decision == "denied")
            and (not task or task in (record.src, record.dst))
            and rule in record.rule
            and chain in (None, record.chain)
            and record.at_ns >= since * _NS_PER_S
        ):
            yield one


# ---- printing ------------------------------------------------------------------------------------------------------


def _terminal() -> Console:
    """Standard output: coloured and as wide as the terminal, plain and wide when piped."""
    return Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def _plain(report: Report) -> dict[str, Any]:
    last = report.last
    return {
        "records": report.records,
        "signed": report.signed,
        "checkpoints": report.checkpoints,
        "finished": report.finished,
        "lost": [{"first": first, "last": last} for first, last in report.lost],
        "lost_verdicts": report.lost_verdicts,
        "image_sha256": last.image_sha256 if last is not None else None,
        "policy_sha256": last.policy_sha256 if last is not None else None,
        "findings": [asdict(finding) for finding in report.findings],
    }


def _print_report(report: Report, *, ok: bool) -> None:
    console = _terminal()
    for finding in report.findings:
        console.print(f"[bold red]{finding.kind}[/]  {escape(printable(str(finding)))}")
    for first, last in report.lost:
        console.print(f"[yellow]lost[/]  records {first} to {last} could not be written; the log itself says so")
    if report.lost_verdicts:
        console.print(f"[yellow]lost[/]  {report.lost_verdicts} verdicts were neither recorded nor counted")
    mark = "[green]whole[/]" if ok else "[bold red]BROKEN[/]"
    counts = f"{report.records} records, {report.signed} of them signed, {report.checkpoints} checkpoints"
    console.print(f"{mark}: {counts}{'' if report.finished else ', no closing checkpoint'}")


def _print_records(records: Iterable[Record]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("number", "at s", "chain", "event", "from", "to", "method", "verdict", "rule", "reason"):
        right = column in ("number", "at s", "chain")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for record in records:
        mark = "[green]granted[/]" if record.decision == "granted" else "[bold red]denied[/]"
        method = ".".join(part for part in (record.endpoint, record.method) if part)
        told = [record.event, record.src, record.dst, method, None, record.rule, record.reason]
        cells = [mark if text is None else escape(printable(text)) for text in told]
        table.add_row(str(record.number), f"{record.at_ns / _NS_PER_S:.3f}", str(record.chain), *cells)
    _terminal().print(table)


def _print_proof(proof: Proof, *, as_json: bool) -> None:
    made = proof.signed.checkpoint
    if as_json:
        shown = {
            "schema": SCHEMA,
            "record": asdict(proof.written.record),
            "hash": proof.written.digest,
            "index": proof.index,
            "path": [step.hex() for step in proof.path],
            "checkpoint": json.loads(proof.signed.text),
            "key_id": proof.signed.key_id,
            "signature": proof.signed.signature.hex(),
        }
        print(json.dumps(shown, indent=2))
        return
    where = f"leaf {proof.index} of {made.leaves} under the root {made.root[:16]}…"
    print(f"record {proof.written.record.number} is {where}, signed by `{proof.signed.key_id}`")
    for step in proof.path:
        print(f"  {step.hex()}")
