from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy import PolicyError, compile_policy, parse
from secureos.policy.compile import compile_bindings
from secureos.policy.parse import _Reader
from secureos.xdl import Catalogue
from secureos.xdl.source import source_from_text


def whole(source):
    """The declarations as the grammar reads them from the whole file at once, nothing shared."""
    reader = _Reader(source)
    kinds = reader._kinds.of(reader._vocabulary.texts(source, 0, len(source.text)))
    shape = reader._shape(0, len(source.text), kinds)
    return tuple(reader._declarations(shape, 0, len(source.text)))


NAMES = st.sampled_from(["a", "request", "lab.Driver", "x_1", "match", "policy"])
NUMBERS = st.sampled_from(["0", "7", "0x1F", "10", "123456789012345678", "18446744073709551615"])
TEXTS = st.sampled_from(['""', '"a b"', r'"\""', '"// no { comment"'])
SPACES = st.sampled_from([" ", "\n", "  \n\t", " // a note\n", " /* two\nlines */ ", "\f"])
PIECES = st.sampled_from(
    [
        "request src=N dst=N { assert (message.v >= I && message.N == -I) }",
        "request src=N,dst=N { deny (~I == 2 || (I) < message.v.[I]) }",
        "response { N.enter { sid : src_sid , state : T } grant () }",
        "security method=N { grant () deny ( [ I , -I ] . [ 0 ] == I ) }",
        "execute { audit N match dst=N { choice (N {a : T}) { T : grant () I : { } _ : deny () } } }",
        "request { }",
        "use EDL N",
        "use N._",
        "type T = { N : N } | I",
        "audit default = N I",
        "audit profile N = { I : { N : { kss : [T] } } , }",
        "policy object N : N { type N = T | T config = { I : T , N : [I] } }",
        "assert T { setup { v <- execute dst=N } sequence { deny T N ~> N:N { N : I } } }",
    ]
)


@st.composite
def policies(draw):
    values = {"N": NAMES, "I": NUMBERS, "T": TEXTS}

    def fill(piece):
        filled = re.sub(r"\b[NIT]\b", lambda hole: draw(values[hole[0]]), piece)
        return filled.replace(" ", draw(SPACES)) if draw(st.booleans()) else filled

    pieces = draw(st.lists(PIECES, min_size=1, max_size=4))
    return "".join(fill(piece) + draw(SPACES) for piece in pieces for _ in range(draw(st.integers(1, 3))))


@settings(deadline=None, max_examples=200)
@given(policies())
def test_sharing_shapes_changes_nothing(text):
    source = source_from_text(text, name="p.psl")
    try:
        expected = whole(source)
    except PolicyError:
        with pytest.raises(PolicyError):
            parse(source)
        return
    found = parse(source).declarations
    assert found == expected
    assert repr(found) == repr(expected)


def rules(policy):
    objects = {name: make() for name, make in policy.objects.items()}
    return tuple(compile_bindings(policy.bindings, policy.classes, objects))


def described(policy):
    return [
        (rule.place, rule.kind, dict(rule.where), rule.object, rule.operation, rule.profile, rule.call, rule.note)
        for rule in rules(policy)
    ]


ALIKE = """// first
request src=lab.Client dst=lab.Driver endpoint=outputs method=Set { assert (message.rpm < 5) }
request src=lab.Client dst=lab.Driver endpoint=valve.log method=Put { assert (message.level < 5) } // behind

request src=lab.Client dst=lab.Driver endpoint=valve.log method=Put {
    // above
    assert (message.level < 0x10)
    assert (message.level != -3)
}
request src=lab.Driver dst=lab.Driver endpoint=valve.log method=Put { assert (message.level < 7) }
request src=lab.Driver dst=lab.Driver endpoint=outputs method=Set { assert (message.rpm < 6) }
"""


def test_what_is_shared_knows_its_own_place_note_and_selectors(load):
    policy = load(ALIKE)
    found = described(policy)
    assert [row[0] for row in found] == [f"security.psl:{line}" for line in (7, 8, 12, 13, 15, 16)]
    assert [row[7] for row in found] == ["first", "behind", "above", "", "", ""]
    assert [dict(row[2])["src"] for row in found] == ["lab.Client"] * 4 + ["lab.Driver"] * 2
    assert found[5][6].argument.right.value == 6
    assert found[5][6].argument.span.text == "message.rpm < 6"
    assert described(policy) == found


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("rpm < 6", "rmp < 6", "16:77: the request of `lab.Outputs.Set` has no field `rmp`"),
        (
            "lab.Driver endpoint=outputs method=Set { assert (message.rpm < 6",
            "X { assert (true",
            "16:28: unknown class",
        ),
        ("src=lab.Driver dst=lab.Driver endpoint=outputs", "src=X dst=lab.Driver endpoint=outputs", "16:13: unknown"),
        ("outputs method=Set { assert (message.rpm < 6", "outputs method=X { assert (message.rpm < 6", "16:63: unk"),
        ("rpm < 6", "rpm < 99999999999999999999", "16:91: `99999999999999999999` does not fit"),
        ("outputs method=Set { assert (message.rpm < 6", "valve.log method=Put { assert (message.rpm < 6", "16:79:"),
    ],
)
def test_a_mistake_in_one_of_many_is_told_at_its_place(load, old, new, wrong):
    with pytest.raises(PolicyError) as caught:
        load(ALIKE.replace(old, new))
    (diagnostic,) = caught.value.diagnostics
    assert f"{diagnostic.span.line}:{diagnostic.span.column}: {diagnostic.message}".startswith(wrong)


def test_numbers_that_decide_are_not_shared(load):
    one = "request method=Set { assert (message.bits.[2] == 1) }"
    text = f"{one}\n{one.replace('2', '3')}"
    with pytest.raises(PolicyError, match=r"security.psl:7:.*has no item 3"):
        load(text)


def test_mistakes_of_many_declarations_are_told_but_not_without_end():
    with pytest.raises(PolicyError) as caught:
        parse(source_from_text("request { grant } response { deny ( } error { grant () } }\nuse EDL a."))
    assert [str(each).split("\n")[0] for each in caught.value.diagnostics] == [
        "text:1:17: unexpected `}`; expected `(`, `.`, `[`, `{`",
        "text:1:37: unexpected `}`; expected a name, a number, a text in quotes, `!`, `(`, `)` or something else",
        "text:1:58: unexpected `}`; expected the end of the file, `assert`, `audit`, `error`, `execute`, `policy`"
        " or something else",
        "text:2:11: unexpected the end of the file; expected a name",
    ]
    with pytest.raises(PolicyError) as caught:
        parse(source_from_text("request { grant }\n" * 90))
    assert len(caught.value.diagnostics) == 50


def test_words_of_the_language_end_where_words_end():
    for text in ("requests { }", "useEDL a", "executesrc=a { }", "request src=a _b { }", "use a.b_"):
        with pytest.raises(PolicyError):
            parse(source_from_text(text))


@pytest.mark.parametrize("text", ["type T = { a : B } | C", "type T = [{ a : B }, { b : C }]", "type T = S<{ a : B }>"])
def test_a_type_may_go_on_behind_a_brace(text):
    first, second = parse(source_from_text(text + " /* } */ request { }")).declarations
    assert (type(first).__name__, type(second).__name__) == ("TypeDeclaration", "Binding")
    commented = text.replace("}", "} // more\n/* and more */")
    assert len(parse(source_from_text(commented)).declarations) == 1


def test_ten_thousand_bindings_are_read_quickly(tmp_path):
    methods = " ".join(f"M{number}(in SInt32 v, in UInt8 mode);" for number in range(20))
    (tmp_path / "I.idl").write_text(f"package I interface {{ {methods} }}")
    uses = []
    for number in range(25):
        (tmp_path / f"S{number}.edl").write_text(f"task class S{number}")
        (tmp_path / f"O{number}.edl").write_text(f"task class O{number} endpoints {{ e : I }}")
        uses.append(f"use EDL S{number} use EDL O{number}\n")
    body = "assert (message.v >= {0} && message.v <= {1} && message.mode == {2})"
    lines = [
        f"request src=S{n % 25} dst=O{n // 25 % 25} endpoint=e method=M{n % 20} {{ {body.format(n, n + 9, n % 5)} }}\n"
        for n in range(10_000)
    ]
    source = source_from_text("".join([*uses, *lines]))
    parse(source_from_text("request { grant () }"))
    before = time.process_time()
    policy = compile_policy(source, Catalogue([tmp_path]))
    took = time.process_time() - before
    before = time.process_time()
    made = compile_bindings(policy.bindings, policy.classes, {"base": policy.objects["base"]()})
    again = time.process_time() - before
    (last,) = made.of(9_999)
    assert last.call.argument.left.right.right.value == 10_008
    # Ten times what a quiet machine needs: this finds a loss of the shapes, not a busy machine.
    assert (took < 5, again < 1) == (True, True), (took, again)


def test_bindings_are_equal_if_they_are_written_alike_at_the_same_place():
    first, second, third = parse(source_from_text("request { grant () } request { grant () } error { }")).declarations
    again = parse(source_from_text("request { grant () } request { grant () } error { }")).declarations
    assert (first, second, third) == again
    assert hash(first) == hash(again[0])
    assert first != second
    assert first != "request"
    assert repr(third) == f"Binding('error', (), (), {third.span!r})"
