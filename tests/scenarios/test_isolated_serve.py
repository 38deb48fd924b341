"""`holdfast serve --isolation process` for a client that is not ours, through kills and to a clean stop."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyModbusTCP.client import ModbusClient

from secureos.kernel.isolation import missing

HOLDFAST = (sys.executable, "-m", "scenarios")

pytestmark = pytest.mark.skipif(bool(missing()), reason="; ".join(missing()))

F1_OPEN, F6_OPEN, F1_OPENED, F1_P = 16, 26, 17, 43


def children(pid):
    """The numbers of all processes below one, by what the system tells."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    below = {pid}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    return below - {pid}


def confined(pid):
    """The confined processes below one, eldest first: field I/O, control logic, gateway."""
    status = {child: Path(f"/proc/{child}/status") for child in children(pid)}
    return sorted(child for child, told in status.items() if told.exists() and "Seccomp:\t2" in told.read_text())


def wait_for(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


def powered(client):
    read = client.read_input_registers(F1_P, 1)
    return read is not None and read[0] > 0


def journalled(folder):
    rows = [json.loads(line) for line in (folder / "out" / "journal.jsonl").read_text().splitlines()]
    return [(row["start"], row["refusal"]) for row in rows if row["address"] == "127.0.0.1"]


@pytest.fixture
def served(tmp_path):
    ports = ["--modbus-port", "0", "--field-port", "0", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        [*HOLDFAST, "serve", "substation", *ports, "--speed", "5", "--isolation", "process", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        told = json.loads(process.stdout.readline())
        assert told["isolation"] == "process"
        yield process, int(told["endpoints"]["modbus"].rpartition(":")[2])
    finally:
        process.kill()
        process.communicate(timeout=10)


@pytest.fixture
def client(served):
    one = ModbusClient(host="127.0.0.1", port=served[1], unit_id=1, timeout=10.0, auto_open=True)
    yield one
    one.close()


def test_a_foreign_client_reads_writes_and_is_refused(served, client, tmp_path):
    wait_for(lambda: powered(client))
    assert client.write_single_coil(F1_OPEN, True)
    wait_for(lambda: client.read_discrete_inputs(F1_OPENED, 1) == [True])
    assert not client.write_single_coil(F6_OPEN, True)  # the hospital's feeder
    assert client.last_except == 1
    wait_for(lambda: journalled(tmp_path) == [(F1_OPEN, 0), (F6_OPEN, 1)])


@pytest.mark.parametrize("which", [0, 1, 2], ids=["field_io", "control_logic", "gateway"])
def test_a_killed_task_is_started_again_and_serves(served, client, tmp_path, which):
    process, _ = served
    wait_for(lambda: powered(client))
    before = confined(process.pid)
    assert len(before) == 3
    os.kill(before[which], signal.SIGKILL)
    wait_for(lambda: len(now := confined(process.pid)) == 3 and before[which] not in now)
    wait_for(lambda: client.write_single_coil(F1_OPEN, True))
    wait_for(lambda: client.read_discrete_inputs(F1_OPENED, 1) == [True])
    faults = [line for line in (tmp_path / "out" / "audit.jsonl").read_text().splitlines() if "ended" in line]
    assert len(faults) == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_it_ends(served, how):
    process, _ = served
    below = children(process.pid)
    assert len(below) >= 4
    process.send_signal(how)
    process.wait(15)
    if how is not signal.SIGKILL:
        assert process.returncode == 0, process.stderr.read()
    wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in below))


def test_where_it_is_not_available_it_says_so_and_starts_nothing(tmp_path):
    # An interpreter that does not know its processor stands for a machine that cannot confine.
    program = (
        "import platform, sys; platform.machine = lambda: 'vax'; sys.argv = ['holdfast', *sys.argv[1:]]; "
        "from scenarios.cli import main; main()"
    )
    for command in (["serve", "substation"], ["run", "substation/mass-open"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *command, "--isolation", "process"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 6
        assert "tasks cannot be isolated on this machine" in done.stderr
        assert "seccomp" in done.stderr
        assert "Traceback" not in done.stderr
