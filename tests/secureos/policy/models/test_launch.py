from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.policy.models import Incorrect
from secureos.policy.values import LiteralType

GOOD, OTHER = "a" * 64, "b" * 64


PROGRAMS = f"""
    "p" : {{ signers : ["s", "t"], floor : 3 }},
    "q" : {{ signers : ["s"], floor : 0, images : ["{GOOD}"] }}
"""


def declare(programs=PROGRAMS):
    return f"policy object l : Launch {{ config = {{ {programs} }} }}"


STEPS = st.lists(
    st.fixed_dictionaries(
        {
            "program": st.sampled_from(["p", "q", "r"]),
            "image": st.sampled_from([GOOD, OTHER]),
            "signer": st.sampled_from(["s", "t", "u"]),
            "version": st.integers(-1, 8),
            "verified": st.sampled_from([True, True, False]),
        }
    ),
    max_size=20,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_the_whole_history(lab, steps):
    real, admitted = lab(declare()), []
    for step in steps:
        program, version = step["program"], step["version"]
        good = (
            step["verified"]
            and (program, step["signer"]) in {("p", "s"), ("p", "t"), ("q", "s")}
            and (program == "p" or step["image"] == GOOD)
            and version >= {"p": 3, "q": 0}[program]
            and all(version >= before for name, before in admitted if name == program)
        )
        assert (real.ask("admit", **step) is None) == good
        if good:
            admitted.append((program, version))
            assert real.value("floor", program=program) == version


def test_reasons(lab):
    real = lab(declare())
    step = {"program": "q", "image": GOOD, "signer": "s", "version": 4, "verified": True}
    why = "`l`: program `q` must not run: "
    assert real.ask("admit", **step | {"program": "r"}) == "`l`: program `r` is not known"
    assert real.ask("admit", **step | {"verified": False}) == f"{why}its signature is not verified"
    assert real.ask("admit", **step | {"verified": 1}) == f"{why}its signature is not verified"
    assert real.ask("admit", **step | {"signer": "t"}) == f"{why}`t` may not sign it"
    assert real.ask("admit", **step | {"image": OTHER}) == f"{why}image `bbbbbbbbbbbb…` is not listed"
    assert real.ask("admit", **step) is None
    assert real.ask("admit", **step | {"version": 3}) == f"{why}version 3 is too low, 4 is the lowest that may run now"
    with pytest.raises(Incorrect, match="program `r` is not known"):
        real.value("floor", program="r")


def test_programs_in_the_policy_are_checked_at_load(lab, refuses):
    assert refuses(lab(declare()), "admit", "program", LiteralType("r")) is not None
    assert refuses(lab(declare()), "admit", "program", LiteralType("q")) is None


@pytest.mark.parametrize(
    ("programs", "wrong"),
    [
        ("", "there is no program in it"),
        ('"p" : { signers : [], floor : 0 }', "somebody must be able to sign it"),
        ('"p" : { signers : ["s"], floor : -1 }', "-1 is outside 0 to 4294967295"),
        ('"p" : { signers : ["s"], floor : 0, images : ["AB"] }', "`AB` is no SHA-256 digest"),
        ('"p" : { signers : ["s"], floor : 0, images : [5] }', "a text that is not empty is due here"),
        ('"p" : { floor : 0 }', "key `signers` is missing"),
    ],
)
def test_mistakes_are_told(mistakes, programs, wrong):
    assert wrong in mistakes(declare(programs))[0]


def test_a_list_of_programs_is_a_dictionary(mistakes):
    assert mistakes("policy object l : Launch { config = 5 }") == ["37: a dictionary `{…}` is due here"]
