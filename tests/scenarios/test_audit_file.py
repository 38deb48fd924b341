"""The audit that a run and a served twin leave: signed, whole, and found out when it is changed."""

import asyncio
import json
import os
import signal
import subprocess
import time

import pytest

from scenarios import RunSettings, find_scenario, play
from scenarios.audit_file import ServedAudit
from scenarios.judge import result_of
from scenarios.run_folder import write_run_folder
from secureos.audit import read_lines, verify
from secureos.kernel.keys import development_key
from tests.scenarios.test_cli import HOLDFAST, holdfast


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    done = holdfast("run", "substation/mass-open", "--wire", "memory", "--out", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def test_the_audit_of_a_run_is_whole_and_accounts_for_every_verdict(run_folder):
    done = holdfast("audit", "verify", str(run_folder), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report, result = json.loads(done.stdout), json.loads((run_folder / "result.json").read_text())
    assert report["ok"]
    assert report["finished"]
    assert report["signed"] == report["records"] > 40
    assert report["policy_sha256"] == result["policy_sha256"]
    assert report["image_sha256"] == result["image_sha256"]
    assert report["lost_verdicts"] == 0
    rows = [json.loads(line) for line in (run_folder / "audit.jsonl").read_text().splitlines()]
    counted = [one for row in rows if "checkpoint" in row for one in row["checkpoint"]["unrecorded"]]
    recorded = [row for row in rows if "checkpoint" not in row]
    assert recorded[0]["event"] == "policy"  # what is in force; every other record is of a verdict
    total = sum(one["count"] for one in counted) + len(recorded) - 1
    assert total == result["verdicts"]["total"]


def test_a_changed_audit_of_a_run_ends_with_3_and_names_the_record(run_folder, tmp_path):
    lines = (run_folder / "audit.jsonl").read_bytes().splitlines(keepends=True)
    denied = next(number for number, line in enumerate(lines) if b'"decision":"denied"' in line)
    lines[denied] = lines[denied].replace(b'"denied"', b'"granted"')
    (tmp_path / "audit.jsonl").write_bytes(b"".join(lines))
    done = holdfast("audit", "verify", str(tmp_path))
    assert done.returncode == 3
    assert f"line {denied + 1}: record" in done.stdout
    assert "was changed after it was written" in done.stdout


def test_a_log_that_cannot_be_read_ends_with_3(tmp_path):
    done = holdfast("audit", "show", str(tmp_path))
    assert (done.returncode, done.stdout) == (3, "")
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_served_twin_writes_its_audit_as_it_goes_and_closes_it(tmp_path):
    command = [*HOLDFAST, "serve", "substation", "--modbus-port", "0", "--field-port", "0", "--speed", "20",
               "--out", str(tmp_path / "out"), "--json"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        server.stdout.readline()
        path = tmp_path / "out" / "audit.jsonl"
        deadline = time.monotonic() + 60
        while not (path.exists() and path.read_bytes().count(b"\n") > 5):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with path.open("rb") as file:
            report = verify(read_lines(file), [development_key().public])
        assert report.ok(unfinished=True)
        assert not report.finished
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=60)
        assert server.returncode == 0, errors
    with path.open("rb") as file:
        assert verify(read_lines(file), [development_key().public]).ok()


def test_a_full_disk_is_told_and_stops_nothing(tmp_path, capsys):
    run = asyncio.run(play(find_scenario("substation/mass-open").scenario, RunSettings(wire="memory")))
    folder = tmp_path / "out"
    folder.mkdir()
    audit = ServedAudit(None)
    audit.drain(0)
    audit.close(0)
    audit = ServedAudit(folder)
    audit.open(run.twin)
    log = run.twin.controller.kernel.audit
    log.fail("the audit log cannot be written: No space left on device")
    audit.drain(run.twin.clock.now_ns)
    audit.close(run.twin.clock.now_ns)
    told = capsys.readouterr().err.splitlines()
    assert told == ["the audit log cannot be written: No space left on device", "the audit log is written again"]


def test_a_run_folder_that_cannot_hold_the_audit_is_an_error(tmp_path, monkeypatch):
    run = asyncio.run(play(find_scenario("substation/mass-open").scenario, RunSettings(wire="memory")))

    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("secureos.audit.log_file.LogFile.append", full)
    with pytest.raises(OSError, match="No space left"):
        write_run_folder(tmp_path, run, result_of(run))
