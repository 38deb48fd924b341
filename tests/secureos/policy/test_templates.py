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


WORDS = {
    "C": st.sampled_from(["lab.Client", "lab.Driver", "lab.Other", "X"]),
    "E": st.sampled_from(["outputs", "valve.log", "log"]),
    "M": st.sampled_from(["Set", "Put", "Write"]),
    "F": st.sampled_from(["message.level", "message.rpm", "message.bits.[1]", "src_sid"]),
    "I": st.sampled_from(["0", "1", "7", "300"]),
    "A": st.sampled_from(["a", "b"]),
}
SECTIONS = st.sampled_from(
    [
        "request src=C dst=C endpoint=E method=M { assert (F < I) grant () }",
        "request src=C dst=C { match endpoint=E method=M { assert (F < I) } match method=M { grant () } }",
        "request dst=C { match endpoint=E { match method=M { audit A assert (F == I) } } }",
        "request src=C { match dst=C method=M { grant () } }",
        "request endpoint=E { grant () match endpoint=E method=M { assert (F < I) } }",
        "response dst=C src=C endpoint=E { audit A choice (I) { I : grant () _ : assert (F > I) } }",
        "request src=C dst=C { choice (F) { I : { match method=M { assert (F < I) } } _ : deny () } }",
        "request interface=lab.Log { match component=lab.Valve { assert (F < I) } }",
        "security src=C { match method=M { grant () } }",
        "execute src=C { match dst=C { grant () } match interface=kl.core.Execute { grant () } }",
        "execute dst=C interface=kl.core.Execute { grant () }",
        "request dst=C { } ",
    ]
)


@st.composite
def alike(draw):
    pieces = draw(st.lists(SECTIONS, min_size=1, max_size=3))
    fill = re.compile(r"\b[CEMFIA]\b")
    rows = [fill.sub(lambda hole: draw(WORDS[hole[0]]), piece) for piece in pieces for _ in range(4)]
    return "\n".join(["use EDL lab.Other audit profile a = { }", *rows])


def outcome(bindings, policy):
    """The mistakes in some bindings; if there is none, their rules, and which of them are found for which events."""
    objects = {name: make() for name, make in policy.objects.items()}
    try:
        made = compile_bindings(bindings, policy.classes, objects, profiles=policy.profiles)
    except PolicyError as failure:
        return str(failure)
    places = made.checked.places
    return [(rule.place, rule.selected, rule.object, rule.operation, rule.profile, rule.call) for rule in made], [
        (number, selected) for rule in made for number, selected in places.find(rule.kind, dict(rule.where))
    ]


@settings(deadline=None, max_examples=150)
@given(alike())
def test_bindings_that_are_alike_are_judged_as_if_each_stood_alone(load, text):
    policy = load("use EDL lab.Other audit profile a = { }")
    bindings = [part for part in parse(source_from_text(text)).declarations if type(part).__name__ == "Binding"]
    alone = [type(part)(part.event, part.selectors, part.body, part.span) for part in bindings]
    assert outcome(bindings, policy) == outcome(alone, policy)


def test_rules_are_made_when_an_event_asks_for_them_and_made_again_after_they_are_let_go(load):
    policy = load(
        "execute { grant () }\n"
        "request dst=lab.Driver { match method=Put { assert (message.level < 1) } match method=Set { deny () } }"
    )
    made = compile_bindings(policy.bindings, policy.classes, {"base": policy.objects["base"]()})
    assert made.checked is policy.bindings
    put, refused = made.of(1)
    assert put is made.of(1)[0]
    call, run = put.call, put.run
    put.forget()
    assert (put.call, put.where) == (call, {"dst": "lab.Driver", "method": "Put"})
    assert put.run is not run
    assert refused.operation == "deny"


def test_what_is_known_of_bindings_counts_only_against_the_same_classes(load):
    policy = load("request dst=lab.Driver { grant () }")
    objects = {"base": policy.objects["base"]()}
    again = compile_bindings(policy.bindings, dict(policy.classes), objects)
    assert again.checked == policy.bindings
    assert again.checked is not policy.bindings
    with pytest.raises(PolicyError, match=r"unknown class `lab\.Driver`"):
        compile_bindings(policy.bindings, {}, objects)


@pytest.mark.parametrize(
    ("right", "old", "new", "wrong"),
    [
        (
            "request dst=lab.Other interface=lab.Log { match endpoint=log { grant () } }",
            "lab.Other",
            "lab.Driver",
            "10:59: unknown endpoint `log`",
        ),
        (
            "request src=lab.Client { match src=lab.Client { grant () } }",
            "{ match",
            "dst=lab.Other { match",
            "",
        ),
        (
            "request src=lab.Client { match src=lab.Client { grant () } }",
            "src=lab.Client {",
            "src=lab.Driver {",
            "10:36: `src=lab.Client` contradicts",
        ),
        (
            "request src=lab.Client { choice (src_sid) { 1 : { match src=lab.Client { grant () } } } }",
            "src=lab.Client {",
            "src=lab.Driver {",
            "10:61: `src=lab.Client` contradicts",
        ),
        (
            "request dst=lab.Driver { choice (src_sid) { 1 : { match endpoint=outputs { grant () } } } }",
            "lab.Driver",
            "lab.Other",
            "10:65: unknown endpoint `outputs`",
        ),
    ],
)
def test_sections_are_judged_by_what_is_chosen_around_them(load, right, old, new, wrong):
    text = f"use EDL lab.Other error {{ }}\n{right}\n{right}\n"
    load(text)
    try:
        load(f"{text}\n{right.replace(old, new, 1)}")
        found = ""
    except PolicyError as failure:
        (diagnostic,) = failure.diagnostics
        found = f"{diagnostic.span.line}:{diagnostic.span.column}: {diagnostic.message}"
    assert (found.startswith(wrong), bool(found)) == (True, bool(wrong)), found
