"""The figures of the alarm load, against a count by hand and against a slow one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.core import ns
from twin.scada import AlarmEvent, alarm_metrics


def row(at_s, alarm="A.hi", event="raised", priority="low"):
    return AlarmEvent(ns(at_s), alarm, event, "unacknowledged", priority, 1.0, 1.0, "")


def test_no_time_and_no_alarms():
    metrics = alarm_metrics([], until_ns=0)
    assert (metrics.raised, metrics.per_10_min, metrics.floods, metrics.top_percent) == (0, None, [], 0.0)


def test_rate_priorities_and_the_alarms_that_come_most_often():
    rows = [row(60 * k, f"A{k % 12}", priority="medium" if k % 4 else "high") for k in range(24)]
    metrics = alarm_metrics([*rows, row(9999)], until_ns=ns(3600))
    assert metrics.raised == 24
    assert metrics.per_10_min == pytest.approx(4.0)
    assert metrics.worst_10_min == 10
    assert metrics.by_priority == {"urgent": 0, "high": 6, "medium": 18, "low": 0}
    assert len(metrics.top) == 10
    assert metrics.top[0] == ("A0", 2)
    assert metrics.top_percent == pytest.approx(100 * 20 / 24)
    assert metrics.floods == []


def test_a_flood_begins_with_the_eleventh_and_ends_below_five():
    # 11 alarms, one per second from 0: the eleventh comes at 10 s. They leave the 10 minutes one by one from 600 s on;
    # when the seventh has left, at 606 s, four are there.
    metrics = alarm_metrics([row(k) for k in range(11)], until_ns=ns(1200))
    assert metrics.floods == [(10.0, 606.0)]
    assert metrics.in_flood_percent == pytest.approx(100 * 596 / 1200)
    assert alarm_metrics([row(k) for k in range(10)], until_ns=ns(1200)).floods == []
    assert alarm_metrics([row(k) for k in range(11)], until_ns=ns(100)).floods == [(10.0, 100.0)]


@given(st.lists(st.integers(0, 3000), max_size=60).map(sorted))
def test_floods_are_those_of_a_count_second_by_second(raised_s):
    metrics = alarm_metrics([row(at_s) for at_s in raised_s], until_ns=ns(4000))
    floods, begin, worst = [], None, 0
    for second in range(4001):
        inside = sum(second - 600 < at_s <= second for at_s in raised_s)
        worst = max(worst, inside)
        # Between alarms of one second the count goes through every number; the flood begins within that second.
        left = sum(second - 600 < at_s < second for at_s in raised_s)
        if begin is not None and left < 5:
            floods.append((begin, second))
            begin = None
        if begin is None and inside > 10:
            begin = second
    if begin is not None:
        floods.append((begin, 4000))
    assert metrics.worst_10_min == worst
    assert metrics.floods == floods


def test_chattering_is_three_times_in_a_minute():
    rows = [row(k * 30, "C.hi") for k in range(3)] + [row(k * 31, "D.hi") for k in range(3)]
    assert alarm_metrics(sorted(rows, key=lambda r: r.at_ns), until_ns=ns(200)).chattering == ["C.hi"]


def test_fleeting_alarms_are_gone_within_ten_seconds():
    rows = [row(0), row(9.9, event="returned"), row(20), row(30, event="returned"), row(40), row(41, event="shelved")]
    metrics = alarm_metrics(rows, until_ns=ns(60))
    assert (metrics.fleeting, metrics.shelved) == (1, 1)


def test_stale_alarms_stand_for_more_than_a_day():
    day_s = 24 * 3600
    rows = [row(0, "A"), row(0, "B"), row(0, "C"), row(day_s, "C", "returned"), row(day_s + 1, "B", "returned")]
    assert alarm_metrics(rows, until_ns=ns(day_s + 1)).stale == ["A", "B"]
    assert alarm_metrics([row(0, "A")], until_ns=ns(day_s)).stale == []
