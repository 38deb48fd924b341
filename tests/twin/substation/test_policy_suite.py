"""The policy tests that are shipped with the image: all pass, and they ask every rule."""

from pathlib import Path

import pytest

import twin.substation
from secureos.policy import compile_policy
from secureos.policy.coverage import share
from secureos.policy.opening import Search, open_policy
from secureos.policy.pal import run_tests
from secureos.xdl import Catalogue
from secureos.xdl.source import source_from_text
from twin.controller.controller import INTERFACES

IMAGE = Path(twin.substation.__file__).parent / "image"


def suite(name):
    policy = open_policy(IMAGE / f"{name}.pal.psl", Search(include=(INTERFACES,)))
    return run_tests(policy, policy.tests)


@pytest.mark.parametrize("name", ["security", "permissive"])
def test_the_suite_passes_and_asks_every_rule(name):
    result = suite(name)
    assert [one.failures for one in result.sequences if one.failures] == []
    assert len(result.sequences) >= 3
    assert share(result.rules) == 1.0


def test_every_rule_that_can_deny_is_seen_to_grant_and_to_deny():
    conditions = [rule for rule in suite("security").rules if not rule.text.startswith("grant")]
    assert len(conditions) >= 7
    # `observe` refuses only lists of different lengths, and the first of the two says so.
    assert [rule.text for rule in conditions if not rule.denied] == [
        next(rule.text for rule in conditions if rule.text.startswith("hour.observe"))
    ]
    assert all(rule.granted for rule in conditions)


def failures(lines, tests, *without):
    """The cases that fail once the rules in these lines grant always."""
    changed = "\n".join("grant ()" if number in without else line for number, line in enumerate(lines, start=1))
    policy = compile_policy(source_from_text(changed, name="security.psl"), Catalogue([INTERFACES]))
    found = [failure for one in run_tests(policy, tests).sequences for failure in one.failures]
    return {(failure.case.syntax.span.line, failure.event) for failure in found}


def test_the_suite_notices_every_condition_that_is_gone():
    lines = (IMAGE / "security.psl").read_text().splitlines()
    rules = suite("security").rules
    tests = open_policy(IMAGE / "security.pal.psl", Search(include=(INTERFACES,))).tests
    number = {rule: int(rule.place.partition(":")[2]) for rule in rules if not rule.text.startswith("grant")}
    # What the list of all that may be named refuses, a narrower rule refuses once more, with the better reason.
    (listed,) = [number[rule] for rule in number if rule.text.startswith("assert (remote.covers")]
    for rule, line in number.items():
        alone = failures(lines, tests, line)
        without_the_list = failures(lines, tests, line, listed)
        assert alone or without_the_list > failures(lines, tests, listed), rule.text
