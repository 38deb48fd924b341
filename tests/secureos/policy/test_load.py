from __future__ import annotations

import hashlib

import pytest

from secureos.policy import PolicyError, compile_policy, load_policy
from secureos.xdl.source import source_from_text

HEAD_LINES = 5  # of the fixture `head`, which stands before each text
WRITE = "request src=lab.Client dst=lab.Driver endpoint=outputs method=Write"
SET = "request dst=lab.Driver method=Set"
FLOW = 'type State = "a" | "b" config = { states : ["a", "b"], initial : "a", transitions : { "a" : ["b"] } }'


def flow(old="", new="", after=""):
    """A declaration of a Flow in which one piece is replaced, and what stands behind it."""
    return f"policy object f : Flow {{ {FLOW.replace(old, new) if old else FLOW} }} {after}"


def mistakes(work):
    with pytest.raises(PolicyError) as caught:
        work()
    return [f"{d.span.line - HEAD_LINES}:{d.span.column}: {d.message}" for d in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        # names
        ("request src=lab.Clint { grant () }", "1:13: unknown class `lab.Clint`; did you mean `lab.Client`?"),
        ("request dst=lab.Other { grant () }", "1:13: unknown class `lab.Other`; did you mean `lab.Driver`?"),
        ("request dst=Quite { grant () }", "1:13: unknown class `Quite`; if it exists, add `use EDL Quite`"),
        (
            "request dst=lab.Driver endpoint=output { grant () }",
            "1:33: unknown endpoint `output` in dst=lab.Driver; did you mean `outputs`?",
        ),
        (
            "request { match method=Wrote { grant () } }",
            "1:24: unknown method `Wrote` in any class; did you mean `Write`?",
        ),
        (
            "request endpoint=valve.log { match method=Write { grant () } }",
            "1:43: unknown method `Write` in endpoint=valve.log",
        ),
        (
            "request component=lab.Valv { }",
            "1:19: unknown component `lab.Valv` in any class; did you mean `lab.Valve`?",
        ),
        (
            "request interface=lab.Output { }",
            "1:19: unknown interface `lab.Output` in any class; did you mean `lab.Outputs`?",
        ),
        ("security method=Report2 { }", "1:17: unknown method `Report2` in any class; did you mean `Report`?"),
        ("security src=lab.Client { match method=Report { } }", "1:40: unknown method `Report` in src=lab.Client"),
        (
            "security dst=lab.Driver { }",
            "1:14: `security` events have no `dst`; they take `src`, `interface`, `method`",
        ),
        (
            "execute endpoint=e { }",
            "1:18: `execute` events have no `endpoint`; they take `src`, `dst`, `interface`, `method`",
        ),
        ("execute method=go { }", "1:16: the method of `execute` events is `main`"),
        ("execute interface=lab.Log { }", "1:19: the interface of `execute` events is `kl.core.Execute`"),
        (
            "request src=lab.Client { match src=lab.Driver { } }",
            "1:36: `src=lab.Driver` contradicts `src=lab.Client` around it",
        ),
        ("request { gant () }", "1:11: Base `base` has no rule `gant`; did you mean `grant`?"),
        ("request { bas.grant () }", "1:11: unknown object `bas`; did you mean `base`?"),
        ("request { assert (nope.x ()) }", "1:19: unknown object `nope`"),
        ("request { assert (base.x ()) }", "1:19: Base `base` has no expression `x`"),
        ("request { assert (mesage.x == 1) }", "1:19: unknown name `mesage`; did you mean `message`?"),
        ("request { assert (base.grant ()) }", "1:19: `base.grant` is a rule, it has no value"),
        ("request { assert (base) }", "1:19: `base` needs an argument, `()` or `{…}`"),
        # arguments
        ("request { grant (true) }", "1:18: `grant` takes `()`"),
        ("request { assert () }", "1:18: `assert` takes `(…)` with a Boolean, not `()`"),
        ("request { assert { } }", "1:18: the argument of `assert` must be a Boolean, not {}"),
        ("request { deny (1) }", "1:17: the argument of `deny` must be a Boolean, not 1"),
        ('request { deny ("x") }', '1:17: the argument of `deny` must be a Boolean, not "x"'),
        ("request { deny [true] }", "1:16: the argument of `deny` must be a Boolean, not [a Boolean]"),
        # the message
        (
            f"{WRITE} {{ assert (message.sesion == 1) }}",
            "1:79: the request of `lab.Outputs.Write` has no field `sesion`; did you mean `session`?",
        ),
        (
            "request { assert (message.session == 1) }",
            "1:19: the request of `lab.Outputs.Set` has no field `session`; add `method=…`",
        ),
        (
            f"{SET} {{ assert (message.head.kin == 1) }}",
            "1:45: lab.Outputs.Head has no field `kin`; did you mean `kind`?",
        ),
        (f"{SET} {{ assert (message.rpm.x == 1) }}", "1:45: SInt32 has no field `x`"),
        (f"{SET} {{ assert (message.rpm.[0] == 1) }}", "1:45: SInt32 has no items"),
        (f"{SET} {{ assert (message.bits.[3] == 1) }}", "1:45: array<UInt8, 3> has no item 3, the last is 2"),
        (f"{SET} {{ assert (message.bits.[0].x == 1) }}", "1:45: UInt8 has no field `x`"),
        (f"{SET} {{ assert (message.raw == 1) }}", "1:45: `message.raw` is bytes<8>, which a policy cannot see"),
        (
            f"{SET} {{ assert (message.handle == 1) }}",
            "1:45: `message.handle` is Handle; name `.handle` (its security identifier) or `.rights`",
        ),
        (
            f"{SET} {{ assert (message.either.b == 1) }}",
            "1:45: lab.Outputs.Either has no field `b`",
        ),
        (f"{SET} {{ assert (message == 1) }}", "1:45: name a field of the message: `message.…`"),
        (f"{SET} {{ assert (src_sid.x == 1) }}", "1:45: `src_sid` is an integer, it has no fields"),
        (f"{SET} {{ assert ((1 + 1).x == 1) }}", "1:45: an integer has no field `x`"),
        ("execute { assert (message.x == 1) }", "1:19: `execute` events carry no message"),
        ("security { assert (dst_sid == 1) }", "1:20: `security` events have no `dst_sid`"),
        # operators
        (
            f'{SET} {{ assert (message.text == "a") }}',
            "1:45: `==` compares numbers and Booleans, not texts; use `re.match` or a PointSet",
        ),
        ("request { assert (true == 1) }", "1:19: `==` cannot compare a Boolean with 1"),
        ("request { assert (() != ()) }", "1:19: `!=` cannot compare `()` with `()`"),
        ("request { assert (1 && true) }", "1:19: `&&` takes a Boolean, not 1"),
        ("request { assert (true ==> 1) }", "1:28: `==>` takes a Boolean, not 1"),
        ("request { assert (!1) }", "1:20: `!` takes a Boolean, not 1"),
        ("request { assert (true < 2) }", "1:19: `<` takes an integer, not a Boolean"),
        ("request { assert (1 + true == 2) }", "1:23: `+` takes an integer, not a Boolean"),
        # the file
        ("execute: kl.core.Execute", "1:1: the execute interface is named in security.psl:1 already"),
        (
            "use EDL lab.Drivr",
            "1:9: unknown class `lab.Drivr`: no folder holds `lab/Drivr.edl`; did you mean `lab.Driver`?",
        ),
        ("use nk.bass._", "1:5: unknown policy file `nk.bass`: no folder holds `nk/bass.psl`; did you mean `nk.base`?"),
        (f"use {'n' * 5000}._", f"1:5: unknown policy file `{'n' * 200}`: no folder holds `{'n' * 200}.psl`"),
        ("policy object base : Base { }", "1:15: `base` has a meaning of its own; choose another name"),
        ("policy object b : Base { } policy object b : Base { }", "1:42: policy object `b` is declared already"),
        ("policy object b : Bass { }", "1:19: model `Bass` does not exist; did you mean `Base`?"),
        # Base, PointSet
        ("policy object b : Base { config = 1 }", "1:26: a `Base` has no settings"),
        ("policy object b : Base { type T = UInt8 }", "1:31: unknown type `T`"),
        ("policy object p : PointSet { }", "1:15: `p` has no `config`"),
        ("policy object p : PointSet { config = [] }", "1:39: a set of points needs at least one member"),
        ("policy object p : PointSet { config = 5 }", "1:39: a list `[…]` is due here"),
        ("policy object p : PointSet { config = [true] }", "1:40: a member is a text or an integer"),
        ('policy object p : PointSet { config = ["a", 1] }', "1:45: members are all texts or all integers"),
        ('policy object p : PointSet { config = ["a", "a"] }', "1:45: `a` is listed twice"),
        (
            'policy object p : PointSet { confg = ["a"] config = ["a"] }',
            "1:30: unknown setting `confg`; did you mean `config`?",
        ),
        ('policy object p : PointSet { config = ["a"] config = ["a"] }', "1:45: `config` is given twice"),
        (
            f"policy object p : PointSet {{ config = [1] }}\n{WRITE} {{ deny (p.meets {{ points : message.tags }}) }}",
            "2:96: `points` of `p.meets` must be an integer or a list of integers, not sequence<string<32>, 64>",
        ),
        (
            'policy object p : PointSet { config = ["a"] } request { p.meets { points : "a" } }',
            "1:57: `p.meets` is an expression; a rule is due here, e.g. `assert (p.meets …)`",
        ),
        (
            'policy object p : PointSet { config = ["a"] } request { deny (p.meets { point : "a" }) }',
            "1:73: `p.meets` has no parameter `point`; did you mean `points`?",
        ),
        (
            'policy object p : PointSet { config = ["a"] } request { deny (p.meets { points : "a", points : "a" }) }',
            "1:87: parameter `points` is given twice",
        ),
        (
            'policy object p : PointSet { config = ["a"] } request { deny (p.meets { }) }',
            "1:71: `p.meets` needs the parameter `points`",
        ),
        (
            'policy object p : PointSet { config = ["a"] } request { deny (p.meets ("a")) }',
            "1:72: `p.meets` takes `{points : …}`",
        ),
        (
            'policy object p : PointSet { config = ["a"] } request { deny (p.meets ()) }',
            "1:71: `p.meets` takes `{points : …}`, not `()`",
        ),
        # Flow
        ("policy object f : Flow { config = { } }", "1:15: `f` has no `type State`"),
        (f'policy object f : Flow {{ type State = "a" {FLOW} }}', "1:48: type `State` is given twice"),
        (flow('initial : "a"', 'initial : "aa"'), "1:91: unknown state `aa`; did you mean `a`?"),
        (flow('["a", "b"]', '["a", "b", "a"]'), "1:80: `a` is listed twice"),
        (flow('["b"]', '["c"]'), "1:119: unknown state `c`"),
        (flow('{ "a"', '{ "x"'), "1:118: unknown state `x`"),
        (flow('| "b"', "| 5"), '1:39: the states are texts: `"a" | "b"`'),
        (flow('| "b"', '| "c"'), "1:39: `type State` and `states` list different states"),
        (flow('initial : "a",'), "1:58: key `initial` is missing"),
        (
            flow(after='execute { f.enter { sid : src_sid, state : "bb" } }'),
            '1:173: `state` of `f.enter` must be one of the states a, b, not "bb"; did you mean `b`?',
        ),
        (
            flow('"b"', '"closed"', 'execute { f.allow { sid : 1, states : ["clsed"] } }'),
            "1:183: `states` of `f.allow` must be a list of states out of a, closed, not "
            '["clsed"]; did you mean `closed`?',
        ),
        (
            flow(after="execute { assert (f.query { sid : src_sid }) }"),
            "1:148: this stands in a `choice` only: `choice (…) { case : rule … }`",
        ),
        # Budget
        ("policy object b : Budget { config = 5 }", "1:37: a dictionary `{…}` is due here"),
        (
            "policy object b : Budget { config = { limit : 1, window_ms : 0, max_age_ms : 1, weighs : { } } }",
            "1:62: 0 is outside 1 to 2592000000",
        ),
        (
            'policy object b : Budget { config = { limit : "1", window_ms : 1, max_age_ms : 1, weighs : { } } }',
            "1:47: an integer is due here",
        ),
        (
            "policy object b : Budget { config = { limit : 1, window_ms : 1, max_age_ms : 1, weighs : { 5 : { } } } }",
            "1:92: key `5` must be a name or a text",
        ),
        (
            "policy object b : Budget { config = { limit : 1, limit : 1, window_ms : 1, weighs : {} } }",
            "1:50: key `limit` is given twice",
        ),
        (
            "policy object b : Budget { config = { limit : 1, window_ms : 1, max_age_ms : 1, weighs : { x : "
            '{ bye : 1, by : "", at_least : 1 } } } }',
            "1:98: unknown key `bye`; did you mean `by`?",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(load, text, wrong):
    assert mistakes(lambda: load(text))[0] == wrong


def test_several_mistakes_are_told_in_one_pass(load):
    text = "policy object p : PointSet { config = [true] }\nrequest { gant () deny (1) match method=X { nope () } }"
    assert [wrong.split(":")[0] for wrong in mistakes(lambda: load(text))] == ["1", "2", "2", "2"]


def test_an_ambiguous_type_and_a_message_that_cannot_come_are_refused(lab, load):
    assert mistakes(lambda: load("error { deny (message.code == 1) }")) == [
        "1:15: the error of `lab.Outputs.Set` has no field `code`; add `method=…`",
    ]
    source = source_from_text("execute: kl.core.Execute request { assert (message.x == 1) }", name="p.psl")
    with pytest.raises(PolicyError, match=r"p.psl:1:44: no message can come here"):
        compile_policy(source, lab)


def test_one_field_of_two_types_is_refused(tmp_path):
    from secureos.xdl import Catalogue

    (tmp_path / "I.idl").write_text("package I interface { A(in UInt8 x); B(in UInt16 x); C(in UInt8 x); }")
    (tmp_path / "S.edl").write_text("task class S endpoints { i : I }")
    source = source_from_text("execute: kl.core.Execute use EDL S request { assert (message.x == 1) }")
    with pytest.raises(PolicyError, match=r"`message.x` has different types in the messages that can come here"):
        compile_policy(source, Catalogue([tmp_path]))


def test_the_execute_interface_has_one_name(lab):
    def load(text):
        return lambda: compile_policy(source_from_text(text, name="p.psl"), lab)

    (warning,) = load("request { grant () }")().warnings
    assert str(warning).startswith("p.psl:1:1: no line says `execute: kl.core.Execute`; it is taken as said")
    assert mistakes(load("execute: kl.core.Exec")) == [
        "-4:10: the execute interface is `kl.core.Execute`, not `kl.core.Exec`"
    ]


def test_the_error_shows_line_and_caret(load):
    with pytest.raises(PolicyError) as caught:
        load("request src=lab.Client\n\tdst=lab.Drivr { grant () }")
    assert str(caught.value) == (
        "security.psl:7:6: unknown class `lab.Drivr`; did you mean `lab.Driver`?\n"
        "    \tdst=lab.Drivr { grant () }\n    \t    ^~~~~~~~~"
    )


class TestFiles:
    def test_included_text_stands_in_the_place_of_the_use_line(self, lab, head, tmp_path):
        (tmp_path / "more").mkdir()
        (tmp_path / "lib").mkdir()
        (tmp_path / "security.psl").write_text(
            f"{head}execute {{ grant () }} use more.b._ use a._ execute {{ deny () }}"
        )
        (tmp_path / "more" / "b.psl").write_text("use a._ error { grant () }")
        (tmp_path / "lib" / "a.psl").write_text("response { grant () }")
        policy = load_policy(tmp_path / "security.psl", lab, include=[tmp_path / "lib"])
        assert [binding.event for binding in policy.bindings] == ["execute", "response", "error", "execute"]
        assert [source.name for source in policy.sources] == ["security.psl", "more/b.psl", "a.psl"]
        lines = "".join(f"{source.sha256}  {source.name}\n" for source in policy.sources)
        assert policy.sha256 == hashlib.sha256(lines.encode()).hexdigest()
        assert policy.name == "security.psl"

    def test_the_hash_of_one_file_is_that_of_its_bytes(self, lab, head, tmp_path):
        content = b"execute: kl.core.Execute\r\n"
        (tmp_path / "p.psl").write_bytes(content)
        assert load_policy(tmp_path / "p.psl", lab).sha256 == hashlib.sha256(content).hexdigest()

    def test_circles_are_named(self, lab, head, tmp_path):
        (tmp_path / "security.psl").write_text(f"{head} use a._")
        (tmp_path / "a.psl").write_text("use security._")
        assert mistakes(lambda: load_policy(tmp_path / "security.psl", lab)) == [
            "-4:1: files include one another in a circle: security.psl → a.psl → security.psl"
        ]

    def test_depth_is_bounded(self, lab, head, tmp_path):
        (tmp_path / "security.psl").write_text(f"{head} use a0._")
        for number in range(20):
            (tmp_path / f"a{number}.psl").write_text(f"use a{number + 1}._")
        assert mistakes(lambda: load_policy(tmp_path / "security.psl", lab)) == [
            "-4:1: more than 16 includes deep, or more than 256 files"
        ]

    def test_mistakes_in_included_files_are_told(self, lab, head, tmp_path):
        (tmp_path / "security.psl").write_text(f"{head}use a._ use b._ use nope._")
        (tmp_path / "a.psl").write_text("execute: kl.core.Execute request {")
        (tmp_path / "b.psl").write_bytes(b"\xff")
        found = mistakes(lambda: load_policy(tmp_path / "security.psl", lab))
        assert found == [
            "-4:35: unexpected the end of the file; expected a name, `}`",
            "-4:1: byte 0xff is not UTF-8; save the file as UTF-8",
            "1:21: unknown policy file `nope`: no folder holds `nope.psl`",
        ]
        (tmp_path / "a.psl").write_text("execute: kl.core.Execute")
        (tmp_path / "b.psl").write_text("")
        found = mistakes(lambda: load_policy(tmp_path / "security.psl", lab))
        assert found == ["1:21: unknown policy file `nope`: no folder holds `nope.psl`"]

    def test_a_missing_file_is_told(self, lab, head, tmp_path):
        with pytest.raises(PolicyError, match="the file cannot be read: No such file or directory"):
            load_policy(tmp_path / "security.psl", lab)
