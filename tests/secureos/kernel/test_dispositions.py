"""What a denial does beside refusing: whatever is delivered instead was granted, and the sender is told."""

import asyncio
import json
from collections import Counter
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.kernel import ImageError, ReturnCode
from secureos.kernel.dispositions import MAX_ACTUATORS, told_of
from tests.secureos.kernel.drives import NEVER, OTHERS, POLICY, STOP, USES, Plant, denial

CLAMP = denial("clamp", 'field = "rpm"', "fallback = { rpm = 0 }")
HOLD = denial("hold", 'per = ["unit"]', "fallback = { rpm = 0 }")
TO_SHUT = denial("substitute", 'fallback_method = "Shut"')
DEFER = denial("defer", "bound_ms = 1000", "queue = 3")
SHUTDOWN = denial(
    "shutdown",
    "sequence = [",
    '    { from = "panel", to = "drive", endpoint = "drive", method = "Set", fields = { unit = "all", rpm = 0 } },',
    '    { from = "panel", to = "drive", endpoint = "drive", method = "Shut", fields = { unit = "all" } }]',
    'reset = { src = "Panel", dst = "Drive", endpoint = "drive", method = "Reset", where = { unit = "all" } }',
)
OBSERVE = denial("observe", "until = 2030-06-30")


@pytest.fixture
def plant(tmp_path):
    return lambda *entries, **more: Plant(tmp_path, "\n".join(entries), **more)


def deliveries(plant):
    return [(method, fields.get("rpm")) for method, fields in plant.got]


# ---- which denials have one ----------------------------------------------------------------------------------------


def test_without_an_entry_a_denial_refuses_and_nothing_else(plant):
    drive = plant()
    answer = drive.set(101)
    assert (answer.code, answer.disposition, answer.effective) == (ReturnCode.SECURITY_DISALLOW, "", {})
    assert answer.rule.startswith("plant.psl:")
    assert drive.got == []


def test_a_declared_refusal_says_so(plant):
    answer = plant(denial("deny")).set(101)
    assert (answer.code, answer.disposition) == (ReturnCode.SECURITY_DISALLOW, "deny")


@pytest.mark.parametrize("entry", [CLAMP, HOLD, TO_SHUT, DEFER, SHUTDOWN])
def test_what_is_malformed_or_unspoken_of_has_no_disposition(plant, entry):
    drive = plant(entry, policy=USES + OTHERS + STOP)
    assert drive.set(50).disposition == ""  # no rule speaks of it
    assert drive.call("Set", unit="M1", rpm="much").code is ReturnCode.INVALID_ARGUMENT
    drive.wait(100)
    assert drive.got == []
    assert drive.records() == []


@pytest.mark.parametrize("entry", [CLAMP, HOLD, TO_SHUT, DEFER, SHUTDOWN, OBSERVE])
def test_what_is_granted_is_not_touched(plant, entry):
    drive = plant(entry, today=date(2030, 6, 15))
    answer = drive.set(70)
    assert (answer.ok, answer.disposition, answer.fields) == (True, "", {"was": 0})
    assert deliveries(drive) == [("Set", 70)]
    assert drive.records() == []


def test_the_first_entry_that_fits_counts(plant):
    only_m2 = denial("clamp", 'field = "rpm"', "fallback = { rpm = 0 }", 'where = { unit = "M2" }')
    drive = plant(only_m2, TO_SHUT)
    assert drive.set(500, unit="M2").disposition == "clamp"
    assert drive.set(500, unit="M1").disposition == "substitute"


# ---- clamp ---------------------------------------------------------------------------------------------------------


def test_a_clamped_value_is_the_largest_that_is_granted_and_told(plant):
    drive = plant(CLAMP)
    answer = drive.set(250)
    assert (answer.ok, answer.disposition, answer.effective) == (True, "clamp", {"unit": "M1", "rpm": 100})
    assert deliveries(drive) == [("Set", 100)]
    (record,) = drive.records()
    assert record == ("granted", "safety.toml:1", "clamp: `rpm` is 100 instead of 250")
    denied = [r for r in drive.kernel.audit.records if r.event == "request" and r.decision == "denied"]
    assert [r.message for r in denied] == [{"unit": "M1", "rpm": 250}]


@given(
    low=st.integers(-1000, 0),
    high=st.integers(0, 1000),
    asked=st.integers(-(2**31), 2**31 - 1),
    fallback=st.integers(-1200, 1200),
)
@settings(max_examples=60, deadline=None)
def test_a_clamp_delivers_the_admissible_value_nearest_to_the_one_asked(tmp_path_factory, low, high, asked, fallback):
    folder = tmp_path_factory.mktemp("clamp")
    drive = Plant(folder, denial("clamp", 'field = "rpm"', f"fallback = {{ rpm = {fallback} }}"))
    drive.report(low=low, high=high)
    before = drive.kernel.snapshot()["module"]
    answer = drive.set(asked)
    if low <= asked <= high:
        assert deliveries(drive) == [("Set", asked)]
    elif low <= fallback <= high:
        nearest = min(max(asked, low), high)
        assert deliveries(drive) == [("Set", nearest)]
        assert answer.effective["rpm"] == nearest
    else:
        assert (deliveries(drive), answer.disposition) == ([], "deny")
    assert drive.kernel.snapshot()["module"] == before


def test_a_clamped_request_that_the_server_refuses_is_its_error(plant):
    drive = plant(CLAMP)
    answer = drive.set(250, unit="error")
    assert (answer.code, answer.error, answer.fields, answer.disposition) == (ReturnCode.OK, True, {"code": 7}, "clamp")


def test_a_clamped_request_that_stops_the_server_is_no_success(plant):
    drive = plant(CLAMP)
    answer = drive.set(250, unit="boom")
    assert (answer.code, answer.disposition) == (ReturnCode.INTERRUPTED, "")


# ---- hold and substitute -------------------------------------------------------------------------------------------


def test_hold_keeps_what_may_be_kept(plant):
    drive = plant(HOLD)
    drive.set(80)
    answer = drive.set(101)
    assert (answer.code, answer.disposition) == (ReturnCode.SECURITY_DISALLOW, "hold")
    assert deliveries(drive) == [("Set", 80)]


def test_hold_falls_back_when_what_is_held_is_not_admissible_any_more(plant):
    drive = plant(HOLD)
    drive.set(80)
    drive.report(high=60)
    answer = drive.set(70)
    assert (answer.code, answer.disposition) == (ReturnCode.SECURITY_DISALLOW, "fallback")
    assert answer.effective == {"unit": "M1", "rpm": 0}
    assert deliveries(drive) == [("Set", 80), ("Set", 0)]
    drive.report(high=-1)
    drive.report(low=-5)
    assert drive.set(50).disposition == "deny"  # neither what is held nor the fallback may be
    assert drive.records()[-1][2].startswith("deny: the fallback failed too")


def test_hold_falls_back_where_nothing_was_delivered_to_this_actuator(plant):
    drive = plant(HOLD)
    drive.set(80, unit="M2")
    assert drive.set(101, unit="M1").disposition == "fallback"
    assert drive.set(101, unit="M1").disposition == "hold"


def test_hold_knows_a_bounded_number_of_actuators(plant):
    drive = plant(HOLD)
    for number in range(MAX_ACTUATORS + 1):
        drive.set(10, unit=f"{number}")
    assert drive.set(101, unit="0").disposition == "hold"
    assert drive.set(101, unit=f"{MAX_ACTUATORS}").disposition == "fallback"


def test_a_substitute_is_judged_in_its_turn(plant):
    drive = plant(TO_SHUT)
    answer = drive.set(101)
    assert (answer.code, answer.disposition, answer.effective) == (
        ReturnCode.SECURITY_DISALLOW,
        "substitute",
        {"unit": "M1"},
    )
    assert deliveries(drive) == [("Shut", None)]
    refused = plant(
        TO_SHUT, policy=POLICY.replace("request method=Shut { grant () }", "request method=Shut { deny () }")
    )
    assert refused.set(101).disposition == "deny"
    assert refused.got == []


def test_a_fallback_on_the_never_block_list_is_delivered(plant, monkeypatch):
    drive = plant(NEVER, denial("substitute", 'fallback_method = "Stop"'))
    decide = drive.kernel._module._engine.decide
    monkeypatch.setattr(
        drive.kernel._module._engine, "decide", lambda event: decide(event) if event.method == "Set" else 1
    )
    assert drive.set(101).disposition == "substitute"
    assert deliveries(drive) == [("Stop", None)]


# ---- defer ---------------------------------------------------------------------------------------------------------


def test_a_deferred_request_is_delivered_once_it_is_granted(plant):
    drive = plant(DEFER)
    answer = drive.set(150)
    assert (answer.code, answer.disposition) == (ReturnCode.SECURITY_DISALLOW, "defer")
    chain = drive.kernel.audit.records[-1].chain
    drive.wait(100)
    assert drive.got == []
    drive.report(high=200)
    drive.wait(100)
    assert deliveries(drive) == [("Set", 150)]
    assert [r.chain for r in drive.kernel.audit.records if r.method == "Set"][-1] == chain
    drive.wait(100)
    assert deliveries(drive) == [("Set", 150)]
    assert [reason.split(":")[0] for _, _, reason in drive.records()] == ["defer", "released"]


def test_a_deferred_request_expires(plant):
    drive = plant(DEFER)
    drive.set(150)
    drive.wait(1000)
    drive.report(high=200)
    drive.wait(1)
    assert drive.got == []
    assert "its 1000 ms are over" in drive.records()[-1][2]


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 400)), max_size=40))
@settings(max_examples=30, deadline=None)
def test_what_waits_is_bounded_in_number_and_time(tmp_path_factory, steps):
    drive = Plant(tmp_path_factory.mktemp("defer"), DEFER)
    accepted = {}
    for number, (rpm, pause_ms) in enumerate(steps):
        if drive.set(rpm, unit=f"{number}").disposition == "defer":
            accepted[f"{number}"] = drive.clock.now_ns
        assert len(drive.kernel.dispositions.snapshot()["waiting"]) <= 3
        if number % 5 == 4:
            drive.report(high=rpm)
        drive.wait(pause_ms)
        for late in drive.kernel.dispositions.snapshot()["waiting"]:
            assert drive.clock.now_ns <= accepted[late["fields"]["unit"]] + 1_000_000_000
    drive.wait(1001)
    assert drive.kernel.dispositions.snapshot()["waiting"] == []
    counts = drive.kernel.dispositions.counts
    assert counts["defer"] == counts["released"] + counts["expired"] == len(accepted)


def test_what_a_stopped_task_asked_for_waits_no_longer(plant):
    drive = plant(DEFER)
    drive.set(150)
    asyncio.run(drive.kernel.activate("panel", "any"))
    drive.report(high=200)
    drive.wait(100)
    assert drive.got == []
    assert "its sender was stopped" in drive.records()[-1][2]


def test_what_is_deferred_waits_for_its_receiver_too(plant):
    drive = plant(DEFER)
    drive.set(150)
    asyncio.run(drive.kernel.activate("drive", "any"))
    drive.wait(50)
    drive.wait(50)
    drive.report(high=200)
    drive.wait(50)
    assert deliveries(drive) == [("Set", 150)]


# ---- shutdown ------------------------------------------------------------------------------------------------------


def test_a_shutdown_sends_its_sequence_once_and_lasts_until_it_is_reset(plant):
    drive = plant(SHUTDOWN)
    assert drive.set(101).disposition == "shutdown"
    drive.wait(100)
    assert deliveries(drive) == [("Set", 0), ("Shut", None)]
    answer = drive.set(50)
    assert (answer.code, answer.disposition, answer.rule) == (ReturnCode.SECURITY_DISALLOW, "shutdown", "safety.toml:1")
    drive.wait(100)
    assert len(drive.got) == 2
    drive.call("Reset", unit="M1")
    assert not drive.set(50).ok
    drive.call("Reset", unit="all")
    assert drive.set(50).ok
    assert drive.set(101).disposition == "shutdown"


def test_what_is_deferred_needs_the_channel_when_it_is_delivered_too(plant):
    drive = plant(DEFER)
    assert drive.set(150).disposition == "defer"
    panel = drive.programs["panel"].system
    panel.close(panel.locate("drive"))
    drive.report(high=200)
    drive.wait(10)
    assert drive.got == []
    assert "no longer holds a channel" in drive.records()[-1][2]


def test_nothing_deferred_slips_past_a_shutdown(plant):
    m2 = DEFER + 'where = { unit = "M2" }\n'
    drive = plant(m2, SHUTDOWN)
    drive.set(150, unit="M2")
    drive.set(150)
    drive.report(high=200)
    drive.wait(100)
    assert deliveries(drive) == [("Set", 0), ("Shut", None)]


# ---- observe -------------------------------------------------------------------------------------------------------


def test_what_is_observed_is_delivered_and_recorded_up_to_its_day(plant):
    drive = plant(OBSERVE, today=date(2030, 6, 30))
    assert drive.set(101).ok
    assert deliveries(drive) == [("Set", 101)]
    assert [reason for _, _, reason in drive.records()] == ["observe: delivered all the same, up to 2030-06-30"]
    with pytest.raises(ImageError, match="until 2030-06-30 only"):
        plant(OBSERVE, today=date(2030, 7, 1))


def test_without_a_day_nothing_is_observed(plant):
    drive = plant(OBSERVE)
    assert drive.set(101).disposition == "deny"
    assert drive.got == []


# ---- tasks that stop -----------------------------------------------------------------------------------------------

SHUT = '{ from = "panel", to = "drive", endpoint = "drive", method = "Shut", fields = { unit = "all" } }'
STOPPED = f"[stopped.panel]\nmessages = [{SHUT}]\n"
SAFE = f"[safe_state.panel]\nmessages = [{SHUT}, {SHUT.replace('all', 'M2')}]\n"


def stop(plant, task):
    asyncio.run(plant.kernel.activate(task, "any"))


def test_a_stopped_task_leaves_its_declared_value_and_a_failed_one_the_safe_state(plant):
    drive = plant(STOPPED, SAFE)
    stop(drive, "panel")
    drive.wait(10)
    assert [fields for _, fields in drive.got] == [{"unit": "all"}]
    drive.wait(100)
    stop(drive, "panel")
    drive.wait(10)
    assert [fields["unit"] for _, fields in drive.got] == ["all", "all", "M2"]
    assert drive.records("safety")[-1] == (
        "granted",
        "safety.toml:4",
        "task `panel` has failed; sent in the name of `panel`",
    )


def test_what_is_declared_waits_for_a_receiver_that_is_stopped_and_not_for_one_that_failed(plant):
    drive = plant(STOPPED)
    stop(drive, "panel")
    stop(drive, "drive")
    drive.wait(50)
    drive.wait(50)
    assert drive.got == [("Shut", {"unit": "all"})]
    stop(drive, "drive")
    stop(drive, "panel")
    drive.wait(100)
    assert drive.got == [("Shut", {"unit": "all"})]  # it has failed for good, and so has the panel


def test_a_message_to_a_task_that_failed_is_recorded_as_not_sent(plant):
    drive = plant(STOPPED)
    stop(drive, "drive")
    drive.wait(100)
    stop(drive, "drive")
    stop(drive, "panel")
    drive.wait(10)
    ((decision, _, reason),) = drive.records("safety")
    assert (decision, reason) == ("denied", "task `panel` is stopped; not sent, as `drive` has failed")


def test_holding_sends_nothing(plant):
    drive = plant("[stopped.panel]\nhold = true\n[safe_state.panel]\nhold = true\n")
    stop(drive, "panel")
    drive.wait(100)
    assert drive.got == []


# ---- snapshots -----------------------------------------------------------------------------------------------------


def test_all_of_it_goes_through_a_snapshot(plant, tmp_path):
    entries = (DEFER + 'where = { unit = "M2" }\n', SHUTDOWN + 'where = { unit = "M3" }\n', HOLD, STOPPED)
    first = plant(*entries)
    first.set(80)
    first.set(150, unit="M2")
    first.set(150, unit="M3")
    stop(first, "panel")
    taken = json.loads(json.dumps(first.kernel.snapshot()))
    second = Plant(tmp_path, "\n".join(entries))
    second.kernel.restore(taken)
    second.clock.now_ns = first.clock.now_ns
    assert second.kernel.dispositions.snapshot() == taken["dispositions"]
    for drive in (first, second):
        drive.wait(100)
        drive.report(high=200)
        drive.wait(100)
    assert [method for method, _ in second.got] == ["Set", "Shut", "Shut"]
    assert second.set(50, unit="M3").disposition == "shutdown"
    second.report(high=100)
    assert second.set(101).disposition == "hold"
    assert second.kernel.dispositions.counts["expired"] == 1


# ---- while the audit cannot be written -----------------------------------------------------------------------------


@pytest.mark.parametrize("reaction", ["refuse", "go-on"])
def test_a_failing_audit_never_holds_up_what_is_never_blocked(plant, reaction):
    drive = plant(NEVER, f'[audit]\non_failure = "{reaction}"\n')
    drive.kernel.audit.fail("the disk is full")
    assert drive.call("Stop", unit="M1").ok
    assert drive.call("Read").ok
    answer = drive.set(50)
    assert answer.ok is (reaction == "go-on")
    assert ("disk is full" in answer.reason) is (reaction == "refuse")
    drive.report(high=90)
    drive.kernel.audit.fail(None)
    assert drive.set(50).ok


# ---- small things --------------------------------------------------------------------------------------------------


def test_a_result_says_altered_or_deferred_or_neither():
    assert [told_of(Counter(counts)) for counts in ({}, {"deny": 2}, {"hold": 1}, {"released": 1})] == [""] * 4
    assert told_of(Counter({"defer": 1, "released": 1})) == "deferred"
    assert [told_of(Counter({act: 1})) for act in ("clamp", "fallback", "substitute")] == ["altered"] * 3


def test_a_report_from_within_a_request_belongs_to_its_chain(plant):
    drive = plant()
    assert drive.set(3, unit="tell").ok
    assert drive.programs["drive"].told.ok
    assert {r.chain for r in drive.kernel.audit.records if r.method == "Set"} == {1}
    assert drive.kernel.snapshot()["last_chain"] == 1
    assert not drive.set(8).ok
