"""Asking the rules of an event one by one, beside an engine, to learn what each of them says.

A verdict names the lines of the rules that were asked, and where all granted not those in the cases of a `choice`.
For tests and explanations that is not enough, so here every rule is asked once more, from the same state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from secureos.policy.candidates import Candidate
from secureos.policy.compile import Rule, compile_bindings
from secureos.policy.decision_index import RuleIndex
from secureos.policy.engine import Engine
from secureos.policy.load import Policy
from secureos.policy.models import Undo
from secureos.policy.verdict import Event

Answer = Literal["granted", "denied", "failed", "not asked"]


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule said of an event; `failed` if its expressions have no value for it, which denies too.

    Attributes:
        rule: Which; those in the cases of a `choice` stand behind it.
        answer: What it said.
    """

    rule: Rule
    answer: Answer


class Follower:
    """The rules of one policy with objects of their own."""

    def __init__(self, policy: Policy) -> None:
        self._objects = {name: make() for name, make in policy.objects.items()}
        rules = compile_bindings(policy.bindings, policy.classes, self._objects, profiles=policy.profiles)
        self._rules = RuleIndex(rules)

    def follow(self, engine: Engine, candidate: Candidate, event: Event) -> list[Said]:
        """What every rule for an event says in the state in which the engine is now; the engine is left alone."""
        for name, state in engine.snapshot()["objects"].items():
            self._objects[name].restore(state)
        said: list[Said] = []
        undo: Undo = []
        for rule in self._rules.rules(candidate.kind, candidate.attributes):
            if said and said[-1].answer != "granted":
                said.append(Said(rule, "not asked"))
                continue
            said.extend(_ask(rule, event, undo))
        return said


def _ask(rule: Rule, event: Event, undo: Undo) -> list[Said]:
    before, within = len(undo), list[Rule]()
    try:
        if rule.inner is None:
            denied = rule.run(event, undo) is not None
        else:
            asked, why = rule.inner(event, undo)
            within, denied = list(asked), why is not None
    except Exception:
        return [Said(rule, "failed")]
    # The rules in a case are asked again, one by one, as if for the first time: a case may hold another choice.
    while within and len(undo) > before:
        undo.pop()()
    return [Said(rule, "denied" if denied else "granted"), *(said for one in within for said in _ask(one, event, undo))]
