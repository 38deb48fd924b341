from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy.models import Incorrect
from secureos.policy.values import LiteralType
from secureos.xdl import IntegerType, SequenceType, StringType


def declare(value="SInt8", keys='"a" : 1, "b" : -2', pool_size=2):
    config = f"keys : {{ {keys} }}, pool_size : {pool_size}"
    return f"policy object m : StaticMap {{ type Value = {value} config = {{ {config} }} }}"


SIDS, KEYS = st.integers(1, 3), st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["init", "init", "fini", "commit", "rollback"]), SIDS)
    | st.tuples(st.just("set"), SIDS, KEYS, st.integers(-130, 130))
    | st.tuples(st.sampled_from(["get", "get_uncommited"]), SIDS, KEYS),
    min_size=10,
    max_size=30,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_two_plain_tables(lab, steps):
    real, base, working = lab(declare()), {}, {}
    for what, sid, *rest in steps:
        if what.startswith("get"):
            plain = (base if what == "get" else working).get(sid, {})
            if rest[0] in plain:
                assert real.value(what, sid=sid, key=rest[0]) == plain[rest[0]]
            else:
                with pytest.raises(Incorrect):
                    real.value(what, sid=sid, key=rest[0])
            continue
        arguments = {"sid": sid}
        good = sid in base
        if what == "init":
            good = sid not in base and len(base) < 2
        elif what == "set":
            arguments |= {"key": rest[0], "value": rest[1]}
            good = good and rest[0] != "c" and -128 <= rest[1] <= 127
        assert (real.ask(what, 0, **arguments) is None) == good
        if not good:
            continue
        if what == "init":
            base[sid], working[sid] = {"a": 1, "b": -2}, {"a": 1, "b": -2}
        elif what == "fini":
            del base[sid], working[sid]
        elif what == "set":
            working[sid][rest[0]] = rest[1]
        elif what == "commit":
            base[sid] = dict(working[sid])
        else:
            working[sid] = dict(base[sid])


def test_a_key_can_be_its_bytes(lab):
    real = lab(declare(keys='"né" : 5'))
    real.ask("init", sid=1)
    assert real.value("get", sid=1, key=list("né".encode())) == 5
    for key in ([255], [300], [110]):
        with pytest.raises(Incorrect, match="there is no key"):
            real.value("get", sid=1, key=key)


def test_reasons(lab):
    real = lab(declare(pool_size=1))
    assert real.ask("set", sid=1, key="a", value=1) == "`m`: subject 1 has no table"
    assert real.ask("fini", sid=1) == "`m`: subject 1 has no table"
    assert real.ask("commit", sid=1) == "`m`: subject 1 has no table"
    real.ask("init", sid=1)
    assert real.ask("init", sid=1) == "`m`: subject 1 has a table already"
    assert real.ask("init", sid=2) == "`m`: all 1 tables are in use"
    assert real.ask("set", sid=1, key="c", value=1) == "`m`: there is no key `c`"
    assert real.ask("set", sid=1, key="a", value=128) == "`m`: 128 is outside -128 to 127"


def test_arguments_are_checked_at_load(lab, refuses):
    real, byte = lab(declare()), IntegerType("UInt8", 0, 255)
    assert refuses(real, "get", "key", LiteralType("a")) is None
    assert refuses(real, "get", "key", LiteralType("aa")) is not None
    assert refuses(real, "get", "key", StringType(9)) is None
    assert refuses(real, "get", "key", SequenceType(byte, 9)) is None
    assert refuses(real, "get", "key", byte) is not None
    assert refuses(real, "set", "value", byte) is None
    assert refuses(real, "set", "value", LiteralType(127)) is None
    assert refuses(real, "set", "value", LiteralType(128)) == "must be of the type SInt8, not 128"
    assert refuses(real, "set", "value", LiteralType("a")) is not None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (declare(value="Text"), "44: the values of a table are integers, not `Text`"),
        (declare(value="UInt9"), "44: the values of a table are integers, not `UInt9`; did you mean `UInt8`?"),
        (declare(value="5"), "44: the values of a table are integers, not `5`"),
        (declare(keys='"a" : 128'), "76: 128 is outside -128 to 127"),
        (declare(keys='"a" : "b"'), "76: an integer is due here"),
        (declare(keys=""), "68: a table has 1 to 4096 keys, not 0"),
        (declare(pool_size=0), "0 is outside 1 to 65536"),
        (
            declare(keys=", ".join(f'"k{number}" : 0' for number in range(17)), pool_size=65536),
            "the number of keys times `pool_size` is more than 1048576",
        ),
        ("policy object m : StaticMap { }", "15: `m` has no `type Value`"),
    ],
)
def test_mistakes_are_told(mistakes, text, wrong):
    assert wrong in mistakes(text)[0]
