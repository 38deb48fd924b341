"""What a part of a policy leaves to files that are not at hand: policy objects and audit profiles.

A rule that asks an object which no file at hand declares denies: what the whole policy might refuse is not granted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from secureos.policy import syntax as psl
from secureos.policy.language import OBJECTS
from secureos.policy.references import names_of
from secureos.xdl.source import Diagnostic, Span, is_slip_of


class Absent:
    """Takes out of a policy what it says of objects and audit profiles that are declared elsewhere.

    A name that is but a slip of one at hand stays, so that it is told as a mistake.
    """

    def __init__(self, objects: Collection[str], profiles: Collection[str]) -> None:
        self.warnings: list[Diagnostic] = []
        self._objects = {"", *OBJECTS, *objects}
        self._profiles = profiles
        self._told: set[str] = set()

    def bindings(self, given: Iterable[psl.Binding]) -> list[psl.Binding]:
        """The bindings; those that ask nothing absent are the same."""
        return [self._binding(one) for one in given]

    def profile(self, given: psl.AuditProfile) -> psl.AuditProfile:
        """An audit profile without rows for absent objects."""
        levels = [psl.Entry(level.key, self._level(level.value), level.span) for level in given.levels.entries]
        return psl.AuditProfile(given.name, psl.DictionaryLiteral(tuple(levels), given.levels.span), given.span)

    def default(self, given: psl.AuditDefault | None) -> psl.AuditDefault | None:
        """The default, unless its profile is absent."""
        return None if given is not None and self._has_no_profile(given.profile) else given

    def _level(self, rows: psl.Expression) -> psl.Expression:
        if not isinstance(rows, psl.DictionaryLiteral):
            return rows
        left = [row for row in rows.entries if not self._has_no_object(str(row.key), row.span)]
        return psl.DictionaryLiteral(tuple(left), rows.span)

    def _binding(self, given: psl.Binding) -> psl.Binding:
        body = self._body(given.body)
        return given if body == given.body else psl.Binding(given.event, given.selectors, body, given.span)

    def _body(self, items: Iterable[psl.Item]) -> tuple[psl.Item, ...]:
        return tuple(made for item in items for made in self._item(item))

    def _item(self, item: psl.Item) -> tuple[psl.Item, ...]:
        match item:
            case psl.AuditUse():
                return () if self._has_no_profile(item.profile) else (item,)
            case psl.Match():
                return (psl.Match(item.selectors, self._body(item.body), item.span),)
        if [name for name in sorted(names_of(item)) if self._has_no_object(name, item.span)]:
            denial = psl.Path(("deny",), item.span)
            return (psl.Call(denial, psl.Constant(None, item.span), item.span),)
        if isinstance(item, psl.Choice):
            cases = tuple(psl.Case(case.key, self._body(case.body), case.span) for case in item.cases)
            return (psl.Choice(item.expression, cases, item.span),)
        return (item,)

    def _has_no_object(self, name: str, span: Span) -> bool:
        if name in self._objects or is_slip_of(name, self._objects):
            return False
        self._tell(span, f"policy object `{name}` is declared in no file at hand: what asks it denies")
        return True

    def _has_no_profile(self, name: psl.Name) -> bool:
        if name.text in self._profiles or is_slip_of(name.text, self._profiles):
            return False
        self._tell(name.span, f"audit profile `{name.text}` is declared in no file at hand: it records nothing")
        return True

    def _tell(self, span: Span, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self.warnings.append(Diagnostic(span, message))
