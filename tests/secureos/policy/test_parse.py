from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy import PolicyError, parse
from secureos.policy import syntax as psl
from secureos.xdl.source import source_from_bytes, source_from_text


def read(text):
    return parse(source_from_text(text, name="t.psl")).declarations


def expression(text):
    (binding,) = read(f"request {{ assert ({text}) }}")
    return binding.body[0].argument


def shown(part):
    """The tree with every operator in its own parentheses."""
    match part:
        case psl.Binary():
            return f"({shown(part.left)} {part.operator} {shown(part.right)})"
        case psl.Unary():
            return f"{part.operator}{shown(part.operand)}"
        case psl.Path():
            return part.text
        case psl.Member():
            return f"{shown(part.of)}.{part.name}"
        case psl.Element():
            return f"{shown(part.of)}.[{part.index}]"
        case psl.Application():
            return f"{part.path.text}{shown(part.argument)}"
        case psl.ListLiteral():
            return f"[{', '.join(map(shown, part.items))}]"
        case psl.DictionaryLiteral():
            return "{" + ", ".join(f"{entry.key}: {shown(entry.value)}" for entry in part.entries) + "}"
    return repr(part.value)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b * c", "(a + (b * c))"),
        ("a * b + c", "((a * b) + c)"),
        ("a - b - c", "((a - b) - c)"),
        ("a - b + c", "((a - b) + c)"),
        ("a * b * c", "((a * b) * c)"),
        ("a + b < c * d", "((a + b) < (c * d))"),
        ("a < b && c >= d", "((a < b) && (c >= d))"),
        ("a || b && c", "(a || (b && c))"),
        ("a && b || c", "((a && b) || c)"),
        ("a || b || c", "((a || b) || c)"),
        ("a && b && c", "((a && b) && c)"),
        ("a ==> b ==> c", "(a ==> (b ==> c))"),
        ("a || b ==> c && d", "((a || b) ==> (c && d))"),
        ("!a && b", "(!a && b)"),
        ("!a == b", "(!a == b)"),
        ("!!~a", "!!~a"),
        ("a == (b == c)", "(a == (b == c))"),
        ("a & b & c", "((a & b) & c)"),
        ("a | b & c", "(a | (b & c))"),
        ("a & b | c", "((a & b) | c)"),
        ("a | b | c & d", "((a | b) | (c & d))"),
        ("(a & 0x80) != 0", "((a & 128) != 0)"),
        ("~a & !b", "(~a & !b)"),
        ("-1 - -2", "(-1 - -2)"),
        ("a.b.[2].c", "a.b.[2].c"),
        ("f {x : 1}.y", "f{x: 1}.y"),
        ("f [1, 2,]", "f[1, 2]"),
        ("f ()", "fNone"),
        ("(f) (1)", None),
        ("size (a.b) > 2", "(sizea.b > 2)"),
        ('{ 1 : true, "k" : false, n : "\\"\\\\", -2 : () }', "{1: True, k: False, n: '\"\\\\', -2: None}"),
        ("match.request.error", "match.request.error"),
        ("a < b < c", None),
        ("a == b != c", None),
        ("a & b + c", None),
        ("a + b | c", None),
        ("a == b & c", None),
        ("a b", None),
    ],
)
def test_precedence_and_associativity(text, tree):
    if tree is None:
        with pytest.raises(PolicyError):
            expression(text)
    else:
        assert shown(expression(text)) == tree


def test_every_declaration_is_read():
    found = read(
        """execute: kl.core.Execute
        audit default = p 1
        audit profile p = { 0 : {}, 1 : { base : { kss : ["denied"] } }, }
        use nk.base._ use EDL a.B use EDL.deep._
        type T = UInt8 | "x" | 5 | -1 | () | [A, B] | { k : Set<UInt8>, request : Map<A, B> }
        policy object o : Flow { type State = "a" config = [1] }
        response dst=x.Y, src=x.Z component=c.D
          interface=i.J endpoint=e.f method=match { grant() }
        security { audit p match method=A match.go [] choice.x () audit.y {} choice (e.select {t : 1}) {
            "a|b" : grant () 1 : { deny () } -1 : deny () true : grant () false : grant () name : match src=q { }
            _ : choice (e) { } } }
        assert "set" { setup { } sequence "one" {
            v <- execute src=a dst=b
            grant "label" request src=v { n : [1] }
            deny a.x ~> b:e.f.method { k : "t" }
            any a ~> b:method
            request error } finally { } }
        assert { }""".replace("match method=A match.go", "match method=A { match.go () } match.go")
    )
    kinds = [type(part).__name__ for part in found]
    assert kinds == [
        *("ExecuteInterface", "AuditDefault", "AuditProfile", "UseFile", "UseClass", "UseFile", "TypeDeclaration"),
        *("ObjectDeclaration", "Binding", "Binding", "TestSet", "TestSet"),
    ]
    _, default, _, use_file, _, deep, type_declaration, _, response, security, tests, _ = found
    assert (default.profile.text, default.level) == ("p", 1)
    assert (use_file.path.text, deep.path.text) == ("nk.base", "EDL.deep")
    assert [type(option).__name__ for option in type_declaration.type.options] == [
        *("NamedType", "Constant", "Constant", "Constant", "Constant", "TupleType", "DictionaryType"),
    ]
    assert [(one.key, one.value.text) for one in response.selectors] == [
        ("dst", "x.Y"),
        ("src", "x.Z"),
        ("component", "c.D"),
        ("interface", "i.J"),
        ("endpoint", "e.f"),
        ("method", "match"),
    ]
    audit, match, go, named, also, choice = security.body
    assert (audit.profile.text, match.body[0].path.text, go.path.text) == ("p", "match.go", "match.go")
    assert (named.path.text, also.path.text) == ("choice.x", "audit.y")
    keys = [
        case.key if case.key is None else getattr(case.key, "text", getattr(case.key, "value", 0))
        for case in choice.cases
    ]
    assert keys == ["a|b", 1, -1, True, False, "name", None]
    setup, sequence, finish = tests.blocks
    assert (setup.part, sequence.part, sequence.name, finish.part) == ("setup", "sequence", "one", "finally")
    assert [(case.expectation, case.event, case.variable, case.label) for case in sequence.cases] == [
        ("grant", "execute", "v", ""),
        ("grant", "request", None, "label"),
        ("deny", "request", None, ""),
        ("any", "request", None, ""),
        ("grant", "request", None, ""),
        ("grant", "error", None, ""),
    ]
    assert [(one.key, one.value.text) for one in sequence.cases[2].selectors] == [
        ("src", "a.x"),
        ("dst", "b"),
        ("endpoint", "e.f"),
        ("method", "method"),
    ]
    assert [one.key for one in sequence.cases[3].selectors] == ["src", "dst", "method"]


def test_comments_belong_to_the_rule_below_them_or_before_them_in_the_line():
    (binding,) = read(
        """// far away

        request {
            // first
            /* second
             * third */
            grant ()  // behind
            grant () // own
            grant ()
            deny /* inside */ (true)
            /* above
               and on */ grant ()
        }"""
    )
    assert [item.note for item in binding.body] == ["first second third behind", "own", "", "", ""]


def test_byte_order_mark_and_line_ends_do_not_matter():
    source = source_from_bytes("\ufeffrequest {\r\n  grant ()\r}".encode(), name="t.psl", path="t.psl")
    (binding,) = parse(source).declarations
    assert binding.body[0].span.place == "t.psl:2"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "request { grant ( }",
            "t.psl:1:19: unexpected `}`; expected a name, a number, a text in quotes, "
            "`!`, `(`, `)` or something else\n    request { grant ( }\n                      ^",
        ),
        (
            "request {",
            "t.psl:1:10: unexpected the end of the file; expected a name, `}`\n    request {\n             ^",
        ),
        ("/* open", "t.psl:1:1: this comment is never closed; write `*/` where it ends\n    /* open\n    ^"),
        (
            "\n\tuse EDL @TASK@",
            "t.psl:2:10: `@TASK@` belongs to a template; expand the template first\n"
            "    \tuse EDL @TASK@\n    \t        ^",
        ),
        ("{% if x %}", "t.psl:1:1: `{%` belongs to a template; expand the template first\n    {% if x %}\n    ^"),
        (
            "request { assert (a < b < c) }",
            "t.psl:1:25: unexpected `<`; comparisons do not chain: write "
            "`a < b && b < c`\n    request { assert (a < b < c) }\n                            ^",
        ),
        (
            "request { assert (a + b & c) }",
            "t.psl:1:25: unexpected `&`; beside another operator `&` and `|` need "
            "parentheses around them\n    request { assert (a + b & c) }\n                            ^",
        ),
        (
            "request { assert (99999999999999999999) }",
            "t.psl:1:19: `99999999999999999999` does not fit 64 bits\n"
            "    request { assert (99999999999999999999) }\n                      ^~~~~~~~~~~~~~~~~~~~",
        ),
        (
            "request { assert (-9223372036854775809) }",
            "t.psl:1:19: `-9223372036854775809` does not fit 64 bits\n"
            "    request { assert (-9223372036854775809) }\n                      ^~~~~~~~~~~~~~~~~~~~",
        ),
        (
            'audit profile p = { a : "x }',
            't.psl:1:25: this text is never closed; write `"` where it ends, in the same line\n'
            '    audit profile p = { a : "x }\n                            ^',
        ),
    ],
)
def test_errors_point_at_their_place(text, error):
    with pytest.raises(PolicyError) as caught:
        read(text)
    assert str(caught.value) == error


def test_a_text_without_declarations_is_a_policy_file():
    assert read("// nothing\n") == ()
    assert read("") == ()


def test_several_mistakes_of_one_file_are_told_together():
    with pytest.raises(PolicyError) as caught:
        read(f"request {{ assert ({2**64}) }} request {{ assert ({2**65}) }}")
    assert len(caught.value.diagnostics) == 2


@pytest.mark.parametrize(
    "text",
    [
        "request { assert (" + "(" * 300 + ")" * 300 + ") }",
        "request { assert (" + "!" * 300 + "a) }",
        "request { assert (a" + " ==> a" * 300 + ") }",
        "request " + "{ match src=a " * 300 + "{ " + "} " * 301,
        "request { assert (a" + ".b" * 300 + ") }",
    ],
)
def test_nesting_is_bounded(text):
    with pytest.raises(PolicyError, match="nested more than 100 levels deep"):
        read(text)


WORDS = """
execute use EDL _ policy object type audit profile default request src = . , : { } [ ] ( ) match choice
component interface endpoint method grant deny assert sequence setup a b message ! ~ + - * & | && || ==> == <
<- ~> 0x1F 7 "text" true false // /* */ @ é \0
"""


@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS.split()), max_size=40).map(" ".join) | st.text(max_size=80))
def test_arbitrary_text_never_crashes(text):
    with contextlib.suppress(PolicyError):
        parse(source_from_text(text))


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_arbitrary_bytes_never_crash(content):
    with contextlib.suppress(PolicyError):
        parse(source_from_bytes(content, name="t", path="t"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\.b"', r"a\.b"),
        (r'"say \"x\" \\ y"', r'say "x" \ y'),
    ],
)
def test_a_backslash_stands_for_itself(text, value):
    (found,) = read(f"policy object o : M {{ config = {text} }}")
    assert found.fields[0].value.value == value
