from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy.models import Incorrect
from secureos.policy.values import ListType, LiteralType, RecordType, UnitType
from secureos.xdl import IntegerType

LINEAR = 'policy object mic : Mic { config = ["LOW", "MID", "HIGH"] }'
LATTICE = 'policy object mic : Mic { config = { degrees : ["LOW", "HIGH"], categories : ["a", "b"] } }'

LEVELS = st.builds(
    lambda degree, categories: {"degree": degree, "categories": sorted(categories)},
    st.sampled_from(["LOW", "HIGH"]),
    st.sets(st.sampled_from(["a", "b"])),
)
GIVEN = st.none() | LEVELS
SIDS = st.integers(1, 4)
CONTAINER = st.none() | SIDS
STEPS = st.lists(
    st.tuples(st.just("execute"), SIDS, CONTAINER, GIVEN, GIVEN)
    | st.tuples(st.sampled_from(["create", "upgrade"]), SIDS, SIDS, SIDS, CONTAINER, GIVEN)
    | st.tuples(st.just("delete"), SIDS, SIDS, SIDS, CONTAINER)
    | st.tuples(st.sampled_from(["call", "invoke", "read", "write"]), SIDS, SIDS),
    min_size=10,
    max_size=30,
)


def plain(level):
    return ({"LOW": 0, "HIGH": 1}[level["degree"]], frozenset(level["categories"]))


def within(one, other):
    return one[0] <= other[0] and one[1] <= other[1]


class Plain:
    """The rules of the model in so many words."""

    def __init__(self):
        self.level, self.receives = {}, {}

    def execute(self, target, image, level, receives):
        above = self.level.get(image)
        if (image is not None and above is None) or (image is None and level is None) or target in self.level:
            return False
        given = above if level is None else plain(level)
        lowest = given if receives is None else plain(receives)
        if (above is not None and not within(given, above)) or not within(lowest, given):
            return False
        self.level[target], self.receives[target] = given, lowest
        return True

    def bounded(self, level, around):
        return all(sid in self.level and within(level, self.level[sid]) for sid in around if sid is not None)

    def create(self, target, source, driver, container, level):
        given = self.level.get(source) if level is None else plain(level)
        if given is None or target in self.level or not self.bounded(given, (source, driver, container)):
            return False
        self.level[target] = given
        return True

    def upgrade(self, target, source, driver, container, level):
        given = self.level.get(source) if level is None else plain(level)
        if given is None or target not in self.level or not self.bounded(given, (source, driver, container)):
            return False
        if not within(self.level[target], given):
            return False
        self.level[target] = given
        return True

    def delete(self, target, source, driver, container):
        if target not in self.level or not self.bounded(self.level[target], (source, driver, container)):
            return False
        del self.level[target]
        self.receives.pop(target, None)
        return True

    def call(self, source, target):
        if source not in self.level or target not in self.level:
            return False
        own, other = self.level[source], self.level[target]
        return within(own, other) or within(self.receives.get(source, own), other)

    def invoke(self, source, target):
        return source in self.level and target in self.level and within(self.level[target], self.level[source])

    read, write = call, invoke


NAMES = {
    "execute": ("target", "image", "level", "levelR"),
    "create": ("target", "source", "driver", "container", "level"),
    "upgrade": ("target", "source", "driver", "container", "level"),
    "delete": ("target", "source", "driver", "container"),
}


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_the_rules_in_so_many_words(lab, steps):
    real, other = lab(LATTICE), Plain()
    for what, *arguments in steps:
        named = dict(zip(NAMES.get(what, ("source", "target")), arguments, strict=True))
        assert (real.ask(what, 0, **named) is None) == getattr(other, what)(*arguments)
        assert {row[0] for row in real.snapshot()["level"]} == other.level.keys()


@given(LEVELS, LEVELS, LEVELS)
@settings(max_examples=60, deadline=None)
def test_levels_are_a_partial_order(lab, first, second, third):
    one, two, three = map(lab(LATTICE).model._read, (first, second, third))
    assert one.within(one)
    assert not (one.within(two) and two.within(three)) or one.within(three)
    assert not (one.within(two) and two.within(one)) or one == two
    assert one.within(two) == within(plain(first), plain(second))


def test_degrees_alone_are_in_a_line(lab):
    real = lab(LINEAR)
    for sid, level in ((1, "LOW"), (2, "HIGH")):
        assert real.ask("execute", image=None, target=sid, level=level, levelR=None) is None
    assert real.ask("call", source=1, target=2) is None
    assert real.ask("invoke", source=2, target=1) is None
    assert real.ask("call", source=2, target=1) == ("`mic`: 2 with level HIGH must not receive from 1 with level LOW")
    assert real.ask("invoke", source=1, target=2) == ("`mic`: 1 with level LOW must not influence 2 with level HIGH")
    assert real.ask("execute", image=None, target=3, level="HIGH", levelR="LOW") is None
    assert real.ask("call", source=3, target=1) is None


def test_reasons(lab):
    real = lab(LATTICE)
    assert real.ask("call", source=1, target=2) == "`mic`: 1 has no level"
    assert real.ask("execute", image=9, target=1, level="LOW", levelR=None) == "`mic`: 9 has no level"
    assert real.ask("execute", image=None, target=1, level=None, levelR=None) == (
        "`mic`: without an image a level must be given"
    )
    real.ask("execute", image=None, target=1, level={"degree": "LOW", "categories": ["a"]}, levelR=None)
    assert real.ask("execute", image=1, target=2, level="HIGH", levelR=None) == (
        "`mic`: the level HIGH is not within that of the image, LOW: a"
    )
    assert real.ask("execute", image=1, target=2, level="LOW", levelR="HIGH") == (
        "`mic`: levelR HIGH is not within the level LOW"
    )
    assert real.ask("execute", image=1, target=1, level=None, levelR=None) == ("`mic`: 1 has a level already, LOW: a")
    assert real.ask("invoke", source=1, target=2) == "`mic`: 2 has no level"
    around = {"source": 1, "driver": 1, "container": None}
    assert real.ask("create", target=5, level="HIGH", **around) == (
        "`mic`: the level HIGH is not within that of the source, LOW: a"
    )
    real.ask("create", target=5, level=None, **around)
    assert real.ask("upgrade", target=5, level="LOW", **around) == (
        "`mic`: the level LOW: a of 5 is not within the new one, LOW"
    )


def test_what_has_no_level_is_named(lab):
    real = lab(LINEAR)
    around = {"source": 1, "driver": 2, "container": 3}
    real.ask("execute", image=None, target=1, level="HIGH", levelR=None)
    for level in (None, "LOW"):
        assert real.ask("create", target=5, level=level, **around) == "`mic`: 2 has no level"
    real.ask("execute", image=None, target=2, level="HIGH", levelR=None)
    assert real.ask("create", target=5, level="LOW", **around) == "`mic`: 3 has no level"
    assert real.ask("upgrade", target=5, level="LOW", **around) == "`mic`: 5 has no level"
    assert real.ask("delete", target=5, **around) == "`mic`: 5 has no level"
    real.ask("execute", image=None, target=3, level="LOW", levelR=None)
    assert real.ask("upgrade", target=3, level="HIGH", source=1, driver=2, container=None) is None
    # A process can be deleted as a resource; then both of its levels are gone.
    assert real.ask("delete", target=3, source=1, driver=2, container=None) is None
    assert [row[0] for row in real.snapshot()["levelR"]] == [1, 2]
    assert real.ask("create", target=6, level=None, source=1, driver=2, container=None) is None
    assert real.ask("delete", target=6, source=1, driver=2, container=None) is None


def test_how_many_have_a_level_is_bounded(lab, monkeypatch):
    monkeypatch.setattr("secureos.policy.models.mic.MAX_OBJECTS", 1)
    real = lab(LINEAR)
    real.ask("execute", image=None, target=1, level="LOW", levelR=None)
    assert real.ask("execute", image=None, target=2, level="LOW", levelR=None) == (
        "`mic`: 1 processes and resources have a level already"
    )


def test_a_choice_is_made_on_levels(lab):
    real = lab(LATTICE)
    with pytest.raises(Incorrect, match="1 has no level"):
        real.value("query_level", source=1)
    real.ask("execute", image=None, target=1, level={"degree": "HIGH", "categories": ["b", "a"]}, levelR=None)
    choose, level = real.model.expressions["query_level"].choose, real.value("query_level", source=1)
    assert choose("HIGH: a, b")(level) is True
    assert choose("HIGH")(level) is False
    assert choose("LOW: a, b")(level) is False
    for case, wrong in (("HIHG", "unknown degree `HIHG`; did you mean `HIGH`?"), ("LOW: c", "unknown category `c`")):
        with pytest.raises(ValueError, match=wrong.replace("?", r"\?")):
            choose(case)


def test_levels_are_checked_at_load(lab, refuses):
    real = lab(LATTICE)
    degree, category = LiteralType("LOW"), LiteralType("a")
    good = (
        UnitType(),
        degree,
        RecordType({"degree": degree, "categories": ListType((category,))}),
        RecordType({"degree": degree, "categories": ListType(())}),
        RecordType({"degree": degree, "categories": UnitType()}),
    )
    bad = (
        LiteralType("LO"),
        IntegerType("UInt8", 0, 255),
        RecordType({"degree": degree}),
        RecordType({"degree": category, "categories": ListType(())}),
        RecordType({"degree": degree, "categories": category}),
        RecordType({"degree": degree, "categories": ListType((degree,))}),
    )
    assert [refuses(real, "execute", "level", kind) for kind in good] == [None] * 5
    assert None not in [refuses(real, "execute", "level", kind) for kind in bad]
    assert refuses(real, "execute", "level", LiteralType("LO")) == (
        'must be a level, `()` for the default, not "LO"; did you mean `LOW`?'
    )
    assert refuses(real, "execute", "image", UnitType()) is None
    assert refuses(real, "execute", "image", LiteralType(5)) is None
    assert refuses(real, "execute", "image", degree) is not None


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        ("[]", "36: there are 1 to 256 degrees, not 0"),
        ('["LOW", "LOW"]', "44: `LOW` is listed twice"),
        ("5", "36: a list `[…]` is due here"),
        ('{ degrees : ["LOW"] }', "36: key `categories` is missing"),
        (
            '{ degrees : ["LOW"], categories : [' + ", ".join(f'"c{n}"' for n in range(65)) + "] }",
            "there are at most 64 categories, not 65",
        ),
    ],
)
def test_mistakes_are_told(mistakes, config, wrong):
    assert wrong in mistakes(f"policy object mic : Mic {{ config = {config} }}")[0]
