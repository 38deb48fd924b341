"""Which rules of a policy were ever asked, and how they answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from secureos.policy import syntax as psl
from secureos.policy.following import Said
from secureos.policy.load import Policy
from secureos.policy.references import inside
from secureos.policy.rule_index import RuleIndex

Item = psl.Call | psl.Choice

_Key = tuple[str, int]
"""Place and column of a rule; the column of a choice is 0, as its rule does not know it."""


@dataclass(frozen=True, slots=True)
class RuleUse:
    """How often a rule was asked; a `choice` and the rules in its cases count each for itself.

    Attributes:
        place: File and line.
        text: What stands there.
        event: The event of its binding.
        granted: How often it granted.
        denied: How often it denied, or had no answer, which denies too.
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
    """Counts what rules said."""

    def __init__(self, policy: Policy) -> None:
        self._rules: dict[_Key, tuple[Item, psl.EventKind]] = {}
        for rule in RuleIndex(policy.bindings).rules:
            for item in (rule.item, *inside(rule.item)):
                column = item.span.column if isinstance(item, psl.Call) else 0
                self._rules.setdefault((item.span.place, column), (item, rule.kind))
        self._counts: Counter[tuple[_Key, bool]] = Counter()

    def add(self, said: Iterable[Said]) -> None:
        """Count what the rules for one event said."""
        for one in said:
            if one.answer != "not asked":
                column = one.rule.call.span.column if one.rule.call is not None else 0
                self._counts[(one.rule.place, column), one.answer == "granted"] += 1

    def rules(self) -> tuple[RuleUse, ...]:
        """Every rule in text order, files in the order in which they were included."""
        return tuple(
            RuleUse(key[0], first_line(item.span.text), kind, self._counts[key, True], self._counts[key, False])
            for key, (item, kind) in self._rules.items()
        )


def share(rules: Iterable[RuleUse]) -> float:
    """How many of the rules were asked, from 0 to 1; of no rules, all."""
    rows = list(rules)
    return sum(rule.asked > 0 for rule in rows) / len(rows) if rows else 1.0


def first_line(text: str) -> str:
    """The first line of a rule, as a heading for it."""
    line, newline, _ = text.partition("\n")
    return f"{line.rstrip()} …" if newline else line
