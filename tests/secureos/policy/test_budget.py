from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

CONFIG = """policy object minute : Budget { config = { limit : 100, window_ms : 10, max_age_ms : 4, weighs : {
    "A.open" : { by : "A.P", at_least : 20, until : "A.closed" },
    "B.open" : { by : "B.P", at_least : 0 } } } }
security method=Report {
    minute.observe { points : message.tags, values : message.values, quality : message.quality } }
request method=Write { minute.spend { points : message.tags, values : message.values } }
request method=Put { assert (minute.spent () <= message.level) }
"""
MS = 1_000_000


class Plain:
    """The same by brute force: all that ever happened is kept, and every question goes through all of it."""

    def __init__(self):
        self.log = []  # ("report", at_ns, tag, value or None when bad) and ("spend", at_ns, point, weight)

    def observe(self, at_ns, rows):
        self.log += [("report", at_ns, tag, None if bad else value) for tag, value, bad in rows]

    def outstanding(self, at_ns):
        return sum(
            row[3]
            for number, row in enumerate(self.log)
            if row[0] == "spend" and at_ns - row[1] < 10 * MS and not self.given_back(number)
        )

    def given_back(self, number):
        if self.log[number][2] != "A.open":
            return False
        told = [
            row[0] if row[0] == "spend" else {None: "?", 0: "0"}.get(row[3], "1")
            for row in self.log[number + 1 :]
            if row[2] in ("A.open", "A.closed")
        ]
        return ("0", "1") in itertools.pairwise(told)

    def weight(self, at_ns, point):
        tag, least = {"A.open": ("A.P", 20), "B.open": ("B.P", 0)}[point]
        seen = [row for row in self.log if row[2] == tag]
        if not seen or seen[-1][3] is None or at_ns - seen[-1][1] > 4 * MS:
            return None
        return max(least, abs(seen[-1][3]))

    def spend(self, at_ns, tags, values):
        asked = sorted({t for t, v in zip(tags, values, strict=True) if v and t in ("A.open", "B.open")})
        weights = [self.weight(at_ns, point) for point in asked]
        if None in weights or (asked and self.outstanding(at_ns) + sum(weights) > 100):
            return False
        self.log += [("spend", at_ns, point, weight) for point, weight in zip(asked, weights, strict=True)]
        return True


READ = st.tuples(
    st.just("read"),
    st.lists(
        st.tuples(
            st.sampled_from(["A.P", "B.P", "A.closed", "A.closed", "X"]),
            st.integers(-60, 60) | st.sampled_from([0, 1]),
            st.sampled_from([0, 0, 0, 1]),
        ),
        max_size=5,
    ),
)
SPEND = st.tuples(
    st.just("spend"),
    st.lists(st.tuples(st.sampled_from(["A.open", "B.open", "X"]), st.sampled_from([0, 1, 1])), max_size=4),
)
STEPS = st.lists(st.tuples(st.integers(0, 3 * MS), READ | SPEND), max_size=40)


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_it_agrees_with_brute_force(engine, write, report, put, steps):
    real, plain, now = engine(CONFIG), Plain(), 0
    for wait, (what, rows) in steps:
        now += wait
        if what == "read":
            assert real.decide(report(rows, now)).granted
            plain.observe(now, rows)
        else:
            tags, values = [row[0] for row in rows], [row[1] for row in rows]
            assert real.decide(write(tags, values, now)).granted == plain.spend(now, tags, values)
        sum_now = plain.outstanding(now)
        assert sum_now <= 100
        assert real.decide(put(sum_now, now)).granted
        assert sum_now == 0 or not real.decide(put(sum_now - 1, now)).granted


def reason(verdict):
    assert not verdict.granted
    return verdict.reason


def test_denials_say_what_is_missing(engine, write, report):
    module = engine(CONFIG)
    why = "`minute`: `A.open` cannot be weighed, because `A.P`"
    assert reason(module.decide(write(["A.open"]))) == f"{why} has not been measured yet"
    module.decide(report([("A.P", 5, 1)]))
    assert reason(module.decide(write(["A.open"]))) == f"{why} is marked bad"
    module.decide(report([("A.P", 60, 0)]))
    late = module.decide(write(["A.open"], at_ns=4 * MS + 1))
    assert reason(late) == f"{why} was measured 4 ms ago, at most 4 ms are allowed"
    module.decide(report([("A.P", -60, 0)], 5 * MS))
    assert module.decide(write(["A.open"], at_ns=5 * MS)).granted
    assert reason(module.decide(write(["A.open", "A.open"], at_ns=5 * MS))) == (
        "`minute`: 60 already spent in the last 10 ms, 60 asked, 120 would exceed the limit of 100"
    )


def test_only_zero_then_one_gives_back(engine, write, report):
    module = engine(CONFIG)
    module.decide(report([("A.P", 60, 0), ("A.closed", 0, 0), ("A.closed", 1, 0)]))
    assert module.decide(write(["A.open"])).granted
    module.decide(report([("A.closed", 1, 0)]))
    assert not module.decide(write(["A.open"])).granted
    module.decide(report([("A.closed", 0, 0), ("A.closed", 1, 1), ("A.closed", 1, 0)]))
    assert not module.decide(write(["A.open"])).granted
    module.decide(report([("A.closed", 0, 0)]))
    module.decide(report([("A.closed", 1, 0)]))
    assert module.decide(write(["A.open"])).granted


def test_a_contact_that_read_open_before_the_spending_gives_nothing_back(engine, write, report):
    module = engine(CONFIG)
    module.decide(report([("A.P", 60, 0), ("A.closed", 0, 0)]))
    assert module.decide(write(["A.open"])).granted
    module.decide(report([("A.closed", 1, 0)]))
    assert not module.decide(write(["A.open"])).granted


def test_memory_is_bounded(engine, write, report):
    module = engine(CONFIG)
    module.decide(report([("B.P", 0, 0)]))
    for _ in range(64):
        assert module.decide(write(["B.open"])).granted
    assert reason(module.decide(write(["B.open"]))) == "`minute`: `B.open` was operated 64 times within 10 ms"
    assert len(module.snapshot()["objects"]["minute"]["entries"]) == 64
    module.decide(report([("B.P", 0, 0)], 10 * MS))
    assert module.decide(write(["B.open"], at_ns=10 * MS)).granted
    assert len(module.snapshot()["objects"]["minute"]["entries"]) == 1


def test_lists_of_different_lengths_are_denied(engine, write, report):
    module = engine(CONFIG.replace("10,", "1000,"))
    bad = report([("A.P", 5, 0)])
    bad.message["values"].append(1)
    assert reason(module.decide(bad)) == "`minute`: points, values and quality have 1, 2 and 1 items"
    assert reason(module.decide(write(["A.open"], [1, 2]))) == "`minute`: points and values have 1 and 2 items"


def test_a_window_of_whole_seconds_is_told_in_seconds(engine, write, report):
    module = engine(CONFIG.replace("window_ms : 10", "window_ms : 60000"))
    module.decide(report([("A.P", 101, 0)]))
    assert "in the last 60 s, 101 asked" in reason(module.decide(write(["A.open"])))
