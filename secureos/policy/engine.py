"""Deciding: one event in, one verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from secureos.policy.compile import Rule, Run, compile_bindings
from secureos.policy.expressions import Incorrect
from secureos.policy.load import Policy
from secureos.policy.models import Undo
from secureos.policy.verdict import Event, Verdict

_Key = tuple[str, str, str | None, str, str]


@dataclass(frozen=True, slots=True)
class _Row:
    """All that is asked for one kind, source, destination, endpoint and method.

    Attributes:
        runs: The rules in text order.
        tried: Their places; entry `i` holds those up to and including rule `i`.
        verdict: The verdict if all of them grant; a denial if there are none.
    """

    runs: tuple[Run, ...]
    tried: tuple[tuple[str, ...], ...]
    verdict: Verdict


class Engine:
    """The state of one policy's objects, and the only one who changes it.

    Decisions: all rules of all bindings that match are asked in text order, and all must grant; none at all denies.
    The first denial ends the asking and takes back every effect of the event. Whatever goes wrong while deciding is
    a denial, and so is a time before that of an earlier event. The time of the last event is no effect of a rule: it
    goes on when the event is denied.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._objects = {name: make() for name, make in policy.objects.items()}
        self._rules = compile_bindings(policy.bindings, policy.classes, self._objects)
        self._rows: dict[_Key, _Row] = {}
        self._last_ns: int | None = None

    def decide(self, event: Event) -> Verdict:
        """The verdict on one event; never raises."""
        undo: Undo = []
        try:
            return self._decide(event, undo)
        except Exception as failure:  # INVARIANT: an error while deciding never grants and leaves no effect
            _take_back(undo)
            return Verdict(False, "engine", f"error while deciding: {_sentence(failure)}")

    def snapshot(self) -> dict[str, Any]:
        """The time of the last event (`at_ns`) and the state of every object (`objects`), as plain JSON values."""
        return {
            "at_ns": self._last_ns,
            "objects": {name: model.snapshot() for name, model in sorted(self._objects.items())},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` of an engine with the same objects gave.

        Raises:
            ValueError: The snapshot is of other objects.
        """
        if state["objects"].keys() != self._objects.keys():
            message = "the snapshot belongs to a policy with other objects; restore it where it was taken"
            raise ValueError(message)
        self._last_ns = state["at_ns"]
        for name, inner in state["objects"].items():
            self._objects[name].restore(inner)

    def _decide(self, event: Event, undo: Undo) -> Verdict:
        at_ns, last_ns = event.at_ns, self._last_ns
        if last_ns is not None and at_ns < last_ns:
            return Verdict(False, "engine", f"time ran backwards: {at_ns} ns after {last_ns} ns")
        self._last_ns = at_ns
        key = (event.kind, event.src, event.dst, event.endpoint, event.method)
        row = self._rows.get(key)
        if row is None:
            unknown = self._unknown(event)
            if unknown is not None:
                return Verdict(False, "default", unknown)
            # Only combinations that the descriptions allow get here, so this table cannot grow without bound.
            row = self._rows[key] = self._row(event)
        for position, run in enumerate(row.runs):
            why = run(event, undo)
            if why is not None:
                _take_back(undo)
                tried = row.tried[position]
                return Verdict(False, tried[-1], why, tried)
        return row.verdict

    def _unknown(self, event: Event) -> str | None:
        """Why no rule can speak of this event: it names what the policy does not know."""
        for name in (event.src, event.dst):
            if name is not None and name not in self.policy.classes:
                return f"class `{name}` is not part of this policy"
        if (event.dst is None) != (event.kind == "security"):
            return f"a `{event.kind}` event {'has no' if event.dst is None else 'has a'} destination"
        if self._attributes(event) is None:
            return f"there is no method `{'.'.join(filter(None, (event.endpoint, event.method)))}` to speak of"
        return None

    def _attributes(self, event: Event) -> Mapping[str, str | None] | None:
        """What selectors can ask of an event; None if its class has no such method."""
        attributes = {"src": event.src, "dst": event.dst}
        if event.kind == "execute":
            return None if event.endpoint or event.method else attributes
        server = self.policy.classes[event.dst if event.kind == "request" and event.dst is not None else event.src]
        if event.kind == "security":
            interface, component = server.security, None
            if event.endpoint:
                return None
        else:
            endpoint = server.endpoints.get(event.endpoint)
            interface = None if endpoint is None else endpoint.interface
            component = None if endpoint is None else endpoint.component
        if interface is None or event.method not in interface.methods:
            return None
        return {
            **attributes,
            "endpoint": event.endpoint,
            "method": event.method,
            "interface": interface.package,
            "component": component,
        }

    def _row(self, event: Event) -> _Row:
        attributes = self._attributes(event) or {}
        rules = [rule for rule in self._rules if _meets(rule, event.kind, attributes)]
        places = tuple(rule.place for rule in rules)
        tried = tuple(places[: position + 1] for position in range(len(places)))
        if not rules:
            return _Row((), (), Verdict(False, "default", f"denied by default: no rule speaks of {_shown(event)}"))
        reason = "granted by the one rule for it" if len(rules) == 1 else f"granted by all {len(rules)} rules for it"
        return _Row(tuple(rule.run for rule in rules), tried, Verdict(True, places[-1], reason, places))


def _meets(rule: Rule, kind: str, attributes: Mapping[str, str | None]) -> bool:
    return rule.kind == kind and all(attributes.get(key) == value for key, value in rule.where.items())


def _take_back(undo: Undo) -> None:
    while undo:
        undo.pop()()


def _shown(event: Event) -> str:
    called = ".".join(filter(None, (event.endpoint, event.method)))
    way = f" from `{event.src}`" + (f" to `{event.dst}`" if event.dst is not None else "")
    return f"{event.kind}{f' `{called}`' if called else ''}{way}"


def _sentence(failure: Exception) -> str:
    text = str(failure)
    return text if isinstance(failure, Incorrect) else f"{type(failure).__name__}: {text}"
