"""Every command that the README gives is run as it stands there."""

import json
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    for line in block.splitlines()
]


def test_there_are_commands_and_their_kinds_are_known():
    assert COMMANDS
    for command in COMMANDS:
        assert command.split()[0] in ("make", "holdfast"), command


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_can_be_made(command):
    # Making `test` from within a test would never end; what it would run is shown instead.
    done = subprocess.run(
        [*shlex.split(command), "-n"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "holdfast demo" in done.stdout or "pytest" in done.stdout


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("holdfast ") and "serve" not in c])
def test_commands_that_end(command, tmp_path):
    words = shlex.split(command)[1:]
    done = subprocess.run(
        [sys.executable, "-m", "scenarios", *words],
        cwd=ROOT if "policy" in words else tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_serve_and_demo_begin_and_stop(tmp_path):
    begun = {"holdfast serve": "modbus://127.0.0.1:", "make demo": "http://127.0.0.1:"}
    commands = [c for c in COMMANDS if c.startswith(tuple(begun))]
    assert len(commands) == len(begun)
    for command in commands:
        # The port may be taken on the machine that tests; any free one does.
        words = [*shlex.split(command)[1:]]
        if "serve" in words:
            words = [*words[: words.index("--modbus-port")], "--modbus-port", "0", "--field-port", "0"]
        else:
            words = ["demo", "--port", "0"]
        expected = next(text for start, text in begun.items() if command.startswith(start))
        assert _says(expected, words, tmp_path), command


def _says(expected, words, folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "scenarios", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    limit = threading.Timer(60, process.kill)
    limit.start()
    try:
        said = any(expected in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        return said
    finally:
        limit.cancel()
        process.kill()


def test_what_the_readme_points_to_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_trusted_computing_base_is_as_large_as_told():
    told = int(re.search(r"base is about ([\d,]+) lines", README.replace("\n", " ")).group(1).replace(",", ""))
    inspected = subprocess.run(
        [sys.executable, "-m", "scenarios", "image", "inspect", "substation", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = json.loads(inspected.stdout)["trusted_computing_base"]["total"]["lines"]
    assert abs(lines - told) <= 0.1 * lines, f"the README tells of {told} lines, and there are {lines}"
