"""Values travel unchanged, and hostile bytes make nothing but a `ProtocolError`."""

import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secureos.kernel.isolation.encoding import DEEPEST, decode, encode
from secureos.kernel.isolation.errors import ProtocolError

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**500), 2**500),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.lists(st.integers(0, 65535)).map(lambda values: array("H", values)),
    st.lists(st.integers(-(2**31), 2**31 - 1)).map(lambda values: array("i", values)),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(st.text(), inner, max_size=5)),
    max_leaves=20,
)


def same(one, other):
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    return one == other and getattr(one, "typecode", "") == getattr(other, "typecode", "")


@given(values)
def test_a_value_comes_back_as_it_was(value):
    assert same(decode(encode(value)), value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_protocol_error(raw):
    try:
        decode(raw)
    except ProtocolError:
        return
    assert same(decode(encode(decode(raw))), decode(raw)) or b"d" in raw  # a NaN equals nothing


@given(values, st.data())
def test_a_value_that_is_cut_short_is_an_error(value, data):
    raw = encode(value)
    with pytest.raises(ProtocolError):
        decode(raw[: data.draw(st.integers(0, len(raw) - 1))])


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (object(), "a object cannot travel"),
        ({1: 2}, "a key must be text"),
        (array("u", "x"), "a array cannot travel"),
        (2**600, "a number of 76 bytes"),
        (set(), "a set cannot travel"),
    ],
)
def test_what_cannot_travel(value, says):
    with pytest.raises(ValueError, match=says):
        encode(value)


def test_nesting_is_bounded_on_both_sides():
    value = []
    for _ in range(DEEPEST + 1):
        value = [value]
    with pytest.raises(ValueError, match="nested"):
        encode(value)
    with pytest.raises(ProtocolError, match="nested"):
        decode(b"l\x01\x00\x00\x00" * 100 + b"N")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "1 bytes too early"),
        (b"NN", "1 bytes follow"),
        (b"x", "begins no value"),
        (b"s\x02\x00\x00\x00\xff\xfe", "not UTF-8"),
        (b"l" + struct.pack("<I", 2**32 - 1), "beyond the end"),
        (b"I\xff", "wider than"),
        (b"au\x00\x00\x00\x00", "no arrays of"),
        (b"aH\x03\x00\x00\x00abc", "no whole number"),
        (b"m\x01\x00\x00\x00NN", "no text"),
        (b"m\x02\x00\x00\x00" + b"s\x00\x00\x00\x00N" * 2, "comes twice"),
    ],
)
def test_hostile_bytes(raw, says):
    with pytest.raises(ProtocolError, match=says):
        decode(raw)


def test_bytearrays_travel_as_bytes():
    assert decode(encode(bytearray(b"ab"))) == b"ab"
