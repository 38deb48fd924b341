"""Which rules are asked for which event, found by the values of their selectors."""

from __future__ import annotations

from secureos.policy.checked import Attributes, Selected
from secureos.policy.compile import Rule, Rules
from secureos.policy.syntax import EventKind

__all__ = ["Attributes", "RuleIndex"]


class RuleIndex:
    """All rules of one policy on the objects of one engine; only those that are asked for are made."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._places = rules.checked.places

    def rules(self, kind: EventKind, attributes: Attributes) -> tuple[Rule, ...]:
        """The rules asked for an event, in text order."""
        found: dict[int, set[Selected]] = {}
        for number, selected in self._places.find(kind, attributes):
            found.setdefault(number, set()).add(selected)
        chosen = [self._chosen(number, found[number]) for number in sorted(found)]
        return chosen[0] if len(chosen) == 1 else tuple(rule for rules in chosen for rule in rules)

    def _chosen(self, number: int, around: set[Selected]) -> tuple[Rule, ...]:
        """The rules of a binding with certain selectors around them."""
        rules = self._rules.of(number)
        if all(rule.selected in around for rule in rules):
            return rules
        return tuple(rule for rule in rules if rule.selected in around)

    def may_speak(self, kind: EventKind, attributes: Attributes) -> bool:
        """Whether there is a rule for an event."""
        return next(self._places.find(kind, attributes), None) is not None
