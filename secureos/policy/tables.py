"""What the policy commands print for people; plain when piped."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from secureos.policy.coverage import share
from secureos.policy.explain import Explanation
from secureos.policy.pal import Failure, SuiteResult
from secureos.policy.throughput import Throughput
from secureos.xdl.source import Diagnostic

_PIPED_WIDTH = 200  # a file or another program is no 80 columns wide
_SHOWN = 8
_ANSWER = {"granted": "green", "denied": "bold red", "not asked": "dim"}


def terminal() -> Console:
    """Standard output: coloured and as wide as the terminal, plain and wide when piped."""
    return Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def print_diagnostics(diagnostics: Iterable[Diagnostic], *, warning: bool = False) -> None:
    """Each mistake with its line and caret, on standard error."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    for one in diagnostics:
        console.print(str(Diagnostic(one.span, f"warning: {one.message}") if warning else one))


def print_tests(result: SuiteResult) -> None:
    """One row per sequence, every case that was not met, and how many rules were asked."""
    console, table = terminal(), Table(box=None, pad_edge=False)
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


def _print_failure(console: Console, failure: Failure) -> None:
    case, verdict = failure.case, failure.verdict
    got = "grant" if verdict.granted else "deny"
    label = f' "{case.label}"' if case.label else ""
    console.print(f"[bold]{case.place}[/]: {escape(failure.event)}{escape(label)}")
    console.print(f"    expected {case.expected}, got {got} by {verdict.rule}: {escape(verdict.reason)}")


def _print_coverage(console: Console, result: SuiteResult) -> None:
    passed = sum(one.passed for one in result.sequences)
    console.print(f"{passed} of {len(result.sequences)} sequences passed")
    asked = sum(rule.asked > 0 for rule in result.rules)
    console.print(f"{asked} of {len(result.rules)} rules asked ({share(result.rules):.0%})")
    never = [rule for rule in result.rules if not rule.asked]
    for rule in never[:_SHOWN]:
        console.print(f"    never asked: {rule.place}  {escape(rule.text)}")
    if len(never) > _SHOWN:
        console.print(f"    … and {len(never) - _SHOWN} more")


def print_explanation(explanation: Explanation) -> None:
    """The verdict, the rule that decided with its line, and what every rule for the event said."""
    console, verdict = terminal(), explanation.verdict
    for name, earlier in explanation.earlier:
        mark = "granted" if earlier.granted else "denied"
        console.print(f"[dim]before: {escape(name)}: {mark} by {earlier.rule}[/]")
    console.print(f"{escape(str(explanation.candidate))} at {explanation.event.at_ns / 1e9:g} s")
    mark = "[green]GRANTED[/]" if verdict.granted else "[bold red]DENIED[/]"
    console.print(f"{mark} by [bold]{verdict.rule}[/]: {escape(verdict.reason)}")
    for step in explanation.trace:
        style = _ANSWER[step.answer]
        console.print(f"    [{style}]{step.answer:9}[/]  {step.place}  {escape(step.text)}")


def print_throughput(rows: Sequence[Throughput]) -> None:
    """One row per kind of event."""
    table = Table(box=None, pad_edge=False)
    table.add_column("event")
    for column in ("forms", "decisions", "per second", "p50 µs", "p99 µs", "granted"):
        table.add_column(column, justify="right")
    for row in rows:
        times = (f"{row.per_second:,.0f}", f"{row.p50_us:.2f}", f"{row.p99_us:.2f}", f"{row.granted:.0%}")
        table.add_row(row.kind, f"{row.forms:,}", f"{row.decisions:,}", *times)
    terminal().print(table)
