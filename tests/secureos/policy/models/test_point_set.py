from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy.values import ListType, LiteralType
from secureos.xdl import IntegerType, SequenceType, StringType


@given(st.sets(st.integers(0, 9), min_size=1), st.lists(st.integers(0, 12), max_size=4))
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_plain_loops(lab, members, points):
    real = lab(f"policy object p : PointSet {{ config = {sorted(members)} }}")
    assert real.value("meets", points=points) == any(point in members for point in points)
    assert real.value("covers", points=points) == all(point in members for point in points)
    for point in points:
        assert real.value("meets", points=point) == real.value("covers", points=point) == (point in members)


def test_points_are_of_the_type_of_the_members(lab, refuses):
    texts, numbers = (lab(f"policy object p : PointSet {{ config = [{one}] }}") for one in ('"a"', "5"))
    byte = IntegerType("UInt8", 0, 255)
    for kind in (StringType(5), SequenceType(StringType(5), 3), LiteralType("b"), ListType((LiteralType("b"),))):
        assert refuses(texts, "meets", "points", kind) is None
        assert refuses(numbers, "meets", "points", kind) is not None
    for kind in (byte, SequenceType(byte, 3), LiteralType(5)):
        assert refuses(texts, "covers", "points", kind) is not None
        assert refuses(numbers, "covers", "points", kind) is None


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        ("[]", "39: a set of points needs at least one member"),
        ("5", "39: a list `[…]` is due here"),
        ("[true]", "40: a member is a text or an integer"),
        ('["a", 1]', "45: members are all texts or all integers"),
        ("[1, 1]", "43: `1` is listed twice"),
    ],
)
def test_mistakes_are_told(mistakes, config, wrong):
    assert mistakes(f"policy object p : PointSet {{ config = {config} }}") == [wrong]
