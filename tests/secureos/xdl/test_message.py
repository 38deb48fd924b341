from __future__ import annotations

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.xdl import (
    ArrayType,
    BytesType,
    HandleType,
    IntegerType,
    Method,
    OpaqueType,
    Parameter,
    SequenceType,
    StringType,
    StructType,
    UnionType,
    check_message,
)
from secureos.xdl.message import checker

U8 = IntegerType("UInt8", 0, 255)
U16 = IntegerType("UInt16", 0, 65535)
S32 = IntegerType("SInt32", -(2**31), 2**31 - 1)
POINT = StructType("P", (Parameter("x", U8),))
EITHER = UnionType("E", (Parameter("a", U8), Parameter("b", StringType(2))))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (U8, 0),
        (U8, 255),
        (S32, -(2**31)),
        (BytesType(2), b"ab"),
        (StringType(2), "é"),
        (SequenceType(U16, 3), []),
        (SequenceType(U16, 3), (1, 2, 3)),
        (SequenceType(U16, 3), array("H", [1, 65535])),
        (SequenceType(U16, 3), array("B", [1])),
        (SequenceType(U16, 3), array("q", [65535])),
        (ArrayType(StringType(1), 2), ["a", "b"]),
        (POINT, {"x": 1}),
        (SequenceType(POINT, 2), [{"x": 1}, {"x": 2}]),
        (EITHER, {"b": "ab"}),
        (HandleType(), {"handle": 2**64 - 1, "rights": 2**32 - 1}),
        (OpaqueType(), object()),
    ],
)
def test_what_fits_is_good(kind, value):
    assert check_message((Parameter("f", kind),), {"f": value}) is None


@pytest.mark.parametrize(
    ("kind", "value", "wrong"),
    [
        (U8, 256, "field `f` is 256, outside 0 to 255 (UInt8)"),
        (U8, -1, "field `f` is -1, outside 0 to 255 (UInt8)"),
        (U8, 10**4000, "field `f` is a number of 13288 bits, outside 0 to 255 (UInt8)"),
        (U8, True, "field `f` must be an integer (UInt8), not a bool"),
        (U8, 1.0, "field `f` must be an integer (UInt8), not a float"),
        (U8, None, "field `f` must be an integer (UInt8), not nothing"),
        (BytesType(2), b"abc", "field `f` is 3 bytes long, the limit is 2"),
        (BytesType(2), "ab", "field `f` must be bytes, not a text"),
        (StringType(2), "abc", "field `f` is 3 bytes long in UTF-8, the limit is 2"),
        (StringType(3), "éé", "field `f` is 4 bytes long in UTF-8, the limit is 3"),
        (StringType(3), "\ud800", "field `f` holds half a surrogate pair, which UTF-8 cannot carry"),
        (StringType(3), b"a", "field `f` must be a text, not a bytes"),
        (SequenceType(U16, 1), [1, 2], "field `f` has 2 items, the limit is 1"),
        (SequenceType(U16, 9), "ab", "field `f` must be a list, not a text"),
        (SequenceType(U16, 9), [1, True], "field `f` item 1 must be an integer (UInt16), not a bool"),
        (SequenceType(U16, 9), [1, 65536], "field `f` item 1 is 65536, outside 0 to 65535 (UInt16)"),
        (SequenceType(U16, 9), array("h", [-1]), "field `f` item 0 is -1, outside 0 to 65535 (UInt16)"),
        (SequenceType(U16, 9), array("d", [1.0]), "field `f` item 0 must be an integer (UInt16), not a float"),
        (ArrayType(U8, 2), [1], "field `f` has 1 items, exactly 2 are due"),
        (ArrayType(StringType(1), 1), ["ab"], "field `f` item 0 is 2 bytes long in UTF-8, the limit is 1"),
        (POINT, {"x": 256}, "field `f`: field `x` is 256, outside 0 to 255 (UInt8)"),
        (POINT, 7, "field `f` must be a mapping of fields (P), not an integer"),
        (EITHER, {}, "field `f` must be a mapping with exactly one of the fields of E"),
        (EITHER, {"c": 1}, "field `f`: field `c` is not in the description"),
        (EITHER, {"a": "x"}, "field `f`: field `a` must be an integer (UInt8), not a text"),
        (HandleType(), 1, "field `f` must be a mapping of fields (Handle), not an integer"),
        (HandleType("a.B"), {"handle": 1}, "field `f`: field `rights` is missing"),
        (
            HandleType(),
            {"handle": -1, "rights": 0},
            "field `f`: field `handle` is -1, outside 0 to 18446744073709551615 (a handle)",
        ),
        (
            HandleType(),
            {"handle": 1, "rights": 2**32},
            "field `f`: field `rights` is 4294967296, outside 0 to 4294967295 (a mask of rights)",
        ),
    ],
)
def test_what_does_not_fit_is_told(kind, value, wrong):
    assert check_message((Parameter("f", kind),), {"f": value}) == wrong


def test_fields_are_neither_missing_nor_unknown():
    fields = (Parameter("a", U8), Parameter("b", U8))
    assert check_message(fields, {"a": 1}) == "field `b` is missing"
    assert check_message(fields, {"a": 1, "b": 2, "c": 3}) == "field `c` is not in the description"
    assert check_message(fields, [1, 2]) == "a message is a mapping of fields, not a list"
    assert check_message((), {}) is None


def test_a_method_keeps_one_check_per_direction():
    method = Method("p.I", "Do", 0, (Parameter("a", U8),), (Parameter("b", U8),), (Parameter("c", U8),))
    assert method.check_inputs is method.check_inputs
    assert method.check_inputs({"a": 1}) is None
    assert method.check_outputs({"b": 1}) is None
    assert method.check_errors({"b": 1}) == "field `c` is missing"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=8,
)
KINDS = [U8, BytesType(2), StringType(2), SequenceType(U16, 2), ArrayType(U8, 2), POINT, EITHER]


@settings(deadline=None)
@given(st.sampled_from(KINDS), JUNK)
def test_no_value_makes_the_check_raise(kind, value):
    wrong = check_message((Parameter("f", kind),), {"f": value})
    assert wrong is None or wrong.startswith("field `f`")


@settings(deadline=None)
@given(st.lists(st.integers(-10, 70000) | st.booleans(), max_size=8))
def test_the_fast_check_of_integers_agrees_with_the_plain_one(values):
    plain = all(type(value) is int and 0 <= value <= 65535 for value in values)
    assert (check_message((Parameter("f", SequenceType(U16, 8)),), {"f": values}) is None) == plain


def test_types_are_shown_as_they_are_written():
    shown = {
        "sequence<Handle, 3>": SequenceType(HandleType(), 3),
        "array<handle<a.B>, 3>": ArrayType(HandleType("a.B"), 3),
        "sequence<a type that is not described here, 2>": SequenceType(OpaqueType(), 2),
        "bytes<4>": BytesType(4),
    }
    assert {str(kind): kind for kind in shown.values()} == shown


def test_a_run_of_texts_is_remembered_only_where_it_cannot_change():
    fits = checker([Parameter("f", SequenceType(StringType(3), 2))])
    short = checker([Parameter("f", SequenceType(StringType(2), 2))])
    held, growing = ("abc", "de"), ["abc", "de"]
    for values in (held, held, growing):
        assert fits({"f": values}) is None
    growing[1] = "long"
    assert fits({"f": growing}) == "field `f` item 1 is 4 bytes long in UTF-8, the limit is 3"
    assert short({"f": held}) == "field `f` item 0 is 3 bytes long in UTF-8, the limit is 2"
