from __future__ import annotations

import pytest

from secureos.policy.values import LiteralType
from secureos.xdl import StringType


@pytest.mark.parametrize(
    ("settings", "more", "whole"),
    [
        ("", {}, True),
        ("", {"full_regex": False}, False),
        ('config = { mode : "search" }', {}, False),
        ('config = { mode : "whole" }', {"full_regex": False}, True),
    ],
)
def test_the_mode_is_that_of_the_object_or_else_of_the_policy(lab, settings, more, whole):
    re = lab(f"policy object re : Regex {{ {settings} }}", **more)
    assert re.value("match", text="xabx", pattern="ab") is not whole
    assert re.value("match", text="ab", pattern="ab") is True
    select = re.model.expressions["select"]
    assert select.choose("a|b")("a") is True
    assert select.choose("a|b")("xa") is not whole
    assert re.value("select", text="xa") == "xa"


def test_patterns_are_checked_at_load(lab, refuses):
    re = lab("policy object re : Regex {}")
    assert refuses(re, "match", "pattern", LiteralType("a+")) is None
    assert refuses(re, "match", "pattern", LiteralType("a**")) == (
        "is wrong: the pattern `a**` cannot be used (character 2): a repetition of a repetition needs a group `(…)`"
    )
    assert refuses(re, "match", "pattern", LiteralType(5)) == "must be a text in the policy, not 5"
    assert refuses(re, "match", "pattern", StringType(5)) == "must be a text in the policy, not string<5>"
    assert refuses(re, "match", "text", LiteralType(5)) == "must be a text, not 5"
    with pytest.raises(ValueError, match="nothing stands before"):
        re.model.expressions["select"].choose("*")


def test_mistakes_are_told(mistakes):
    assert mistakes('policy object re : Regex { config = { mode : "hole" } }') == [
        "46: unknown mode `hole`; did you mean `whole`?"
    ]
    assert mistakes("policy object re : Regex { type T = UInt8 }") == ["33: unknown type `T`"]
