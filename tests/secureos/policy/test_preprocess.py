from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy import PolicyError, load_policy
from secureos.policy.preprocess import preprocess
from secureos.xdl.source import source_from_text


def expand(text, missing="error", **definitions):
    expanded = preprocess(source_from_text(text, name="t.psl"), definitions, missing=missing)
    return expanded.source.text, [str(warning).split("\n")[0] for warning in expanded.warnings]


def lines(text, **definitions):
    """What is left of a text, line by line, without empty lines."""
    return [line.strip() for line in expand(text, **definitions)[0].split("\n") if line.strip()]


def test_a_text_without_marks_stays_the_same_source():
    source = source_from_text("request { grant () }")
    assert preprocess(source, {}).source is source


def test_placeholders_are_filled_in_and_lines_keep_their_number():
    text = 'a @X@ b\nuse EDL lab.@NAME@ // @Y@\n/* @Y@\n@Y@ */ c "// @X@"'
    expanded, _ = expand(text, X="one\ntwo", NAME="Driver")
    assert expanded == 'a one two b\nuse EDL lab.Driver // @Y@\n/* @Y@\n@Y@ */ c "// one two"'


def test_a_placeholder_without_value_is_an_error_or_left_out():
    with pytest.raises(PolicyError, match=r"^t.psl:2:3: the placeholder `@NAM@` has no value; did you mean `NAME`\?"):
        expand("a\n  @NAM@", NAME="x")
    with pytest.raises(PolicyError, match=r"the placeholder `@X@` has no value; define it"):
        expand("@X@")
    text, warnings = expand("@X@ a.@TASK@ @P@_b c@Q@", "opaque")
    assert text == " a.TASK P_b cQ"
    assert warnings == [
        "t.psl:1:1: the placeholder `@X@` has no value: it is left out",
        "t.psl:1:7: the placeholder `@TASK@` has no value: `TASK` stands for it",
        "t.psl:1:14: the placeholder `@P@` has no value: `P` stands for it",
        "t.psl:1:21: the placeholder `@Q@` has no value: `Q` stands for it",
    ]


BOARDS = """
{% if BOARD == "A" %}
a
{%- elif BOARD == 'B' and not FAST -%}
b
    {% else %} // otherwise
c
{% endif %}
d"""


@pytest.mark.parametrize(
    ("definitions", "left"),
    [
        ({"BOARD": "A", "FAST": "1"}, ["a", "d"]),
        ({"BOARD": "B", "FAST": ""}, ["b", "d"]),
        ({"BOARD": "B", "FAST": "off"}, ["b", "d"]),
        ({"BOARD": "B", "FAST": "on"}, ["c", "d"]),
        ({"BOARD": "C", "FAST": "1"}, ["c", "d"]),
    ],
)
def test_conditional_lines(definitions, left):
    text, _ = expand(BOARDS, **definitions)
    assert [line for line in text.split("\n") if line] == left
    assert text.count("\n") == BOARDS.count("\n")


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("A", True),
        ("not A", False),
        ("not not A", True),
        ("A == 'x'", True),
        ('A != "x"', False),
        ("A == B or A == 'x'", True),
        ("B == 'x' and A == 'x' or A", True),
        ("B == 'x' and (A == 'x' or A)", False),
        ("not (A and B == 'q')", True),
        ("N == 4", True),
        ("OFF", False),
        ("'x'", True),
    ],
)
def test_conditions(condition, met):
    found = lines(f"{{% if {condition} %}}\nyes\n{{% endif %}}", A="x", B="y", N="4", OFF="OFF")
    assert found == (["yes"] if met else [])


def test_conditions_nest():
    text = "{% if A %}\n{% if B %}\nab\n{% else %}\na\n{% endif %}\n{% else %}\n{% if B %}\nb\n{% endif %}\n{% endif %}"
    assert lines(text, A="1", B="1") == ["ab"]
    assert lines(text, A="1", B="0") == ["a"]
    assert lines(text, A="0", B="1") == ["b"]


def test_a_condition_in_a_comment_is_none():
    assert lines("/* {% if A %}\n{% if A %}\n*/ x /* y */\nz") == ["/* {% if A %}", "{% if A %}", "*/ x /* y */", "z"]


def test_a_variable_without_value_is_an_error_or_undefined():
    text = "{% if BORD == 'x' %}\na\n{% elif BORD %}\nb\n{% endif %}\n{% if not BORD %}\nc\n{% endif %}"
    with pytest.raises(PolicyError, match=r"the variable `BORD` has no value; did you mean `BOARD`\?"):
        expand(text, BOARD="x")
    left, warnings = expand(f"\n{text}", "opaque", BOARD="x")
    assert left.split() == ["c"]
    assert warnings == ["t.psl:2:1: the variable `BORD` has no value and is taken as undefined"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("x\n{% if A %}\ny", "t.psl:2:1: this `{% if %}` is never closed; write `{% endif %}`"),
        ("{% endif %}", "t.psl:1:1: `endif` without `{% if %}` before it"),
        ("{% else %}", "t.psl:1:1: `else` without `{% if %}` before it"),
        ("{% if A %}\n{% else %}\n{% else %}\n{% endif %}", "t.psl:3:1: `else` behind `else`"),
        (
            "{% elf %}",
            "t.psl:1:1: unknown directive `elf`; `if`, `elif`, `else` and `endif` are known; did you mean `elif`?",
        ),
        ("{% if %}\n{% endif %}", "t.psl:1:1: `` is no condition: something is missing at its end"),
        ("{% if A == %}\n{% endif %}", "t.psl:1:1: `A ==` is no condition: something is missing at its end"),
        ("{% if A B %}\n{% endif %}", "t.psl:1:1: `A B` is no condition: `B` was not expected"),
        ("{% if A == == %}\n{% endif %}", "t.psl:1:1: `A == ==` is no condition: `==` was not expected"),
        ("{% if (A %}\n{% endif %}", "t.psl:1:1: `(A` is no condition: `)` is missing"),
        ("{% if A < 3 %}\n{% endif %}", "t.psl:1:1: `A < 3` is no condition: `<` has no meaning here"),
        (f"{{% if {'(' * 40}A %}}\n{{% endif %}}", "brackets nest more than 32 deep"),
        ("{% if A %}\n" * 33, "t.psl:33:1: conditions nest more than 32 deep"),
    ],
)
def test_mistakes_are_told(text, wrong):
    with pytest.raises(PolicyError) as caught:
        expand(text, A="x")
    assert wrong in str(caught.value).split("\n")[0]


def test_a_policy_is_expanded_before_it_is_read(lab, head, tmp_path):
    (tmp_path / "security.psl.in").write_text(
        f'{head}{{% if X == "1" %}}\nuse more._\n{{% endif %}}\nrequest {{ gant () }}'
    )
    (tmp_path / "more.psl.in").write_text("execute { @RULE@ () }")
    with pytest.raises(PolicyError) as caught:
        load_policy(tmp_path / "security.psl.in", lab, definitions={"X": "1", "RULE": "grant"})
    assert [f"{d.span.line}:{d.span.column}" for d in caught.value.diagnostics] == ["9:11"]
    (tmp_path / "p.psl").write_text(f"{head}use more._")
    policy = load_policy(tmp_path / "p.psl", lab, missing="opaque", definitions={"RULE": "grant"})
    assert len(policy.bindings) == 1
    with pytest.raises(PolicyError, match="the placeholder `@RULE@` has no value"):
        load_policy(tmp_path / "p.psl", lab)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["{% if", "{% elif", "{% else %}", "{% endif %}", "%}", "A", "==", "'x'", "(", ")", "not",
                              "and", "\n", "@A@", "@B@", "//", "/*", "*/", '"']), max_size=30).map(" ".join)
)  # fmt: skip
def test_arbitrary_text_never_crashes_and_keeps_its_lines(text):
    for missing in ("error", "opaque"):
        with contextlib.suppress(PolicyError):
            assert expand(text, missing, A="x\ny")[0].count("\n") == text.count("\n")
