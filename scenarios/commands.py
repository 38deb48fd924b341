"""The commands `list`, `run`, `compare` and `serve`."""

from __future__ import annotations

import asyncio
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from scenarios.catalogue import find_scenario, list_scenarios
from scenarios.compare import compare, is_fair
from scenarios.exits import ExitCode
from scenarios.judge import SCHEMA, result_of
from scenarios.player import RunSettings, play
from scenarios.progress import progress_bars
from scenarios.run_folder import write_run_folder
from scenarios.serve import ServeSettings, serve
from scenarios.tables import print_comparison, print_result, terminal


class WireChoice(StrEnum):
    """Which wire a run uses."""

    tcp = "tcp"
    memory = "memory"


class IsolationChoice(StrEnum):
    """How tasks are hosted."""

    none = "none"
    process = "process"


def _complete_scenario(incomplete: str) -> list[str]:
    return [entry.scenario.id for entry in list_scenarios() if entry.scenario.id.startswith(incomplete)]


def _parameters(given: list[str]) -> dict[str, float]:
    values = {}
    for one in given:
        name, equals, text = one.partition("=")
        try:
            values[name] = float(text)
        except ValueError:
            equals = ""
        if not equals:
            raise typer.BadParameter(f"`{one}` is not NAME=NUMBER", param_hint="--set")
    return values


def _over_tcp(isolation: IsolationChoice, wire: WireChoice) -> Literal["none", "process"]:
    """How tasks are hosted, unless the wire does not reach them there."""
    if isolation is IsolationChoice.process and wire is WireChoice.memory:
        raise typer.BadParameter("isolated tasks are reached over `tcp` only", param_hint="--wire")
    return isolation.value


ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="Its id, or a YAML file.", autocompletion=_complete_scenario)
]
WireOption = Annotated[WireChoice, typer.Option(help="Real TCP sockets, or the same PDUs in memory (faster).")]
SeedOption = Annotated[int, typer.Option(min=0, help="Same seed and inputs: same record hash.")]
SetOption = Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="Set a scenario's parameter.")]
IsolationOption = Annotated[
    IsolationChoice, typer.Option(help="Tasks in this process, or each confined in one of its own (over TCP).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ImageOption = Annotated[
    Path | None, typer.Option(help="A signed image of the plant in place of its own.", exists=True, file_okay=False)
]
SignedOption = Annotated[bool, typer.Option("--require-signed", help="Start nothing that was not signed before.")]
OutOption = Annotated[Path | None, typer.Option(help="Write the run folder here.", file_okay=False)]


def list_command(json_: JsonOption = False) -> None:
    """List the scenarios."""
    entries = list_scenarios()
    if json_:
        rows = [
            {"id": e.scenario.id, "plant": e.scenario.plant, "title": e.scenario.title}
            | {"techniques": e.scenario.techniques.all()}
            for e in entries
        ]
        print(json.dumps({"schema": SCHEMA, "scenarios": rows}, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("scenario", "plant", "title", "techniques"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        scenario = entry.scenario
        table.add_row(scenario.id, scenario.plant, scenario.title, " ".join(scenario.techniques.all()))
    terminal().print(table)


def run_command(
    scenario: ScenarioArgument,
    *,
    policy: Annotated[str, typer.Option(metavar="enforcing|permissive|FILE", help="Which policy.")] = "enforcing",
    wire: WireOption = WireChoice.tcp,
    isolation: IsolationOption = IsolationChoice.none,
    seed: SeedOption = 1,
    set_: SetOption = [],  # noqa: B006 -- the library wants a list and never changes it
    image: ImageOption = None,
    require_signed: SignedOption = False,
    out: OutOption = None,
    json_: JsonOption = False,
) -> None:
    """Play a scenario once, under one policy.

    Example: holdfast run substation/mass-open --policy permissive --wire memory
    """
    entry = find_scenario(scenario)
    settings = RunSettings(
        policy=policy,
        wire=wire.value,
        isolation=_over_tcp(isolation, wire),
        seed=seed,
        parameters=_parameters(set_),
        image=image,
        require_signed=require_signed,
        capture=out is not None,
    )
    if out is not None:
        _make_folder(out)
    with progress_bars() as listener:
        run = asyncio.run(play(entry.scenario, settings, listener(policy)))
    result = result_of(run)
    if out is not None:
        write_run_folder(out, run, result)
    if json_:
        print(json.dumps(result, indent=2))
    else:
        print_result(entry.scenario, result)
    _exit_on_unmet([result])


def compare_command(
    scenario: ScenarioArgument,
    *,
    seed: SeedOption = 1,
    wire: WireOption = WireChoice.tcp,
    isolation: IsolationOption = IsolationChoice.none,
    set_: SetOption = [],  # noqa: B006
    image: ImageOption = None,
    require_signed: SignedOption = False,
    out: Annotated[
        Path | None, typer.Option(help="Write report and run folders here.", file_okay=False, show_default="runs/…")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Play a scenario under both policies and write a report.

    Example: holdfast compare substation/mass-open --set patient=65
    """
    from scenarios.report import write_report

    entry = find_scenario(scenario)
    settings = RunSettings(
        wire=wire.value,
        isolation=_over_tcp(isolation, wire),
        seed=seed,
        parameters=_parameters(set_),
        image=image,
        require_signed=require_signed,
        capture=True,
    )
    folder = out if out is not None else Path("runs") / f"{entry.scenario.id.replace('/', '-')}-seed{seed}"
    _make_folder(folder)
    with progress_bars() as listener:
        comparison = asyncio.run(compare(entry.scenario, settings, listener))
    for policy, run in comparison.runs.items():
        write_run_folder(folder / policy, run, comparison.result["runs"][policy])
    (folder / "compare.json").write_text(json.dumps(comparison.result, indent=2) + "\n")
    report = write_report(folder / "report.html", entry.scenario, comparison)
    if json_:
        print(json.dumps(comparison.result, indent=2))
    else:
        print_comparison(entry.scenario, comparison.result)
    print(f"report: {report}", file=sys.stderr)
    if not is_fair(comparison.result):
        print("the two runs differed before the attack began, so they prove nothing; this is a defect", file=sys.stderr)
        raise typer.Exit(ExitCode.UNEXPECTED)
    _exit_on_unmet(list(comparison.result["runs"].values()))


def serve_command(
    plant: Annotated[str, typer.Argument(metavar="PLANT")],
    *,
    modbus_port: Annotated[int, typer.Option(min=0, max=65535, help="SCADA side; 0 takes any free port.")] = 5020,
    field_port: Annotated[int, typer.Option(min=0, max=65535, help="Plant side; 0 takes any free port.")] = 5021,
    host: Annotated[str, typer.Option(help="Address of the SCADA side.")] = "127.0.0.1",
    policy: Annotated[str, typer.Option(metavar="enforcing|permissive|FILE", help="Which policy.")] = "enforcing",
    speed: Annotated[float, typer.Option(min=0.1, max=100, help="Simulated seconds per wall second.")] = 1.0,
    seed: SeedOption = 1,
    isolation: IsolationOption = IsolationChoice.none,
    image: ImageOption = None,
    require_signed: SignedOption = False,
    out: Annotated[
        Path | None, typer.Option(help="Write audit and journal into this folder, as they come.", file_okay=False)
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Serve a twin live to any foreign client, until interrupted.

    At SIGHUP it reads its policy's file again, checks and tests the policy, and puts it in force between two scans, or
    keeps the old one and says why. The real product cannot exchange its policy while it runs.

    Example: holdfast serve substation --modbus-port 5020
    """
    settings = ServeSettings(
        plant=plant,
        policy=policy,
        host=host,
        modbus_port=modbus_port,
        field_port=field_port,
        speed=speed,
        seed=seed,
        isolation=isolation.value,
        out=out,
        image=image,
        require_signed=require_signed,
    )
    if out is not None:
        _make_folder(out)
        if any((out / name).exists() for name in ("audit.jsonl", "journal.jsonl")):
            print(f"`{out}` holds an audit already, which is never written over; choose another", file=sys.stderr)
            raise typer.Exit(ExitCode.ENVIRONMENT)
    asyncio.run(serve(settings, as_json=json_))


def _make_folder(folder: Path) -> None:
    """Make the output folder before a run, not after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        print(f"cannot make the folder `{folder}`: {failure.strerror}; choose another with `--out`", file=sys.stderr)
        raise typer.Exit(ExitCode.ENVIRONMENT) from failure


def _exit_on_unmet(results: list[dict[str, Any]]) -> None:
    if any(not expectation["met"] for result in results for expectation in result["expectations"]):
        raise typer.Exit(ExitCode.EXPECTATION)
