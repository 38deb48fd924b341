"""The commands `policy check`, `test`, `explain`, `graph` and `bench`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from secureos.policy import explain as explaining
from secureos.policy import graph as graphs
from secureos.policy import pal
from secureos.policy.candidates import UnknownNames
from secureos.policy.coverage import share
from secureos.policy.drawing import as_svg
from secureos.policy.lint import lint
from secureos.policy.load import Policy
from secureos.policy.opening import Search, check_file, files_in, open_policy, parsed_files
from secureos.policy.questions import Question, message_from_json, questions_from_lines
from secureos.policy.throughput import Throughput, measure
from secureos.xdl.source import Diagnostic, PolicyError, read_source

SCHEMA: Final = 1

_PIPED_WIDTH: Final = 200  # a file or another program is no 80 columns wide
_SHOWN: Final = 8
_ANSWER: Final = {"granted": "green", "denied": "bold red", "failed": "bold red", "not asked": "dim"}


class PolicyExit(IntEnum):
    """How a policy command ended, among the exit codes of the whole command line."""

    INVALID = 3
    FAILED = 4
    DENIED = 5


class MissingChoice(StrEnum):
    """What a class means whose description is not at hand."""

    error = "error"
    opaque = "opaque"


class GraphFormat(StrEnum):
    """How a graph is written."""

    mermaid = "mermaid"
    dot = "dot"
    svg = "svg"
    json = "json"


class EventChoice(StrEnum):
    """What happens."""

    execute = "execute"
    request = "request"
    response = "response"
    error = "error"
    security = "security"


FilesArgument = Annotated[list[Path], typer.Argument(metavar="FILE…", show_default=False)]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]
IncludeOption = Annotated[
    list[Path], typer.Option("-I", "--include", metavar="DIR", help="Look for descriptions and policies here too.")
]
MissingOption = Annotated[
    MissingChoice, typer.Option(help="A class that is not at hand: an error, or anything may be said of it.")
]
DefineOption = Annotated[
    list[str], typer.Option("-D", "--define", metavar="NAME=VALUE", help="Fill a placeholder or a condition.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer(
    help="Check, test, explain, draw and time security policies.", no_args_is_help=True, rich_markup_mode=None
)


def add_commands(root: typer.Typer) -> None:
    """Add `policy` to the command line's root."""
    root.add_typer(app, name="policy")


def _search(include: Iterable[Path], missing: MissingChoice, define: Iterable[str]) -> Search:
    definitions: dict[str, str] = {}
    for one in define:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"`{one}` is not NAME=VALUE", param_hint="-D")
        definitions[name] = value
    for folder in include:
        if not folder.is_dir():
            raise typer.BadParameter(f"`{folder}` is no folder", param_hint="-I")
    return Search(tuple(include), missing.value, definitions)


@app.command("check")
def check_command(
    files: FilesArgument,
    *,
    syntax: Annotated[bool, typer.Option("--syntax", help="Parse only; look nothing up.")] = False,
    include: IncludeOption = [],  # noqa: B006 -- the library wants a list and never changes it
    missing: MissingOption = MissingChoice.error,
    define: DefineOption = [],  # noqa: B006
    safety: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="Can they refuse what this file of an image says is never blocked?"),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Check policies and interface descriptions (.psl, .psl.in, .edl, .cdl, .idl), or all in a folder.

    Every mistake is told with its place, and what is legal but hardly meant as a warning.

    Example: holdfast policy check -I interfaces controller.psl Driver.edl
    Example: holdfast policy check image/security.psl --safety image/safety.toml
    """
    search = _search(include, missing, define)
    unsafe = _safety_check(safety, search) if safety is not None else lambda _policy: ()
    rows = [_check(path, search, unsafe, syntax_only=syntax) for given in files for path in files_in(given)]
    errors, warnings = (sum(len(row[key]) for row in rows) for key in ("errors", "warnings"))
    if json_:
        shown = [{**row, **{key: list(map(_plain, row[key])) for key in ("errors", "warnings")}} for row in rows]
        print(json.dumps({"schema": SCHEMA, "ok": errors == 0, "files": shown}, indent=2))
    else:
        for row in rows:
            _print_diagnostics(row["errors"])
            _print_diagnostics(row["warnings"], warning=True)
        good = sum(not row["errors"] for row in rows)
        _terminal().print(f"{good} of {len(rows)} files are valid; {errors} errors, {warnings} warnings")
    if errors:
        raise typer.Exit(PolicyExit.INVALID)


SafetyCheck = Callable[[Policy], Sequence[Diagnostic]]


def _safety_check(file: Path, search: Search) -> SafetyCheck:
    """What holds a policy against the `safety.toml` of an image, whose `init.yaml` stands beside it."""
    # What an image is, the kernel knows; nothing else in this package needs it.
    from secureos.kernel.image import load_image
    from secureos.kernel.safety_check import check_safety
    from secureos.kernel.safety_file import read_safety

    folders = search.folders(file)
    image = load_image(file.parent, include=folders[1:])
    safety = read_safety(read_source(file), image.tasks)
    return lambda policy: check_safety(policy, safety)


def _check(path: Path, search: Search, unsafe: SafetyCheck, *, syntax_only: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"file": str(path), "errors": (), "warnings": ()}
    try:
        checked = check_file(path, search, syntax_only=syntax_only)
    except PolicyError as failure:
        return {**row, "errors": failure.diagnostics}
    if checked.policy is None:
        return {**row, "warnings": checked.warnings}
    unlikely = lint(checked.policy, parsed_files(checked.policy, search))
    return {**row, "errors": unsafe(checked.policy), "warnings": (*checked.warnings, *unlikely)}


def _plain(one: Diagnostic) -> dict[str, Any]:
    span = one.span
    return {"file": span.source.path, "line": span.line, "column": span.column, "message": one.message}


@app.command("test")
def pal_command(
    files: FilesArgument,
    *,
    only: Annotated[str, typer.Option("--filter", metavar="TEXT", help="Only sequences with this in the name.")] = "",
    include: IncludeOption = [],  # noqa: B006
    missing: MissingOption = MissingChoice.error,
    define: DefineOption = [],  # noqa: B006
    json_: JsonOption = False,
) -> None:
    """Run the tests of policies, from a fresh state each, and tell which rules they ask.

    The tests stand in the policy, or in a file of tests that includes the policy with `use`.

    Example: holdfast policy test controller.pal.psl -I interfaces
    """
    search = _search(include, missing, define)
    results = []
    for path in files:
        policy = open_policy(path, search)
        results.append(pal.run_tests(policy, policy.tests, only=only))
    if json_:
        print(json.dumps(pal.as_json(results), indent=2))
    else:
        for result in results:
            _print_tests(result)
    if not any(result.sequences for result in results):
        wanted = f"no sequence has `{only}` in its name" if only else "there are no tests in it"
        typer.echo(f"warning: nothing was tested: {wanted}", err=True)
    if not all(result.passed for result in results):
        raise typer.Exit(PolicyExit.FAILED)


@app.command("explain")
def explain_command(
    file: FileArgument,
    *,
    event: Annotated[EventChoice, typer.Option(help="What happens.")] = EventChoice.request,
    src: Annotated[str, typer.Option(metavar="CLASS", help="Who sends; in a response or error the server.")],
    dst: Annotated[str | None, typer.Option(metavar="CLASS", help="Who receives.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Where; may be left out if only one fits.")] = None,
    method: Annotated[str | None, typer.Option(help="What is called; may be left out if only one fits.")] = None,
    message: Annotated[str, typer.Option(metavar="JSON", help="Its fields; the rest have their defaults.")] = "{}",
    at: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="When.")] = 0.0,
    after: Annotated[Path | None, typer.Option(metavar="FILE.jsonl", help="Events before, one JSON each line.")] = None,
    include: IncludeOption = [],  # noqa: B006
    missing: MissingOption = MissingChoice.error,
    define: DefineOption = [],  # noqa: B006
    json_: JsonOption = False,
) -> None:
    """Tell the verdict on one event, the rule that decides, and what every rule for it says.

    Ends with 5 if the event is denied.

    Example: holdfast policy explain controller.psl --src Hmi --dst Driver --method Set --message '{"rpm": 1500}'
    """
    policy = open_policy(file, _search(include, missing, define))
    try:
        question = Question(event.value, src, dst, endpoint, method, message_from_json(message), at)
        explanation = explaining.explain(policy, question, _earlier(after))
    except UnknownNames as failure:
        raise typer.BadParameter(str(failure)) from None
    if json_:
        print(json.dumps(explaining.as_json(explanation), indent=2))
    else:
        _print_explanation(explanation)
    if not explanation.verdict.granted:
        raise typer.Exit(PolicyExit.DENIED)


def _earlier(path: Path | None) -> list[Question]:
    if path is None:
        return []
    try:
        return questions_from_lines(read_source(path).lines)
    except UnknownNames as failure:
        raise UnknownNames([f"{path}, {failure}"]) from None


_WRITERS: Final[Mapping[GraphFormat, Callable[[graphs.Graph], str]]] = {
    GraphFormat.mermaid: graphs.as_mermaid,
    GraphFormat.dot: graphs.as_dot,
    GraphFormat.svg: as_svg,
    GraphFormat.json: lambda graph: json.dumps(graphs.as_json(graph), indent=2) + "\n",
}


@app.command("graph")
def graph_command(
    file: FileArgument,
    *,
    format_: Annotated[GraphFormat, typer.Option("--format", help="How it is written.")] = GraphFormat.mermaid,
    out: Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Write it here.")] = None,
    include: IncludeOption = [],  # noqa: B006
    missing: MissingOption = MissingChoice.error,
    define: DefineOption = [],  # noqa: B006
) -> None:
    """Draw who may call whom: every request that some rule grants and none always denies.

    Example: holdfast policy graph controller.psl --format svg --out graph.svg
    """
    graph = graphs.graph_of(open_policy(file, _search(include, missing, define)))
    text = _WRITERS[format_](graph)
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as failure:
        raise typer.BadParameter(f"`{out}` cannot be written: {failure.strerror}", param_hint="--out") from None


@app.command("bench")
def bench_command(
    file: FileArgument,
    *,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="How long to measure.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the random messages.")] = 1,
    include: IncludeOption = [],  # noqa: B006
    missing: MissingOption = MissingChoice.error,
    define: DefineOption = [],  # noqa: B006
    json_: JsonOption = False,
) -> None:
    """Measure decisions per second on random well-formed messages, for each kind of event.

    Example: holdfast policy bench controller.psl --seconds 2
    """
    policy = open_policy(file, _search(include, missing, define))
    with Console(stderr=True).status(f"measuring for {seconds:g} s"):
        rows = measure(policy, seconds=seconds, seed=seed)
    if json_:
        print(json.dumps({"schema": SCHEMA, "policy": file.name, "kinds": [asdict(row) for row in rows]}, indent=2))
    else:
        _print_throughput(rows)


# ---- for people ----------------------------------------------------------------------------------------------------


def _terminal() -> Console:
    """Standard output: coloured and as wide as the terminal, plain and wide when piped."""
    return Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def _print_diagnostics(diagnostics: Iterable[Diagnostic], *, warning: bool = False) -> None:
    """Each mistake with its line and caret, on standard error."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    for one in diagnostics:
        console.print(str(Diagnostic(one.span, f"warning: {one.message}") if warning else one))


def _print_tests(result: pal.SuiteResult) -> None:
    """One row per sequence, every case that was not met, and how many rules were asked."""
    console, table = _terminal(), Table(box=None, pad_edge=False)
    for column in (result.policy, "verdicts", ""):
        table.add_column(column, justify="right" if column == "verdicts" else "left", overflow="fold")
    for one in result.sequences:
        mark = "[green]passed[/]" if one.passed else "[bold red]FAILED[/]"
        table.add_row(escape(one.sequence.full_name), str(one.verdicts), mark)
    console.print(table)
    for sequence in result.sequences:
        for failure in sequence.failures:
            _print_failure(console, failure)
    _print_coverage(console, result)


def _print_failure(console: Console, failure: pal.Failure) -> None:
    case, verdict = failure.case, failure.verdict
    got = "grant" if verdict.granted else "deny"
    label = f' "{case.label}"' if case.label else ""
    console.print(f"[bold]{case.place}[/]: {escape(failure.event)}{escape(label)}")
    console.print(f"    expected {case.expected}, got {got} by {verdict.rule}: {escape(verdict.reason)}")


def _print_coverage(console: Console, result: pal.SuiteResult) -> None:
    passed = sum(one.passed for one in result.sequences)
    console.print(f"{passed} of {len(result.sequences)} sequences passed")
    asked = sum(rule.asked > 0 for rule in result.rules)
    console.print(f"{asked} of {len(result.rules)} rules asked ({share(result.rules):.0%})")
    never = [rule for rule in result.rules if not rule.asked]
    for rule in never[:_SHOWN]:
        console.print(f"    never asked: {rule.place}  {escape(rule.text)}")
    if len(never) > _SHOWN:
        console.print(f"    … and {len(never) - _SHOWN} more")


def _print_explanation(explanation: explaining.Explanation) -> None:
    """The verdict, the rule that decided with its line, and what every rule for the event said."""
    console, verdict = _terminal(), explanation.verdict
    for name, earlier in explanation.earlier:
        mark = "granted" if earlier.granted else "denied"
        console.print(f"[dim]before: {escape(name)}: {mark} by {earlier.rule}[/]")
    console.print(f"{escape(str(explanation.candidate))} at {explanation.event.at_ns / 1e9:g} s")
    mark = "[green]GRANTED[/]" if verdict.granted else "[bold red]DENIED[/]"
    console.print(f"{mark} by [bold]{verdict.rule}[/]: {escape(verdict.reason)}")
    for step in explanation.trace:
        style = _ANSWER[step.answer]
        console.print(f"    [{style}]{step.answer:9}[/]  {step.place}  {escape(step.text)}")


def _print_throughput(rows: Sequence[Throughput]) -> None:
    """One row per kind of event."""
    table = Table(box=None, pad_edge=False)
    table.add_column("event")
    for column in ("forms", "decisions", "per second", "p50 µs", "p99 µs", "granted"):
        table.add_column(column, justify="right")
    for row in rows:
        times = (f"{row.per_second:,.0f}", f"{row.p50_us:.2f}", f"{row.p99_us:.2f}", f"{row.granted:.0%}")
        table.add_row(row.kind, f"{row.forms:,}", f"{row.decisions:,}", *times)
    _terminal().print(table)
