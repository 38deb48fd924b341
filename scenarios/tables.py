"""Results as tables for a terminal; plain when piped."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from scenarios.compare import identity_sentence
from scenarios.schema import Scenario

_PIPED_WIDTH = 200  # a file or another program is no 80 columns wide
_STYLE = {"safe": "green", "violated": "bold red", "damaged": "bold red"}


def terminal() -> Console:
    """Standard output: coloured and as wide as the terminal, plain and wide when piped."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def print_result(scenario: Scenario, result: dict[str, Any]) -> None:
    """Print one run."""
    console = terminal()
    console.print(f"[bold]{scenario.title}[/] ({result['policy']} policy, seed {result['seed']}, {result['wire']})")
    table = _table(result["policy"])
    for name, values in _rows([result]):
        table.add_row(name, *values)
    console.print(table)
    _print_timeline(console, result)
    _print_expectations(console, [result])


def print_comparison(scenario: Scenario, comparison: dict[str, Any]) -> None:
    """Print both runs side by side."""
    console = terminal()
    results = list(comparison["runs"].values())
    console.print(f"[bold]{scenario.title}[/] (seed {comparison['seed']})")
    table = _table(*comparison["runs"])
    for name, values in _rows(results):
        table.add_row(name, *values)
    console.print(table)
    console.print(identity_sentence(comparison))
    if comparison["first_attack_s"] is not None:
        console.print(f"The attack begins at {comparison['first_attack_s']:g} s.")
    _print_timeline(console, comparison["runs"]["enforcing"])
    _print_expectations(console, results)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _rows(results: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    rows = [("outcome", [f"[{_STYLE[r['outcome']]}]{r['outcome']}[/]" for r in results])]
    for index, limit in enumerate(results[0]["envelope"]):
        name = f"{limit['name']} (limit {limit['limit']:g} {limit['unit']})"
        rows.append((name, [_limit(r["envelope"][index]) for r in results]))
    rows += [(name, [f"{r['impact'][name]:g}" for r in results]) for name in results[0]["impact"]]
    for who in ("attacker", "legitimate"):
        told = [f"{c['sent']} / {c['granted']} / {c['denied']}" for c in (r["commands"][who] for r in results)]
        rows.append((f"{who} commands: sent / granted / denied", told))
    rows.append(
        ("verdicts: total / denied", [f"{r['verdicts']['total']} / {r['verdicts']['denied']}" for r in results])
    )
    rows.append(("simulated s per wall s", [f"{r['speed']}" for r in results]))
    rows.append(("record", [r["record_sha256"][:16] for r in results]))
    return rows


def _limit(row: dict[str, Any]) -> str:
    if row["first_violation_s"] is None:
        return f"{row['worst']:g}"
    return f"[bold red]{row['worst']:g}[/] from {row['first_violation_s']:g} s, for {row['violated_s']:g} s"


def _print_timeline(console: Console, result: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, title=f"commands under {result['policy']}", title_justify="left")
    for column in ("at s", "by", "command", "answer", "why"):
        table.add_column(column, overflow="fold")
    for row in result["timeline"]:
        answer = "[green]ok[/]" if row["granted"] else f"[bold red]{row['answer']}[/]"
        why = f"{row['reason']} ({row['rule']})" if row["reason"] else ""
        table.add_row(f"{row['at_s']:.1f}", row["by"], row["tag"], answer, why)
    console.print(table)


def _print_expectations(console: Console, results: list[dict[str, Any]]) -> None:
    for result in results:
        for expectation in result["expectations"]:
            mark = "[green]met[/]" if expectation["met"] else "[bold red]NOT MET[/]"
            console.print(f"{mark}  {result['policy']}: {expectation['text']}")
