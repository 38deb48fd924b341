from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy.models.patterns import MAX_KEPT, Pattern

CHARACTERS = st.sampled_from([*"abcAZ019 _-.\n\t", "é", "]"])
ATOMS = st.sampled_from(
    [*"abc01_-", "é", ".", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\.", r"\n", r"\t", r"\x61", r"\u00e9", r"\]"]
) | st.sampled_from(["[a-c]", "[^a-c]", "[]a]", "[^]a]", "[a-]", "[-a]", r"[\d_]", r"[^\s\d]", r"[^\d\D]", "[.b]"])
SIGNS = st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,2}", "{,2}", "{,}", "*?", "+?", "??", "{1,2}?"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=3).map("".join)
        | st.tuples(inner, SIGNS).map(lambda each: f"({each[0]}){each[1]}")
        | st.tuples(inner, inner).map(lambda each: f"(?:{each[0]}|{each[1]})")
        | st.tuples(inner, inner).map("|".join)
        | inner.map(lambda each: f"^{each}")
        | inner.map(lambda each: f"{each}$")
    ),
    max_leaves=8,
)
TEXTS = st.text(CHARACTERS, max_size=8)


def oracle(expression, *, whole):
    # `$` of ours is the very end; in `re` it may stand before a last new line.
    same = re.compile(expression.replace("$", r"\Z"), re.ASCII)
    return same.fullmatch if whole else same.search


@given(EXPRESSIONS, st.lists(TEXTS, min_size=1, max_size=5), st.booleans())
@settings(max_examples=500, deadline=None)
def test_it_agrees_with_a_backtracking_matcher(expression, texts, whole):
    ours, theirs = Pattern(expression, whole=whole), oracle(expression, whole=whole)
    for text in texts:
        assert ours.matches(text) == (theirs(text) is not None), (expression, text)


@given(st.text(st.sampled_from([*"ab()[]{}|*+?^$\\.,-:12 dxu"]), max_size=12))
@settings(max_examples=500, deadline=None)
def test_any_text_is_a_pattern_or_told_not_to_be(text):
    try:
        pattern = Pattern(text, whole=True)
    except ValueError as failure:
        told = str(failure)
    else:
        assert pattern.matches("ab1") in (True, False)
        return
    assert told.startswith(f"the pattern `{text}` cannot be used")


def test_matching_takes_one_step_per_character():
    begin = time.perf_counter()
    assert not Pattern("(a*)*(a*)*(a|a)*b", whole=True).matches("a" * 20_000)
    assert not Pattern("(.*a){20}", whole=True).matches("ab" * 15)
    assert time.perf_counter() - begin < 5


def test_the_table_of_steps_is_bounded():
    pattern = Pattern(".*[^x]{2}", whole=True)
    text = "".join(map(chr, range(256, 256 + 2 * MAX_KEPT)))
    assert pattern.matches(text)
    assert pattern._kept <= MAX_KEPT
    assert not pattern.matches(text + "x")


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        ("a)", "(character 1): `)` without `(`"),
        ("(a", "(character 2): a `(` is not closed"),
        ("[a", "(character 2): a `[` is not closed"),
        ("*a", "(character 1): nothing stands before `*`"),
        ("a|+", "(character 3): nothing stands before `+`"),
        ("a**", "(character 2): a repetition of a repetition needs a group `(…)`"),
        ("a+{2}", "(character 5): a repetition of a repetition needs a group `(…)`"),
        ("^*", "(character 2): an anchor cannot be repeated"),
        ("a{3,2}", "(character 6): `{3,2}` ends before it begins"),
        (r"(a)\1", r"(character 5): `\1` is not supported"),
        (r"\bab", r"(character 2): `\b` is not supported"),
        ("a\\", "(character 3): `\\` is not supported"),
        (r"\x6", r"(character 3): `\x` needs 2 hexadecimal digits"),
        (r"\u00g0", r"(character 6): `\u` needs 4 hexadecimal digits"),
        ("(?=a)", "(character 2): groups `(?…)` other than `(?:…)` (look-around, names, flags) are not supported"),
        ("(?i)a", "(character 2): groups `(?…)` other than `(?:…)` (look-around, names, flags) are not supported"),
        ("[[:alpha:]]", "(character 1): classes `[:…:]` are not supported; write the characters, e.g. `a-z`"),
        ("[z-a]", "(character 4): a range ends before it begins"),
        (r"[a-\d]", "(character 5): a range goes from one character to another"),
        (r"[\w-z]", "(character 5): a range goes from one character to another"),
        ("(" * 51 + ")" * 51, "(character 51): groups nest more than 50 deep"),
        ("a{5000}", "written out it has more than 4000 parts; repeat less"),
        ("((a{100}){100}){100}", "written out it has more than 4000 parts; repeat less"),
        ("(){999999}", "written out it has more than 4000 parts; repeat less"),
        ("a" * 1001, "a pattern has at most 1000 characters, this one has 1001"),
    ],
)
def test_what_is_no_pattern_is_told(pattern, wrong):
    with pytest.raises(ValueError, match=re.escape(wrong)):
        Pattern(pattern, whole=True)


def test_what_looks_like_a_repetition_and_is_none_stands_for_itself():
    assert Pattern("a{b}", whole=True).matches("a{b}")
    assert Pattern("a{}", whole=True).matches("a{}")
    assert Pattern("{2", whole=True).matches("{2")
    assert Pattern("a]", whole=True).matches("a]")
