"""Audit profiles: which verdicts a policy wants to have recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from secureos.policy import syntax as psl
from secureos.xdl.source import Diagnostic, PolicyError, near

EMPTY: Final = "empty"
"""The profile that is always there and asks for nothing; the default."""

MAX_LEVEL: Final = 255

_RESULTS: Final = ("granted", "denied")
_EMITS: Final = ("match", "select")
_NEVER_AUDITED: Final = frozenset({"Pred", "Bool", "Math", "Struct"})


@dataclass(frozen=True, slots=True)
class AuditRow:
    """What is recorded of one object.

    Attributes:
        granted, denied: Whether a rule's result of that kind is recorded.
        emit: Of a Regex: the expressions whose use is recorded.
        omit: Of a Flow: the states in which nothing is recorded.
    """

    granted: bool
    denied: bool
    emit: frozenset[str] = frozenset()
    omit: frozenset[str] = frozenset()


Profile = Mapping[int, Mapping[str, AuditRow]]
"""By audit level and object; what is not listed is not recorded."""


def read_profile(declaration: psl.AuditProfile, kinds: Mapping[str, str]) -> Profile:
    """What a declared profile asks for.

    Args:
        declaration: `audit profile name = { level : { object : { kss : […], … } } }`.
        kinds: The model of each policy object.

    Raises:
        PolicyError: Something in it has no meaning; all mistakes are listed.
    """
    reader = _Reader(kinds)
    levels = {}
    for entry in declaration.levels.entries:
        if not isinstance(entry.key, int) or not 0 <= entry.key <= MAX_LEVEL:
            reader.say(entry, f"an audit level is a number from 0 to {MAX_LEVEL}, not `{entry.key}`")
        elif entry.key in levels:
            reader.say(entry, f"level {entry.key} is given twice")
        else:
            levels[entry.key] = reader.level(entry.value)
    if reader.mistakes:
        raise PolicyError(reader.mistakes)
    return levels


class _Reader:
    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.mistakes: list[Diagnostic] = []
        self._kinds = kinds

    def say(self, part: psl.Entry | psl.Expression, message: str) -> None:
        self.mistakes.append(Diagnostic(part.span, message))

    def level(self, part: psl.Expression) -> dict[str, AuditRow]:
        found: dict[str, AuditRow] = {}
        for entry in self._entries(part):
            name = str(entry.key)
            kind = self._kinds.get(name)
            if name in found:
                self.say(entry, f"object `{name}` is given twice")
            elif kind is None:
                self.say(entry, f"unknown object `{name}`{near(name, self._kinds)}")
            elif kind in _NEVER_AUDITED:
                self.say(entry, f"`{name}` is a {kind}, whose expressions are never audited")
            else:
                found[name] = self._row(entry.value, kind)
        return found

    def _row(self, part: psl.Expression, kind: str) -> AuditRow:
        known = {"kss", *(("emit",) if kind == "Regex" else ()), *(("omit",) if kind == "Flow" else ())}
        given: dict[str, frozenset[str]] = {}
        for entry in self._entries(part):
            name = str(entry.key)
            if name not in known:
                self.say(entry, f"the audit of a {kind} has no `{name}`{near(name, known)}")
            elif name in given:
                self.say(entry, f"`{name}` is given twice")
            else:
                given[name] = self._texts(entry.value, {"kss": _RESULTS, "emit": _EMITS}.get(name))
        results = given.get("kss", frozenset())
        emits = given.get("emit", frozenset(_EMITS) if kind == "Regex" else frozenset())
        return AuditRow("granted" in results, "denied" in results, emits, given.get("omit", frozenset()))

    def _entries(self, part: psl.Expression) -> Iterable[psl.Entry]:
        if isinstance(part, psl.DictionaryLiteral):
            return part.entries
        self.say(part, "a dictionary `{…}` is due here")
        return ()

    def _texts(self, part: psl.Expression, known: tuple[str, ...] | None) -> frozenset[str]:
        if not isinstance(part, psl.ListLiteral):
            self.say(part, "a list `[…]` of texts is due here")
            return frozenset()
        found = set()
        for item in part.items:
            value = item.value if isinstance(item, psl.Constant) else None
            if not isinstance(value, str):
                self.say(item, "a text is due here")
            elif known is not None and value not in known:
                self.say(item, f"`{value}` is none of {', '.join(known)}{near(value, known)}")
            else:
                found.add(value)
        return frozenset(found)
