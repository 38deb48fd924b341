"""The alarm system: dead-band, delays, states and overlays, first-out; and all of it against a plain model."""

import json
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from twin.core import ns
from twin.fieldbus import Reading
from twin.scada import AlarmDefinition, AlarmError, AlarmSystem

HI = AlarmDefinition("T.hi", "T", "hi", 100.0, "A", "a current", "low")


class Desk:
    """An alarm system that is fed one value per second."""

    def __init__(self, *definitions):
        self.rows = []
        self.system = AlarmSystem(definitions, self.rows.append)
        self.at_s = 0

    def show(self, quality="good", **values):
        self.at_s += 1
        at_ns = ns(self.at_s)
        self.system.observe(at_ns, {tag: Reading(value, quality, at_ns) for tag, value in values.items()})
        return {name: alarm.state for name, alarm in self.system.alarms.items()}

    def do(self, what, name, **more):
        return getattr(self.system, what)(name, by="ann", at_ns=ns(self.at_s), **more)

    @property
    def told(self):
        return [(row.event, row.alarm) for row in self.rows]


def states(desk, tag, values):
    name = next(iter(desk.system.alarms))
    return [desk.show(**{tag: value})[name] for value in values]


U, R, N = "unacknowledged", "returned_unacknowledged", "normal"


@pytest.mark.parametrize(
    ("kind", "limit", "values", "expected"),
    [
        ("hi", 100.0, [100.0, 100.1, 100.0], [N, U, R]),
        ("hihi", 100.0, [100.0, 100.1, 100.0], [N, U, R]),
        ("lo", 50.0, [50.0, 49.9, 50.0], [N, U, R]),
        ("lolo", 50.0, [50.0, 49.9, 50.0], [N, U, R]),
        ("on", 1.0, [False, True, False], [N, U, R]),
        ("off", 0.0, [True, False, True], [N, U, R]),
    ],
)
def test_each_kind_of_limit(kind, limit, values, expected):
    desk = Desk(replace(HI, kind=kind, limit=limit))
    assert states(desk, "T", values) == expected


def test_the_deadband_holds_an_alarm_until_the_value_is_well_back():
    assert states(Desk(replace(HI, deadband=5.0)), "T", [101, 96, 100, 95, 99, 101]) == [U, U, U, R, R, U]
    low = replace(HI, kind="lo", limit=50.0, deadband=5.0)
    assert states(Desk(low), "T", [49, 54, 55, 51]) == [U, U, R, R]


def test_a_delay_counts_only_time_without_a_break():
    desk = Desk(replace(HI, on_delay_ns=ns(3), off_delay_ns=ns(2)))
    assert states(desk, "T", [101, 101, 99, 101, 101, 101, 101]) == [N, N, N, N, N, N, U]
    assert states(desk, "T", [99, 101, 99, 99, 99]) == [U, U, U, U, R]


def test_what_is_not_known_changes_nothing_and_starts_a_delay_anew():
    desk = Desk(replace(HI, on_delay_ns=ns(2)))
    assert states(desk, "T", [101, 101]) == [N, N]
    assert desk.show("bad", T=101) == {"T.hi": N}
    assert desk.show(T=float("nan")) == {"T.hi": N}
    assert states(desk, "T", [101, 101, 101]) == [N, N, U]
    assert desk.show("bad", T=0) == {"T.hi": U}
    assert desk.show("uncertain", T=0) == {"T.hi": R}


def test_a_reading_that_was_taken_before_says_nothing_new():
    desk = Desk(replace(HI, on_delay_ns=ns(2)))
    old = {"T": Reading(101.0, "good", ns(1))}
    for second in range(1, 10):
        desk.system.observe(ns(second), old)
    assert desk.rows == []


def test_the_way_of_a_plain_alarm():
    desk = Desk(HI)
    desk.show(T=101)
    assert desk.do("acknowledge", "T.hi")
    assert not desk.do("acknowledge", "T.hi")
    desk.show(T=99)
    desk.show(T=101)
    desk.show(T=99)
    assert desk.do("acknowledge", "T.hi")
    assert [(row.event, row.state, row.by) for row in desk.rows] == [
        ("raised", U, ""),
        ("acknowledged", "acknowledged", "ann"),
        ("returned", N, ""),
        ("raised", U, ""),
        ("returned", R, ""),
        ("acknowledged", N, "ann"),
    ]
    assert not desk.do("reset", "T.hi")


def test_a_latched_alarm_stays_until_it_is_acknowledged_and_reset():
    desk = Desk(replace(HI, latched=True))
    assert states(desk, "T", [101, 99]) == [U, "latched_unacknowledged"]
    assert not desk.do("reset", "T.hi")
    assert desk.do("acknowledge", "T.hi")
    assert desk.show(T=99) == {"T.hi": "latched_acknowledged"}
    assert desk.show(T=101) == {"T.hi": U}
    desk.do("acknowledge", "T.hi")
    assert not desk.do("reset", "T.hi")  # its condition still holds
    assert desk.show(T=99) == {"T.hi": "latched_acknowledged"}
    assert desk.do("reset", "T.hi")
    assert desk.show(T=99) == {"T.hi": N}


def test_a_shelved_alarm_comes_back_when_its_time_is_over():
    desk = Desk(HI)
    desk.show(T=101)
    desk.do("shelve", "T.hi", reason="being mended", for_s=3)
    assert states(desk, "T", [101, 99, 101, 101]) == [N, N, U, U]
    assert [row.event for row in desk.rows] == ["raised", "shelved", "unshelved", "raised"]
    assert (desk.rows[1].by, desk.rows[1].reason, desk.rows[1].as_row()["until_s"]) == ("ann", "being mended", 4.0)
    desk.do("shelve", "T.hi", reason="again", for_s=60)
    assert states(desk, "T", [99]) == [N]
    assert desk.do("unshelve", "T.hi")
    assert not desk.do("unshelve", "T.hi")
    assert desk.show(T=99) == {"T.hi": N}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"reason": " ", "for_s": 60}, "for a reason"),
        ({"reason": "x", "for_s": 0}, "cannot be shelved for 0 s"),
        ({"reason": "x", "for_s": 50_000}, "cannot be shelved for 50000 s"),
        ({"reason": "x", "for_s": float("nan")}, "cannot be shelved for nan s"),
    ],
)
def test_shelving_wants_a_reason_and_a_time(more, says):
    with pytest.raises(AlarmError, match=says):
        Desk(HI).do("shelve", "T.hi", **more)


def test_an_alarm_that_is_not_there_is_named():
    with pytest.raises(AlarmError, match=r"no alarm `T.high`; did you mean `T.hi`\?"):
        Desk(HI).do("acknowledge", "T.high")


def test_design_suppresses_an_alarm_while_its_point_is_on():
    desk = Desk(replace(HI, suppressed_by="STOPPED"))
    desk.show(T=101, STOPPED=False)
    assert desk.show(T=101, STOPPED=True) == {"T.hi": N}
    assert desk.show(T=101) == {"T.hi": N}
    assert desk.show("bad", STOPPED=False) == {"T.hi": N}
    assert desk.show(T=101, STOPPED=False) == {"T.hi": U}
    assert [row.event for row in desk.rows] == ["raised", "suppressed", "unsuppressed", "raised"]


def test_overlays_lie_on_each_other_and_the_last_to_go_counts():
    desk = Desk(HI)
    desk.do("take_out_of_service", "T.hi", reason="transmitter is being changed")
    desk.do("shelve", "T.hi", reason="so is the cable", for_s=600)
    desk.show(T=101)
    desk.do("unshelve", "T.hi")
    assert desk.show(T=101) == {"T.hi": N}
    assert desk.do("put_in_service", "T.hi")
    assert not desk.do("put_in_service", "T.hi")
    assert desk.show(T=101) == {"T.hi": U}
    with pytest.raises(AlarmError, match="for a reason"):
        desk.do("take_out_of_service", "T.hi", reason="")


def test_the_first_of_a_group_is_marked_until_all_of_it_is_normal():
    group = {"group": "bay"}
    desk = Desk(
        replace(HI, name="A.hi", tag="A", on_delay_ns=ns(3), **group),
        replace(HI, name="B.hi", tag="B", on_delay_ns=ns(2), **group),
        replace(HI, name="C.hi", tag="C"),
    )

    def marks():
        return {name for name, alarm in desk.system.alarms.items() if alarm.first_out}

    # A was beyond its limit before B, and both delays end at one instant: A came first.
    for values in ({"A": 101, "B": 0}, {"A": 101, "B": 101}, {"A": 101, "B": 101}, {"A": 101, "B": 101, "C": 101}):
        desk.show(**values)
    assert [row.alarm for row in desk.rows] == ["A.hi", "B.hi", "C.hi"]
    assert marks() == {"A.hi"}
    desk.show(A=0, B=101)
    desk.do("acknowledge", "A.hi")
    assert marks() == {"A.hi"}  # B still stands
    desk.do("acknowledge", "B.hi")
    desk.show(A=0, B=0)
    assert marks() == set()
    for _ in range(3):
        desk.show(A=0, B=101)
    assert marks() == {"B.hi"}


def test_the_list_shows_what_stands_the_most_urgent_first():
    desk = Desk(
        replace(HI, name="A.hi", tag="A"),
        replace(HI, name="B.hi", tag="B", priority="urgent"),
        replace(HI, name="C.hi", tag="C"),
        replace(HI, name="D.hi", tag="D"),
    )
    desk.show(A=101)
    desk.show(C=101)
    desk.show(D=101)
    desk.show(B=101)
    desk.do("acknowledge", "D.hi")
    assert [alarm.definition.name for alarm in desk.system.listed()] == ["B.hi", "C.hi", "A.hi", "D.hi"]


# A plain model beside it: no tables, no groups, every alarm by the letter of the standard.
KINDS = {
    "plain": replace(HI, name="plain", tag="P", deadband=2.0, suppressed_by="S"),
    "slow": replace(HI, name="slow", tag="P", limit=101.0, on_delay_ns=ns(2), off_delay_ns=ns(3)),
    "latched": replace(HI, name="latched", tag="P", limit=99.0, latched=True, suppressed_by="S"),
}


class Model:
    def __init__(self, what):
        self.what, self.active, self.history = what, False, []
        self.annunciated = self.acked = self.latch = False  # whether it is on the list; whether answered
        self.shelved_until = None
        self.suppressed = self.out = False

    @property
    def covered(self):
        return self.shelved_until is not None or self.suppressed or self.out

    @property
    def state(self):
        if not self.annunciated:
            return N
        if self.latch:
            return "latched_acknowledged" if self.acked else "latched_unacknowledged"
        if self.active:
            return "acknowledged" if self.acked else U
        return R

    def value(self, value, now_s):
        high = self.what.limit - (self.what.deadband if self.active else 0)
        beyond = value > high
        self.history = [*self.history, now_s] if beyond != self.active else []
        delay = (self.what.on_delay_ns if beyond else self.what.off_delay_ns) / 1e9
        if self.history and now_s - self.history[0] >= delay:
            self.active, self.history = beyond, []
            self.changed()

    def changed(self):
        if self.covered:
            return
        if self.active:
            if not self.annunciated or self.latch or self.gone:
                self.annunciated, self.acked, self.latch = True, False, False
            self.gone = False
        elif self.annunciated:
            self.gone = True
            if self.what.latched:
                self.latch = True
            elif self.acked:
                self.annunciated = False

    gone = False

    def answer(self):
        if not self.annunciated or self.acked:
            return False
        self.acked = True
        if self.gone and not self.latch:
            self.annunciated = False
        return True

    def hide(self):
        self.annunciated = self.acked = self.latch = self.gone = False

    def show_again(self):
        if not self.covered and self.active:
            self.annunciated, self.acked, self.latch, self.gone = True, False, False, False


class AgainstTheModel(RuleBasedStateMachine):
    names = st.sampled_from(sorted(KINDS))

    @initialize()
    def begin(self):
        self.now_s, self.rows = 0, []
        self.system = AlarmSystem(KINDS.values(), self.rows.append)
        self.models = {name: Model(what) for name, what in KINDS.items()}

    @rule(value=st.integers(95, 105), suppress=st.booleans(), quality=st.sampled_from(["good", "good", "good", "bad"]))
    def poll(self, value, suppress, quality):
        self.now_s += 1
        at_ns = ns(self.now_s)
        self.system.observe(at_ns, {"P": Reading(value, quality, at_ns), "S": Reading(suppress, "good", at_ns)})
        for model in self.models.values():
            if model.shelved_until is not None and model.shelved_until <= self.now_s:
                model.shelved_until = None
                model.show_again()
            if model.what.suppressed_by and model.suppressed != suppress:
                model.suppressed = suppress
                if suppress:
                    model.hide()
                else:
                    model.show_again()
            if quality == "bad":
                model.history = []
            else:
                model.value(value, self.now_s)

    @rule(name=names)
    def acknowledge(self, name):
        assert self.system.acknowledge(name, by="ann", at_ns=ns(self.now_s)) == self.models[name].answer()

    @rule(name=names)
    def reset(self, name):
        model = self.models[name]
        may = model.annunciated and model.latch and model.acked
        if may:
            model.hide()
        assert self.system.reset(name, by="ann", at_ns=ns(self.now_s)) == may

    @rule(name=names, for_s=st.integers(1, 5))
    def shelve(self, name, for_s):
        self.system.shelve(name, by="ann", reason="noise", for_s=for_s, at_ns=ns(self.now_s))
        self.models[name].shelved_until = self.now_s + for_s
        self.models[name].hide()

    @rule(name=names)
    def unshelve(self, name):
        model = self.models[name]
        was, model.shelved_until = model.shelved_until is not None, None
        assert self.system.unshelve(name, by="ann", at_ns=ns(self.now_s)) == was
        if was:
            model.show_again()

    @rule(name=names)
    def take_out(self, name):
        self.system.take_out_of_service(name, by="ann", reason="maintenance", at_ns=ns(self.now_s))
        self.models[name].out = True
        self.models[name].hide()

    @rule(name=names)
    def put_back(self, name):
        model = self.models[name]
        was, model.out = model.out, False
        assert self.system.put_in_service(name, by="ann", at_ns=ns(self.now_s)) == was
        if was:
            model.show_again()

    @precondition(lambda self: self.now_s > 0)
    @rule()
    def save_and_restore(self):
        state = json.loads(json.dumps(self.system.snapshot()))
        self.system = AlarmSystem(KINDS.values(), self.rows.append)
        self.system.restore(state)

    @invariant()
    def every_state_is_the_model_s(self):
        if not hasattr(self, "models"):
            return
        for name, model in self.models.items():
            assert self.system.alarms[name].state == model.state, name

    @invariant()
    def the_journal_tells_every_state(self):
        last = {row.alarm: row.state for row in getattr(self, "rows", [])}
        for name, state in last.items():
            assert self.system.alarms[name].state == state, name


TestAgainstTheModel = AgainstTheModel.TestCase
TestAgainstTheModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
