"""Runs over impaired wires: the same record on both wires, after a restart half-way, and what a run folder tells."""

import asyncio
import json

import pytest
import yaml

from scenarios import RunSettings, find_scenario, play
from scenarios.compare import compare, is_fair
from scenarios.judge import result_of
from scenarios.player import Run
from scenarios.run_folder import write_run_folder
from scenarios.schema import Scenario, ScenarioError, load_scenario

CALM = find_scenario("substation/mass-open").scenario


def scenario(*steps, duration_s=40.0):
    values = {
        "schema": 1,
        "id": "substation/impaired",
        "title": "Impaired",
        "plant": "substation",
        "summary": "A wire has a bad day.",
        "duration_s": duration_s,
        "settle_s": 5,
        "settings": {"start": "18:00"},
        "actors": {"operator": "127.0.1.10"},
        "steps": list(steps),
    }
    return Scenario.model_validate(values)


def impair(at_s, wire, name="trouble", **what):
    return {"kind": "impair", "by": "instructor", "at_s": at_s, "wire": wire, "name": name, **what}


def write(at_s, tag, value=1):
    return {"kind": "write", "by": "operator", "at_s": at_s, "tag": tag, "value": value}


EVERYTHING = scenario(
    impair(2, "scada", "slow", latency_s=0.2, jitter_s=0.3, reorder=0.2, reorder_s=1.0),
    impair(4, "field", "bad", loss=0.1, latency_s=0.02, bandwidth_bit_s=300_000),
    write(6, "CA2.close"),
    write(10, "F7.open"),
    impair(18, "scada", "cut", partition=True, for_s=6),
    write(20, "F7.close"),
    {"kind": "mend", "by": "instructor", "at_s": 25, "name": "bad"},
    write(30, "F7.close"),
)


def played(of, **settings):
    return asyncio.run(play(of, RunSettings(**settings)))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("impaired")
    both = {}
    for wire in ("tcp", "memory"):
        both[wire] = played(EVERYTHING, wire=wire, capture=True)
        write_run_folder(folder / wire, both[wire], result_of(both[wire]))
    return both, folder


def test_over_tcp_and_in_memory_the_record_and_the_capture_are_the_same(runs):
    both, folder = runs
    assert both["tcp"].twin.recorder.sha256 == both["memory"].twin.recorder.sha256
    captures = [(folder / wire / "network.pcapng").read_bytes() for wire in both]
    assert captures[0] == captures[1]
    assert b"lost: no answer came in time" in captures[0]
    assert b" s earlier" in captures[0]
    assert b"granted" in captures[0]


def test_commands_are_late_or_unanswered_and_each_is_told(runs):
    both, _ = runs
    answers = {one.at_s: (one.tag, one.answer) for one in both["memory"].answered}
    assert [answer for _, answer in answers.values()] == ["ok", "ok", "no answer", "ok"]
    assert all(at not in (6, 10, 20, 30) for at in answers)
    told = result_of(both["memory"])["commands"]["legitimate"]
    assert told == {"sent": 4, "granted": 3, "denied": 0, "altered": 0, "deferred": 0}


def test_the_record_tells_when_something_went_wrong(runs):
    both, _ = runs
    told = [
        (row.at_s, row.values["malfunction"], row.values["state"])
        for row in both["memory"].twin.recorder.of("event")
        if row.values["event"] == "malfunction"
    ]
    assert told == [
        (2, "slow", "begun"),
        (4, "bad", "begun"),
        (18, "cut", "begun"),
        (24, "cut", "ended"),
        (25, "bad", "ended"),
    ]


def test_nothing_is_measured_while_the_wire_is_cut(runs):
    both, _ = runs
    measured = [row.at_s for row in both["memory"].twin.recorder.of("measured")]
    assert not [at for at in measured if 18 <= at < 24]
    assert [at for at in measured if 25 <= at < 30]


@pytest.mark.parametrize("cut_s", [6.2, 10.45, 19.0, 21.3])
def test_saved_while_exchanges_are_under_way_the_record_goes_on_the_same(runs, cut_s):
    async def in_two():
        first = Run(EVERYTHING, RunSettings(wire="memory"))
        try:
            await first.open()
            await first.advance(cut_s)
            state = json.loads(json.dumps(first.snapshot()))
        finally:
            await first.close()
        second = Run(EVERYTHING, RunSettings(wire="memory"))
        try:
            await second.resume(state)
            await second.advance(second.duration_s)
        finally:
            await second.close()
        return second

    second = asyncio.run(in_two())
    both, _ = runs
    assert second.twin.recorder.sha256 == both["memory"].twin.recorder.sha256
    assert second.answered == both["memory"].answered


def test_a_field_wire_that_is_cut_leaves_the_policy_without_knowledge_and_it_refuses():
    cut = scenario(impair(5, "field", partition=True, for_s=20), write(15, "F7.open"), write(38, "F7.open"))
    run = played(cut, wire="memory")
    first, second = run.answered
    assert not first.granted
    assert first.reason
    assert second.granted
    assert any(row.values["event"] == "comm_fail" for row in run.twin.recorder.of("event"))


def test_both_policies_meet_the_same_trouble():
    comparison = asyncio.run(compare(EVERYTHING, RunSettings(wire="memory")))
    assert is_fair(comparison.result)
    assert comparison.result["identical_until_s"] == EVERYTHING.duration_s


def test_without_trouble_the_links_change_nothing():
    short = CALM.model_copy(update={"steps": CALM.steps[:1], "duration_s": 30.0, "settle_s": 1.0})
    plain, tapped = played(short, wire="memory"), played(short, wire="memory", capture=True)
    tapped.capture.close()
    assert plain.twin.recorder.sha256 == tapped.twin.recorder.sha256
    assert not any(name.startswith("wire.") for name in plain.twin.streams.snapshot())


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([impair(1, "scada")], "it impairs nothing"),
        ([impair(1, "scada", loss=2)], "loss must be within 0 to 1"),
        ([impair(1, "attic", loss=0.5)], "'field' or 'scada'"),
        ([{"kind": "mend", "by": "instructor", "at_s": 1, "name": "nothing"}], "which no earlier step impairs"),
        ([{**write(1, "F7.open"), "by": "instructor"}], "who has no address"),
        ([{**write(1, "F7.open"), "by": "instructor", "safety": True}], "a safety action is the operator's"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path, steps, says):
    path = tmp_path / "scenario.yaml"
    values = EVERYTHING.model_dump(by_alias=True, mode="json") | {"steps": steps}
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ScenarioError, match=says):
        load_scenario(path)
