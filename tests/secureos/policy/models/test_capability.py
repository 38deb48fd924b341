from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy.values import ListType, LiteralType
from secureos.xdl import IntegerType, SequenceType, StringType


def declare(rights='"r", "w", "x"', capacity=6):
    return f"policy object c : Capability {{ config = {{ rights : [{rights}], capacity : {capacity} }} }}"


WHO, THING = st.integers(1, 4), st.integers(7, 8)
RIGHTS = st.sets(st.sampled_from("rwx"), max_size=3).map(sorted)
STEPS = st.lists(
    st.tuples(st.sampled_from(["create", "revoke", "drop"]), WHO, THING)
    | st.tuples(st.just("require"), WHO, THING, RIGHTS)
    | st.tuples(st.just("grant"), WHO, WHO, THING, RIGHTS)
    | st.tuples(st.just("grant"), WHO, WHO, THING, RIGHTS),
    min_size=10,
    max_size=30,
)


class Plain:
    """Every capability as rights and the way by which they came."""

    def __init__(self):
        self.rights, self.way = {}, {}  # by object and holder

    def run(self, what, first, *rest):
        if what == "grant":
            return self.grant(first, *rest)
        thing, held = rest[0], (rest[0], first) in self.rights
        if what == "create":
            if any(one == thing for one, _ in self.rights) or len(self.rights) >= 6:
                return False
            self.rights[thing, first], self.way[thing, first] = set("rwx"), [first]
        elif what == "require":
            return held and set(rest[1]) <= self.rights[thing, first]
        elif held:
            for key, way in list(self.way.items()):
                if key[0] == thing and first in (way if what == "drop" else way[:-1]):
                    del self.rights[key], self.way[key]
        return held or what == "create"

    def grant(self, giver, taker, thing, rights):
        if not set(rights) <= self.rights.get((thing, giver), set()) or (thing, giver) not in self.rights:
            return False
        key = (thing, taker)
        if key in self.way:
            if self.way[key][-2:-1] != [giver]:
                return False
        elif len(self.rights) >= 6:
            return False
        self.way[key] = [*self.way[thing, giver], taker]
        self.rights.setdefault(key, set()).update(rights)
        return True


NAMES = {"grant": ("giver", "taker", "object", "rights"), "revoke": ("giver", "object")}


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_plain_ways(lab, steps):
    real, plain = lab(declare()), Plain()
    for what, *arguments in steps:
        names = NAMES.get(what, ("holder", "object", "rights"))
        named = dict(zip(names, arguments, strict=False))
        assert (real.ask(what, 0, **named) is None) == plain.run(what, *arguments)
        bits = {"r": 1, "w": 2, "x": 4}
        found = [[*key, sum(bits[right] for right in plain.rights[key])] for key in sorted(plain.rights)]
        assert [row[:3] for row in real.snapshot()] == found


def test_a_taker_never_has_more_than_the_giver(lab):
    real = lab(declare())
    real.ask("create", holder=1, object=7)
    assert real.ask("grant", giver=1, taker=2, object=7, rights=["r"]) is None
    assert real.ask("grant", giver=2, taker=3, object=7, rights=["r", "w"]) == "`c`: 2 has no right to w of 7"
    assert real.ask("grant", giver=1, taker=2, object=7, rights=0b010) is None
    assert real.value("holds", holder=2, object=7, rights=["r", "w"]) is True
    assert real.value("holds", holder=2, object=7, rights=0b111) is False
    assert real.value("holds", holder=9, object=7, rights=[]) is False


def test_a_mask_with_unknown_bits_is_denied(lab):
    real = lab(declare())
    real.ask("create", holder=1, object=7)
    assert real.ask("require", holder=1, object=7, rights=0b111) is None
    assert real.ask("require", holder=1, object=7, rights=0b1000) == "`c`: 1 has no right to what is asked of 7"
    assert real.ask("require", holder=1, object=7, rights=-1) is not None


def test_what_was_passed_on_is_taken_back_with_it(lab):
    real = lab(declare())
    real.ask("create", holder=1, object=7)
    real.ask("create", holder=1, object=8)
    for giver, taker in ((1, 2), (2, 3), (1, 4)):
        assert real.ask("grant", giver=giver, taker=taker, object=7, rights=["r"]) is None
    assert real.ask("drop", holder=2, object=7) is None
    assert [row[:2] for row in real.snapshot()] == [[7, 1], [7, 4], [8, 1]]
    assert real.ask("revoke", giver=1, object=7) is None
    assert [row[:2] for row in real.snapshot()] == [[7, 1], [8, 1]]


def test_reasons(lab):
    real = lab(declare(capacity=1))
    assert real.ask("require", holder=1, object=7, rights=["r"]) == "`c`: 1 holds no capability to 7"
    assert real.ask("revoke", giver=1, object=7) == "`c`: 1 holds no capability to 7"
    assert real.ask("drop", holder=1, object=7) == "`c`: 1 holds no capability to 7"
    real.ask("create", holder=1, object=7)
    assert real.ask("create", holder=2, object=7) == "`c`: object 7 is held already"
    assert real.ask("create", holder=2, object=8) == "`c`: there are 1 capabilities already"
    assert real.ask("grant", giver=1, taker=1, object=7, rights=["r"]) == (
        "`c`: 1 holds a capability to 7 already, not from 1"
    )


def test_rights_are_checked_at_load(lab, refuses):
    real, word = lab(declare()), IntegerType("UInt32", 0, 2**32 - 1)
    assert refuses(real, "require", "rights", ListType((LiteralType("r"), LiteralType("x")))) is None
    assert refuses(real, "require", "rights", word) is None
    for kind in (ListType((LiteralType("q"),)), LiteralType("r"), SequenceType(StringType(3), 3), StringType(3)):
        assert refuses(real, "require", "rights", kind) is not None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (declare(rights=""), "there are 1 to 32 rights, not 0"),
        (declare(rights=", ".join(f'"r{n}"' for n in range(33))), "there are 1 to 32 rights, not 33"),
        (declare(rights='"r", "r"'), "`r` is listed twice"),
        (declare(capacity=0), "0 is outside 1 to 65536"),
        ("policy object c : Capability { config = { } }", "key `rights` is missing"),
    ],
)
def test_mistakes_are_told(mistakes, text, wrong):
    assert wrong in mistakes(text)[0]
