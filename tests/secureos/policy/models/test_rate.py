from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

MS = 1_000_000


def declare(count=2, per_ms=10, burst=3, subjects=2):
    numbers = f"count : {count}, per_ms : {per_ms}, burst : {burst}, subjects : {subjects}"
    return f"policy object r : Rate {{ config = {{ {numbers} }} }}"


class Bucket:
    """The same as a leaking bucket, in exact fractions: it drains at the rate, and never holds more than a burst."""

    def __init__(self, count, per_ms, burst):
        self.rate, self.burst, self.level, self.at_ns = Fraction(count, per_ms * MS), burst, Fraction(0), 0

    def now(self, at_ns):
        return max(Fraction(0), self.level - (at_ns - self.at_ns) * self.rate)

    def take(self, at_ns, n):
        after = self.now(at_ns) + n
        if n < 0 or after > self.burst:
            return False
        self.level, self.at_ns = after, at_ns
        return True


STEPS = st.lists(st.tuples(st.integers(0, 12 * MS), st.integers(1, 2), st.integers(-1, 4)), max_size=40)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_a_leaking_bucket(lab, steps):
    # Two in 10 ms divide evenly, so both count exactly.
    real, buckets, now = lab(declare()), {sid: Bucket(2, 10, 3) for sid in (1, 2)}, 0
    for wait, sid, n in steps:
        now += wait
        left = 3 - buckets[sid].now(now)
        assert real.value("left", now, sid=sid) == left.numerator // left.denominator
        assert (real.ask("take", now, sid=sid, n=n) is None) == buckets[sid].take(now, n)


@given(STEPS, st.integers(1, 7), st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_never_more_than_a_burst_and_the_rate_in_any_span(lab, steps, count, per_ms, burst):
    real, now, taken = lab(declare(count, per_ms, burst)), 0, []
    for wait, _, n in steps:
        now += wait
        if n > 0 and real.ask("take", now, sid=1, n=n) is None:
            taken.append((now, n))
    for first, (begin, _) in enumerate(taken):
        for end, _ in taken[first:]:
            most = burst + Fraction(count * (end - begin), per_ms * MS)
            assert sum(n for at, n in taken if begin <= at <= end) <= most


def test_reasons_and_room(lab):
    real = lab(declare(subjects=1))
    assert real.ask("take", sid=1, n=-1) == "`r`: -1 cannot be taken"
    assert real.ask("take", sid=1, n=4) == "`r`: 4 asked at once by 1, at most 3 are allowed"
    assert real.ask("take", sid=1, n=3) is None
    assert real.ask("take", sid=1, n=1) == "`r`: 1 asks too often; 1 can be had in 5 ms"
    assert real.ask("take", sid=2, n=1) == "`r`: 1 others are being counted, there is no room for 2"
    assert real.ask("take", 15 * MS, sid=2, n=1) is None
    assert [row[0] for row in real.snapshot()] == [2]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (declare(count=0), "0 is outside 1 to 1000000"),
        (declare(burst=0), "0 is outside 1 to 1000000"),
        (declare(per_ms=0), "0 is outside 1 to 2592000000"),
        (declare(subjects=65537), "65537 is outside 1 to 65536"),
        (declare().replace("burst", "bursts"), "unknown key `bursts`; did you mean `burst`?"),
    ],
)
def test_mistakes_are_told(mistakes, text, wrong):
    assert wrong in mistakes(text)[0]
