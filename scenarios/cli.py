"""The command line's root. Each package adds its commands through the entry-point group `holdfast.commands`."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points, version
from typing import Annotated

import typer
from rich.console import Console

from scenarios.catalogue import ScenarioNotFound
from scenarios.commands import compare_command, list_command, run_command, serve_command
from scenarios.doctor import doctor_command
from scenarios.exits import ExitCode
from scenarios.schema import ScenarioError
from secureos.audit import AuditError
from secureos.kernel import KernelError
from secureos.kernel.isolation import IsolationError
from secureos.kernel.refusals import KeyUnusable, StateUnavailable
from secureos.policy import PolicyError
from twin.core import PlantError, PointsError
from twin.fieldbus import FieldbusError

HELP = """A SCADA/ICS digital twin with a secure operating system inside.

Attack a virtual plant and watch two things side by side: what happens when nothing is checked, and what happens
when every message is.

\b
holdfast demo                           both twins live, in the browser
holdfast compare substation/mass-open   the same as a report
holdfast serve substation               one twin, for any Modbus client
holdfast doctor                         what this machine offers, and what is missing

\b
Exit codes:
  0  ok                  3  a file is invalid or not there
  1  unexpected          4  an expectation was not met, or a policy test failed
  2  usage               5  `policy explain` says denied
                         6  the environment is not ready     130  interrupted
"""

# What a person can mend by a better file or a better name; each message says where and how.
INVALID = (ScenarioError, ScenarioNotFound, PolicyError, PlantError, PointsError, KernelError, AuditError)

# What a person can mend on the machine: ports, keys, the folder for them.
NOT_READY = (FieldbusError, StateUnavailable, KeyUnusable, IsolationError)

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"holdfast {version('holdfast')}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hold the options that belong to no single command."""


app.command("list")(list_command)
app.command("run")(run_command)
app.command("compare")(compare_command)
app.command("serve")(serve_command)
app.command("doctor")(doctor_command)


def main() -> None:
    """Run the command line, turning what went wrong into one clear message and its exit code."""
    errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    for entry in entry_points(group="holdfast.commands"):
        try:
            entry.load()(app)
        except ImportError as failure:
            # A screen needs the web stack, which is an extra; the other commands go on without it.
            if len(sys.argv) > 1 and sys.argv[1] == entry.name:
                errors.print(f"`{entry.name}` needs `{failure.name}`; install it with: pip install 'holdfast[ui]'")
                sys.exit(ExitCode.ENVIRONMENT)
    try:
        app()
    except NOT_READY as failure:
        errors.print(str(failure))
        sys.exit(ExitCode.ENVIRONMENT)
    except INVALID as failure:
        errors.print(str(failure))
        sys.exit(ExitCode.INVALID)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
