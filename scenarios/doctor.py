"""The command `doctor`: what this machine offers, what is missing, and what to do about it."""

from __future__ import annotations

import json
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from scenarios.exits import ExitCode
from scenarios.tables import terminal
from secureos.kernel import isolation
from secureos.kernel.keys import development_key_path, read_signer
from secureos.kernel.refusals import KeyUnusable, StateUnavailable
from secureos.kernel.state import state_folder
from secureos.policy.native import backend

SCHEMA: Final = 1

PORTS: Final = {8050: "the live page", 5020: "Modbus, SCADA side", 5021: "Modbus, plant side", 4840: "OPC UA"}
"""The ports that commands take unless told otherwise."""

UI_PARTS: Final = ("dash", "dash_mantine_components", "fastapi", "uvicorn", "websockets")
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_LEAST_PYTHON: Final = (3, 11)
_WATCHED_S: Final = 0.05
_MOST_DRIFT_S: Final = 0.05
_LEAST_YEAR: Final = 2025  # a machine that has lost its time begins at 1970 or 2000


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area, name: What it is.
        ok: Whether all is well.
        needed: Whether nothing works without it; else only part of the house does.
        text: How it is; if it is not well, what to do.
    """

    area: str
    name: str
    ok: bool
    needed: bool
    text: str


def examine() -> list[Finding]:
    """Look at everything; nothing is changed or made."""
    return [
        _python(),
        *_clocks(),
        _state(),
        _key(),
        *_ports(PORTS),
        *_isolation(),
        *_options(),
    ]


def doctor_command(json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look at what this machine offers: isolation, ports, keys, clock, optional parts.

    Ends with 6 if something is missing without which nothing works.

    Example: holdfast doctor
    """
    findings = examine()
    ready = all(one.ok for one in findings if one.needed)
    if json_:
        print(json.dumps({"schema": SCHEMA, "ready": ready, "findings": [asdict(one) for one in findings]}, indent=2))
    else:
        _print(findings, ready=ready)
    if not ready:
        raise typer.Exit(ExitCode.ENVIRONMENT)


# ---- what is looked at ---------------------------------------------------------------------------------------------


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= _LEAST_PYTHON
    text = f"{version} at {sys.executable}" if ok else f"{version} is too old; install Python 3.11 or newer"
    return Finding("machine", "Python", ok, True, text)


def _clocks() -> Iterable[Finding]:
    """A paced run trusts the monotonic clock; last days of keys and images trust the wall clock."""
    began, began_wall = time.monotonic(), time.time()
    time.sleep(_WATCHED_S)
    drift_s = abs((time.time() - began_wall) - (time.monotonic() - began))
    ok = drift_s <= _MOST_DRIFT_S
    text = "goes evenly with the wall clock" if ok else f"the wall clock jumped {drift_s:.2f} s; let NTP settle it"
    yield Finding("machine", "clock", ok, True, text)
    now = datetime.now().astimezone()
    known = now.year >= _LEAST_YEAR
    shown = f"{now.astimezone(UTC):%Y-%m-%d %H:%M} UTC, time zone here is {now.tzname()}"
    yield Finding("machine", "date", known, True, shown if known else f"{shown}: set it, or keys seem good or expired")


def _state() -> Finding:
    try:
        folder = state_folder()
    except StateUnavailable as failure:
        return Finding("keys", "state folder", False, True, str(failure))
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    ok = _can_write(nearest)
    made = str(folder) if folder.exists() else f"{folder}, made at first use"
    text = made if ok else f"`{nearest}` cannot be written to; set HOLDFAST_HOME to a folder of yours"
    return Finding("keys", "state folder", ok, True, text)


def _can_write(folder: Path) -> bool:
    """Whether a file can be made there; it is gone at once."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _key() -> Finding:
    try:
        path = development_key_path()
        if not path.exists():
            return Finding("keys", "development key", True, True, "is made at first use")
        mode = stat.S_IMODE(path.stat().st_mode)
        return Finding("keys", "development key", True, True, f"{read_signer(path).key_id}, mode {mode:04o}")
    except (KeyUnusable, StateUnavailable) as failure:
        return Finding("keys", "development key", False, True, str(failure))


def _ports(ports: dict[int, str]) -> Iterable[Finding]:
    for port, use in ports.items():
        ok = _is_free(port)
        text = use if ok else f"{use}: in use; end what holds it, or choose another with the command's option"
        yield Finding("ports", str(port), ok, False, text)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _isolation() -> Iterable[Finding]:
    """Tasks run in one process unless `--isolation process` asks for more, so none of this is needed for the rest."""
    for one in isolation.availability():
        yield Finding("isolation", one.name, one.found, False, one.text)
    missing = isolation.missing()
    text = "; ".join(missing) if missing else "tasks can have processes of their own: --isolation process"
    yield Finding("isolation", "in all", not missing, False, text)


def _options() -> Iterable[Finding]:
    lacking = [name for name in UI_PARTS if find_spec(name) is None]
    text = f"lacks {', '.join(lacking)}: pip install 'holdfast[ui]'" if lacking else "the live page can be served"
    yield Finding("options", "ui", not lacking, False, text)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    text = browser or "none found; the tests of the page and its picture need one: apt-get install chromium"
    yield Finding("options", "Chromium", browser is not None, False, text)
    native = backend() == "native"
    text = (
        "built" if native else "not built; policies decide the same, more slowly. It needs a C compiler when installed"
    )
    yield Finding("options", "compiled policies", native, False, text)


# ---- for people ----------------------------------------------------------------------------------------------------


def _print(findings: Iterable[Finding], *, ready: bool) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("", "what", "", "how it is"):
        table.add_column(column, overflow="fold")
    for one in findings:
        mark = "[green]ok[/]" if one.ok else "[bold red]MISSING[/]" if one.needed else "[yellow]without[/]"
        table.add_row(one.area, one.name, mark, one.text.replace("[", r"\["))
    terminal().print(table)
    terminal().print("ready" if ready else "not ready: mend what is MISSING")
