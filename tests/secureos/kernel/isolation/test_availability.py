"""What is here, told truly; and what is told where something is missing."""

import importlib
import os
import signal
import subprocess

import pytest

from secureos.kernel.isolation import availability, confinement, machine, missing, trials
from secureos.kernel.isolation.errors import IsolationUnavailable

module = importlib.import_module("secureos.kernel.isolation.availability")


@pytest.fixture
def afresh():
    def forget():
        for cached in (module.availability, module.mechanisms, module._tried, machine.architecture):
            cached.cache_clear()

    forget()
    yield
    forget()


def test_which_mechanisms_this_machine_has():
    """Says which, so that a log shows why other tests were left out."""
    for finding in availability():
        print(finding.name, "is here" if finding.found else "is missing", "--", finding.text)
    assert [finding.name for finding in availability()] == [
        "architecture",
        "seccomp",
        "namespaces",
        "landlock",
        "limits",
    ]
    if all(finding.found for finding in availability()):
        assert missing() == []


def found(monkeypatch, **failures):
    told = dict.fromkeys(("seccomp", "namespaces", "landlock", "limits"), "") | failures
    monkeypatch.setattr(module, "_tried", lambda: told)
    monkeypatch.setattr(module, "architecture", lambda: machine._X86_64)


def test_all_there(afresh, monkeypatch):
    found(monkeypatch)
    assert missing() == []
    assert module.mechanisms() == module.Mechanisms(namespaces=True, landlock=True)


@pytest.mark.parametrize(("lacking", "left"), [("namespaces", "landlock"), ("landlock", "namespaces")])
def test_either_of_two_is_enough(afresh, monkeypatch, lacking, left):
    found(monkeypatch, **{lacking: "not here"})
    assert missing() == []
    assert getattr(module.mechanisms(), left)
    assert not getattr(module.mechanisms(), lacking)


def test_neither_of_two_is_not(afresh, monkeypatch):
    found(monkeypatch, namespaces="unshare: Operation not permitted", landlock="none")
    with pytest.raises(IsolationUnavailable, match=r"user\.max_user_namespaces"):
        module.mechanisms()


@pytest.mark.parametrize("lacking", ["seccomp", "limits"])
def test_these_are_needed(afresh, monkeypatch, lacking):
    found(monkeypatch, **{lacking: "it failed"})
    with pytest.raises(IsolationUnavailable, match=f"{lacking}: it failed"):
        module.mechanisms()


def test_an_unknown_architecture(afresh, monkeypatch):
    monkeypatch.setattr(machine.platform, "machine", lambda: "vax")
    assert [one.found for one in availability()] == [False] * 5
    assert "architecture" in missing()[0]


def test_another_system(afresh, monkeypatch):
    monkeypatch.setattr(machine.sys, "platform", "plan9")
    assert machine.architecture() is None
    with pytest.raises(OSError, match="not known on this architecture"):
        machine.system_call("capset")


def test_trials_that_cannot_be_run(afresh, monkeypatch):
    def fail(*args, **options):
        raise subprocess.TimeoutExpired("python", 1)

    monkeypatch.setattr(module.subprocess, "run", fail)
    assert set(module._tried()) == {"seccomp", "namespaces", "landlock", "limits"}
    assert all("cannot be tried" in text for text in module._tried().values())


def test_a_trial_tells_why_it_failed():
    def fail():
        raise OSError("no such thing")

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    assert trials._trial(fail) == "no such thing"
    assert trials._trial(die) == "it ended with status 9"
    assert trials._trial(lambda: None) == ""


def test_a_call_that_fails_is_named():
    with pytest.raises(OSError, match="umount2: "):
        machine.checked("umount2", b"/nowhere/at/all", 0)
    with pytest.raises(OSError, match="pivot_root: "):
        machine.system_call("pivot_root", b"/nowhere/at/all", b"/nowhere/at/all")


def test_a_call_that_works_gives_its_result():
    assert machine.system_call("getpid") == machine.checked("getpid") == os.getpid()


def test_landlock_is_asked_for_its_version():
    assert confinement.landlock_version() >= 0
