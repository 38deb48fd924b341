"""Connections: who holds one asks for a decision by a small integer, without any name being looked up."""

from __future__ import annotations

from typing import Any, Final, Protocol

from secureos.policy.decision import Key
from secureos.policy.shapes import BY_ERROR, Decide, deny_by_default
from secureos.policy.syntax import EventKind
from secureos.xdl import TaskClass

UNKNOWN: Final = 0
"""The id of every method that a class does not have; its decision is always a denial."""


class Decisions(Protocol):
    """Where a connection finds its decisions."""

    def may_speak(self, key: Key) -> bool:
        """Whether a rule could speak of such an event; False is certain."""

    def function(self, key: Key) -> Decide:
        """The decision function of an event."""


class MethodIds:
    """The methods of one class as small integers from 1, 0 being unknown.

    A number stays with its method for the life of the engine, also when the policy or the description changes.
    """

    def __init__(self) -> None:
        self.names: list[tuple[str, str]] = []
        self._ids: dict[tuple[str, str], int] = {}

    def learn(self, described: TaskClass | None) -> None:
        """Number what is new; methods of the security interface stand under the empty endpoint."""
        if described is None:
            return
        called = [(path, name) for path, endpoint in described.endpoints.items() for name in endpoint.interface.methods]
        if described.security is not None:
            called += [("", name) for name in described.security.methods]
        for names in called:
            if names not in self._ids:
                self.names.append(names)
                self._ids[names] = len(self.names)

    def find(self, endpoint: str, method: str) -> int:
        """The number of a method, 0 if it has none."""
        return self._ids.get((endpoint, method), UNKNOWN)


class Connection:
    """The decisions between two classes, held by who may speak.

    `connection.request[k](src_sid, dst_sid, *fields)` is the decision on a request to method `k` of the destination,
    the fields in the order of the description, their structure already checked; `response` and `error` are the
    replies to it (the server's sid first), `security[k]` is a message to the security module by method `k` of the
    source itself (destination sid None). 0 is granted, a positive number is 1 + the index of the rule that denied, a
    negative one a denial without rule.

    The lists are filled when they are first looked at, and stay the same lists when the policy is replaced. The index
    comes from `Engine.method_id`, never from a message.
    """

    __slots__ = ("_client", "_decisions", "_server", "dst", "error", "request", "response", "security", "src")

    def __init__(
        self, src: str, dst: str | None, decisions: Decisions, *, client: MethodIds, server: MethodIds
    ) -> None:
        self.src = src
        self.dst = dst
        self._decisions = decisions
        self._client = client
        self._server = server

    def __getattr__(self, name: str) -> list[Decide]:
        """The decisions of one kind, made when they are first asked for."""
        for kind in _KINDS:
            if kind == name:
                held: list[Decide] = []
                held[:] = self._listed(kind, held)
                setattr(self, name, held)
                return held
        raise AttributeError(name)

    def renew(self, decisions: Decisions) -> None:
        """Take over another policy's decisions; whoever holds a list sees the new ones in it."""
        self._decisions = decisions
        for kind in _KINDS:
            try:
                held: list[Decide] = object.__getattribute__(self, kind)
            except AttributeError:  # nobody has looked at it yet
                continue
            held[:] = self._listed(kind, held)

    def _listed(self, kind: EventKind, held: list[Decide]) -> list[Decide]:
        """Decisions by method id, the first being that of the unknown; `held` is the list that they will stand in."""
        swapped = kind in ("response", "error")
        src, dst = (self.dst, self.src) if swapped else (self.src, None if kind == "security" else self.dst)
        found: list[Decide] = [deny_by_default]
        ids = self._client if kind == "security" else self._server
        for number, (endpoint, method) in enumerate(ids.names, start=1):
            key = (kind, src or "", dst, endpoint, method)
            speaks = self._decisions.may_speak(key)
            found.append(_First(self._decisions, held, number, key) if speaks else deny_by_default)
        return found


class _First:
    """Stands in for a decision function until it is first called, and then makes it."""

    __slots__ = ("_decisions", "_held", "_key", "_number")

    def __init__(self, decisions: Decisions, held: list[Decide], number: int, key: Key) -> None:
        self._decisions = decisions
        self._held = held
        self._number = number
        self._key = key

    def __call__(self, *arguments: Any) -> int:  # noqa: ANN401 -- passed on as they come
        try:
            function = self._decisions.function(self._key)
        except Exception:  # INVARIANT: an error while deciding never grants
            return BY_ERROR
        if self._held[self._number] is self:  # INVARIANT: an old policy's decision never comes into a new list
            self._held[self._number] = function
        return function(*arguments)


_KINDS: Final[tuple[EventKind, ...]] = ("request", "response", "error", "security")
