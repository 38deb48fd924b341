"""Formulas about the past in their plainest form: every step is kept, every question looks through all of them."""

from __future__ import annotations

import re
from typing import Any

from tests.secureos.policy.reference.outcomes import Incorrect, need

NS = {"ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}


class Temporal:
    """What steps have told. Its state: all steps so far, each a time, the truth of every atom, and what is known of it.

    What a formula says of a step never changes, whatever comes after; it is noted there, else nothing would ever end.
    """

    start: tuple[tuple[int, dict[str, bool], dict[Any, bool]], ...] = ()

    def __init__(self, types, config):
        self.formulas = {name: read(text) for name, text in config["formulas"].items()}
        self.max_age = config["max_age_ms"] * 10**6

    def rule(self, name, given, state, now):
        if name == "step":
            return (*state, (now, given, {}))
        try:
            need(self.value(name, given, state, now))
        except Incorrect:
            need(False)
        return state

    def value(self, name, given, state, now):
        if not state or now - state[-1][0] > self.max_age:
            raise Incorrect
        return self.true(self.formulas[given["formula"]], state, len(state) - 1, now)

    def true(self, formula, steps, last, asked) -> bool:
        """Whether a formula is true of the steps up to `last`, its own bounds measured from the time `asked`."""
        sign, *parts = formula
        here = range(last, -1, -1)
        match sign:
            case "atom":
                return steps[last][1][parts[0]]
            case "!":
                return not self.true(parts[0], steps, last, asked)
            case "&&":
                return all(self.true(part, steps, last, asked) for part in parts)
            case "||":
                return any(self.true(part, steps, last, asked) for part in parts)
            case "==>":
                return not self.true(parts[0], steps, last, asked) or self.true(parts[1], steps, last, asked)
            case "previously":
                return last > 0 and self.at(parts[0], steps, last - 1)
        bound, *parts = parts
        near = [index for index in here if bound is None or asked - steps[index][0] <= bound]
        if sign == "once":
            return any(self.at(parts[0], steps, index) for index in near)
        if sign == "historically":
            return all(self.at(parts[0], steps, index) for index in near)
        if sign == "since":
            held = [index for index in near if self.at(parts[1], steps, index)]
            return any(all(self.at(parts[0], steps, after) for after in range(index + 1, last + 1)) for index in held)
        # lasting: back from the last step as long as it holds and no step is missing
        for index in here:
            if not self.at(parts[0], steps, index):
                return False
            if asked - steps[index][0] >= bound:
                return True
            if index and steps[index][0] - steps[index - 1][0] > self.max_age:
                return False
        return False

    def at(self, formula, steps, index):
        """Within another temporal operator the bounds are measured from the step that is spoken of."""
        known = steps[index][2]
        if formula not in known:
            known[formula] = self.true(formula, steps, index, steps[index][0])
        return known[formula]

    def shown(self, state):
        """How the engine sums up the past is its own affair."""
        return {"at_ns": state[-1][0] if state else None, "atoms": state[-1][1] if state else {}}

    def comparable(self, found: Any):
        return {name: found[name] for name in ("at_ns", "atoms")}


def read(text):
    """A formula as nested tuples: the sign, the bound of a temporal operator, the parts."""
    words = re.findall(r"==>|&&|\|\||[!()]|\d+|\w+", text)
    formula = implication(words)
    assert not words, words
    return formula


def implication(words):
    left = chain(words, "||", lambda rest: chain(rest, "&&", since))
    return ("==>", left, implication(words)) if taken(words, "==>") else left


def chain(words, sign, part):
    parts = [part(words)]
    while taken(words, sign):
        parts.append(part(words))
    return (sign, *parts) if len(parts) > 1 else parts[0]


def since(words):
    left = prefixed(words)
    return ("since", bounded(words), left, prefixed(words)) if taken(words, "since") else left


def prefixed(words):
    word = words.pop(0)
    if word == "(":
        inner = implication(words)
        words.pop(0)
        return inner
    if word in ("!", "previously"):
        return (word, prefixed(words))
    if word == "lasting":
        return (word, duration(words), prefixed(words))
    if word in ("once", "historically"):
        return (word, bounded(words), prefixed(words))
    return ("atom", word)


def bounded(words):
    return duration(words) if taken(words, "within") else None


def duration(words):
    number = int(words.pop(0))
    return number * NS[words.pop(0)]


def taken(words, sign):
    return bool(words) and words[0] == sign and words.pop(0) == sign
