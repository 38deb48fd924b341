from __future__ import annotations

import pytest

from secureos.policy import Event, PolicyError

SET = "request dst=lab.Driver method=Set"


@pytest.fixture(scope="module")
def granted(engine, set_event):
    """Whether `assert (expression)` grants for one message with every kind of field."""
    fields = {
        "rpm": -5,
        "big": 2**63,
        "head": {"kind": 2, "code": -7},
        "bits": [1, 0x80, 9],
        "heads": [{"kind": 1, "code": 4}],
        "text": "abc",
        "either": {"a": 3},
        "handle": {"handle": 77, "rights": 0x81},
    }

    def ask(expression):
        return engine(f"{SET} {{ assert ({expression}) }}").decide(set_event(**fields))

    return ask


@pytest.mark.parametrize(
    "expression",
    [
        # bits
        "(message.bits.[1] & 0x80) == 128",
        "(message.bits.[0] | 6) == 7",
        "(~message.bits.[0]) == 254",
        "(~message.rpm) == 4",
        "(message.bits.[2] & ~0x80) == 9",
        "~(message.bits.[0] + 1) == -3",
        "(6 | 1 & 3) == 7",
        # Bool
        "bool.all []",
        "!bool.any []",
        "bool.all [true, message.rpm < 0]",
        "bool.any [false, message.rpm < 0,]",
        "bool.any([false, true,])",
        "bool.any [true, message.heads.[1].kind == 0]",
        "!bool.all [false, message.heads.[1].kind == 0]",
        "bool.cond {if : message.rpm < 0, then : true, else : false}",
        "bool.cond {if : false, then : message.heads.[1].kind, else : 5} == 5",
        'pred.empty (bool.cond {if : true, then : "", else : message.text})',
        "bool.cond {if : true, then : message.rpm, else : 7} == -5",
        # Math
        "math.neg (message.rpm) == 5",
        "math.abs (message.rpm) == 5",
        "math.abs (-3) == 3",
        "math.sum [] == 0",
        "math.product [] == 1",
        "math.sum [1, message.rpm, 3] == -1",
        "math.product [2, message.rpm, 3] == -30",
        "math.sum (message.bits) == 138",
        "math.product [18446744073709551615, 18446744073709551615, 0] == 0",
        "math.uint32 (message.bits.[0]) == 1",
        "math.sint64 (message.rpm) == -5",
        "math.uint8 (255) == 255",
        # Pred and Struct
        'pred.empty ("")',
        "pred.empty ([])",
        "pred.empty ({})",
        "pred.empty ()",
        "!pred.empty (message.text)",
        "!pred.empty (message.bits)",
        "size (message.heads) == 1",
        "size [1, 2] == 2",
        "struct.size (message.bits) == 3",
        "message.either.a == 3",
        "message.handle.handle == 77 && message.handle.rights == 0x81",
        "(message.handle.rights & 1) == 1",
        "[7, 8].[1] == 8",
        "{ a : 7 }.a == 7",
        "message.head.code == -7 ==> message.head.kind == 2",
        "(((message.rpm))) == (-5)",
    ],
)
def test_expressions_that_are_true(granted, expression):
    verdict = granted(expression)
    assert verdict.granted, verdict.reason


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("message.big + message.big == 0", "the result of `+` does not fit 64 bits"),
        ("message.big * 3 == 0", "the result of `*` does not fit 64 bits"),
        ("math.abs (message.rpm) - message.big - message.big - message.big == 0", "the result of `-` does not fit"),
        ("(~(message.big + 1)) == 0", "the result of `~` does not fit 64 bits"),
        ("math.sum [message.big, message.big] == 0", "the result of `math.sum` does not fit 64 bits"),
        ("math.product [message.big, message.big] == 0", "the result of `math.product` does not fit 64 bits"),
        ("math.uint8 (message.rpm) == 0", "-5 does not fit UInt8"),
        ("message.heads.[1].kind == 0", "the message has 1 items where item 1 is asked for"),
        ("message.either.b == 0", "the message has no field `b` this time"),
        ("[1].[0] + message.heads.[1].code == 0", "the message has 1 items where item 1 is asked for"),
    ],
)
def test_what_has_no_value_is_denied(tmp_path, lab, expression, why):
    from secureos.policy import Engine, compile_policy
    from secureos.xdl import Catalogue
    from secureos.xdl.source import source_from_text

    idl = (lab.folders[0] / "lab" / "Outputs.idl").read_text()
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "Outputs.idl").write_text(idl.replace("UInt8 a; }", "UInt8 a; UInt8 b; }"))
    text = f"use EDL lab.Driver use EDL lab.Client {SET} {{ assert ({expression}) }}"
    policy = compile_policy(source_from_text(text), Catalogue([tmp_path, *lab.folders[:-1]]))
    fields = {"rpm": -5, "big": 2**63, "heads": [{"kind": 1, "code": 4}], "either": {"a": 1}}
    event = Event("request", 0, 5, 6, "lab.Client", "lab.Driver", "outputs", "Set", fields)
    verdict = Engine(policy).decide(event)
    assert not verdict.granted
    assert why in verdict.reason


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("~true == 1", "`~` takes an integer, not a Boolean"),
        ("(1 & true) == 1", "`&` takes an integer, not a Boolean"),
        ("bool.any [1]", "`bool.any` takes Booleans, not 1"),
        ("bool.all (true)", "`bool.all` takes a list `[…]` of Booleans, not a Boolean"),
        ("bool.cond (true)", "`bool.cond` takes `{if : …, then : …, else : …}`"),
        ("bool.cond {if : true, then : true}", "`bool.cond` needs the parameter `else`"),
        ("bool.cond {if : true, then : true, els : true}", "`bool.cond` has no parameter `els`; did you mean `else`?"),
        ("bool.cond {if : 1, then : true, else : true}", "`bool.cond` takes a Boolean as `if`, not 1"),
        ("bool.cond {if : true, then : true, else : 1}", "`else` is 1, but `then` is a Boolean"),
        ("bool.cond {if : true, if : true, then : true, else : 1}", "parameter `if` is given twice"),
        ("bool.nope ()", "Bool `bool` has no expression `nope`"),
        ("bool.al [true]", "Bool `bool` has no expression `al`; did you mean `all`?"),
        ("siz (message.bits) == 1", "there is no expression `siz`; did you mean `size`?"),
        ("size (1) == 1", "`size` takes a list, not 1"),
        ("math.neg (message.big) == 1", "`math.neg` takes a signed integer, not UInt64"),
        ("math.sum [true] == 1", "`math.sum` takes a list of integers, not [a Boolean]"),
        ("math.uint8 (256) == 1", "256 is outside 0 to 255 (UInt8)"),
        ("math.uint9 (2) == 1", "Math `math` has no expression `uint9`; did you mean `uint8`?"),
        ("math.uintsize (2) == 1", "Math `math` has no expression `uintsize`"),
        ("pred.empty (1)", "`pred.empty` takes a text, a list, a dictionary or `()`, not 1"),
        ("pred", "`pred` needs an argument, `()` or `{…}`"),
        ("{ 1 : 2 } == 1", "key `1` must be a name or a text"),
        ("{ a : 2, a : 3 } == 1", "key `a` is given twice"),
        ("[1].[1] == 1", "[1] has no item 1, the last is 0"),
        ("{ a : 7 }.b == 7", "{a : 7} has no field `b`"),
        ("message.handle.rigths == 1", "Handle has no field `rigths`; did you mean `rights`?"),
        ("message.raw == 1", "`message.raw` is bytes<8>, which a policy cannot see"),
    ],
)
def test_expressions_that_are_wrong(load, expression, wrong):
    with pytest.raises(PolicyError) as caught:
        load(f"{SET} {{ assert ({expression}) }}")
    assert caught.value.diagnostics[0].message.startswith(wrong)


def test_objects_of_the_language_may_have_other_names(load, engine, set_event):
    text = f"policy object logic : Bool {{ }} {SET} {{ logic.assert (logic.any [true]) bool.assert (true) }}"
    assert engine(text).decide(set_event()).granted
    for wrong, message in [
        ("policy object logic : Bool { config = 1 }", "a `Bool` has no settings"),
        ("request { logic.assert (true) }", "unknown object `logic`"),
        ("request { bool.any [true] }", "Bool `bool` has no rule `any`; its expressions stand inside of rules"),
        ("policy object bool : Bool { }", "`bool` has a meaning of its own; choose another name"),
    ]:
        with pytest.raises(PolicyError, match=message):
            load(wrong)


def test_a_rule_knows_its_object_operation_and_syntax(load):
    from secureos.policy.compile import compile_bindings

    policy = load(f"policy object quiet : Base {{ }}\n{SET} {{\n// why\nquiet.assert (true)\ngrant () }}")
    objects = {name: make() for name, make in policy.objects.items()}
    first, second = compile_bindings(policy.bindings, policy.classes, objects)
    assert (first.object, first.operation, first.note) == ("quiet", "assert", "why")
    assert (second.object, second.operation, second.note) == ("base", "grant", "")
    assert first.call is policy.bindings[0].body[0]
    assert [str(value.type) for value in first.args] == ["a Boolean"]
    assert first.inner is None
    assert second.args == ()
