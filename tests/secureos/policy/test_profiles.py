from __future__ import annotations

import pytest

from secureos.policy import Event, PolicyError
from secureos.policy.compile import compile_bindings
from secureos.policy.profiles import AuditRow

LIFE = """policy object life : Flow { type State = "new" | "closed"
    config = { states : ["new", "closed"], initial : "new", transitions : { } } }
policy object words : Regex { }
"""


def test_profiles_are_read_and_one_of_them_is_the_default(load):
    policy = load(
        LIFE
        + """audit default = trace 2
        audit profile trace = {
            0 : {},
            1 : { base : { kss : ["denied"] }, },
            2 : { life : { kss : ["granted", "denied"], omit : ["closed"] }, words : { emit : ["match"] } },
            3 : { words : { kss : [] }, re : { } }
        }
        request method=Set { assert (re.match { text : message.text, pattern : "a" }) }"""
    )
    assert (policy.default_profile, policy.default_level) == ("trace", 2)
    assert policy.profiles["empty"] == {}
    assert policy.profiles["trace"] == {
        0: {},
        1: {"base": AuditRow(granted=False, denied=True)},
        2: {
            "life": AuditRow(granted=True, denied=True, omit=frozenset({"closed"})),
            "words": AuditRow(granted=False, denied=False, emit=frozenset({"match"})),
        },
        3: {
            "words": AuditRow(granted=False, denied=False, emit=frozenset({"match", "select"})),
            "re": AuditRow(granted=False, denied=False, emit=frozenset({"match", "select"})),
        },
    }


def test_without_profiles_nothing_is_asked_for(load):
    policy = load("request { grant () }")
    assert (policy.default_profile, policy.default_level, policy.profiles) == ("empty", 0, {"empty": {}})


def test_the_inner_profile_overrides_the_outer(load):
    policy = load(
        """audit profile a = { } audit profile b = { }
        request { audit a grant () match method=Put { audit b grant () } match method=Set { grant ()
            choice (message.rpm) { 1 : { audit b grant () } _ : grant () } } }
        error { grant () }"""
    )
    objects = {name: make() for name, make in policy.objects.items()}
    rules = compile_bindings(policy.bindings, policy.classes, objects)
    assert [rule.profile for rule in rules] == ["a", "b", "a", "a", None]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("audit profile p = { x : {} }", "an audit level is a number from 0 to 255, not `x`"),
        ("audit profile p = { 256 : {} }", "an audit level is a number from 0 to 255, not `256`"),
        ("audit profile p = { -1 : {} }", "an audit level is a number from 0 to 255, not `-1`"),
        ("audit profile p = { 1 : {}, 1 : {} }", "level 1 is given twice"),
        ("audit profile p = { 1 : [] }", "a dictionary `{…}` is due here"),
        ("audit profile p = { 1 : { bas : {} } }", "unknown object `bas`; did you mean `base`?"),
        ("audit profile p = { 1 : { base : {}, base : {} } }", "object `base` is given twice"),
        ("audit profile p = { 1 : { math : {} } }", "`math` is a Math, whose expressions are never audited"),
        ("audit profile p = { 1 : { base : { emit : [] } } }", "the audit of a Base has no `emit`"),
        (
            "audit profile p = { 1 : { base : { ksss : [] } } }",
            "the audit of a Base has no `ksss`; did you mean `kss`?",
        ),
        ("audit profile p = { 1 : { base : { kss : [], kss : [] } } }", "`kss` is given twice"),
        ("audit profile p = { 1 : { base : { kss : 1 } } }", "a list `[…]` of texts is due here"),
        ("audit profile p = { 1 : { base : { kss : [1] } } }", "a text is due here"),
        (
            'audit profile p = { 1 : { base : { kss : ["deny"] } } }',
            "`deny` is none of granted, denied; did you mean `denied`?",
        ),
        (
            'audit profile p = { 1 : { words : { emit : ["mach"] } } }',
            "`mach` is none of match, select; did you mean `match`?",
        ),
        ("audit profile empty = { }", "audit profile `empty` is declared already"),
        ("audit profile p = { } audit profile p = { }", "audit profile `p` is declared already"),
        ("audit profile p = { } audit default = q 1", "unknown audit profile `q`"),
        ("audit default = empty 300", "an audit level is a number from 0 to 255"),
        ("audit default = empty 1 audit default = empty 1", "the default is given in security.psl:9 already"),
        (
            "audit profile prof = { } request { audit pro grant () }",
            "unknown audit profile `pro`; did you mean `prof`?",
        ),
        ("request { audit empty audit empty grant () }", "a section has at most one audit profile"),
    ],
)
def test_mistakes_are_told(load, text, wrong):
    with pytest.raises(PolicyError) as caught:
        load(LIFE + text)
    assert [diagnostic.message for diagnostic in caught.value.diagnostics] == [wrong]


def test_a_choice_is_followed_at_the_level_that_the_event_leaves(engine):
    asked = engine(
        LIFE
        + """audit default = trace 0
        audit profile trace = { 0 : {}, 1 : { life : { kss : ["granted"] } } }
        request dst=lab.Driver endpoint=valve.log method=Put {
            choice (message.level) { 1 : life.init { sid : src_sid } _ : grant () }
            set_level (1) }"""
    )

    def put(level):
        names = ("lab.Client", "lab.Driver", "valve.log", "Put")
        return asked.decide(Event("request", 0, 1, 2, *names, {"session": 0, "level": level}))

    assert asked.snapshot()["objects"]["base"] == 0
    assert put(1).audited
    assert asked.snapshot()["objects"]["base"] == 1
    assert not put(2).audited
