"""Which events some selectors stand for: by class, endpoint and method, not yet with a message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from secureos.policy import syntax as psl
from secureos.policy.scope import Scope, Target
from secureos.policy.syntax import EventKind
from secureos.policy.verdict import Event
from secureos.xdl import Check, Parameter, TaskClass
from secureos.xdl.model import ANY
from secureos.xdl.source import PolicyError, source_from_text


@dataclass(frozen=True, slots=True)
class Candidate:
    """One kind of event between two classes.

    Attributes:
        kind: What happens.
        src, dst: The classes; a `security` event has no destination.
        target: The method, at its endpoint; None for `execute`.
        parameters: The fields of its message.
    """

    kind: EventKind
    src: str
    dst: str | None
    target: Target | None
    parameters: tuple[Parameter, ...]

    @property
    def attributes(self) -> Mapping[str, str | None]:
        """What selectors can ask of it."""
        named: dict[str, str | None] = {"src": self.src, "dst": self.dst}
        if self.target is not None:
            named |= {"endpoint": self.target.endpoint, "method": self.target.method.name}
            named |= {"interface": self.target.interface, "component": self.target.component}
        return named

    @property
    def called(self) -> str:
        """`endpoint.method`, or the plain method of a `security` event; empty for `execute`."""
        if self.target is None:
            return ""
        return ".".join(filter(None, (self.target.endpoint, self.target.method.name)))

    @property
    def is_open(self) -> bool:
        """Whether part of what is called has no name yet, because its class is not described at hand."""
        return self.target is not None and any(
            name.endswith(ANY) for name in (self.target.endpoint, self.target.method.name)
        )

    @property
    def is_opaque(self) -> bool:
        """Whether its message is described nowhere at hand, so that anything fits."""
        return self.target is not None and self.target.method.opaque

    @property
    def check(self) -> Check:
        """The structure check of its message."""
        if self.target is None:
            return lambda _: None
        method = self.target.method
        if self.kind == "response":
            return method.check_outputs
        return method.check_errors if self.kind == "error" else method.check_inputs

    def event(self, at_ns: int, sids: tuple[int, int | None], message: Mapping[str, Any]) -> Event:
        """The event with everything that a policy can ask for; `sids` are those of source and destination."""
        endpoint, method = ("", "") if self.target is None else (self.target.endpoint, self.target.method.name)
        return Event(self.kind, at_ns, *sids, self.src, self.dst, endpoint, method, message)

    def __str__(self) -> str:
        way = self.src if self.dst is None else f"{self.src} → {self.dst}"
        return f"{self.kind} {way}" + (f" {self.called}" if self.called else "")


def candidates(
    kind: EventKind, selectors: Iterable[psl.Selector], classes: Mapping[str, TaskClass]
) -> Iterator[Candidate]:
    """Every event of a kind that has what the selectors say, in the order of classes, endpoints and methods.

    Raises:
        PolicyError: A selector has no meaning for the event, or names what does not exist.
    """
    return candidates_in(Scope.of(kind, classes), selectors)


def candidates_in(whole: Scope, selectors: Iterable[psl.Selector]) -> Iterator[Candidate]:
    """The same for who asks often: the scope of everything of one kind is made once.

    Raises:
        PolicyError: As `candidates`.
    """
    # `narrow` is done at once, so that a mistake shows before the first candidate is asked for.
    scope = whole.narrow(selectors)
    return _execute_candidates(scope) if scope.kind == "execute" else _message_candidates(scope)


def selected(kind: EventKind, named: Mapping[str, str | None], classes: Mapping[str, TaskClass]) -> list[Candidate]:
    """The same for names that do not stand in a policy; those that are None are left open."""
    given = {key: value for key, value in named.items() if value is not None}
    try:
        return list(candidates(kind, [_selector(key, value) for key, value in given.items()], classes))
    except PolicyError as failure:
        raise UnknownNames([mistake.message for mistake in failure.diagnostics]) from None


class UnknownNames(Exception):
    """An event was described by names that the policy does not know; each argument says which, and what is near."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        super().__init__("\n".join(mistakes))


def _selector(key: str, value: str) -> psl.Selector:
    span = source_from_text(value).span()
    return psl.Selector(key, psl.Name(value, span), span)


def _execute_candidates(scope: Scope) -> Iterator[Candidate]:
    for src in _classes(scope, "src"):
        for dst in _classes(scope, "dst"):
            yield Candidate(scope.kind, src, dst, None, ())


def _message_candidates(scope: Scope) -> Iterator[Candidate]:
    for target in scope.targets:
        parameters = scope.parameters(target)
        match scope.kind:
            case "request":
                for src in _classes(scope, "src"):
                    yield Candidate(scope.kind, src, target.server, target, parameters)
            case "security":
                yield Candidate(scope.kind, target.server, None, target, parameters)
            case _:
                for dst in _classes(scope, "dst"):
                    yield Candidate(scope.kind, target.server, dst, target, parameters)


def _classes(scope: Scope, key: str) -> Iterable[str]:
    return [scope.where[key]] if key in scope.where else scope.classes


def sids_of(classes: Iterable[str]) -> dict[str, int]:
    """A SID for each class where no kernel hands them out: one process per class, numbered from 1 in their order."""
    return {name: number for number, name in enumerate(classes, start=1)}
