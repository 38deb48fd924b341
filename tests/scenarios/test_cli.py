"""The command line as a user meets it: outputs, exit codes, files."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyModbusTCP.client import ModbusClient

from secureos.audit import verify_chain

ROOT = Path(__file__).parents[2]
HOLDFAST = [sys.executable, "-m", "scenarios"]


def holdfast(*args, cwd=None, timeout=100):
    return subprocess.run([*HOLDFAST, *args], capture_output=True, text=True, timeout=timeout, check=False, cwd=cwd)


def test_list():
    plain, as_json = holdfast("list"), holdfast("list", "--json")
    assert plain.returncode == as_json.returncode == 0
    assert "substation/mass-open" in plain.stdout
    listed = json.loads(as_json.stdout)
    assert listed["schema"] == 1
    assert listed["scenarios"][0].keys() == {"id", "plant", "title", "techniques"}


def test_run_writes_its_folder_and_prints_the_contract(tmp_path):
    out = tmp_path / "run"
    done = holdfast("run", "substation/mass-open", "--wire", "memory", "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["schema"] == 1
    assert result.keys() >= {
        *("scenario", "plant", "policy", "policy_sha256", "seed", "wire", "isolation", "duration_s", "wall_s", "speed"),
        *("record_sha256", "reproducible", "outcome", "envelope", "damage", "impact", "commands", "verdicts", "tasks"),
        *("techniques", "expectations"),
    }
    assert {path.name for path in out.iterdir()} == {
        *("manifest.json", "result.json", "truth.parquet", "measured.parquet", "events.jsonl", "audit.jsonl"),
        *("alarms.jsonl", "network.pcapng"),
    }
    assert json.loads((out / "result.json").read_text()) == result
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["record_sha256"] == result["record_sha256"]
    truth = pq.read_table(out / "truth.parquet")
    assert truth.num_rows > 600
    assert "load_served_mw" in truth.column_names
    assert pq.read_table(out / "measured.parquet").num_rows == 601
    with (out / "audit.jsonl").open() as lines:
        assert verify_chain(lines) > 40
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    assert {"command", "breaker"} <= {event["event"] for event in events}


def test_compare_prints_both_runs_and_writes_a_report_that_opens_offline(tmp_path):
    done = holdfast("compare", "substation/mass-open", "--wire", "memory", "--seed", "3", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result.keys() == {"schema", "scenario", "seed", "identical_until_s", "first_attack_s", "runs"}
    assert result["runs"].keys() == {"permissive", "enforcing"}
    report = (tmp_path / "runs" / "substation-mass-open-seed3" / "report.html").read_text()
    assert "Hijacked operator station" in report
    assert not re.search(r"""<(script|link|img)[^>]+(src|href)=["']?https?:""", report)
    assert "report:" in done.stderr


def test_compare_of_what_never_differs(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "schema: 1\nid: substation/quiet\ntitle: Quiet\nplant: substation\nsummary: Nothing.\nduration_s: 20\n"
        "actors: {operator: 127.0.1.10}\nsteps: []\n"
    )
    done = holdfast("compare", "s.yaml", "--wire", "memory", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "identical, bit for bit, from beginning to end" in done.stdout


def test_plain_tables_when_piped():
    done = holdfast("run", "substation/mass-open", "--wire", "memory", "--policy", "permissive")
    assert done.returncode == 0
    assert "violated" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["run", "substation/mass-opne"], 3, "did you mean `substation/mass-open`"),
        (["compare", "nothing-like-it"], 3, "`holdfast list` shows them all"),
        (["serve", "substatoin"], 3, "did you mean `substation`"),
        (["run", "substation/mass-open", "--set", "patent=1"], 3, "did you mean `patient`"),
        (["run", "substation/mass-open", "--set", "patient=x"], 2, "is not NAME=NUMBER"),
        (["run", "substation/mass-open", "--policy", "none.psl"], 3, "none.psl"),
        (["run", "substation/mass-open", "--out", "/proc/nope"], 6, "--out"),
        (["compare", "substation/mass-open", "--out", "/proc/nope"], 6, "--out"),
        (["run", "substation/mass-open", "--seed", "-1"], 2, "--seed"),
        (["run", "substation/mass-open", "--wire", "pigeon"], 2, "pigeon"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_mistakes_and_their_exit_codes(args, code, says):
    done = holdfast(*args)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_policy_with_mistakes_names_file_line_and_column(tmp_path):
    policy = tmp_path / "bad.psl"
    for text, places in (
        ("use EDL holdfast.Gatway\n", ["1:9: unknown class `holdfast.Gatway`"]),
        ("use EDL holdfast.Gateway\nrequest { grnt () }\nrequest { dny () }\n", ["2:11:", "3:11:"]),
        ("request { grant (", ["1:18:"]),
    ):
        policy.write_text(text)
        done = holdfast("run", "substation/mass-open", "--policy", str(policy))
        assert done.returncode == 3
        for place in places:
            assert f"{policy}:{place}" in done.stderr
        assert done.stdout == ""


def test_a_run_that_misses_an_expectation_says_so_with_code_4(tmp_path):
    folder = ROOT / "scenarios" / "catalogue" / "substation" / "mass-open"
    text = (folder / "scenario.yaml").read_text().replace("at_most: 12}", "at_most: 1}")
    (tmp_path / "s.yaml").write_text(text)
    done = holdfast("run", str(tmp_path / "s.yaml"), "--wire", "memory")
    assert done.returncode == 4
    assert "NOT MET" in done.stdout


@pytest.fixture
def served(tmp_path):
    """A twin served at ten times real time, as another program; its endpoints. It writes into `tmp_path / "out"`."""
    ports = ["--modbus-port", "0", "--field-port", "0", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        [*HOLDFAST, "serve", "substation", *ports, "--speed", "10", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        told = json.loads(process.stdout.readline())
        yield process, {name: int(url.rpartition(":")[2]) for name, url in told["endpoints"].items()}
    finally:
        process.kill()
        process.communicate(timeout=10)


def wait_for(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_foreign_client_reads_writes_and_is_refused(served):
    _, ports = served
    client = ModbusClient(host="127.0.0.1", port=ports["modbus"], unit_id=1, timeout=5, auto_open=True)
    # Breakers in the order of the points table: F1 is 8, F6 is 13; OPEN is coil 2k, the closed contact input 2k.
    wait_for(lambda: client.read_discrete_inputs(16, 2) == [True, False])
    bus_volts = client.read_input_registers(2, 2)
    assert all(19_000 < volts < 22_000 for volts in bus_volts)

    assert client.write_single_coil(16, True)
    wait_for(lambda: client.read_discrete_inputs(16, 2) == [False, True])
    assert client.write_single_coil(17, True)
    wait_for(lambda: client.read_discrete_inputs(16, 2) == [True, False])

    assert not client.write_single_coil(26, True)
    assert client.last_except == 1
    # All or nothing: X1 might be opened, the hospital's feeder next to it in the request may not.
    assert not client.write_multiple_coils(24, [True, False, True, False])
    assert client.last_except == 1
    time.sleep(0.3)
    assert client.read_discrete_inputs(24, 4) == [True, False, True, False]
    client.close()


def test_what_was_asked_and_refused_can_be_read_afterwards(served, tmp_path):
    process, ports = served
    client = ModbusClient(host="127.0.0.1", port=ports["modbus"], unit_id=1, timeout=5, auto_open=True)
    wait_for(lambda: client.read_discrete_inputs(16, 2) == [True, False])
    assert client.write_single_coil(24, False)
    assert not client.write_single_coil(26, True)
    client.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    journal = [json.loads(line) for line in (tmp_path / "out" / "journal.jsonl").read_text().splitlines()]
    assert [(row["table"], row["start"], row["refusal"]) for row in journal] == [("coil", 24, 0), ("coil", 26, 1)]
    lines = (tmp_path / "out" / "audit.jsonl").read_text().splitlines()
    assert holdfast("audit", "verify", str(tmp_path / "out")).returncode == 0
    records = [row for row in map(json.loads, lines) if "checkpoint" not in row]
    assert verify_chain(lines) == len(records) == len(lines) - 2  # an opening and a closing checkpoint
    denied = [row for row in records if row["decision"] == "denied"]
    assert [row["message"]["tags"] for row in denied] == [["F6.open"]]
    assert "hospital" in denied[0]["reason"]
    again = holdfast("serve", "substation", "--out", str(tmp_path / "out"))
    assert again.returncode == 6
    assert "never written over" in again.stderr


HOSTILE = [
    b"\x00" * 300,
    b"\xff" * 4000,
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x00\x01\x00\x00\xff\xff\x01\x03",
    b"\x00\x01\x00\x00\x00\x06\x01\x03\x00",
    b"\x00\x01\x00\x07\x00\x06\x01\x03\x00\x00\x00\x01",
    b"\x00\x01\x00\x00\x00\x02\x01\x63",
    os.urandom(2000),
]


def test_hostile_bytes_do_not_disturb_the_others(served):
    process, ports = served
    client = ModbusClient(host="127.0.0.1", port=ports["modbus"], unit_id=1, timeout=5, auto_open=True)
    wait_for(lambda: client.read_discrete_inputs(16, 2) == [True, False])
    for _ in range(3):
        for garbage in HOSTILE:
            with socket.create_connection(("127.0.0.1", ports["modbus"]), timeout=5) as hostile:
                hostile.sendall(garbage)
            assert client.read_discrete_inputs(16, 2) == [True, False]
    client.close()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert "Traceback" not in out + err


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_serve_stops_cleanly(served, name):
    process, _ = served
    process.send_signal(name)
    assert process.wait(timeout=10) == 0
    assert process.stderr.read() == ""


def test_a_port_in_use_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = holdfast("serve", "substation", "--modbus-port", str(port), "--field-port", "0")
    assert done.returncode == 6
    assert str(port) in done.stderr
    assert "--modbus-port" in done.stderr
