"""Bindings that were found right, and where their rules are asked: known once, for every engine of the policy."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from operator import itemgetter
from typing import Any, Final

from secureos.policy import syntax as psl
from secureos.policy.scope import Scope, Targets
from secureos.policy.syntax import EventKind
from secureos.xdl import TaskClass
from secureos.xdl.model import ANY, may_be

Attributes = Mapping[str, str | None]
"""What selectors can ask of an event: src, dst, endpoint, method, interface, component."""

Selected = tuple[tuple[str, ...], tuple[str, ...]]
"""The selectors around a rule: their keys, and their values in the same order."""

_DESCRIBED: Final = ("interface", "component")
"""What is read off the description; the other attributes are names in the event itself."""


class Places:
    """Which bindings hold rules for an event; finding them costs the same however many others there are.

    Bindings are numbered in text order. Where an event's own description is not at hand (a name that ends in `*`),
    every binding that could mean it is found.
    """

    def __init__(self) -> None:
        # By kind, then by the keys of the selectors, then by their values: the first binding; the others, if any,
        # stand apart, as nearly always there are none.
        self._first: dict[EventKind, dict[tuple[str, ...], dict[tuple[str, ...], int]]] = {}
        self._others: dict[tuple[EventKind, Selected], list[int]] = {}

    def add(self, kind: EventKind, selected: Selected, number: int) -> None:
        """Note, once, that a binding holds rules with these selectors around them."""
        keys, values = selected
        first = self._first.setdefault(kind, {}).setdefault(keys, {}).setdefault(values, number)
        if first != number:
            self._others.setdefault((kind, selected), []).append(number)

    def find(self, kind: EventKind, attributes: Attributes) -> Iterator[tuple[int, Selected]]:
        """The bindings with rules for an event, and the selectors around these rules."""
        for selected, first in self._rows(kind, attributes):
            yield first, selected
            for number in self._others.get((kind, selected), ()):
                yield number, selected

    def _rows(self, kind: EventKind, attributes: Attributes) -> Iterator[tuple[Selected, int]]:
        unknown = {key for key in _DESCRIBED if (attributes.get(key) or "").endswith(ANY)}
        for keys, by_values in self._first.get(kind, {}).items():
            if unknown.isdisjoint(keys):
                values = tuple(attributes.get(key) or "" for key in keys)
                if values in by_values:
                    yield (keys, values), by_values[values]
                continue
            for values, first in by_values.items():
                pairs = zip(keys, values, strict=True)
                if all(_could_be(attributes.get(key), value, unknown=key in unknown) for key, value in pairs):
                    yield (keys, values), first


def _could_be(name: str | None, value: str, *, unknown: bool) -> bool:
    return may_be(name or "", value) if unknown else name == value


class Checked(tuple[psl.Binding, ...]):
    """Bindings in text order in which no mistake was found.

    Attributes:
        classes: The classes that they were checked against.
        places: Which of them hold rules for which events.
    """

    classes: Mapping[str, TaskClass]
    places: Places


class Likeness:
    """Tells whether bindings are so alike that one is right if another is."""

    def __init__(self, classes: Mapping[str, TaskClass]) -> None:
        self._classes = classes
        self._roots: dict[EventKind, Scope] = {}
        self._meetings: dict[psl.Template, _Meetings] = {}

    def of(self, binding: psl.Binding) -> Hashable:
        """Equal for bindings that are right or wrong alike; None for one that must be looked at by itself."""
        row = binding.row
        if row is None:
            return None
        meetings = self._meetings.get(row.template)
        if meetings is None:
            meetings = self._meetings[row.template] = _Meetings(self.root(binding.event), row.template)
        methods = meetings.methods(row.names)
        return None if methods is None else (row.template, row.fixed, methods)

    def root(self, kind: EventKind) -> Scope:
        """All events of a kind."""
        found = self._roots.get(kind)
        if found is None:
            found = self._roots[kind] = Scope.of(kind, self._classes)
        return found


class _Meetings:
    """Which methods bindings meet that have the same selectors with other values; each choice is made once."""

    def __init__(self, root: Scope, template: psl.Template) -> None:
        self._root = root
        self._sign = Targets.names_and_methods if template.has_sections else Targets.signature
        self._narrowing: list[tuple[str, int]] = []
        self._callers: list[int] = []
        for position, key in enumerate(template.keys):
            if key not in ("src", "dst"):
                self._narrowing.append((key, position))
            elif root.kind != "execute" and key == root.server_key:
                self._narrowing.append(("server", position))
            else:
                self._callers.append(position)
        positions = [position for _, position in self._narrowing]
        self._pick: Callable[[tuple[str, ...]], Any] = itemgetter(*positions) if positions else lambda _: ()
        self._known: dict[Any, int | None] = {}
        self._numbers: dict[Hashable, int] = {}

    def methods(self, names: tuple[str, ...]) -> int | None:
        """A number, equal for the same methods; None if a name does not exist."""
        for position in self._callers:
            if names[position] not in self._root.classes:
                return None
        picked = self._pick(names)
        if picked not in self._known:
            left = self._narrow(names)
            sign = None if left is None else self._sign(left)
            self._known[picked] = None if sign is None else self._numbers.setdefault(sign, len(self._numbers))
        return self._known[picked]

    def _narrow(self, names: tuple[str, ...]) -> Targets | None:
        left = self._root.left
        for key, position in self._narrowing:
            name = names[position]
            left = left.narrow(key, name)
            # A class may well have no messages of this kind; whatever else has none does not exist.
            if name not in self._root.classes if key == "server" else not left.every:
                return None
        return left
