"""The audit log's chain: whatever is done to a record, it is found at its line."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secureos.audit import AuditError, AuditLog, Record, verify_chain


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
        (lambda lines: [lines[0], lines[1].replace("denied", "granted"), *lines[2:]], "line 2: was changed"),
        (lambda lines: [lines[0], *lines[2:]], "line 2: does not follow"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "line 1: does not follow"),
        (lambda lines: lines[1:], "line 1: does not follow"),
        (lambda lines: [lines[0][:40], *lines[1:]], "line 1: not an audit record"),
        (lambda lines: ["[]", *lines], "line 1: not an audit record"),
        (lambda lines: ["7", *lines], "line 1: not an audit record"),
        (lambda lines: [lines[0], lines[0], *lines[1:]], "line 2: does not follow"),
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
    with pytest.raises(AuditError):
        verify_chain(lines)


def test_counters_and_loss():
    audit = log(30, limit=10)
    assert (audit.granted, audit.denied) == (15, 15)
    assert audit.denied_by_rule == {"x.psl:3": 15}
    assert len(audit.records) <= 10
    assert audit.dropped + len(audit.records) == 30
    assert audit.records[-1].number == 29
    assert audit.next_number == 30
    with pytest.raises(AuditError, match="line 1: does not follow"):
        verify_chain(audit.lines())


def test_a_record_changed_in_memory_is_found_in_what_is_written():
    audit = log()
    audit.records[2] = dataclasses.replace(audit.records[2], decision="denied")
    with pytest.raises(AuditError, match="line 3: was changed"):
        verify_chain(audit.lines())
    audit = log()
    del audit.records[2], audit._hashes[2]
    with pytest.raises(AuditError, match="line 3: does not follow"):
        verify_chain(audit.lines())


def test_each_record_is_handed_out_as_it_comes_even_those_dropped_later():
    lines = []
    audit = log(30, limit=10, on_line=lines.append)
    assert verify_chain(lines) == 30
    assert json.loads(lines[-1])["hash"] == audit.head


def test_a_restored_log_goes_on():
    audit = AuditLog()
    audit.restore(json.loads(json.dumps(log().snapshot())))
    assert list(audit.lines()) == list(log().lines())
    assert audit.next_number == 5
