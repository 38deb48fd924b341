"""The substation's alarms: rationalised, quiet while all is well, and there when it is not."""

from collections import Counter

import pytest

from twin.core import ns
from twin.scada import Supervision, alarm_definitions, good
from twin.substation import PLANT

ALARMS = alarm_definitions(PLANT.points().side("scada"))


def test_few_alarms_are_urgent():
    counts = Counter(alarm.priority for alarm in ALARMS)
    shares = {priority: 100 * count / len(ALARMS) for priority, count in counts.items()}
    assert shares["low"] == pytest.approx(80, abs=3)
    assert shares["medium"] == pytest.approx(15, abs=3)
    assert shares["high"] == pytest.approx(5, abs=2)
    assert "urgent" not in shares


def test_every_alarm_says_why_what_follows_and_what_to_do():
    for alarm in ALARMS:
        assert alarm.cause, alarm.name
        assert alarm.consequence, alarm.name
        assert alarm.response, alarm.name
        assert alarm.respond_within_s, alarm.name


def test_every_breaker_command_has_a_feedback():
    points = PLANT.points()
    for point in points:
        if point.tag.endswith((".open", ".close", ".estop")):
            effect = {"open": "opened", "close": "closed", "estop": "opened"}[point.tag.rsplit(".")[-1]]
            assert point.feedback == f"{point.tag.rsplit('.')[0]}.{effect}"


def watched(twin_session, *commands, seconds=30, start="18:00"):
    """The journal of some seconds, in which commands are given one by one, 2 s apart."""

    async def session(twin, advance):
        supervision = Supervision(twin.plant.points)
        pending = list(commands)
        for second in range(seconds):
            await advance(1)
            at_ns = twin.clock.now_ns
            supervision.observe(at_ns, good(await twin.operator.poll(), at_ns))
            if pending and second >= 4 and second % 2:
                await twin.operator.write(pending.pop(0), 1)
        return list(supervision.journal)

    return twin_session(session, policy="permissive", start=start)


@pytest.mark.parametrize("start", ["03:00", "08:00", "18:00"])
def test_no_alarm_stands_while_all_is_well(twin_session, start):
    assert watched(twin_session, start=start) == []


def test_a_feeder_that_opens_is_one_alarm_and_the_first_of_its_section_is_marked(twin_session):
    rows = watched(twin_session, "F1.open", "F6.open", "F2.open")
    assert [(row.alarm, row.event, row.priority, row.first_out) for row in rows] == [
        ("F1.closed.off", "raised", "low", True),
        ("F6.closed.off", "raised", "high", True),
        ("F2.closed.off", "raised", "low", False),
    ]


def test_a_generator_that_is_off_does_not_ask_for_its_power(twin_session):
    rows = watched(twin_session, "G1.estop")
    assert [(row.alarm, row.event) for row in rows] == [
        ("G1.P.lo", "suppressed"),
        ("G1.closed.off", "raised"),
    ]


def test_a_dead_section_is_told_by_its_incomer_first(twin_session):
    rows = watched(twin_session, "BT.open", "G1.open", "T1M.open", seconds=40)
    raised = [row for row in rows if row.event == "raised"]
    section = [row for row in raised if row.alarm in ("T1M.closed.off", "A.U.lo", "A.U.lolo")]
    assert [(row.alarm, row.first_out) for row in section] == [
        ("T1M.closed.off", True),
        ("A.U.lolo", False),
        ("A.U.lo", False),
    ]
    assert section[1].at_ns - section[0].at_ns == ns(2)
