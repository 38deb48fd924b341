from __future__ import annotations

import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy.values import BooleanType, ListType, LiteralType, RecordType, UnitType
from secureos.xdl import ArrayType, IntegerType, Parameter, SequenceType, StringType, StructType

MS = 1_000_000


def declare(ttl_ms=5, pending=2):
    return f"policy object d : Dual {{ config = {{ ttl_ms : {ttl_ms}, pending : {pending} }} }}"


OPERATIONS = st.sampled_from([7, "7", ["open", 7], {"a": 1}])
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 3, 6]),
        st.tuples(st.sampled_from(["propose", "approve", "approve"]), OPERATIONS, st.integers(1, 2), st.integers(1, 2))
        | st.tuples(st.just("check"), OPERATIONS),
    ),
    min_size=10,
    max_size=30,
)


class Plain:
    """All that happened; a proposal is judged by what came after it."""

    def __init__(self):
        self.rows = []  # [operation, person, station, proposed, approved, used]

    def alive(self, now, operation):
        for row in reversed(self.rows):
            if repr(row[0]) == repr(operation):
                since = row[3] if row[4] is None else row[4]
                return row if not row[5] and now - since <= 5 * MS else None
        return None

    def propose(self, now, operation, person, station):
        row = self.alive(now, operation)
        if row is not None and row[1:3] != [person, station]:
            return False
        operations = {repr(each[0]): each[0] for each in self.rows}
        others = [each for key, each in operations.items() if key != repr(operation)]
        if row is None and sum(self.alive(now, each) is not None for each in others) >= 2:
            return False
        self.rows.append([operation, person, station, now, None, False])
        return True

    def approve(self, now, operation, person, station):
        row = self.alive(now, operation)
        if row is None or row[1] == person or row[2] == station:
            return False
        row[4] = now if row[4] is None else row[4]
        return True

    def check(self, now, operation):
        row = self.alive(now, operation)
        if row is None or row[4] is None:
            return False
        row[5] = True
        return True


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_the_whole_history(lab, steps):
    real, plain, now = lab(declare()), Plain(), 0
    for wait, (what, *arguments) in steps:
        now += wait * MS
        named = dict(zip(("operation", "person", "station"), arguments, strict=False))
        assert (real.ask(what, now, **named) is None) == getattr(plain, what)(now, *arguments)
        assert len(real.snapshot()) <= 2


def test_reasons(lab):
    real = lab(declare(pending=1))
    first, second = {"person": "ann", "station": 1}, {"person": "bob", "station": 2}
    assert real.ask("check", operation=7) == "`d`: this operation was not proposed, or too long ago"
    assert real.ask("approve", operation=7, **first) == "`d`: nobody has proposed this operation, or too long ago"
    assert real.ask("propose", operation=7, **first) is None
    assert real.ask("propose", operation=7, **second) == "`d`: `ann` at `1` has proposed this already"
    assert real.ask("propose", operation=8, **second) == "`d`: 1 operations are pending already"
    assert real.ask("check", operation=7) == "`d`: a second person has not approved this operation"
    assert real.ask("approve", operation=7, person="ann", station=2) == (
        "`d`: `ann` has proposed this and cannot approve it too"
    )
    assert real.ask("approve", operation=7, person="bob", station=1) == (
        "`d`: this was proposed at `1` and must be approved elsewhere"
    )
    assert real.ask("propose", 6 * MS, operation=8, **second) is None
    assert real.ask("check", 6 * MS, operation=7) == "`d`: this operation was not proposed, or too long ago"


def test_a_new_proposal_loses_the_approval(lab):
    real = lab(declare())
    real.ask("propose", operation=7, person=1, station=1)
    real.ask("approve", operation=7, person=2, station=2)
    real.ask("propose", operation=7, person=1, station=1)
    assert real.ask("check", operation=7) == "`d`: a second person has not approved this operation"


def test_a_second_approval_does_not_lengthen_the_first(lab):
    real = lab(declare())
    real.ask("propose", operation=7, person=1, station=1)
    real.ask("approve", operation=7, person=2, station=2)
    assert real.ask("approve", 4 * MS, operation=7, person=3, station=3) is None
    assert real.ask("check", 6 * MS, operation=7) is not None


def test_a_list_is_the_same_however_it_is_stored(lab):
    real = lab(declare())
    real.ask("propose", operation=[[1, 2]], person=1, station=1)
    real.ask("approve", operation=[array.array("H", [1, 2])], person="1", station=2)
    assert real.ask("check", operation=((1, 2),)) is None


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        (IntegerType("UInt8", 0, 255), True),
        (StringType(5), True),
        (BooleanType(), True),
        (ListType((LiteralType("a"), StringType(5))), True),
        (ListType((UnitType(),)), False),
        (RecordType({"a": LiteralType(5)}), True),
        (RecordType({"a": UnitType()}), False),
        (StructType("S", (Parameter("a", StringType(3)),)), True),
        (SequenceType(StringType(3), 4), True),
        (ArrayType(IntegerType("UInt8", 0, 255), 4), True),
        (UnitType(), False),
    ],
)
def test_an_operation_is_made_of_plain_values(lab, refuses, kind, fits):
    assert (refuses(lab(declare()), "check", "operation", kind) is None) == fits


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (declare(ttl_ms=0), "0 is outside 1 to 2592000000"),
        (declare(pending=0), "0 is outside 1 to 4096"),
        (declare().replace("pending", "pendin"), "unknown key `pendin`; did you mean `pending`?"),
    ],
)
def test_mistakes_are_told(mistakes, text, wrong):
    assert wrong in mistakes(text)[0]
