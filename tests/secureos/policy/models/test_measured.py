"""Measured state: kept as it was reported, read when it is asked for, and looked into only where it is new."""

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy import Event
from secureos.policy.models.measured import Measurements, Watch

LISTS = st.lists(st.sampled_from("abcdefgh"), max_size=4).map(tuple)
REPORTS = st.lists(st.tuples(st.sampled_from(range(12)), st.integers(0, 2), st.integers(0, 1), st.booleans()))


def report(kept, at_ns, points, values, quality=None):
    undo = []
    event = Event("security", at_ns, 1, None, "a", None)
    bad = [0] * len(points) if quality is None else quality
    assert kept.observe(event, undo, points, values, bad) is None
    return undo


@given(st.lists(LISTS, min_size=12, max_size=12), REPORTS)
@settings(max_examples=200, deadline=None)
def test_it_reads_as_a_table_of_the_last_rows_does_whatever_lists_reports_come_on(lists, steps):
    """Twelve lists are more than are kept as they came; some reports are taken back, some change state in between."""
    kept, table = Measurements("m", "abcdef", 1000), {}
    for at_ns, (which, value, bad, back) in enumerate(steps):
        points = lists[which]
        values, quality = [value + place for place in range(len(points))], [bad] * len(points)
        undo = report(kept, at_ns, points, array("i", values), quality)
        if back:
            undo.pop()()
        else:
            rows = zip(points, values, strict=True)
            table |= {point: [at_ns, None if bad else seen] for point, seen in rows if point in "abcdef"}
        assert kept.snapshot() == table
        other = Measurements("m", "abcdef", 1000)
        other.restore(kept.snapshot())
        assert other.snapshot() == table


def test_what_was_handed_over_may_change_afterwards():
    kept, values, quality = Measurements("m", "ab", 1000), array("i", [1, 2]), [0, 0]
    report(kept, 0, ("a", "b"), values, quality)
    values[0], quality[1] = 7, 1
    assert kept.snapshot() == {"a": [0, 1], "b": [0, 2]}


def test_a_watch_tells_of_a_row_until_the_state_after_it_is_known():
    kept, watch, state = Measurements("m", "ab", 1000), Watch("a"), frozenset()

    def new(state, *, points=("a", "b"), a=1, b=1, bad=0):
        report(kept, 0, points, [a, b], [bad, 0])
        return list(watch.rows(kept.latest, state))

    assert new(state) == [("a", 1)]
    assert new(state) == [("a", 1)]  # nobody said what it led to
    watch.left(state)
    assert new(state) == []
    assert new(state, b=2) == []  # nothing new of the one that is watched
    assert new(state, b=2) == []
    assert new(state, bad=1) == [("a", None)]
    watch.left(state)
    assert new(state, bad=1) == []
    assert new(frozenset("x"), bad=1) == [("a", None)]  # an effect was taken back
    watch.left(state)
    assert new(state, points=("b", "c"), bad=1) == []
    assert new(state, bad=1) == [("a", None)]  # again on the list before


def test_a_point_listed_twice_is_told_every_time():
    kept, watch, state = Measurements("m", "a", 1000), Watch("a"), frozenset()
    for _ in range(2):
        report(kept, 0, ("a", "a"), [1, 0])
        assert list(watch.rows(kept.latest, state)) == [("a", 1), ("a", 0)]
        watch.left(state)
