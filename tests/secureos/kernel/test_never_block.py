"""If the security module fails, exactly the never-block list is served: whatever fails, and however."""

from array import array
from itertools import product

import pytest

from secureos.kernel import ReturnCode, StartRefused
from secureos.kernel.safety import Pattern
from secureos.kernel.static_table import ways_of
from secureos.policy import Verdict
from tests.secureos.kernel.drives import NEVER, Plant

REPORTS = """
[[never_block]]
purpose = "sign-of-life"
src = "Drive"
method = "Report"
where = { bound = "high" }
"""
GRANTS = """execute: kl.core.Execute
use EDL kl.core.Core
use EDL Einit
use EDL Panel
use EDL Drive
use EDL Logger
execute { grant () }
request { grant () }
response { grant () }
error { grant () }
security { grant () }
"""


def raising(_event):
    raise RuntimeError("broken")


def too_deep(event):
    return too_deep(event)


def out_of_memory(_event):
    raise MemoryError


FAILURES = {
    "raises": raising,
    "recurses": too_deep,
    "no memory": out_of_memory,
    "nothing": lambda _event: None,
    "yes": lambda _event: True,
    "text": lambda _event: "granted",
    "half a verdict": lambda _event: Verdict("yes", "?", "?"),
    "number": lambda _event: Verdict(1, "?", "?"),
    "error while deciding": lambda _event: Verdict(False, "engine", "error while deciding"),
    "denies all": lambda _event: Verdict(False, "plant.psl:1", "no"),
    "knows nothing": lambda _event: Verdict(False, "default", "no rule"),
}


@pytest.fixture
def plant(tmp_path):
    return Plant(tmp_path, NEVER + REPORTS, GRANTS)


def ask(plant, method, fields):
    return plant.call(method, **fields)


REQUESTS = [
    ("Set", {"unit": "M1", "rpm": 1}, False),
    ("Shut", {"unit": "M1"}, False),
    ("Stop", {"unit": "M1"}, True),
    ("Stop", {"unit": "M2"}, False),
    ("Stop", {"unit": ""}, False),
    ("Stop", {"unit": "error"}, False),
    ("Reset", {"unit": "M1"}, False),
    ("Read", {}, True),
    ("Many", {"steps": array("B", [1]), "pair": {"a": 1, "b": 2}}, False),
    ("Pass", {"item": {"handle": 0, "rights": 0}}, False),
]


@pytest.mark.parametrize("failure", FAILURES)
def test_every_method_is_served_if_and_only_if_it_is_listed(plant, monkeypatch, failure):
    assert {name for name, _, _ in REQUESTS} == set(
        plant.image.tasks[0].task_class.endpoints["drive"].interface.methods
    )
    assert all(ask(plant, method, fields).ok or fields.get("unit") == "error" for method, fields, _ in REQUESTS)
    plant.got.clear()
    monkeypatch.setattr(plant.kernel._module._engine, "decide", FAILURES[failure])
    for method, fields, listed in REQUESTS:
        answer = ask(plant, method, fields)
        assert answer.ok is listed, (method, fields)
        assert answer.code is (ReturnCode.OK if listed else ReturnCode.SECURITY_DISALLOW)
    assert [method for method, _ in plant.got] == ["Stop", "Read"]
    system = plant.programs["drive"].system
    for bound, listed in (("high", True), ("low", False)):
        assert system.report("Report", {"bound": bound, "value": 1}).ok is listed


def test_structure_and_capabilities_hold_all_the_same(plant, monkeypatch):
    monkeypatch.setattr(plant.kernel._module._engine, "decide", raising)
    assert plant.call("Stop", unit=3).code is ReturnCode.INVALID_ARGUMENT
    assert plant.call("Stop", unit="M1", more=1).code is ReturnCode.INVALID_ARGUMENT
    system = plant.programs["logger"].system
    assert system.call("drive", "drive", "Stop", {"unit": "M1"}).code is ReturnCode.NOT_CONNECTED
    assert plant.got == []


def test_what_is_served_so_is_recorded_as_such(plant, monkeypatch):
    monkeypatch.setattr(plant.kernel._module._engine, "decide", raising)
    plant.call("Stop", unit="M1")
    asked, answered = plant.kernel.audit.records[-2:]
    assert [(r.event, r.decision, r.rule) for r in (asked, answered)] == [
        ("request", "granted", "safety:1"),
        ("response", "granted", "safety:1"),
    ]
    assert "never blocked (emergency-stop); the security module refused it, so it has failed" in asked.reason
    assert "broken" in asked.reason
    plant.call("Set", unit="M1", rpm=1)
    assert (plant.kernel.audit.records[-1].decision, plant.kernel.audit.records[-1].rule) == ("denied", "engine")


def test_a_reply_is_served_only_to_a_request_that_is_listed(plant, monkeypatch):
    decide = plant.kernel._module._engine.decide
    dead_on_the_way_back = lambda event: decide(event) if event.kind == "request" else raising(event)  # noqa: E731
    monkeypatch.setattr(plant.kernel._module._engine, "decide", dead_on_the_way_back)
    assert plant.call("Stop", unit="M1").ok
    assert plant.call("Stop", unit="M2").code is ReturnCode.SECURITY_DISALLOW
    assert [fields for _, fields in plant.got] == [{"unit": "M1"}, {"unit": "M2"}]


def test_state_that_is_broken_refuses_what_weighs_it_and_no_more(tmp_path):
    plant = Plant(tmp_path, NEVER)
    plant.kernel._module._engine._objects["window"]._base = None
    plant.kernel._module._engine._objects["window"].__dict__.clear()
    assert not plant.set(50).ok
    assert plant.call("Stop", unit="M1").ok
    assert plant.call("Read").ok


def test_a_table_of_decisions_that_is_lost_stops_nothing_that_is_listed(plant):
    plant.kernel._module._engine._table = None
    assert plant.call("Stop", unit="M1").ok
    assert not plant.call("Set", unit="M1", rpm=1).ok


def test_time_that_runs_backwards_stops_nothing_that_is_listed(plant):
    plant.clock.now_ns = 5
    assert plant.call("Set", unit="M1", rpm=1).ok
    plant.clock.now_ns = 4
    assert plant.call("Stop", unit="M1").ok
    assert not plant.call("Set", unit="M1", rpm=1).ok


def test_a_trial_that_fails_is_no_grant(plant, monkeypatch):
    module = plant.kernel._module
    for consider in (raising, lambda _event: None, lambda _event: Verdict(1, "?", "?")):
        monkeypatch.setattr(module._engine, "consider", consider)
        assert module.consider(None) is False


def test_nothing_starts_while_the_security_module_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("secureos.policy.Engine.decide", raising)
    with pytest.raises(StartRefused, match="failed while deciding"):
        Plant(tmp_path, NEVER)


def test_the_ways_of_a_pattern_are_those_between_tasks_of_its_classes(plant):
    specs = plant.image.tasks
    names = [spec.task for spec in specs]
    open_pattern = Pattern(None, "Drive", "drive", "Set")
    assert set(ways_of(open_pattern, specs)) == {
        ("request", source, "drive", "drive", "Set") for source, _ in product(names, [0])
    }
    assert list(ways_of(Pattern("Drive", None, "", "Report"), specs)) == [("security", "drive", "", "", "Report")]


def test_verdicts_about_what_is_listed_are_kept_apart_in_the_audit(plant, monkeypatch):
    noted = []
    monkeypatch.setattr(
        plant.kernel.audit, "note", lambda at_ns, way, rule, *, safety, **_: noted.append((way[0], way[-1], safety))
    )
    plant.call("Stop", unit="M1")
    plant.call("Stop", unit="M2")
    assert noted == [
        ("request", "Stop", True),
        ("response", "Stop", True),
        ("request", "Stop", False),
        ("response", "Stop", False),
    ]
