"""Which rules of a policy speak of an event, found without asking each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from secureos.policy import syntax as psl
from secureos.policy.candidates import Candidate
from secureos.xdl.model import may_be


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule with the events for which it is asked.

    Attributes:
        number: Position in the text order of the whole policy, from 0.
        kind, where: The event, and the value of each selector around the rule.
        item: The rule; a `choice` counts as one.
        binding: The binding that holds it.
    """

    number: int
    kind: psl.EventKind
    where: Mapping[str, str]
    item: psl.Call | psl.Choice
    binding: psl.Binding


class RuleIndex:
    """Every rule of some bindings."""

    def __init__(self, bindings: Iterable[psl.Binding]) -> None:
        self.rules: list[PlacedRule] = []
        self._by_classes: dict[tuple[str, str | None, str | None], list[PlacedRule]] = {}
        for binding in bindings:
            for where, item in _rules(binding, {}):
                rule = PlacedRule(len(self.rules), binding.event, where, item, binding)
                self.rules.append(rule)
                key = (rule.kind, where.get("src"), where.get("dst"))
                self._by_classes.setdefault(key, []).append(rule)

    def rules_for(self, candidate: Candidate) -> list[PlacedRule]:
        """Every rule that is asked of such events, in text order."""
        attributes = candidate.attributes
        near = [
            rule
            for src in {candidate.src, None}
            for dst in {candidate.dst, None}
            for rule in self._by_classes.get((candidate.kind, src, dst), ())
            if all(_could_be(key, attributes.get(key), value) for key, value in rule.where.items())
        ]
        return sorted(near, key=lambda rule: rule.number)


def _could_be(key: str, name: str | None, value: str) -> bool:
    """Interface and component are read off the description: where that is not at hand, they may be any."""
    return may_be(name, value) if key in ("interface", "component") else name == value


def _rules(
    part: psl.Binding | psl.Match, around: Mapping[str, str]
) -> Iterator[tuple[Mapping[str, str], psl.Call | psl.Choice]]:
    where = {**around, **{row.key: row.value.text for row in part.selectors}}
    for item in part.body:
        if isinstance(item, psl.Match):
            yield from _rules(item, where)
        elif isinstance(item, psl.Call | psl.Choice):
            yield where, item
