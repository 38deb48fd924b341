"""The built back end beside the plain one: random rules, random messages, every answer and state the same."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secureos.policy import Engine, Event, compile_policy, native
from secureos.xdl import Catalogue
from secureos.xdl.source import source_from_text

built = pytest.importorskip("secureos.policy.native._decisions", reason="the back end was not built")

FILES = {
    "n/Act.idl": "package n.Act\ninterface { Set(in SInt32 a, in UInt64 b, in UInt8 c, in SInt64 d, in string<4> s); }",
    "n/Panel.edl": "task class n.Panel",
    "n/Drive.edl": "task class n.Drive\nendpoints { act : n.Act }",
}
HEAD = """execute: kl.core.Execute
use EDL kl.core.Core
use EDL Einit
use EDL n.Panel
use EDL n.Drive
policy object life : Flow { type State = "off" | "on" | "run" config = { states : ["off", "on", "run"],
    initial : "off", transitions : { "off" : ["on"], "on" : ["on", "run"], "run" : ["off"] } } }
policy object still : Flow { type State = "on" config = { states : ["on"], initial : "on",
    transitions : { "on" : ["on"] } } }
policy object pace : Rate { config = { count : 1, per_ms : 2, burst : 3, subjects : 2 } }
policy object mic : Mic { config = ["LOW", "MID", "HIGH"] }
policy object sorted : Mic { config = { degrees : ["LOW", "HIGH"], categories : ["x", "y"] } }
policy object some : PointSet { config = [1, 2, 5, 18446744073709551615] }
policy object tank : Envelope { config = { max_age_ms : 9,
    ranges : { "v" : { low : -3, high : 5 }, "w" : { low : 0, high : 9 } },
    slopes : { "s" : { rise : 1, fall : 1, per_ms : 1 } } } }
execute dst=n.Drive {
    life.init { sid : dst_sid } still.init { sid : dst_sid }
    mic.execute { image : (), target : dst_sid, level : "MID", levelR : "LOW" }
    sorted.execute { image : (), target : dst_sid, level : { degree : "LOW", categories : ["x"] }, levelR : () }
}
execute dst=n.Panel {
    mic.execute { image : (), target : dst_sid, level : "HIGH", levelR : "LOW" }
    sorted.execute { image : (), target : dst_sid, level : { degree : "HIGH", categories : ["x", "y"] }, levelR : () }
}
"""
EDGES = (0, 1, 2, 4, 5, 6, 255, 2**31 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -1, -3, -(2**31), -(2**63))
SIDS = ("src_sid", "dst_sid", "message.a", "message.b")


class Sly(int):
    """An int that lies."""

    def __eq__(self, _other):
        return True

    def __ge__(self, _other):
        raise ValueError

    __hash__ = int.__hash__


fields = st.sampled_from(["message.a", "message.b", "message.c", "message.d", "src_sid", "dst_sid"])
constants = st.sampled_from(EDGES).map(str)
numbers = st.recursive(
    fields | constants,
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*&|"), inner),
    max_leaves=4,
)
leaves = st.one_of(
    st.builds("{} {} {}".format, numbers, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), numbers).map(
        "({})".format
    ),
    st.sampled_from(
        ["true", "false", "(true == false)", "bool.all []", "bool.any []", 're.match {text: message.s, pattern: "a*"}']
    ),
    st.builds("some.{} {{points : {}}}".format, st.sampled_from(["meets", "covers"]), fields),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map("!({})".format),
        st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||", "==>"]), inner),
        st.builds("bool.{} [{}, {}]".format, st.sampled_from(["all", "any"]), inner, inner),
        st.builds("bool.cond {{if : {}, then : {}, else : {}}}".format, inner, inner, inner),
    ),
    max_leaves=6,
)
sids = st.sampled_from(SIDS)
rules = st.one_of(
    st.just("grant ()"),
    st.just("deny ()"),
    conditions.map("assert ({})".format),
    conditions.map("deny ({})".format),
    st.builds("life.enter {{sid : {}, state : \"{}\"}}".format, sids, st.sampled_from(["on", "run", "off"])),
    st.builds("still.enter {{sid : {}, state : \"on\"}}".format, sids),
    st.builds("life.allow {{sid : {}, states : [\"on\", \"{}\"]}}".format, sids, st.sampled_from(["off", "run"])),
    st.builds("pace.take {{sid : {}, n : {}}}".format, sids, st.sampled_from(["0", "1", "2", "message.c", "-1"])),
    st.builds(
        "{}.{} {{source : {}, target : {}}}".format,
        st.sampled_from(["mic", "sorted"]), st.sampled_from(["call", "invoke", "read", "write"]), sids, sids,
    ),
    st.builds(
        "tank.admit {{points : [\"v\", \"{}\"], values : [{}, {}]}}".format, st.sampled_from("wvsx"), numbers, numbers
    ),
)  # fmt: skip
values = st.one_of(
    st.sampled_from(EDGES),
    st.integers(-9, 9),
    st.sampled_from([True, False, None, 1.0, 2.5, float("nan"), "1", [1], Sly(3), 2**70, -(2**70)]),
)
messages = st.tuples(
    st.integers(0, 3), st.sampled_from([5, 6, 5, 6, 7, True, None, 2**64]), values, values, values, values
)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("native")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return Catalogue([folder])


def made(policy, name):
    """An engine of that back end with both tasks begun, and its decision function."""
    native.use(name)
    engine = Engine(policy)
    for sid, task in ((5, "n.Panel"), (6, "n.Drive")):
        assert engine.decide(Event("execute", 0, 2, sid, "Einit", task)).granted
    return engine, engine._table.function(("request", "n.Panel", "n.Drive", "act", "Set"))


def told(function, arguments):
    try:
        return function(*arguments)
    except TypeError as failure:
        return str(failure)


def state(engine):
    """What the objects hold, whatever the subjects are: odd ones cannot be sorted, so there is no snapshot of them."""
    life, still, pace, mic = (engine._objects[name] for name in ("life", "still", "pace", "mic"))
    return [sorted(map(repr, held.items())) for held in (life._state, still._state, pace.arrival_ns, mic.level)]


def sent(policy, asked):
    """Hold both back ends against each other; whether the built one was in force at all."""
    plain, plainly = made(policy, "python")
    quick, quickly = made(policy, "native")
    for number, (later_ms, src, *sending) in enumerate(asked):
        assert plain.advance(number * 3_000_000 + later_ms) == quick.advance(number * 3_000_000 + later_ms)
        arguments = (src, 6, *sending, "aa")
        assert told(plainly, arguments) == told(quickly, arguments), arguments
        assert state(plain) == state(quick)
        short = arguments[: later_ms * 3]
        assert told(plainly, short) == told(quickly, short)
    return isinstance(quickly, built.Decision)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(rules, min_size=1, max_size=6), sendings=st.lists(messages, min_size=1, max_size=12))
def test_any_rules_decide_the_same(catalogue, asked, sendings):
    text = f"{HEAD}request dst=n.Drive {{ {' '.join(asked)} }}"
    sent(compile_policy(source_from_text(text, name="a.psl"), catalogue), sendings)


@pytest.mark.parametrize(
    ("rule", "quick"),
    [
        ("grant ()", True),
        ("deny ()", True),
        ("assert (message.a + 3 * message.c < 9 - message.d)", True),
        ("assert (3 < 4)", True),
        ("assert (18446744073709551615 > message.b)", False),  # a constant beyond the sign
        ("assert (" + " + ".join(["message.a"] * 40) + " < 9)", False),  # too deep, and too many on the way
        ("assert (bool.all [" + ", ".join(["message.a < 2000"] * 1100) + "])", False),  # too many constants
        ("assert (" + "!(" * 30 + "true" + ")" * 30 + ")", False),
        ("assert ((1 < 2) == (message.a < 2))", False),
        (
            "assert ((message.a < 2 ==> message.c == 5) && bool.cond {if : message.a > 1, then : true, else : false})",
            True,
        ),
        ("assert (4 <= message.c || !(message.a != 1))", True),
        ("tank.admit {points : [message.s], values : [message.a]}", False),
        ('assert (re.match {text : message.s, pattern : "a*"})', False),
        ("assert (~message.c == 3)", False),
        ("assert (some.meets {points : message.c})", True),
        ("assert (some.meets {points : [message.c]})", False),
        ("assert (pred.empty (message.s))", False),
        ('life.enter {sid : src_sid, state : "on"}', True),
        ('life.enter {sid : src_sid + 1, state : "on"}', False),
        ('life.enter {sid : src_sid, state : "on"} life.allow {sid : src_sid, states : ["on"]}', False),
        ('still.enter {sid : dst_sid, state : "on"} still.allow {sid : dst_sid, states : ["on"]}', True),
        ("pace.take {sid : src_sid, n : 1}", True),
        ("pace.take {sid : src_sid, n : message.c}", False),
        ("mic.call {source : src_sid, target : dst_sid}", True),
        ("sorted.write {source : src_sid, target : dst_sid}", True),
        ('tank.admit {points : ["v", "w"], values : [message.a, message.c + 1]}', True),
        ('tank.admit {points : ["x", "v"], values : [message.a, message.c]}', True),
        ('tank.admit {points : ["s"], values : [message.a]}', False),
    ],
)
def test_what_the_built_back_end_takes(catalogue, rule, quick):
    policy = compile_policy(source_from_text(f"{HEAD}request dst=n.Drive {{ {rule} }}", name="a.psl"), catalogue)
    sendings = [(0, src, a, 4, c, 0) for src in (5, 6, 7) for a in (-4, -3, 1, 5, 6) for c in (0, 5, 8, 9, 2**63)]
    assert sent(policy, sendings) is quick
