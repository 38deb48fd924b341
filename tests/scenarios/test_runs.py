"""Whole runs: the same seed gives the same record on both wires, at any speed, and after a restart half-way."""

import asyncio
import contextlib
import json
import subprocess
import sys

import pytest

from scenarios import RunSettings, compare, find_scenario, play
from scenarios.compare import identical_until_s
from scenarios.judge import result_of
from scenarios.player import Run
from secureos.audit import verify_chain
from twin.core import Pacer, Recorder, ns

SCENARIO = find_scenario("substation/mass-open").scenario
# The same scenario, cut short for what only needs some commands and some seconds.
SHORT = SCENARIO.model_copy(update={"steps": SCENARIO.steps[:1], "duration_s": 30.0, "settle_s": 1.0})


def played(**settings):
    return asyncio.run(play(SCENARIO, RunSettings(**settings)))


@pytest.fixture(scope="module")
def runs():
    """The scenario on both wires, and once more on TCP."""
    return [played(wire="tcp"), played(wire="tcp"), played(wire="memory")]


def test_over_tcp_twice_and_in_memory_the_record_is_the_same(runs):
    hashes = {run.twin.recorder.sha256 for run in runs}
    assert len(hashes) == 1
    assert runs[0].twin.recorder.count > 1000


def test_another_seed_gives_another_record():
    one, other = (asyncio.run(play(SHORT, RunSettings(wire="memory", seed=seed))) for seed in (1, 2))
    assert one.twin.recorder.sha256 != other.twin.recorder.sha256


def test_what_is_not_of_simulated_time_is_not_in_the_record(runs):
    told = json.dumps([row.values for row in runs[0].twin.recorder.rows])
    assert "psl" not in told
    assert "verdict" not in told
    assert runs[0].twin.policy.sha256 not in told
    assert str(runs[0].twin.scada_endpoint.port) not in {str(row.values) for row in runs[0].twin.recorder.of("event")}


def test_paced_against_the_wall_clock_the_record_is_the_same():
    async def paced():
        run = Run(SHORT, RunSettings(wire="tcp"))
        try:
            await run.open()
            await Pacer([run.twin.clock], speed=15).run(ns(30))
        finally:
            await run.close()
        return run

    flat_out = asyncio.run(play(SHORT, RunSettings(wire="tcp")))
    assert asyncio.run(paced()).twin.recorder.sha256 == flat_out.twin.recorder.sha256


RESUME = """
import asyncio, json, sys
from scenarios import RunSettings, find_scenario
from scenarios.player import Run
from scenarios.judge import result_of

async def main():
    run = Run(find_scenario("substation/mass-open").scenario, RunSettings(wire="memory"))
    await run.resume(json.load(sys.stdin))
    await run.advance(run.duration_s)
    await run.close()
    result = result_of(run)
    print(json.dumps({key: result[key] for key in ("record_sha256", "outcome", "commands", "impact", "envelope")}))

asyncio.run(main())
"""


@pytest.mark.parametrize("cut_s", [49.95, 250.0, 370.123])
def test_saved_half_way_and_resumed_in_a_new_process_the_record_is_the_same(runs, cut_s):
    async def half():
        run = Run(SCENARIO, RunSettings(wire="memory"))
        try:
            await run.open()
            await run.advance(cut_s)
            return json.dumps(run.snapshot())
        finally:
            await run.close()

    snapshot = asyncio.run(half())
    done = subprocess.run(
        [sys.executable, "-c", RESUME], input=snapshot, capture_output=True, text=True, timeout=100, check=True
    )
    expected = result_of(runs[2])
    assert json.loads(done.stdout) == {
        key: json.loads(json.dumps(expected[key]))
        for key in ("record_sha256", "outcome", "commands", "impact", "envelope")
    }


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"seed": 2}, "steps"),
        ({"parameters": {"patient": 65}}, "steps"),
        ({"policy": "permissive"}, "policy_sha256"),
    ],
)
def test_a_snapshot_is_taken_up_by_the_same_run_only(other, says):
    async def taken():
        run = Run(SCENARIO, RunSettings(wire="memory"))
        try:
            await run.open()
            await run.advance(1)
            return run.snapshot()
        finally:
            await run.close()

    state = json.loads(json.dumps(asyncio.run(taken())))
    with pytest.raises(ValueError, match=f"was taken with {says}"):
        asyncio.run(Run(SCENARIO, RunSettings(wire="memory", **other)).resume(state))
    with pytest.raises(ValueError, match="was taken with scenario"):
        asyncio.run(Run(SCENARIO, RunSettings(wire="memory")).resume({"schema": 2}))


def test_an_interrupt_that_a_library_swallowed_still_ends_the_run():
    async def interrupted():
        run = Run(SCENARIO, RunSettings(wire="memory"))
        try:
            await run.open()
            advance = run.twin.clock.advance

            async def swallowing(until_ns):
                # What a library's time-out that races with its answer does: the cancellation is lost.
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.01)
                await advance(until_ns)

            run.twin.clock.advance = swallowing
            playing = asyncio.create_task(run.advance(run.duration_s))
            await asyncio.sleep(0.001)
            playing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await playing
            return run.twin.clock.now_s
        finally:
            await run.close()

    assert asyncio.run(interrupted()) < 10


@pytest.fixture(scope="module")
def comparison():
    return asyncio.run(compare(SCENARIO, RunSettings(wire="memory")))


def test_the_two_policies_differ_as_the_scenario_expects(comparison):
    permissive, enforcing = comparison.result["runs"].values()
    assert permissive["outcome"] == "violated"
    assert permissive["impact"]["load_lost_max_percent"] >= 95
    assert permissive["commands"]["attacker"] == {"sent": 8, "granted": 8, "denied": 0, "altered": 0, "deferred": 0}
    assert enforcing["outcome"] == "safe"
    assert next(e for e in enforcing["envelope"] if e["name"] == "remote_disconnection")["worst"] <= 12
    assert enforcing["commands"]["attacker"]["denied"] > 0
    assert enforcing["commands"]["legitimate"] == {"sent": 6, "granted": 6, "denied": 0, "altered": 0, "deferred": 0}
    for result in (permissive, enforcing):
        assert result["expectations"]
        assert all(expectation["met"] for expectation in result["expectations"])


def test_both_runs_are_identical_before_the_attack(comparison):
    result = comparison.result
    assert result["identical_until_s"] >= result["first_attack_s"] == 240
    permissive, enforcing = (run.twin.recorder.rows for run in comparison.runs.values())
    before = [row for row in permissive if row.at_s < 240]
    assert [row.canonical() for row in before] == [row.canonical() for row in enforcing[: len(before)]]


def test_same_image_same_programs_only_the_policy_differs(comparison):
    permissive, enforcing = comparison.result["runs"].values()
    assert permissive["image_sha256"] == enforcing["image_sha256"]
    assert permissive["policy_sha256"] != enforcing["policy_sha256"]
    one, other = (run.twin.controller.kernel for run in comparison.runs.values())
    for name, task in one.tasks.items():
        assert type(task.program) is type(other.tasks[name].program)


def test_a_copy_of_the_permissive_policy_under_another_name_does_the_same(comparison, tmp_path):
    copy = tmp_path / "security.psl"
    copy.write_bytes((comparison.runs["permissive"].twin.kind.image / "permissive.psl").read_bytes())
    run = asyncio.run(play(SCENARIO, RunSettings(policy=str(copy), wire="memory")))
    assert run.twin.recorder.sha256 == comparison.result["runs"]["permissive"]["record_sha256"]


def test_every_denial_is_in_the_audit_with_rule_and_reason(comparison):
    run = comparison.runs["enforcing"]
    denials = [r for r in run.twin.controller.kernel.audit.records if r.decision == "denied"]
    assert len(denials) == comparison.result["runs"]["enforcing"]["verdicts"]["denied"]
    for denial in denials:
        assert denial.rule.startswith("security.psl:")
        assert denial.reason
        chain = [r for r in run.twin.controller.kernel.audit.records if r.chain == denial.chain]
        assert (chain[0].src, chain[0].event) == ("gateway", "request")
    assert verify_chain(run.twin.controller.kernel.audit.lines()) > 0


@pytest.mark.parametrize("seed", [2, 3, 5, 8])
def test_other_seeds_meet_the_expectations_too(seed):
    result = asyncio.run(compare(SCENARIO, RunSettings(wire="memory", seed=seed))).result
    for run in result["runs"].values():
        assert [e["text"] for e in run["expectations"] if not e["met"]] == []


def test_the_patient_attacker_is_stopped_by_the_hourly_budget_and_told_honestly():
    run = played(wire="memory", parameters={"patient": 65})
    result = result_of(run)
    assert result["expectations"] == []  # what is expected holds for the scenario as it stands
    attacks = [one for one in run.answered if one.by == "attacker"]
    assert [one.at_s for one in attacks] == [240 + 65 * n for n in range(8)]
    assert 12 < result["impact"]["load_lost_max_mw"] < 18.5
    hourly = [one for one in attacks if "in any hour" in one.reason]
    assert hourly
    assert not any(one.granted for one in attacks if one.tag == "F6.open")


@pytest.mark.soak
def test_a_very_patient_attacker_takes_all_but_the_hospital():
    run = played(wire="memory", parameters={"patient": 1500})
    result = result_of(run)
    granted = {one.tag for one in run.answered if one.by == "attacker" and one.granted}
    assert granted == {f"F{n}.open" for n in (1, 2, 3, 4, 5, 7, 8)}
    assert next(e for e in result["envelope"] if e["name"] == "f6_live")["first_violation_s"] is None


def test_identical_until():
    def record(*values):
        recorder = Recorder()
        for at_s, value in enumerate(values):
            recorder.truth(ns(at_s), {"v": value})
        return recorder.rows

    assert identical_until_s(record(1, 2, 3), record(1, 2, 3)) is None
    assert identical_until_s(record(1, 2, 3), record(1, 5, 3)) == 1
    assert identical_until_s(record(1, 2, 3), record(1, 2)) == 2
    assert identical_until_s(record(), record(1)) == 0
