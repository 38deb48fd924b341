"""`holdfast serve` exchanges its policy at SIGHUP: a good one comes into force, a bad one leaves the old one there."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time

import pytest
from pyModbusTCP.client import ModbusClient

from scenarios.exchange import Exchanged, Hangup
from secureos.kernel.isolation import missing
from twin.core import find_plant

HOLDFAST = (sys.executable, "-m", "scenarios")
F6_OPEN, F6_CLOSE, F6_P = 26, 27, 48
IMAGE = find_plant("substation").image


class Served:
    """A twin served by another program, under a policy whose file a test may change."""

    def __init__(self, folder, *options):
        self.policy = folder / "security.psl"
        self.policy.write_text((IMAGE / "security.psl").read_text())
        ports = ("--modbus-port", "0", "--field-port", "0", "--out", str(folder / "out"))
        command = [*HOLDFAST, "serve", "substation", *ports, "--policy", str(self.policy), "--json", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.told = json.loads(self.process.stdout.readline())
        self.port = int(self.told["endpoints"]["modbus"].rpartition(":")[2])
        assert self.told["pid"] == self.process.pid
        self.audit = folder / "out" / "audit.jsonl"

    def client(self):
        return ModbusClient(host="127.0.0.1", port=self.port, unit_id=1, timeout=10.0, auto_open=True)

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)
        return json.loads(self.process.stdout.readline())

    def in_force(self, client):
        found = client.read_device_identification(3, 0x80).objects_by_id
        return [found[number].decode() for number in sorted(found)]


@pytest.fixture
def served(tmp_path):
    started = []

    def start(*options):
        started.append(Served(tmp_path, *options))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate(timeout=10)


def without_the_hospital(text):
    line = "deny (hospital.meets { points : message.tags })"
    assert text.count(line) == 1
    return text.replace(line, "").replace(
        '"F5.open", "F7.open", "F8.open", "X1', '"F5.open", "F6.open", "F7.open", "F8.open", "X1'
    )


HOSPITAL_MAY_BE_OPENED = """use security._
assert "the hospital's feeder" {
    sequence "it may be opened" {
        grant holdfast.ControlLogic ~> holdfast.FieldIo:outputs.Write { tags : ["F6.open"], values : [1] }
    }
}
"""


@pytest.mark.parametrize(
    "isolation",
    ["none", pytest.param("process", marks=pytest.mark.skipif(bool(missing()), reason="; ".join(missing())))],
)
def test_a_changed_policy_comes_into_force_and_a_bad_one_does_not(served, isolation):
    twin = served("--speed", "5", "--isolation", isolation)
    client = twin.client()
    image, first, version = twin.in_force(client)
    assert (image, first, version) == (twin.told["image_sha256"], twin.told["policy_sha256"], "0")
    assert not client.write_single_coil(F6_OPEN, True)

    text = twin.policy.read_text()
    for bad, why in (
        (text.replace("grant ()", "grant (", 1), "expected"),  # malformed
        (without_the_hospital(text), "fails"),  # the image's own suite says no
        (text.replace("execute src=Einit        { grant () }", ""), "fails"),
        ("", "never blocked"),
    ):
        twin.policy.write_text(bad)
        answer = twin.hang_up()
        assert not answer["exchanged"]
        assert why in answer["reason"]
        assert twin.in_force(client) == [image, first, "0"]
        assert not client.write_single_coil(F6_OPEN, True)

    twin.policy.write_text(without_the_hospital(text))
    twin.policy.with_name("security.pal.psl").write_text(HOSPITAL_MAY_BE_OPENED)
    answer = twin.hang_up()
    assert (answer["exchanged"], answer["sequences"]) == (True, 1)
    assert twin.in_force(client) == [image, answer["policy_sha256"], "0"]
    assert answer["policy_sha256"] != first
    assert client.write_single_coil(F6_OPEN, True)

    client.close()
    twin.process.send_signal(signal.SIGINT)
    assert twin.process.wait(20) == 0
    rows = [json.loads(line) for line in twin.audit.read_text().splitlines()]
    decisions = [row["decision"] for row in rows if row.get("event") == "policy"]
    assert decisions == ["granted", "denied", "denied", "denied", "denied", "granted"]
    signed = [line for line in twin.audit.read_text().splitlines() if line.startswith('{"checkpoint"')]
    assert first in signed[0]
    assert answer["policy_sha256"] in signed[-1]


def test_under_load_every_request_is_answered_and_none_by_half_a_policy(served):
    """Two policies in turn, while two clients read and ask for what neither grants and what both grant."""
    twin = served("--speed", "1")
    failures, asked, stop = [], [0], threading.Event()

    def load():
        client = twin.client()
        while not stop.is_set():
            read = client.read_input_registers(F6_P, 1)
            refused = not client.write_single_coil(F6_OPEN, True) and client.last_except == 1
            closed = client.write_single_coil(F6_CLOSE, True)
            asked[0] += 3
            if read is None or not refused or not closed:
                failures.append((read, refused, closed, client.last_error_as_txt))
                return
            time.sleep(0.02)
        client.close()

    clients = [threading.Thread(target=load) for _ in range(2)]
    for one in clients:
        one.start()
    text, hashes = twin.policy.read_text(), set()
    for number in range(6):
        twin.policy.write_text(f"{text}// {number % 2}\n")
        answer = twin.hang_up()
        assert answer["exchanged"], answer
        hashes.add(answer["policy_sha256"])
    stop.set()
    for one in clients:
        one.join(20)
    assert failures == []
    assert asked[0] > 50
    assert len(hashes) == 2


def test_what_became_of_it_in_words():
    old = Exchanged("security.psl", "a" * 64, 0, exchanged=False, reason="it is malformed")
    assert str(old) == f"policy not exchanged; policy `security.psl` {'a' * 16}… stays in force: it is malformed"
    new = Exchanged("security.psl", "b" * 64, 2, exchanged=True, sequences=30)
    assert str(new) == f"policy `security.psl` {'b' * 16}… is in force, after 30 test sequences"
    assert str(Exchanged("s", "b" * 64, 2, exchanged=True, reason="no floor")).endswith("; no floor")


def test_a_twin_ends_with_the_terminal_that_it_was_started_from(tmp_path):
    child, terminal = pty.fork()
    if child == 0:
        command = [*HOLDFAST, "serve", "substation", "--modbus-port", "0", "--field-port", "0"]
        os.execv(command[0], command)
    shown = b""
    while b"stop with" not in shown:
        shown += os.read(terminal, 4096)
    os.kill(child, signal.SIGHUP)  # the terminal is there: a request
    while b"is in force, after" not in shown:
        shown += os.read(terminal, 4096)
    os.close(terminal)  # the terminal is gone, and the system sends SIGHUP itself
    deadline = time.monotonic() + 20
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.1)


def test_without_a_terminal_a_hangup_is_a_request(monkeypatch):
    monkeypatch.setattr("scenarios.exchange._has_terminal", lambda: False)
    assert not Hangup().is_the_end()
