"""`choice`: which case a value falls into, and asking the rules there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from secureos.policy import syntax as psl
from secureos.policy.models import Undo
from secureos.policy.scope import Scope
from secureos.policy.typed import Compiled, Evaluate, mistake
from secureos.policy.values import LiteralType, UnitType, ValueType, is_boolean, is_integer, is_text
from secureos.policy.verdict import Event
from secureos.xdl import TaskClass


class Askable(Protocol):
    """What a case needs of a rule."""

    @property
    def where(self) -> Mapping[str, str]:
        """For which events it is asked."""

    @property
    def run(self) -> Callable[[Event, Undo], str | None]:
        """Asks it."""


R = TypeVar("R", bound=Askable)

Inner = Callable[[Event, Undo], tuple[Sequence[R], str | None]]
"""Asks a choice: the rules that were asked, and why the last of them denied (None: all of them grant)."""


@dataclass(frozen=True, slots=True)
class Case(Generic[R]):
    """One case: whether a value falls into it (None: always), and its rules."""

    fits: Callable[[Any], bool] | None
    rules: tuple[R, ...]


def matcher(part: psl.Case, chosen: Compiled) -> Callable[[Any], bool] | None:
    """What tells whether a value falls into a case; None for `_`.

    A model says itself what its cases mean; other values are compared.

    Raises:
        PolicyError: The value can never be that.
    """
    key = part.key
    if key is None:
        return None
    value = key.text if isinstance(key, psl.Name) else key.value
    operation = chosen.operation
    if operation is None or operation.choose is None:
        _check_possible(key, value, chosen.type)
        return lambda found: bool(found == value)
    if not isinstance(value, str):
        raise mistake(key.span, f'the cases of this choice are texts: `"…"`, not `{key.span.text}`')
    try:
        return operation.choose(value)
    except ValueError as failure:
        raise mistake(key.span, str(failure)) from None


def select(evaluate: Evaluate, cases: tuple[Case[R], ...], scope: Scope) -> Inner[R]:
    """What asks the rules of the first case that fits; no case, or a case without rules, denies."""

    def inner(event: Event, undo: Undo) -> tuple[Sequence[R], str | None]:
        value = evaluate(event)
        for case in cases:
            if case.fits is None or case.fits(value):
                return _ask(case.rules, scope, event, undo)
        return (), "no case of the choice fits"

    return inner


def _ask(rules: tuple[R, ...], scope: Scope, event: Event, undo: Undo) -> tuple[Sequence[R], str | None]:
    asked: list[R] = []
    for rule in rules:
        if rule.where is scope.where or _meets(rule.where, scope, event):
            asked.append(rule)
            why = rule.run(event, undo)
            if why is not None:
                return asked, why
    return asked, None if asked else "no rule speaks of this event in the fitting case of the choice"


def _meets(where: Mapping[str, str], scope: Scope, event: Event) -> bool:
    """Whether the selectors of a `match` inside of a case hold."""
    return all(value == scope.where.get(key) or value == _attribute(key, scope, event) for key, value in where.items())


def _attribute(key: str, scope: Scope, event: Event) -> str | None:
    if key in ("src", "dst", "endpoint", "method"):
        found: str | None = getattr(event, key)
        return found
    server = scope.classes[event.dst if scope.kind == "request" and event.dst is not None else event.src]
    return _described(key, scope, server, event)


def _described(key: str, scope: Scope, server: TaskClass, event: Event) -> str | None:
    if scope.kind == "security":
        return None if server.security is None else server.security.package
    endpoint = server.endpoints[event.endpoint]
    return endpoint.component if key == "component" else endpoint.interface.package


def _check_possible(key: psl.Constant | psl.Name, value: int | str | bool | None, kind: ValueType) -> None:
    fits = is_text if isinstance(value, str) else is_boolean if isinstance(value, bool) else is_integer
    if isinstance(kind, LiteralType | UnitType) or not fits(kind):
        raise mistake(key.span, f"`{key.span.text}` is no case of {kind}")
