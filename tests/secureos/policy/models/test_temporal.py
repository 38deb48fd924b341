from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy.models import Incorrect
from secureos.policy.models.formula import parse_formula

MS = 1_000_000
ATOMS = ("p", "q", "r")


def declare(formulas='"f" : "once p"', atoms='"p", "q", "r"', max_age_ms=10):
    config = f"atoms : [{atoms}], formulas : {{ {formulas} }}, max_age_ms : {max_age_ms}"
    return f"policy object t : Temporal {{ config = {{ {config} }} }}"


BOUND = st.sampled_from(["", "within 0 ms ", "within 3 ms ", "within 8 ms "])
FORMULAS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: (
        st.tuples(st.sampled_from(["!", "previously "]), inner).map("({0[0]}{0[1]})".format)
        | st.tuples(st.sampled_from(["once ", "historically "]), BOUND, inner).map("({0[0]}{0[1]}{0[2]})".format)
        | st.tuples(st.sampled_from(["0", "3", "8"]), inner).map("(lasting {0[0]} ms {0[1]})".format)
        | st.tuples(inner, st.sampled_from(["&&", "||", "==>"]), inner).map("({0[0]} {0[1]} {0[2]})".format)
        | st.tuples(inner, BOUND, inner).map("({0[0]} since {0[1]}{0[2]})".format)
    ),
    max_leaves=6,
)
STEPS = st.lists(st.tuples(st.sampled_from([0, 1, 2, 4, 12]), st.tuples(*[st.booleans()] * 3)), min_size=1, max_size=10)


def holds(part, trace, number, now):
    """The meaning of a formula at a step of the trace, in so many words; times are measured from `now`."""
    steps = range(number + 1)

    def at(index, inner):
        return holds(inner, trace, index, trace[index][0])

    def recent(index):
        return part.within_ns is None or now - trace[index][0] <= part.within_ns

    match part.sign:
        case "atom":
            return trace[number][1][ATOMS.index(part.name)]
        case "!":
            return not holds(part.parts[0], trace, number, now)
        case "&&":
            return all(holds(each, trace, number, now) for each in part.parts)
        case "||":
            return any(holds(each, trace, number, now) for each in part.parts)
        case "==>":
            return not holds(part.parts[0], trace, number, now) or holds(part.parts[1], trace, number, now)
        case "previously":
            return number > 0 and at(number - 1, part.parts[0])
        case "once":
            return any(at(index, part.parts[0]) for index in steps if recent(index))
        case "historically":
            return all(at(index, part.parts[0]) for index in steps if recent(index))
        case "since":
            left, right = part.parts
            return any(
                at(index, right) and all(at(later, left) for later in range(index + 1, number + 1))
                for index in steps
                if recent(index)
            )
    whole = [
        index
        for index in steps
        if all(at(later, part.parts[0]) for later in range(index, number + 1))
        and all(trace[later][0] - trace[later - 1][0] <= 10 * MS for later in range(index + 1, number + 1))
    ]
    return any(now - trace[index][0] >= part.within_ns for index in whole)


@given(st.lists(FORMULAS, min_size=1, max_size=3), STEPS, st.integers(0, 10))
@settings(max_examples=200, deadline=None)
def test_it_agrees_with_the_meaning(lab, formulas, steps, later):
    rows = ", ".join(f'"f{number}" : "{text}"' for number, text in enumerate(formulas))
    real, trace, now = lab(declare(rows)), [], 0
    for wait, atoms in steps:
        now += wait * MS
        trace.append((now, atoms))
        assert real.ask("step", now, **dict(zip(ATOMS, atoms, strict=True))) is None
        for at in (now, now + later * MS):
            for number, text in enumerate(formulas):
                truth = holds(parse_formula(text, ATOMS), trace, len(trace) - 1, at)
                assert real.value("holds", at, formula=f"f{number}") == truth, text
                assert (real.ask("require", at, formula=f"f{number}") is None) == truth


def test_what_is_not_known_is_not_granted(lab):
    real = lab(declare())
    assert real.ask("require", formula="f") == "`t`: there was no step yet"
    with pytest.raises(Incorrect, match="there was no step yet"):
        real.value("holds", formula="f")
    real.ask("step", 0, p=False, q=False, r=False)
    assert real.ask("require", 10 * MS, formula="f") == "`t`: `f` is not true"
    real.ask("step", 10 * MS, p=True, q=False, r=False)
    assert real.ask("require", 20 * MS, formula="f") is None
    stale = "`t`: the last step was 10 ms ago, at most 10 ms are allowed"
    assert real.ask("require", 20 * MS + 1, formula="f") == stale
    with pytest.raises(Incorrect, match=stale):
        real.value("holds", 20 * MS + 1, formula="f")


def shown(part):
    if part.sign == "atom":
        return part.name
    bound = "" if part.within_ns is None else f" {part.within_ns // MS}"
    return f"({part.sign}{bound} {' '.join(map(shown, part.parts))})"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("p==>q==>r", "(==> p (==> q r))"),
        ("p || q && r || !p", "(|| p (&& q r) (! p))"),
        ("p && q since r && p", "(&& p (since q r) p)"),
        ("once !p since within 2 s q", "(since 2000 (once (! p)) q)"),
        ("(p since q) since r", "(since (since p q) r)"),
        ("once within 5 min p", "(once 300000 p)"),
        ("historically within 1 h p", "(historically 3600000 p)"),
        ("lasting 7 ms previously p", "(lasting 7 (previously p))"),
        ("  p  ", "p"),
    ],
)
def test_precedence(text, meaning):
    assert shown(parse_formula(text, ATOMS)) == meaning


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "unexpected the end; expected a name"),
        ("p q", "unexpected `q`; expected `&&`, `||`, `==>`, `since` or the end"),
        ("(p", "unexpected the end; expected `)`"),
        ("p & q", "`&` has no meaning in a formula"),
        ("once within p", "unexpected `p`; expected a time, e.g. `5 s` (`ms`, `s`, `min`, `h`)"),
        ("once within 5 p", "unexpected `5`; expected a time"),
        ("once within 5", "unexpected `5`; expected a time"),
        ("lasting p", "unexpected `p`; expected a time"),
        ("lasting", "unexpected the end; expected a time"),
        ("once within 721 h p", "721 h is longer than 30 days"),
        ("once within 999999999999999 h p", "is longer than 30 days"),
        ("p since q since r", "`since` does not chain; put brackets around one of them"),
        ("once", "unexpected the end; expected a name"),
        ("since", "unexpected `since`; expected a name"),
        ("5", "unexpected `5`; expected a name"),
        ("pp", "unknown atom `pp`; did you mean `p`?"),
        ("!" * 60 + "p", "a formula nests at most 50 deep"),
        ("(" * 60 + "p", "a formula nests at most 50 deep"),
        ("p ==> " * 60 + "p", "a formula nests at most 50 deep"),
        ("p" * 2001, "a formula has at most 2000 characters, this one has 2001"),
    ],
)
def test_what_is_no_formula_is_told(text, wrong):
    with pytest.raises(ValueError, match=re.escape(wrong)):
        parse_formula(text, ATOMS)


def test_a_long_formula_can_be_computed(lab):
    text = " || ".join(["p"] * 400)
    real = lab(declare(f'"f" : "{text}"'))
    real.ask("step", p=True, q=False, r=False)
    assert real.value("holds", formula="f") is True


@given(st.lists(st.sampled_from([*"pqr!()&|=> 5s", "once ", "since "]), max_size=12).map("".join))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_formula_or_told_not_to_be(mistakes, text):
    assert len(mistakes(declare(f'"f" : "{text}"'))) <= 1


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (declare('"f" : "once x"'), "unknown atom `x`"),
        (declare('"f" : 5'), "a text that is not empty is due here"),
        (declare(atoms=""), "there are 1 to 64 atoms, not 0"),
        (declare(", ".join(f'"f{n}" : "p"' for n in range(65))), "there are at most 64 formulas, not 65"),
        (declare(max_age_ms=0), "0 is outside 1 to 2592000000"),
        (declare(atoms='"p", "p"'), "`p` is listed twice"),
    ],
)
def test_mistakes_are_told(mistakes, text, wrong):
    assert wrong in "\n".join(mistakes(text))
