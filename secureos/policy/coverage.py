"""Which rules of a policy were ever asked, and how they answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from secureos.policy import syntax as psl
from secureos.policy.load import Policy
from secureos.policy.rule_index import PlacedRule, RuleIndex
from secureos.policy.verdict import Verdict


@dataclass(frozen=True, slots=True)
class RuleUse:
    """How often a rule was asked. Rules that share one line share these numbers: verdicts name lines.

    Attributes:
        place: File and line.
        text: What stands there.
        granted, denied: How often it answered so.
        event: The event of its binding.
    """

    place: str
    text: str
    event: psl.EventKind
    granted: int
    denied: int

    @property
    def asked(self) -> int:
        """How often it was asked at all."""
        return self.granted + self.denied


class Coverage:
    """Counts verdicts by rule."""

    def __init__(self, policy: Policy) -> None:
        self._rules: dict[str, PlacedRule] = {}
        for rule in RuleIndex(policy.bindings).rules:
            self._rules.setdefault(rule.item.span.place, rule)
        self._granted: Counter[str] = Counter()
        self._denied: Counter[str] = Counter()

    def add(self, verdict: Verdict) -> None:
        """Count one verdict; what no rule decided counts for none."""
        granting = verdict.tried if verdict.granted else verdict.tried[:-1]
        self._granted.update(set(granting))
        self._denied.update(verdict.tried[-1:] if not verdict.granted else ())

    def rules(self) -> tuple[RuleUse, ...]:
        """Every rule in text order, files in the order in which they were included."""
        return tuple(
            RuleUse(place, first_line(rule.item.span.text), rule.kind, self._granted[place], self._denied[place])
            for place, rule in self._rules.items()
        )


def share(rules: Iterable[RuleUse]) -> float:
    """How many of the rules were asked, from 0 to 1; of no rules, all."""
    rows = list(rules)
    return sum(rule.asked > 0 for rule in rows) / len(rows) if rows else 1.0


def first_line(text: str) -> str:
    """The first line of a rule, as a heading for it."""
    line, newline, _ = text.partition("\n")
    return f"{line.rstrip()} …" if newline else line
