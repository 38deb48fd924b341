"""The doctor says what is, and what to do about what is not."""

import json
import socket
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import typer

from scenarios import doctor
from scenarios.doctor import doctor_command, examine
from secureos.kernel.keys import development_key, development_key_path


def found(area, name):
    (one,) = [one for one in examine() if (one.area, one.name) == (area, name)]
    return one


def test_on_a_machine_where_tests_run_all_that_is_needed_is_there(home, capsys):
    doctor_command(json_=True)
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert told["ready"]
    assert {one["area"] for one in told["findings"]} == {"machine", "keys", "ports", "isolation", "options"}
    assert not home.exists()


def test_for_people(home, capsys):
    doctor_command()
    told = capsys.readouterr().out
    assert "development key" in told
    assert told.rstrip().endswith("ready")


def test_a_key_that_is_there_and_one_that_others_may_read(home, capsys):
    assert found("keys", "development key").text == "is made at first use"
    key = development_key()
    assert found("keys", "development key").text == f"{key.key_id}, mode 0600"
    development_key_path().chmod(0o644)
    one = found("keys", "development key")
    assert not one.ok
    assert "chmod 600" in one.text
    with pytest.raises(typer.Exit) as caught:
        doctor_command()
    assert caught.value.exit_code == 6
    told = capsys.readouterr().out
    assert "MISSING" in told
    assert "not ready" in told


def test_a_state_folder_that_cannot_be(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "file"))
    one = found("keys", "state folder")
    assert not one.ok
    assert "set HOLDFAST_HOME" in one.text
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "new"))
    assert found("keys", "state folder").text.endswith("new, made at first use")
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path))
    assert found("keys", "state folder").text == str(tmp_path)


def test_no_home_at_all(monkeypatch):
    for name in ("HOLDFAST_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def homeless():
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    assert not found("keys", "state folder").ok
    assert "there is no home" in found("keys", "development key").text


def test_a_port_that_is_taken(home, monkeypatch):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        monkeypatch.setattr(doctor, "PORTS", {port: "something"})
        one = found("ports", str(port))
    assert not one.ok
    assert not one.needed
    assert "in use" in one.text
    assert found("ports", str(port)).ok


def test_a_python_that_is_too_old(home, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1, "final", 0))
    one = found("machine", "Python")
    assert not one.ok
    assert one.needed


def test_clocks_that_are_wrong(home, monkeypatch):
    walls = iter([1000.0, 2000.0])
    with monkeypatch.context() as patch:
        patch.setattr(doctor.time, "time", lambda: next(walls))
        clock, _ = doctor._clocks()
    assert not clock.ok
    assert "jumped" in clock.text
    monkeypatch.setattr(doctor, "_LEAST_YEAR", 9999)
    assert "set it" in found("machine", "date").text


def test_what_is_not_installed_is_told_and_not_needed(home, monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor, "backend", lambda: "python")
    options = [one for one in examine() if one.area == "options"]
    assert [one.ok for one in options] == [False, False, False]
    assert not any(one.needed for one in options)
    assert "pip install 'holdfast[ui]'" in options[0].text


def test_isolation_that_is_not_there(home, monkeypatch):
    one = namedtuple("One", "name found needed text")("seccomp", False, True, "it is not there; build it in")
    monkeypatch.setattr(doctor.isolation, "availability", lambda: (one,))
    monkeypatch.setattr(doctor.isolation, "missing", lambda: ["seccomp: it is not there"])
    assert not found("isolation", "seccomp").ok
    assert found("isolation", "in all").text == "seccomp: it is not there"
    monkeypatch.setattr(doctor.isolation, "missing", list)
    assert found("isolation", "in all").ok
