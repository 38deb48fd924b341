from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

MS = 1_000_000
ROW = 'by : "P", at_least : 10'
POSITION = ', contact : "C", closes : "c", moving : 70'


def declare(row=ROW + POSITION, more=", settle_ms : 3", also=""):
    config = f'limit : 100, window_ms : 20, max_age_ms : 5, weighs : {{ "o" : {{ {row} }} {also} }}{more}'
    return f"policy object b : Budget {{ config = {{ {config} }} }}"


REPORT = st.tuples(
    st.just("observe"),
    st.lists(
        st.tuples(st.sampled_from(["C", "C", "P"]), st.sampled_from([0, 1, 1, -30]), st.sampled_from([0, 0, 0, 1])),
        min_size=1,
        max_size=3,
    ),
)
COMMAND = st.tuples(
    st.just("spend"), st.lists(st.tuples(st.sampled_from(["o", "o", "c"]), st.sampled_from([0, 1, 1])), max_size=2)
)
STEPS = st.lists(st.tuples(st.sampled_from([0, 1, 1, 2, 6]), REPORT | REPORT | COMMAND), min_size=10, max_size=30)


class Plain:
    """All that ever happened is kept, and every question goes through all of it."""

    def __init__(self):
        self.reports, self.commands, self.spent = [], [], []

    def known(self, tag, now):
        seen = [row for row in self.reports if row[1] == tag]
        return seen[-1][2] if seen and not seen[-1][3] and now - seen[-1][0] <= 5 * MS else None

    def weight(self, now):
        power, contact = self.known("P", now), self.known("C", now)
        if power is None or contact is None:
            return None
        changes = [None if row[3] else row[2] for row in self.reports if row[1] == "C"]
        times = [row[0] for row in self.reports if row[1] == "C"]
        while len(changes) > 1 and changes[-2] == changes[-1]:
            del changes[-1], times[-1]
        if now < max([times[-1], *self.commands]) + 3 * MS:
            return 70
        return max(10, abs(power)) if contact else 0

    def spend(self, now, rows):
        asked = {point for point, value in rows if value}
        before = list(self.commands)
        self.commands += [now] * ("c" in asked)
        if "o" not in asked:
            return True
        weight = self.weight(now)
        if weight is None or weight + sum(w for at, w in self.spent if now - at < 20 * MS) > 100:
            self.commands = before
            return False
        self.spent.append((now, weight))
        return True


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_with_a_contact_it_agrees_with_brute_force(lab, steps):
    real, plain, now = lab(declare()), Plain(), 0
    for wait, (what, rows) in steps:
        now += wait * MS
        points, values = [row[0] for row in rows], [row[1] for row in rows]
        if what == "observe":
            assert real.ask("observe", now, points=points, values=values, quality=[row[2] for row in rows]) is None
            # One report is one instant: of two rows on one point the later counts.
            plain.reports += [(now, tag, *row) for tag, row in {row[0]: row[1:] for row in rows}.items()]
        else:
            assert (real.ask("spend", now, points=points, values=values) is None) == plain.spend(now, rows)
        assert real.value("spent", now) == sum(w for at, w in plain.spent if now - at < 20 * MS)


def test_what_may_just_be_closing_weighs_as_moving(lab):
    real = lab(declare(more=', settle_ms : 3, unit : "kW"'))

    def report(at_ms, **values):
        real.ask("observe", at_ms * MS, points=list(values), values=list(values.values()), quality=[0] * len(values))

    def operate(at_ms, point):
        return real.ask("spend", at_ms * MS, points=[point], values=[1])

    assert operate(0, "o") == "`b`: `o` cannot be weighed, because `P` has not been measured yet"
    report(0, P=0)
    assert operate(0, "o") == "`b`: `o` cannot be weighed, because `C` has not been measured yet"
    report(0, C=0)
    report(3, P=0, C=0)
    assert operate(3, "o") is None
    assert real.value("spent", 3 * MS) == 0
    assert operate(4, "c") is None
    assert operate(4, "o") is None
    assert real.value("spent", 4 * MS) == 70
    assert operate(4, "o") == (
        "`b`: 70 kW already spent in the last 20 ms, 70 kW asked, 140 kW would exceed the limit of 100 kW"
    )
    report(5, P=25, C=1)
    report(8, P=25, C=1)
    assert operate(8, "o") is None
    assert real.value("spent", 8 * MS) == 95


def test_one_command_can_close_several(lab):
    real = lab(declare(also=', "q" : { by : "P", at_least : 0, contact : "D", closes : "c", moving : 50 }'))
    for at_ms in (0, 3):
        real.ask("observe", at_ms * MS, points=["P", "C", "D"], values=[0, 0, 0], quality=[0, 0, 0])
    real.ask("spend", 3 * MS, points=["c"], values=[1])
    assert real.ask("spend", 3 * MS, points=["o"], values=[1]) is None
    assert real.ask("spend", 3 * MS, points=["q"], values=[1]) is not None


def test_lists_of_different_lengths_are_refused(lab):
    real = lab(declare())
    why = real.ask("observe", points=["P"], values=[1, 2], quality=[0])
    assert why == "`b`: points, values and quality have 1, 2 and 1 items"
    assert real.ask("spend", points=["o"], values=[]) == "`b`: points and values have 1 and 0 items"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (declare(more=""), "`settle_ms` is needed where a `contact` is named"),
        (declare(row=ROW + ', contact : "C"'), "`contact`, `closes` and `moving` go together"),
        (declare(more=", settle_ms : 0"), "0 is outside 1 to 2592000000"),
        (declare(more=", settle_ms : 1, unit : 5"), "a text that is not empty is due here"),
    ],
)
def test_mistakes_are_told(mistakes, text, wrong):
    assert wrong in "\n".join(mistakes(text))
