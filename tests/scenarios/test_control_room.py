"""Alarms of whole runs: the same on both wires and after a restart, in the run folder, and answered by steps."""

import asyncio
import json

import pytest

from scenarios import RunSettings, find_scenario, play
from scenarios.judge import result_of
from scenarios.player import Run
from scenarios.run_folder import write_run_folder
from scenarios.schema import Scenario, ScenarioError, load_scenario
from twin.core import Phase

SCENARIO = find_scenario("substation/mass-open").scenario
BASE = {
    "schema": 1,
    "id": "substation/alarms",
    "title": "alarms",
    "plant": "substation",
    "summary": "A feeder is opened for maintenance.",
    "duration_s": 60,
    "settle_s": 1,
    "actors": {"operator": "127.0.1.10"},
}
MAINTENANCE = [
    {"kind": "shelve", "by": "operator", "at_s": 5, "alarm": ["F7.closed.off"], "for_s": 30, "reason": "maintenance"},
    {"kind": "write", "by": "operator", "at_s": 10, "tag": "F7.open"},
    {"kind": "write", "by": "operator", "at_s": 20, "tag": "F1.open"},
    {"kind": "acknowledge", "by": "operator", "at_s": 25.5, "alarm": ["F1.closed.off", "F2.closed.off"]},
]


def scenario(steps):
    return Scenario.model_validate({**BASE, "steps": steps})


def journal(run):
    return [json.loads(line) for line in run.control_room.lines()]


def played(what, **settings):
    return asyncio.run(play(what, RunSettings(**settings)))


def test_an_operator_shelves_switches_and_acknowledges():
    rows = journal(played(scenario(MAINTENANCE), wire="memory"))
    assert [(row["at_s"], row["alarm"], row["event"], row["by"], row["reason"], row["until_s"]) for row in rows] == [
        (5.0, "F7.closed.off", "shelved", "operator", "maintenance", 35.0),
        (21.0, "F1.closed.off", "raised", "", "", None),
        (25.5, "F1.closed.off", "acknowledged", "operator", "", None),
        (35.0, "F7.closed.off", "unshelved", "", "its time is over", None),
        (35.0, "F7.closed.off", "raised", "", "", None),
    ]


def test_alarms_are_the_same_on_both_wires_and_no_part_of_the_record():
    without = [step for step in MAINTENANCE if step["kind"] == "write"]
    runs = [
        played(scenario(MAINTENANCE), wire="tcp"),
        played(scenario(MAINTENANCE), wire="memory"),
        played(scenario(without), wire="memory"),
    ]
    assert journal(runs[0]) == journal(runs[1]) != journal(runs[2])
    assert len({run.twin.recorder.sha256 for run in runs}) == 1


@pytest.mark.parametrize("cut_s", [12.0, 25.2, 33.333])
def test_saved_half_way_and_resumed_the_alarms_are_the_same(cut_s):
    async def half():
        run = Run(scenario(MAINTENANCE), RunSettings(wire="memory"))
        try:
            await run.open()
            await run.advance(cut_s)
            return json.loads(json.dumps(run.snapshot()))
        finally:
            await run.close()

    async def rest(state):
        run = Run(scenario(MAINTENANCE), RunSettings(wire="memory"))
        try:
            await run.resume(state)
            await run.advance(run.duration_s)
        finally:
            await run.close()
        return run

    whole = played(scenario(MAINTENANCE), wire="memory")
    resumed = asyncio.run(rest(asyncio.run(half())))
    assert journal(resumed) == journal(whole)
    assert result_of(resumed)["alarms"] == result_of(whole)["alarms"]


def test_a_hijacked_station_makes_more_alarms_without_a_policy(tmp_path):
    loads = {}
    for policy in ("permissive", "enforcing"):
        run = played(SCENARIO, wire="memory", policy=policy)
        result = result_of(run)
        write_run_folder(tmp_path / policy, run, result)
        rows = [json.loads(line) for line in (tmp_path / policy / "alarms.jsonl").read_text().splitlines()]
        assert rows == journal(run)
        assert [row["at_s"] for row in rows] == sorted(row["at_s"] for row in rows)
        assert json.loads((tmp_path / policy / "result.json").read_text())["alarms"] == result["alarms"]
        loads[policy] = result["alarms"]
    assert loads["permissive"]["by_priority"]["high"] >= 1  # the hospital's feeder
    assert loads["enforcing"]["by_priority"]["high"] == 0
    assert loads["permissive"]["raised"] > loads["enforcing"]["raised"]
    assert loads["permissive"]["worst_10_min"] > loads["enforcing"]["worst_10_min"]


def test_silence_on_the_wire_is_an_alarm():
    steps = [
        {
            "kind": "impair",
            "by": "instructor",
            "at_s": 10.5,
            "name": "cut",
            "wire": "scada",
            "partition": True,
            "for_s": 20,
        }
    ]
    rows = journal(played(scenario(steps), wire="memory"))
    assert [(row["at_s"], row["alarm"], row["event"]) for row in rows] == [
        (15.0, "SUPERVISION.stale.on", "raised"),
        (31.0, "SUPERVISION.stale.on", "returned"),
    ]


def test_a_command_that_is_taken_and_does_nothing_is_told():
    async def jammed():
        run = Run(scenario(MAINTENANCE[1:2]), RunSettings(wire="memory"))
        try:
            await run.open()
            # A breaker that jams: whatever reaches its terminals, its contacts stay.
            command = run.twin.plant.command
            run.twin.plant.command = lambda tag, value: None if tag == "F7.open" else command(tag, value)
            await run.advance(run.duration_s)
        finally:
            await run.close()
        return journal(run)

    (row,) = asyncio.run(jammed())
    assert (row["at_s"], row["alarm"], row["event"], row["by"]) == (15.0, "F7.open", "unconfirmed", "operator")


def test_an_alarm_that_the_plant_has_not_is_told_with_its_line(tmp_path):
    path = tmp_path / "scenario.yaml"
    path.write_text(json.dumps({**BASE, "steps": [{**MAINTENANCE[0], "alarm": ["F7.close.off"]}]}, indent=1))
    with pytest.raises(ScenarioError, match=r"no alarm `F7.close.off`; did you mean `F7.closed.off`\?"):
        load_scenario(path)


def test_nobody_shelves_without_a_reason_or_for_days():
    for wrong in ({"reason": " "}, {"for_s": 50_000}):
        with pytest.raises(ValueError, match="steps"):
            scenario([{**MAINTENANCE[0], **wrong}])


def test_the_control_room_looks_after_the_poll_of_its_instant():
    async def opened():
        run = Run(scenario([]), RunSettings(wire="memory"))
        try:
            await run.open()
            agenda = run.twin.clock.snapshot()["agenda"]
        finally:
            await run.close()
        return {row[3]: row[0] for row in agenda if row[2] == Phase.RECORD}

    orders = asyncio.run(opened())
    assert orders["scada.poll"] < orders["supervision.observe"]
