from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy.models import Incorrect

DECLARATION = """policy object f : Flow { type State = "a" | "b" | "c"
    config = { states : ["a", "b", "c"], initial : "a", transitions : { "a" : ["a", "b"], "b" : ["c", "a"] } } }"""
FOLLOWS = {"a": "ab", "b": "ca", "c": ""}
SIDS, STATES = st.integers(1, 3), st.sampled_from("abc")
STEPS = st.lists(
    st.tuples(st.sampled_from(["init", "fini"]), SIDS)
    | st.tuples(st.sampled_from(["enter", "enter", "allow"]), SIDS, STATES),
    min_size=10,
    max_size=30,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_a_plain_automaton(lab, steps):
    real, plain = lab(DECLARATION), {}
    for what, sid, *rest in steps:
        state = plain.get(sid)
        if what == "init":
            good = state is None
            after = "a"
        elif what == "enter":
            good = state is not None and rest[0] in FOLLOWS[state]
            after = rest[0]
        else:
            good = state is not None and (what == "fini" or state in (rest[0], "c"))
            after = None if what == "fini" else state
        arguments = {"enter": {"state": rest[0]}, "allow": {"states": [rest[0], "c"]}}.get(what, {}) if rest else {}
        assert (real.ask(what, sid=sid, **arguments) is None) == good
        if good:
            plain[sid] = after
            plain = {each: now for each, now in plain.items() if now is not None}
        assert real.snapshot() == [[each, plain[each]] for each in sorted(plain)]


def test_a_choice_is_made_on_states(lab):
    real = lab(DECLARATION)
    with pytest.raises(Incorrect, match="`f`: subject 1 has not begun"):
        real.value("query", sid=1)
    real.ask("init", sid=1)
    query = real.model.expressions["query"]
    assert query.choose("a")(real.value("query", sid=1)) is True
    assert query.choose("b")(real.value("query", sid=1)) is False
    with pytest.raises(ValueError, match="`d` is no state; there are a, b, c"):
        query.choose("d")


def test_reasons(lab, monkeypatch):
    real = lab(DECLARATION)
    assert real.ask("allow", sid=1, states=["a"]) == "`f`: subject 1 has not begun"
    assert real.ask("fini", sid=1) == "`f`: subject 1 has not begun"
    assert real.ask("enter", sid=1, state="b") == "`f`: subject 1 has not begun"
    real.ask("init", sid=1)
    assert real.ask("init", sid=1) == "`f`: subject 1 has begun already"
    assert real.ask("enter", sid=1, state="c") == "`f`: subject 1 cannot go from `a` to `c`"
    assert real.ask("allow", sid=1, states=["b", "c"]) == "`f`: subject 1 is in `a`, not in b or c"
    monkeypatch.setattr("secureos.policy.models.flow.MAX_SUBJECTS", 1)
    assert real.ask("init", sid=2) == "`f`: there are 1 automata already"


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ('initial : "a"', 'initial : "d"', "unknown state `d`"),
        ('"b" : [', '"d" : [', "unknown state `d`"),
        ('["c", "a"]', '["d"]', "unknown state `d`"),
        ('["a", "b", "c"]', '["a", "a", "b", "c"]', "`a` is listed twice"),
        ('= "a" |', "= 5 |", 'the states are texts: `"a" | "b"`'),
        ('"a" | "b" | "c"', "UInt8", 'the states are texts: `"a" | "b"`'),
        ('| "c"', "", "`type State` and `states` list different states"),
        ('type State = "a" | "b" | "c"', "", "`f` has no `type State`"),
        ('states : ["a", "b", "c"],', "", "key `states` is missing"),
    ],
)
def test_mistakes_are_told(mistakes, old, new, wrong):
    assert old in DECLARATION
    assert wrong in "\n".join(mistakes(DECLARATION.replace(old, new, 1)))
