"""`holdfast demo` as a process: its start, its end, and what it says when it cannot start."""

import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from tests.dashboards.conftest import COMMAND, ROOT, start_demo


def run_demo(*options):
    return subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)


def fetch_bytes(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def fetch(url):
    return fetch_bytes(url).decode()


def wait_until(happened, limit_s):
    deadline = time.monotonic() + limit_s
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.05)
    return happened()


def gone(pid):
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().split(") ")[1].startswith("Z")


def test_the_page_comes_whole_from_this_server():
    with start_demo("--wire", "memory") as demo:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", demo.url)
        page = fetch(demo.url)
        assert '<html lang="en">' in page
        assert re.findall(r'(?:src|href)="(?:https?:)?//[^"]*"', page) == []
        for name in re.findall(r'(?:src|href)="(/[^"]+)"', page):
            assert fetch_bytes(demo.url + name)
        assert 'id="right-F6"' in fetch(f"{demo.url}/diagram/right.svg")


def test_sigterm_and_ctrl_c_end_both_processes():
    for name in (signal.SIGTERM, signal.SIGINT):
        with start_demo("--wire", "memory") as demo:
            worker = demo.worker_pid()
            demo.process.send_signal(name)
            assert demo.process.wait(timeout=20) == 0
            assert gone(worker)
            assert demo.process.stderr.read() == ""


def test_a_worker_that_dies_is_told_in_the_log_and_the_page_is_still_served():
    with start_demo("--wire", "memory") as demo:
        subprocess.run(["kill", "-KILL", str(demo.worker_pid())], check=True)
        assert "ended unexpectedly" in demo.process.stderr.readline()
        assert "Holdfast" in fetch(demo.url)
        demo.process.send_signal(signal.SIGTERM)
        assert demo.process.wait(timeout=5) == 0


def test_the_worker_ends_when_the_page_s_process_is_killed():
    with start_demo("--wire", "memory") as demo:
        worker = demo.worker_pid()
        demo.process.kill()
        assert wait_until(lambda: gone(worker), 3)


def test_a_port_in_use_is_exit_6_and_names_the_option():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run_demo("--port", str(port))
    assert ended.returncode == 6
    assert str(port) in ended.stderr
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_cannot_be_played_is_exit_3_with_one_message(tmp_path):
    ended = run_demo("substation/mass-opem")
    assert (ended.returncode, "did you mean" in ended.stderr) == (3, True)
    text = (ROOT / "scenarios/catalogue/substation/mass-open/scenario.yaml").read_text()
    other = tmp_path / "other.yaml"
    other.write_text(text.replace("plant: substation", "plant: refinery"))
    ended = run_demo(str(other), "--port", "0")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "there is no plant `refinery`" in ended.stderr
    assert "Traceback" not in ended.stderr
