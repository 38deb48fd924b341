from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy.models import Incorrect
from secureos.policy.values import LiteralType

ALLOW = '"a" : { "a" : ["r", "w"], "b" : ["r"] }, "b" : { "c" : ["x"] }'


def declare(types='"a", "b", "c"', allow=ALLOW, more='transitions : { "a" : ["b"], "b" : ["c", "b"] }'):
    config = f"types : [{types}], allow : {{ {allow} }}" + (f", {more}" if more else "")
    return f"policy object t : TypeEnforcement {{ config = {{ {config} }} }}"


ALLOWED = {("a", "a", "r"), ("a", "a", "w"), ("a", "b", "r"), ("b", "c", "x")}
NEXT = {("a", "b"), ("b", "c"), ("b", "b")}
SIDS, TYPES = st.integers(1, 3), st.sampled_from("abc")
STEPS = st.lists(
    st.tuples(st.sampled_from(["label", "transition"]), SIDS, TYPES)
    | st.tuples(st.just("unlabel"), SIDS)
    | st.tuples(st.just("check"), SIDS, SIDS, st.sampled_from("rwxy")),
    min_size=10,
    max_size=30,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_a_plain_table(lab, steps):
    real, types = lab(declare()), {}
    for what, sid, *rest in steps:
        if what == "check":
            other, permission = rest
            named = {"source": sid, "target": other, "permission": permission}
            known = sid in types and other in types
            good = known and (types[sid], types[other], permission) in ALLOWED
            assert (real.ask("check", **named) is None) == good
            if known:
                assert real.value("allows", **named) == good
            else:
                with pytest.raises(Incorrect, match="has no type"):
                    real.value("allows", **named)
            continue
        before = types.get(sid)
        good = {
            "label": before is None,
            "unlabel": before is not None,
            "transition": (before, *rest) in NEXT,
        }[what]
        assert (real.ask(what, sid=sid, **({"type": rest[0]} if rest else {})) is None) == good
        if good:
            types[sid] = rest[0] if rest else None
            types = {each: kind for each, kind in types.items() if kind}
        assert real.snapshot() == [[each, types[each]] for each in sorted(types)]


def test_reasons_and_choices(lab, monkeypatch):
    real = lab(declare())
    assert real.ask("unlabel", sid=1) == "`t`: 1 has no type"
    assert real.ask("transition", sid=1, type="b") == "`t`: 1 has no type"
    assert real.ask("check", source=1, target=2, permission="r") == "`t`: 1 has no type"
    real.ask("label", sid=1, type="a")
    assert real.ask("check", source=1, target=2, permission="r") == "`t`: 2 has no type"
    assert real.ask("label", sid=1, type="b") == "`t`: 1 has the type `a` already"
    assert real.ask("transition", sid=1, type="c") == "`t`: 1 cannot go from type `a` to `c`"
    assert real.ask("check", source=1, target=1, permission="x") == "`t`: type `a` may not `x` type `a`"
    choose = real.model.expressions["type_of"].choose
    assert choose("a")(real.value("type_of", sid=1)) is True
    with pytest.raises(ValueError, match="`d` is no type; there are a, b, c"):
        choose("d")
    monkeypatch.setattr("secureos.policy.models.type_enforcement.MAX_LABELS", 1)
    assert real.ask("label", sid=2, type="a") == "`t`: 1 identifiers have a type already"


def test_permissions_in_the_policy_are_checked_at_load(lab, refuses):
    real = lab(declare())
    assert refuses(real, "check", "permission", LiteralType("r")) is None
    assert refuses(real, "check", "permission", LiteralType("y")) is not None
    assert refuses(real, "label", "type", LiteralType("d")) is not None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (declare(types='"a", "b"'), "unknown type `c`"),
        (declare(allow='"d" : { "a" : [] }'), "unknown type `d`"),
        (declare(more='never : { "a" : { "a" : ["w", "x"] } }'), "`a` may `w` `a`, which `never` forbids"),
        (declare(more='transitions : { "a" : ["d"] }'), "unknown type `d`"),
        (declare(more="evern : { }"), "unknown key `evern`; did you mean `never`?"),
        (declare(types='"a", "a", "b", "c"'), "`a` is listed twice"),
    ],
)
def test_mistakes_are_told(mistakes, text, wrong):
    assert wrong in "\n".join(mistakes(text))


def test_what_is_never_allowed_may_be_said_of_what_is_not(mistakes):
    assert mistakes(declare(more='never : { "c" : { "a" : ["w"] }, "a" : { "a" : ["x"] } }')) == []
