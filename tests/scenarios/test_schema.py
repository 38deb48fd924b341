"""Scenario files: what is wrong is told with its line."""

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scenarios import ScenarioError, ScenarioNotFound, find_scenario, list_scenarios, load_scenario
from scenarios.actions import KINDS
from scenarios.player import plan
from twin.core import find_plant

GOOD = """schema: 1
id: substation/test
title: A test
plant: substation
summary: Nothing much.
duration_s: 10
actors: {operator: 127.0.1.10}
parameters:
  pause: {description: between two, default: 0, low: 0, high: 9}
steps:
  - {kind: write, by: operator, at_s: 1, tag: F1.open}
  - {id: row, kind: writes_in_turn, by: operator, at_s: 2, points: [F1.open, F2.open], every_s: [1, 2], stretch: pause}
  - {kind: write, by: operator, after: row, at_s: 5, tag: F1.close}
"""


def scenario(tmp_path, text):
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    return path


def test_a_good_file(tmp_path):
    loaded = load_scenario(scenario(tmp_path, GOOD))
    assert [step.kind for step in loaded.steps] == ["write", "writes_in_turn", "write"]
    assert loaded.chosen({}) == {"pause": 0}
    assert loaded.chosen({"pause": 3}) == {"pause": 3}


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("title: A test", "titel: A test", 1, "title: field required"),
        ("title: A test", "titel: A test", 3, "titel: this key is not known here"),
        ("kind: write,", "kind: wriet,", 11, "wriet"),
        ("at_s: 1,", "at_s: -1,", 11, "greater than or equal to 0"),
        ("tag: F1.open}", "tag: F1.open, colour: red}", 11, "not known here"),
        ("after: row", "after: now", 10, "`now`, which is no earlier step"),
        ("by: operator, at_s: 1", "by: attacker, at_s: 1", 1, "`attacker`, who has no address"),
        ("stretch: pause", "stretch: break", 1, "`break`, which is not declared"),
        ("every_s: [1, 2]", "every_s: [2, 1]", 12, "two rising seconds"),
        ("default: 0", "default: 10", 9, "outside 0 to 9"),
        ("duration_s: 10", "duration_s: ten", 6, "not `ten`"),
        ("at_s: 1,", "at_s: .inf,", 11, "finite"),
        ("at_s: 1,", "at_s: 1.0e+300,", 11, "less than or equal"),
        ("tag: F1.open}", "tag: F1.open, value: .nan}", 11, "finite"),
        ("127.0.1.10", "10.0.0.1", 7, "no IPv4 address in 127.0.0.0/8"),
        ("127.0.1.10", "300.1.1.1", 7, "no IPv4 address in 127.0.0.0/8"),
        ("tag: F1.open}", "tag: F1.opne}", 11, "no point `F1.opne`; did you mean `F1.open`"),
        ("tag: F1.open}", "tag: F1.P}", 11, "`F1.P` is a measurement, which nobody can write"),
        ("tag: F1.open}", "tag: STATION.heartbeat}", 11, "no point `STATION.heartbeat`"),
        ("plant: substation", "plant: substatoin", 4, "did you mean `substation`"),
        ("schema: 1", "schema: 2", 1, "1"),
        ("id: substation/test", "id: Substation", 2, "id"),
        ("{kind: write, by: operator, at_s: 1, tag: F1.open}", "3", 11, "steps.0"),
    ],
)
def test_mistakes(tmp_path, old, new, line, says):
    with pytest.raises(ScenarioError) as caught:
        load_scenario(scenario(tmp_path, GOOD.replace(old, new, 1)))
    told = str(caught.value)
    assert says in told
    assert f"scenario.yaml:{line}:" in told or line in (1, 10), told


def test_not_yaml_and_not_there(tmp_path):
    with pytest.raises(ScenarioError, match=r"scenario.yaml:2:\d+: is not YAML"):
        load_scenario(scenario(tmp_path, "schema: 1\n  id: [\n"))
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_scenario(tmp_path / "none.yaml")
    with pytest.raises(ScenarioError, match="larger than"):
        load_scenario(scenario(tmp_path, "#" * 1_000_001))


@given(st.text(max_size=300))
def test_no_text_crashes_the_reader(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("scenario") / "scenario.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ScenarioError):
        load_scenario(path)


def test_parameters_are_checked(tmp_path):
    loaded = load_scenario(scenario(tmp_path, GOOD))
    with pytest.raises(ScenarioError, match="no parameter `pase`; did you mean `pause`"):
        loaded.chosen({"pase": 1})
    with pytest.raises(ScenarioError, match="outside 0 to 9"):
        loaded.chosen({"pause": 10})


def test_the_plan_is_the_same_for_the_same_seed(tmp_path):
    loaded = load_scenario(scenario(tmp_path, GOOD))
    assert plan(loaded, 1, {"pause": 0}) == plan(loaded, 1, {"pause": 0})
    assert plan(loaded, 1, {"pause": 0}) != plan(loaded, 2, {"pause": 0})
    times = [act.at_ns / 1e9 for act in plan(loaded, 1, {"pause": 4})]
    assert times == [1, 2, 6, 11]
    hurried = [act.at_ns / 1e9 for act in plan(loaded, 1, {"pause": 0})]
    assert 1 <= hurried[2] - hurried[1] <= 2


def test_every_scenario_of_the_catalogue_fits_its_folder_and_its_plant():
    entries = list_scenarios()
    assert entries
    for entry in entries:
        assert entry.scenario.id == f"{entry.folder.parent.name}/{entry.folder.name}"
        assert (entry.folder / "README.md").is_file()
        points = find_plant(entry.scenario.plant).points()
        for step in entry.scenario.steps:
            for tag in step.tags():
                assert tag in points, f"{entry.scenario.id} writes `{tag}`"
                assert points[tag].writable


def test_near_names_are_offered():
    with pytest.raises(ScenarioNotFound, match="did you mean `substation/mass-open`"):
        find_scenario("substation/mass-opn")
    with pytest.raises(ScenarioNotFound, match="did you mean `substation/mass-open`"):
        find_scenario("mass-open")
    with pytest.raises(ScenarioNotFound, match="no file"):
        find_scenario("none.yaml")


def test_a_scenario_may_stand_in_a_file_of_its_own(tmp_path):
    assert find_scenario(str(scenario(tmp_path, GOOD))).scenario.id == "substation/test"


# What acts on the wire, and what is done in the control room or by an instructor.
EXAMPLES = {
    **{step["kind"]: step for step in yaml.safe_load(GOOD)["steps"]},
    "acknowledge": {"kind": "acknowledge", "by": "operator", "at_s": 1, "alarm": ["F1.closed.off", "F2.closed.off"]},
    "shelve": {
        "kind": "shelve",
        "by": "operator",
        "at_s": 1,
        "alarm": ["F1.closed.off"],
        "for_s": 60,
        "reason": "maintenance",
    },
    "impair": {"kind": "impair", "by": "instructor", "at_s": 1, "name": "cut", "wire": "scada", "partition": True},
    "mend": {"kind": "mend", "by": "instructor", "at_s": 2, "name": "cut"},
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_action_has_acts_tags_and_a_performer(kind):
    step = KINDS[kind].model_validate(EXAMPLES[kind])
    acts = step.acts({"pause": 0.0}, np.random.default_rng(1))
    assert acts
    assert [act.what["tag"] for act in acts if "tag" in act.what] == step.tags()
    assert [act.what["alarm"] for act in acts if "alarm" in act.what] == step.alarms()
    assert step.over_wire == bool(step.tags())
    assert callable(step.perform)
