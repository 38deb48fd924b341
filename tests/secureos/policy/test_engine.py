from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy import Engine, Event

FLOW = """policy object life : Flow { type State = "new" | "armed" | "fired"
    config = { states : ["new", "armed", "fired"], initial : "new",
               transitions : { "new" : ["armed"], "armed" : ["armed", "fired"] } } }
"""


def start(dst="lab.Driver", at_ns=0, **more):
    return Event("execute", at_ns, 2, 9, "Einit", dst, **more)


def test_nothing_speaks_of_it_so_it_is_denied(engine, write):
    verdict = engine("request method=Read { grant () }").decide(write())
    assert (verdict.granted, verdict.rule, verdict.tried) == (False, "default", ())
    assert verdict.reason == (
        "denied by default: no rule speaks of request `outputs.Write` from `lab.Client` to `lab.Driver`"
    )
    assert not engine("request { }").decide(write()).granted


@pytest.mark.parametrize(
    "selectors",
    [
        *("", "src=lab.Client", "dst=lab.Driver", "endpoint=outputs", "interface=lab.Outputs", "method=Write"),
        "src=lab.Client, dst=lab.Driver\nendpoint=outputs interface=lab.Outputs,method=Write",
    ],
)
def test_a_binding_meets_what_its_selectors_say(engine, write, selectors):
    assert engine(f"request {selectors} {{ grant () }}").decide(write()).granted


@pytest.mark.parametrize(
    "selectors",
    ["src=lab.Driver", "endpoint=valve.log", "component=lab.Valve", "interface=lab.Log", "method=Read"],
)
def test_a_binding_does_not_meet_anything_else(engine, write, selectors):
    assert not engine(f"request {selectors} {{ grant () }}").decide(write()).granted


def test_components_and_nested_matches_are_selected(engine, put):
    text = "request { match dst=lab.Driver { match component=lab.Valve { match method=Put { grant () } } } }"
    assert engine(text).decide(put()).granted


def test_every_kind_of_event_has_its_own_bindings(engine, write, report):
    text = "execute { grant () } response { grant () } error { grant () } security { grant () }"
    module = engine(text)
    assert not module.decide(write()).granted
    assert module.decide(report([])).granted
    assert module.decide(start()).granted
    back = Event("response", 0, 6, 5, "lab.Driver", "lab.Client", "outputs", "Write")
    assert module.decide(back).granted
    assert module.decide(dataclasses.replace(back, kind="error", message={"code": 1})).granted
    reads = engine("response method=Read { assert (message.atNs == 1) }")
    read = dataclasses.replace(back, method="Read", message={"words": [], "atNs": 1})
    assert reads.decide(read).granted
    assert not reads.decide(dataclasses.replace(read, message={"words": [], "atNs": 2})).granted
    narrow = engine(
        "error src=lab.Driver method=Write { assert (message.code == 1) } response src=lab.Driver { grant () }"
    )
    assert narrow.decide(dataclasses.replace(back, kind="error", message={"code": 1})).granted
    assert not narrow.decide(dataclasses.replace(back, kind="error", message={"code": 2})).granted
    assert narrow.decide(back).granted


def test_what_the_policy_does_not_know_is_denied(engine, write, report):
    module = engine("request { grant () } security { grant () } execute { grant () }")
    for changed, why in [
        ({"src": "lab.Other"}, "class `lab.Other` is not part of this policy"),
        ({"src": None}, "class `None` is not part of this policy"),
        ({"dst": "lab.Other"}, "class `lab.Other` is not part of this policy"),
        ({"dst": None}, "a `request` event has no destination"),
        ({"endpoint": "nope"}, "there is no method `nope.Write` to speak of"),
        ({"method": "Nope"}, "there is no method `outputs.Nope` to speak of"),
        ({"kind": "execute"}, "there is no method `outputs.Write` to speak of"),
        ({"kind": "security"}, "a `security` event has a destination"),
        ({"kind": "response"}, "there is no method `outputs.Write` to speak of"),
    ]:
        verdict = module.decide(dataclasses.replace(write(), **changed))
        assert (verdict.granted, verdict.rule, verdict.reason) == (False, "default", why)
    for changed in ({"method": "Nope"}, {"endpoint": "outputs"}, {"src": "lab.Client"}):
        assert not module.decide(dataclasses.replace(report([]), **changed)).granted


def test_all_rules_must_grant_in_text_order(engine, put):
    text = "request { grant () }\nrequest method=Put {\n assert (message.level < 5)\n deny (message.level == 3) }"
    module = engine(text)
    good = module.decide(put(1))
    assert (good.granted, good.rule, good.reason) == (True, "security.psl:9", "granted by all 3 rules for it")
    assert good.tried == ("security.psl:6", "security.psl:8", "security.psl:9")
    bad = module.decide(put(7))
    assert (bad.granted, bad.rule, bad.tried) == (False, "security.psl:8", ("security.psl:6", "security.psl:8"))
    assert bad.reason == "`message.level < 5` is false: `message.level` is 7"
    assert module.decide(put(3)).reason == "`message.level == 3` is true: `message.level` is 3"
    assert module.decide(put(3)) == module.decide(put(3))


def test_a_lone_deny_that_is_false_grants(engine, put):
    assert engine("request { deny (false) }").decide(put()).reason == "granted by the one rule for it"
    assert engine("request { deny () }").decide(put()).reason == "`deny` stands here without condition"


def test_a_note_explains_a_denial(engine, put):
    text = """request method=Put {
        // I-1: levels stay low
        assert (message.level + src_sid < 9 && !(message.level == 8)) // see M. Ohm
    }"""
    verdict = engine(text).decide(put(4))
    assert verdict.reason == (
        "I-1: levels stay low see M. Ohm (`message.level + src_sid < 9 && !(message.level == 8)` is false: "
        "`message.level` is 4, `src_sid` is 5)"
    )
    long = " && ".join(["true"] * 30)
    assert "…` is false" in engine(f"request {{ assert ({long} && false) }}").decide(put()).reason


@pytest.mark.parametrize(
    ("expression", "granted"),
    [
        ("message.rpm == 5", True),
        ("message.rpm != 5", False),
        ("message.rpm < 6", True),
        ("message.rpm <= 4", False),
        ("message.rpm > 4", True),
        ("message.rpm >= 6", False),
        ("message.rpm * 2 + 1 - 3 == 8", True),
        ("message.rpm == 0x5 && true", True),
        ("false || message.rpm == 5", True),
        ("false || false", False),
        ("true && false", False),
        ("false ==> false", True),
        ("true ==> false", False),
        ("true ==> true", True),
        ("!false", True),
        ("true == (1 < 2)", True),
        ("true != (1 < 2)", False),
        ("message.head.kind == 2", True),
        ("message.bits.[2] == 9", True),
        ("message.heads.[0].code == -1", True),
        ("src_sid == 5 && dst_sid == 6", True),
        ("message.rpm == -1", False),
        ("false && message.heads.[1].code == 1", False),
    ],
)
def test_expressions(engine, set_event, expression, granted):
    event = set_event(
        rpm=5, big=2**64 - 1, head={"kind": 2, "code": 1}, bits=[7, 8, 9], heads=[{"kind": 1, "code": -1}], text="x"
    )
    assert engine(f"request method=Set {{ assert ({expression}) }}").decide(event).granted == granted


def test_what_cannot_be_computed_is_denied(engine, set_event):
    event = set_event(rpm=5, big=2**64 - 1, heads=[])
    for expression, why in [
        ("message.heads.[1].code == 1", "the message has 0 items where item 1 is asked for"),
        ("message.big + 1 > 0", "the result of `+` does not fit 64 bits"),
        ("message.head.kind == 1", "KeyError: 'head'"),
    ]:
        verdict = engine(f"request method=Set {{ deny ({expression}) }}").decide(event)
        assert (verdict.granted, verdict.rule) == (False, "engine")
        assert verdict.reason == f"error while deciding: {why}"


def test_time_does_not_run_backwards(engine, put):
    module = engine("request { grant () }")
    assert module.decide(put(at_ns=5)).granted
    assert module.decide(put(at_ns=5)).granted
    verdict = module.decide(put(at_ns=4))
    assert (verdict.granted, verdict.rule, verdict.reason) == (False, "engine", "time ran backwards: 4 ns after 5 ns")


def test_a_set_of_points_is_met_or_covered(engine, write, put):
    text = 'policy object s : PointSet { config = ["a", "b"] } policy object n : PointSet { config = [1, 2] }'
    meets = engine(f"{text} request method=Write {{ assert (s.meets {{ points : message.tags }}) }}")
    covers = engine(f"{text} request method=Write {{ assert (s.covers {{ points : message.tags }}) }}")
    for tags, some, every in [([], False, True), (["a"], True, True), (["a", "c"], True, False), (["c"], False, False)]:
        assert meets.decide(write(tags)).granted == some
        assert covers.decide(write(tags)).granted == every
    for word in ("meets", "covers"):
        single = engine(f"{text} request method=Put {{ assert (n.{word} {{ points : message.level }}) }}")
        assert [single.decide(put(level)).granted for level in (0, 1, 2, 3)] == [False, True, True, False]
    listed = engine(f'{text} request {{ assert (s.covers {{ points : ["a", "b"] }}) }}')
    assert listed.decide(put()).granted
    assert meets.decide(write(["c"])).reason == "`s.meets` is false"


class TestFlow:
    def test_an_automaton_goes_its_way(self, engine, put):
        module = engine(
            FLOW
            + """execute { life.init { sid : dst_sid } }
            request method=Put { life.enter { sid : dst_sid, state : "armed" }
                                 life.allow { sid : dst_sid, states : ["armed"] } }
            response { life.enter { sid : src_sid, state : "fired" } }
            error { life.fini { sid : src_sid } }"""
        )
        begin = dataclasses.replace(start(), dst_sid=6)
        back = Event("response", 0, 6, 5, "lab.Driver", "lab.Client", "valve.log", "Put")
        failed = dataclasses.replace(back, kind="error")
        steps = [
            (put(), "`life`: subject 6 has not begun"),
            (failed, "`life`: subject 6 has not begun"),
            (begin, None),
            (begin, "`life`: subject 6 has begun already"),
            (back, "`life`: subject 6 cannot go from `new` to `fired`"),
            (put(), None),
            (put(), None),
            (back, None),
            (back, "`life`: subject 6 cannot go from `fired` to `fired`"),
            (failed, None),
            (begin, None),
        ]
        for event, why in steps:
            verdict = module.decide(event)
            assert (verdict.granted, None if verdict.granted else verdict.reason) == (why is None, why)

    def test_the_state_is_asked_for(self, engine):
        text = (
            FLOW + 'execute { life.init { sid : dst_sid } life.allow { sid : dst_sid, states : ["armed", "fired"] } }'
        )
        assert engine(text).decide(start()).reason == "`life`: subject 9 is in `new`, not in armed or fired"
        text = FLOW + 'execute { life.allow { sid : dst_sid, states : ["new"] } }'
        assert engine(text).decide(start()).reason == "`life`: subject 9 has not begun"

    @settings(deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["init", "fini", "new", "armed", "fired"])), max_size=30)
    )
    def test_it_agrees_with_a_plain_table(self, engine, steps):
        module = engine(
            FLOW
            + """execute dst=lab.Driver { life.init { sid : dst_sid } }
            execute dst=lab.Client { life.fini { sid : dst_sid } }
            execute dst=Einit { life.enter { sid : dst_sid, state : "new" } }
            request method=Put { life.enter { sid : dst_sid, state : "armed" } }
            request method=Write { life.enter { sid : dst_sid, state : "fired" } }"""
        )
        states: dict[int, str] = {}
        following = {"new": ["armed"], "armed": ["armed", "fired"], "fired": []}
        for sid, step in steps:
            granted = (sid in states) != (step == "init")
            if step not in ("init", "fini"):
                granted = sid in states and step in following[states[sid]]
            assert module.decide(flow_event(step, sid)).granted == granted
            if granted and step == "fini":
                del states[sid]
            elif granted:
                states[sid] = "new" if step == "init" else step
            assert module.snapshot()["objects"]["life"] == [[key, states[key]] for key in sorted(states)]


def flow_event(step, sid):
    if step == "armed":
        return Event("request", 0, 5, sid, "lab.Client", "lab.Driver", "valve.log", "Put", {"session": 1, "level": 0})
    if step == "fired":
        return Event("request", 0, 5, sid, "lab.Client", "lab.Driver", "outputs", "Write", {})
    return Event("execute", 0, 2, sid, "Einit", {"init": "lab.Driver", "fini": "lab.Client", "new": "Einit"}[step])


EFFECTS = (
    FLOW
    + """policy object minute : Budget { config = { limit : 100, window_ms : 10, max_age_ms : 4, weighs : {
            "A.open" : { by : "A.P", at_least : 20, until : "A.closed" } } } }
        execute dst=lab.Driver { life.init { sid : dst_sid } deny (src_sid == 3) }
        execute dst=lab.Client { life.fini { sid : dst_sid } life.init { sid : dst_sid } deny (src_sid == 3) }
        request method=Write { life.enter { sid : src_sid, state : "armed" } deny (message.session == 1)
            minute.spend { points : message.tags, values : message.values } deny (message.session == 2) }
        request method=Set { life.enter { sid : src_sid, state : "armed" } assert (message.head.kind == 1) }
        security { minute.observe { points : message.tags, values : message.values, quality : message.quality }
            deny (src_sid == 3) }"""
)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["driver", "client", "write", "set", "report"]),
            st.integers(1, 3),
            st.integers(1, 3),
            st.integers(0, 2_000_000),
        ),
        max_size=30,
    )
)
def test_a_denied_event_leaves_no_effect(engine, steps):
    module, now = engine(EFFECTS), 0
    for what, sid, session, wait in steps:
        now += wait
        event = {
            "driver": Event("execute", now, sid, session, "Einit", "lab.Driver"),
            "client": Event("execute", now, sid, session, "Einit", "lab.Client"),
            "write": Event(
                "request",
                now,
                sid,
                6,
                "lab.Client",
                "lab.Driver",
                "outputs",
                "Write",
                {"tags": ["A.open"], "values": [1], "session": session},
            ),
            "set": Event("request", now, sid, 6, "lab.Client", "lab.Driver", "outputs", "Set", {}),
            "report": Event(
                "security",
                now,
                sid,
                None,
                "lab.Driver",
                None,
                "",
                "Report",
                {"tags": ["A.P", "A.closed"], "values": [session * 10, session % 2], "quality": [0, 0]},
            ),
        }[what]
        before = json.dumps(module.snapshot()["objects"])
        verdict = module.decide(event)
        if not verdict.granted:
            assert json.dumps(module.snapshot()["objects"]) == before
        if what == "set":
            assert not verdict.granted


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(RULES := ["grant ()", "deny ()", "deny (message.level == 1)", "assert (message.level < 3)"]),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(RULES),
    st.integers(0, 4),
)
def test_a_further_rule_never_grants_more(engine, put, rules, more, level):
    text = f"request method=Put {{ {' '.join(rules)} }}"
    truth = {"grant ()": True, "deny ()": False, "deny (message.level == 1)": level != 1}
    granted = engine(text).decide(put(level)).granted
    assert granted == all(truth.get(rule, level < 3) for rule in rules)
    for further in (f"{text} request {{ match method=Put {{ {more} }} }}", f"request method=Put {{ {more} }} {text}"):
        assert granted or not engine(further).decide(put(level)).granted


def test_a_snapshot_goes_on_where_it_was_taken(engine, load, write, report):
    policy = load(EFFECTS)
    first, second = Engine(policy), Engine(policy)
    for event in (start(), report([("A.P", 30, 0), ("A.closed", 0, 0)], 5)):
        first.decide(event)
    begin = Event("execute", 6, 2, 5, "Einit", "lab.Driver")
    first.decide(begin)
    assert first.decide(write(["A.open"], at_ns=7)).granted
    second.restore(json.loads(json.dumps(first.snapshot())))
    assert second.snapshot() == first.snapshot()
    assert second.decide(write(["A.open"], at_ns=6)).reason == "time ran backwards: 6 ns after 7 ns"
    for module in (first, second):
        assert module.decide(write(["A.open"], at_ns=8)).granted
    assert second.snapshot() == first.snapshot()
    with pytest.raises(ValueError, match="belongs to a policy with other objects"):
        engine("").restore(first.snapshot())


def test_two_engines_of_one_policy_share_nothing(load):
    policy = load(FLOW + "execute { life.init { sid : dst_sid } }")
    first, second = Engine(policy), Engine(policy)
    assert first.decide(start()).granted
    assert second.decide(start()).granted
    assert not first.decide(start()).granted
