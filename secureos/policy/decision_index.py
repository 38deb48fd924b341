"""Which rules are asked for which event, found by the values of their selectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from secureos.policy.compile import Rule
from secureos.xdl.model import ANY, may_be

Attributes = Mapping[str, str | None]
"""What selectors can ask of an event: src, dst, endpoint, method, interface, component."""

_Values = tuple[str, ...]

_DESCRIBED: Final = ("interface", "component")
"""What is read off the description; the other attributes are names in the event itself."""


class RuleIndex:
    """All rules of one policy, in text order; finding those of an event costs the same however many others there are.

    Where an event's own description is not at hand (a name that ends in `*`), every rule that could mean it is found.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        # By kind, then by which selectors a rule has, then by their values: the rules with their positions.
        self._found: dict[str, dict[tuple[str, ...], dict[_Values, list[tuple[int, Rule]]]]] = {}
        for position, rule in enumerate(rules):
            where = rule.where
            by_values = self._found.setdefault(rule.kind, {}).setdefault(tuple(where), {})
            by_values.setdefault(tuple(where.values()), []).append((position, rule))

    def rules(self, kind: str, attributes: Attributes) -> tuple[Rule, ...]:
        """The rules asked for an event, in text order."""
        found = sorted(self._rows(kind, attributes), key=lambda row: row[0])
        return tuple(rule for _, rule in found)

    def may_speak(self, kind: str, attributes: Attributes) -> bool:
        """Whether there is a rule for an event."""
        return next(self._rows(kind, attributes), None) is not None

    def _rows(self, kind: str, attributes: Attributes) -> Iterator[tuple[int, Rule]]:
        unknown = {key for key in _DESCRIBED if (attributes.get(key) or "").endswith(ANY)}
        for keys, by_values in self._found.get(kind, {}).items():
            if unknown.isdisjoint(keys):
                yield from by_values.get(tuple(attributes.get(key) or "" for key in keys), ())
            else:
                for values, rows in by_values.items():
                    pairs = zip(keys, values, strict=True)
                    if all(_could_be(attributes.get(key), value, unknown=key in unknown) for key, value in pairs):
                        yield from rows


def _could_be(name: str | None, value: str, *, unknown: bool) -> bool:
    return may_be(name or "", value) if unknown else name == value
