"""The command `demo`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from scenarios.catalogue import find_scenario
from scenarios.commands import ScenarioArgument, SeedOption, WireChoice, WireOption
from scenarios.exits import ExitCode


def demo_command(
    scenario: ScenarioArgument = "substation/mass-open",
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes any free port.")] = 8050,
    host: Annotated[str, typer.Option(help="Address of the page.")] = "127.0.0.1",
    seed: SeedOption = 1,
    speed: Annotated[float, typer.Option(min=0.1, max=100, help="Simulated seconds per wall second.")] = 4.0,
    wire: WireOption = WireChoice.tcp,
) -> None:
    """Show both twins live in the browser, unprotected beside protected, until interrupted.

    Both run quietly until you press "Start attack" on the page. Prints the page's address when it is ready.

    Example: holdfast demo --port 8050
    """
    try:
        from dashboards.link import WorkerFailed
        from dashboards.server import Address, AddressInUse, serve_page
        from dashboards.session import SessionBrief
    except ModuleNotFoundError as failure:
        typer.echo(f"`demo` needs `{failure.name}`; install it with: pip install 'holdfast[ui]'", err=True)
        raise typer.Exit(ExitCode.ENVIRONMENT) from failure

    brief = SessionBrief(find_scenario(scenario).scenario, seed=seed, speed=speed, wire=wire.value)
    try:
        asyncio.run(serve_page(brief, Address(host, port)))
    except AddressInUse as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(ExitCode.ENVIRONMENT) from failure
    except WorkerFailed as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(failure.exit_code) from failure


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this package to the command line's root."""
    app.command("demo")(demo_command)
