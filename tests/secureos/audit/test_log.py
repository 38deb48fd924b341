"""The audit log's chain: whatever is done to a record, it is found at its line."""

import dataclasses
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secureos.audit import AuditError, AuditLog, Record, verify_chain
from secureos.audit.log import ELSEWHERE, Tally
from secureos.audit.record import LONGEST_LINE, chained

WAY = ("request", "a", "b", "ep", "Do")


def log(count=5, **options):
    audit = AuditLog(**options)
    for number in range(count):
        decision = "denied" if number % 2 else "granted"
        record = Record(number, number * 10, 1, "request", "a", "b", "ep", "Do", decision, "x.psl:3", "why")
        audit.add(record)
        audit.count(granted=decision == "granted", rule="x.psl:3")
    return audit


def test_a_whole_log_is_verified():
    assert verify_chain(log().lines()) == 5
    assert verify_chain([]) == 0


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (lambda lines: [lines[0], lines[1].replace("denied", "granted"), *lines[2:]], "line 2: record 1 was changed"),
        (lambda lines: [lines[0], *lines[2:]], "line 2: record 2 does not follow.* record 1 is missing"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "line 1: record 1 does not follow"),
        (lambda lines: lines[3:], "line 1: record 3 does not follow.* records 0 to 2 are missing"),
        (lambda lines: [lines[0][:40], *lines[1:]], "line 1: not an audit record"),
        (lambda lines: ["[]", *lines], "line 1: not an audit record"),
        (lambda lines: ["7", *lines], "line 1: not an audit record"),
        (lambda lines: ["", *lines], "line 1: not an audit record"),
        (lambda lines: [lines[0], lines[0], *lines[1:]], "line 2: record 0 does not follow.* a second time"),
        (lambda lines: [lines[0], list(log(5).lines())[1].replace('"a"', '"b"')], "line 2: record 1 was changed"),
    ],
)
def test_tampering_is_found_and_located(tamper, says):
    with pytest.raises(AuditError, match=says):
        verify_chain(tamper(list(log().lines())))


@given(st.integers(0, 4), st.data())
def test_no_single_change_goes_unnoticed(which, data):
    lines = list(log().lines())
    place = data.draw(st.integers(0, len(lines[which]) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda c: c != lines[which][place]))
    lines[which] = lines[which][:place] + other + lines[which][place + 1 :]
    with pytest.raises(AuditError, match=f"line {which + 1}:"):
        verify_chain(lines)


def test_counters_and_loss():
    audit = log(30, limit=10)
    assert (audit.granted, audit.denied) == (15, 15)
    assert audit.denied_by_rule == {"x.psl:3": 15}
    assert len(audit.records) <= 10
    assert audit.dropped + len(audit.records) == 30
    assert audit.records[-1].number == 29
    assert audit.next_number == 30
    with pytest.raises(AuditError, match="line 1: record 20 does not follow"):
        verify_chain(audit.lines())


def test_a_record_changed_in_memory_is_found_in_what_is_written():
    audit = log()
    assert audit.head == json.loads(list(audit.lines())[-1])["hash"]  # by now they are bound to each other
    audit.records[2] = dataclasses.replace(audit.records[2], decision="denied")
    with pytest.raises(AuditError, match="line 3: record 2 was changed"):
        verify_chain(audit.lines())
    audit = log()
    assert audit.head
    del audit.records[2], audit._hashes[2]
    with pytest.raises(AuditError, match="line 3: record 2 was changed"):
        verify_chain(audit.lines())


def test_the_head_of_an_empty_log_and_of_one_that_let_all_go():
    assert AuditLog().head == "0" * 64
    audit = log(3)
    head = audit.head
    audit._drop(3)
    assert audit.head == head


def test_a_restored_log_goes_on():
    first = log()
    first.note(50, WAY, "x.psl:4", granted=True)
    first.note(50, WAY, "x.psl:4", granted=False)
    audit = AuditLog()
    audit.note(1, WAY, "x.psl:9", granted=True)  # forgotten by going back
    audit.restore(json.loads(json.dumps(first.snapshot())))
    assert list(audit.lines()) == list(first.lines())
    assert audit.next_number == 5
    audit.fold()
    assert audit.counts == {(WAY, "x.psl:4", True): Tally(1, 50, 50), (WAY, "x.psl:4", False): Tally(1, 50, 50)}
    assert (audit.granted, audit.denied) == (4, 3)


def test_a_message_too_long_for_a_line_is_left_out_and_said_to_be():
    record = Record(0, 0, 0, "request", "a", "b", "", "", "denied", "r", "why", {"text": "x" * LONGEST_LINE})
    line = chained(record, "0" * 64).line
    assert len(line) < 1_000
    assert json.loads(line)["message"] == {"": "too long to be recorded"}
    assert verify_chain([line]) == 1


# ---- the ring ------------------------------------------------------------------------------------------------------


def counted(audit):
    return {key: tally.count for key, tally in audit.counts.items()}


noted = st.tuples(st.sampled_from("abc"), st.sampled_from(["r:1", "r:2"]), *[st.booleans()] * 3)


@given(st.lists(st.one_of(noted, st.none()), max_size=60))
def test_the_ring_keeps_the_newest_and_safety_apart_and_counts_what_it_lost(steps):
    """Against a plain list per ring; None is a fold."""
    capacity, reserve = 5, 3
    audit = AuditLog(ring=capacity, reserve=reserve)
    waiting, counts, lost = {False: [], True: []}, Counter(), 0

    def fold():
        nonlocal lost
        for safety, room in ((False, capacity), (True, reserve)):
            lost += max(0, len(waiting[safety]) - room)
            counts.update((way, rule, granted) for way, rule, granted, recorded in waiting[safety][-room:]
                          if not recorded)  # fmt: skip
            waiting[safety].clear()

    for at_ns, step in enumerate(steps):
        if step is None:
            fold()
            audit.fold()
            assert (counted(audit), audit.lost_verdicts) == (counts, lost)
            continue
        name, rule, granted, recorded, safety = step
        way = ("request", name, "b", "", "Do")
        waiting[safety].append((way, rule, granted, recorded))
        audit.note(at_ns, way, rule, granted=granted, recorded=recorded, safety=safety)
    fold()
    audit.fold()
    assert (counted(audit), audit.lost_verdicts) == (counts, lost)
    given_out = [step for step in steps if step is not None]
    assert audit.granted == sum(step[2] for step in given_out)
    assert audit.denied == sum(audit.denied_by_rule.values()) == len(given_out) - audit.granted


def test_ways_beyond_what_a_log_tells_apart_are_counted_together(monkeypatch):
    monkeypatch.setattr("secureos.audit.log._MOST_TALLIES", 3)
    audit = AuditLog()
    for number in range(6):
        audit.note(number, ("request", f"t{number}", "b", "", "Do"), f"r:{number}", granted=True)
    audit.fold()
    assert audit.counts[ELSEWHERE, "", True] == Tally(3, 3, 5)
    assert sum(counted(audit).values()) == 6
