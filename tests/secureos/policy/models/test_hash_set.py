from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy.models import Incorrect
from secureos.policy.values import BooleanType, ListType, LiteralType, RecordType
from secureos.xdl import ArrayType, IntegerType, Parameter, SequenceType, StringType, StructType

BYTE, WORD = IntegerType("UInt8", 0, 255), IntegerType("UInt16", 0, 65535)


def declare(entry, set_size=2, pool_size=2):
    sizes = f"set_size : {set_size}, pool_size : {pool_size}"
    return f"policy object s : HashSet {{ type Entry = {entry} config = {{ {sizes} }} }}"


SIDS, ENTRIES = st.sampled_from([1, 1, 1, 2, 3]), st.sampled_from([0, 0, 1, 2, -1])
STEPS = st.lists(
    st.tuples(st.sampled_from(["init", "fini"]), SIDS)
    | st.tuples(st.sampled_from(["add", "add", "remove", "contains"]), SIDS, ENTRIES),
    min_size=10,
    max_size=30,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_plain_sets(lab, steps):
    real, plain = lab(declare("UInt8")), {}
    for what, sid, *rest in steps:
        mine = plain.get(sid)
        entry = rest[0] if rest else None
        if what == "contains":
            if mine is None or entry < 0:
                with pytest.raises(Incorrect):
                    real.value("contains", sid=sid, entry=entry)
            else:
                assert real.value("contains", sid=sid, entry=entry) == (entry in mine)
            continue
        good = mine is not None and (entry is None or entry >= 0)
        if what == "init":
            good = mine is None and len(plain) < 2
        elif what == "add" and good:
            good = entry in mine or len(mine) < 2
        arguments = {"sid": sid} | ({"entry": entry} if rest else {})
        assert (real.ask(what, 0, **arguments) is None) == good
        if good and what == "init":
            plain[sid] = set()
        elif good and what == "fini":
            del plain[sid]
        elif good:
            (mine.add if what == "add" else mine.discard)(entry)
        assert real.snapshot() == [[each, sorted(plain[each])] for each in sorted(plain)]


@pytest.mark.parametrize(
    ("entry", "good", "bad"),
    [
        ("UInt8", [0, 255], [256, -1, True, "a", [1]]),
        ("Boolean", [True, False], [1, 0, "true"]),
        ("5 | 7", [5, 7], [6, True]),
        ("UInt8 | Boolean", [1, True], [300, "a"]),
        ("[UInt8, Boolean]", [[1, True], (2, False)], [[1], [1, 2], [1, True, True], "ab", 5, {}]),
        ("{ a : UInt8, b : [SInt8] }", [{"a": 1, "b": [-1]}], [{"a": 1}, {"a": 1, "b": [200]}, 5]),
        ("Number", [-5, 2**64 - 1], [2**64]),
        ("Sid", [0], [-1]),
        ("Signed", [-1], [2**63]),
        ("Unsigned", [2**63], [-1]),
    ],
)
def test_entries_are_of_their_type(lab, entry, good, bad):
    real = lab(declare(entry, set_size=9))
    real.ask("init", sid=1)
    for value in good:
        assert real.ask("add", sid=1, entry=value) is None
        assert real.value("contains", sid=1, entry=value) is True
    for value in bad:
        assert real.ask("add", sid=1, entry=value) == f"`s`: {value} is not of the type `{entry}`"
        assert real.ask("remove", sid=1, entry=value) is not None
    assert len(real.snapshot()[0][1]) == len(good)


def test_one_is_not_true(lab):
    real = lab(declare("UInt8 | Boolean"))
    real.ask("init", sid=1)
    real.ask("add", sid=1, entry=1)
    assert real.value("contains", sid=1, entry=True) is False


@pytest.mark.parametrize(
    ("entry", "kind", "fits"),
    [
        ("UInt8", BYTE, True),
        ("UInt8", WORD, True),
        ("UInt8", LiteralType(255), True),
        ("UInt8", LiteralType(256), False),
        ("UInt8", LiteralType("a"), False),
        ("UInt8", BooleanType(), False),
        ("Boolean", BooleanType(), True),
        ("Boolean", BYTE, False),
        ("5 | 7", LiteralType(7), True),
        ("5 | 7", LiteralType(8), False),
        ("[UInt8, UInt8]", ListType((BYTE, LiteralType(3))), True),
        ("[UInt8, UInt8]", ListType((BYTE,)), False),
        ("[UInt8, UInt8]", ArrayType(BYTE, 2), True),
        ("[UInt8, UInt8]", SequenceType(StringType(3), 2), False),
        ("[UInt8, UInt8]", BYTE, False),
        ("{ a : UInt8 }", RecordType({"a": BYTE}), True),
        ("{ a : UInt8 }", RecordType({"b": BYTE}), False),
        ("{ a : UInt8 }", StructType("S", (Parameter("a", BYTE),)), True),
        ("{ a : UInt8 }", StructType("S", (Parameter("a", StringType(3)),)), False),
        ("{ a : UInt8 }", BYTE, False),
    ],
)
def test_arguments_are_checked_at_load(lab, refuses, entry, kind, fits):
    assert (refuses(lab(declare(entry)), "add", "entry", kind) is None) == fits


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (declare("Text"), "42: `Text` cannot be in an entry: entries are integers, Booleans, and dictionaries or"),
        (declare("UInt9"), "did you mean `UInt8`?"),
        (declare('"a"'), "42: entries are integers, Booleans, and dictionaries or tuples of those"),
        (declare("Set<UInt8>"), "42: entries are integers, Booleans, and dictionaries or tuples of those"),
        (declare("[" * 9 + "UInt8" + "]" * 9), "51: types of entries nest at most 8 deep"),
        (declare("UInt8", set_size=0), "0 is outside 1 to 65536"),
        (declare("UInt8", set_size=65536, pool_size=17), "`set_size` times `pool_size` is more than 1048576"),
        ("policy object s : HashSet { config = { set_size : 1, pool_size : 1 } }", "15: `s` has no `type Entry`"),
        ("policy object s : HashSet { type Entry = UInt8 }", "15: `s` has no `config`"),
        (declare("UInt8").replace("pool_size", "pol_size"), "did you mean `pool_size`?"),
    ],
)
def test_mistakes_are_told(mistakes, text, wrong):
    assert wrong in mistakes(text)[0]


def test_a_type_that_is_none_holds_nothing(configured):
    for entry in ("Text", "[Text]"):
        shape = configured(declare(entry)).rules["add"].parameters["entry"]
        assert shape.refuse(BYTE) is not None
    assert configured("policy object s : HashSet { }").rules["add"].parameters["entry"].refuse(BYTE) is not None


def test_reasons(lab):
    real = lab(declare("UInt8", set_size=1, pool_size=1))
    assert real.ask("add", sid=1, entry=1) == "`s`: subject 1 has no set"
    assert real.ask("remove", sid=1, entry=1) == "`s`: subject 1 has no set"
    assert real.ask("fini", sid=1) == "`s`: subject 1 has no set"
    real.ask("init", sid=1)
    assert real.ask("init", sid=1) == "`s`: subject 1 has a set already"
    assert real.ask("init", sid=2) == "`s`: all 1 sets are in use"
    real.ask("add", sid=1, entry=1)
    assert real.ask("add", sid=1, entry=1) is None
    assert real.ask("add", sid=1, entry=2) == "`s`: the set of subject 1 is full, it has 1 entries"
    assert real.ask("remove", sid=1, entry=1) is None
    assert real.ask("remove", sid=1, entry=1) is None
    assert real.snapshot() == [[1, []]]
    with pytest.raises(Incorrect, match="300 is not of the type `UInt8`"):
        real.value("contains", sid=1, entry=300)
