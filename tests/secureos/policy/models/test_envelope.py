from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

MS = 1_000_000
RANGES = 'ranges : { "u" : { low : -10, high : 20 }, "x" : { low : 0, high : 1 } }'
SLOPES = 'slopes : { "u" : { rise : 6, fall : 9, per_ms : 4 } }'
JOINT = """joint : { "sum" : { weights : { "u" : 2, "v" : -1, "h" : 1 }, at_least : -12, at_most : 30 },
    "top" : { weights : { "v" : 1 }, at_most : 15 } }"""


def declare(*parts):
    return f"policy object e : Envelope {{ config = {{ max_age_ms : 10, {', '.join(parts)} }} }}"


WHOLE = declare(RANGES, SLOPES, JOINT, 'feedback : { "u" : "u.pos" }')
VALUES = st.integers(-12, 24)
REPORT = st.tuples(
    st.just("observe"),
    st.lists(
        st.tuples(st.sampled_from(["u.pos", "u", "v", "h", "o"]), VALUES, st.sampled_from([0, 0, 0, 1])), max_size=4
    ),
)
COMMAND = st.tuples(
    st.just("admit"), st.lists(st.tuples(st.sampled_from(["u", "u", "v", "x", "o"]), VALUES), max_size=2)
)
STEPS = st.lists(st.tuples(st.sampled_from([0, 1, 1, 2, 5, 12]), REPORT | COMMAND), min_size=10, max_size=30)


class Plain:
    """Everything that was reported and admitted, looked through for each question."""

    def __init__(self):
        self.reports, self.commands = [], []

    def measured(self, point, now):
        seen = [row for row in self.reports if row[1] == {"u": "u.pos"}.get(point, point)]
        return seen[-1][2] if seen and not seen[-1][3] and now - seen[-1][0] <= 10 * MS else None

    def last(self, point):
        """The value last admitted, and since when it has been that."""
        values = [(at, value) for at, name, value in self.commands if name == point]
        since = [at for (at, value), (_, before) in zip(values, [(0, None), *values], strict=False) if value != before]
        return (values[-1][1], since[-1]) if values else (None, 0)

    def admit(self, now, rows):
        asked = dict(rows)
        if len(asked) < len(rows) or not all(self.alone(now, *row) for row in rows):
            return False
        for weights, low, high in (({"u": 2, "v": -1, "h": 1}, -12, 30), ({"v": 1}, -9999, 15)):
            if weights.keys() & asked.keys():
                may_be = [self.may_be(now, point, asked) for point in weights]
                sums = [sum(w * v for w, v in zip(weights.values(), vs, strict=True)) for vs in product(*may_be)]
                if not sums or not low <= min(sums) <= max(sums) <= high:
                    return False
        self.commands += [(now, *row) for row in rows]
        return True

    def may_be(self, now, point, asked):
        if point in asked:
            return [asked[point]]
        measured, (last, _) = self.measured(point, now), self.last(point)
        return [] if measured is None else [measured] + [last] * (last is not None)

    def alone(self, now, point, value):
        if point == "x":
            return value in (0, 1)
        if point != "u":
            return True
        before, since = self.last("u")
        share = 1 if before is None else min(1, (now - since) / (4 * MS))
        before = self.measured("u", now) if before is None else before
        return before is not None and -10 <= value <= 20 and -9 * share <= value - before <= 6 * share


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_the_whole_history(lab, steps):
    real, plain, now = lab(WHOLE), Plain(), 0
    for wait, (what, rows) in steps:
        now += wait * MS
        points, values = [row[0] for row in rows], [row[1] for row in rows]
        if what == "observe":
            quality = [row[2] for row in rows]
            assert real.ask("observe", now, points=points, values=values, quality=quality) is None
            plain.reports += [(now, *row) for row in rows]
        else:
            assert (real.ask("admit", now, points=points, values=values) is None) == plain.admit(now, rows)


def admit(real, at_ns=0, /, **values):
    return real.ask("admit", at_ns, points=list(values), values=list(values.values()))


def observe(real, at_ns=0, /, **values):
    real.ask("observe", at_ns, points=list(values), values=list(values.values()), quality=[0] * len(values))


def test_ranges(lab):
    real = lab(declare(RANGES))
    assert admit(real, u=20, x=0, other=10**9) is None
    assert admit(real, u=21) == "`e`: `u` to 21 is outside -10 to 20"
    assert real.ask("admit", points=["u"], values=[]) == "`e`: points and values have 1 and 0 items"
    assert real.ask("admit", points=["x", "u", "u"], values=[1, 1, 1]) == "`e`: `u` is commanded twice in one message"
    assert real.snapshot() == {"readings": {}, "admitted": {}}


def test_slopes(lab):
    real = lab(declare(SLOPES))
    assert admit(real, u=0) == "`e`: how `u` changes cannot be judged, because `u` has not been measured yet"
    observe(real, u=5)
    assert admit(real, u=12) == "`e`: `u` from 5 to 12 is too fast; -4 to 11 can be had now"
    assert admit(real, u=11) is None
    assert admit(real, u=12) == "`e`: `u` from 11 to 12 is too fast; 11 to 11 can be had now"
    assert admit(real, 2 * MS, u=15) == "`e`: `u` from 11 to 15 is too fast; 7 to 14 can be had now"
    assert admit(real, 2 * MS, u=11) is None
    assert admit(real, 100 * MS, u=17) is None


def test_sums(lab):
    real = lab(declare(JOINT))
    assert admit(real, v=5) == "`e`: `sum`: `u` has not been measured yet"
    observe(real, u=0, v=0, h=20)
    assert admit(real, v=16) == "`e`: `top`: the sum would be up to 16, at most 15 is allowed"
    assert admit(real, u=6) == "`e`: `sum`: the sum would be up to 32, at most 30 is allowed"
    assert admit(real, u=-17) == "`e`: `sum`: the sum would be down to -14, at least -12 is needed"
    assert admit(real, u=5) is None
    # u still reads 0, v is raised by what u would take when it arrives
    assert admit(real, v=-1) == "`e`: `sum`: the sum would be up to 31, at most 30 is allowed"
    observe(real, h=50)
    assert admit(real, u=-10) is None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("policy object e : Envelope { config = { max_age_ms : 10 } }", "this one judges nothing"),
        (declare('ranges : { "u" : { low : 2, high : 1 } }'), "`low` 2 is above `high` 1"),
        (declare('ranges : { "u" : { low : 2 } }'), "key `high` is missing"),
        (declare('slopes : { "u" : { rise : -1, fall : 0, per_ms : 1 } }'), "-1 is outside 0 to 2147483647"),
        (declare('slopes : { "u" : { rise : 1, fall : 0, per_ms : 0 } }'), "0 is outside 1 to 2592000000"),
        (declare('joint : { "s" : { weights : { }, at_most : 1 } }'), "a sum needs at least one point"),
        (declare('joint : { "s" : { weights : { "u" : 1 } } }'), "a sum needs `at_least`, `at_most` or both"),
        (
            declare('joint : { "s" : { weights : { "u" : 1 }, at_least : 2, at_most : 1 } }'),
            "no sum is at least 2 and at most 1",
        ),
        (declare('joint : { "s" : { weights : { "u" : 0 }, at_most : 1 } }'), "a weight of 0 has no effect"),
        (declare('joint : { "s" : { weights : { "u" : "1" }, at_most : 1 } }'), "an integer is due here"),
        (declare(SLOPES, 'feedback : { "w" : "p" }'), "unknown point `w`"),
        (declare(SLOPES, 'feedback : { "u" : 5 }'), "a text that is not empty is due here"),
    ],
)
def test_mistakes_are_told(mistakes, text, wrong):
    assert wrong in "\n".join(mistakes(text))
