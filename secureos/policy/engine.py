"""Deciding: one event in, one verdict out.

A decision is made by a function that was put together from the rules asked for that event (`codegen`, `shapes`). Only
if it denies are the rules asked once more, one by one in text order, to say which of them denied and why: what an
event is told never depends on how the function was put together.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from secureos.policy.codegen import Moment
from secureos.policy.compile import Rule
from secureos.policy.decision import Decision, Key
from secureos.policy.decision_audit import Said, VerdictMaker
from secureos.policy.decision_connection import Connection, MethodIds
from secureos.policy.decision_table import DecisionTable
from secureos.policy.load import Policy
from secureos.policy.models import Base, Incorrect, Model, Undo
from secureos.policy.shapes import GRANTED, take_back
from secureos.policy.verdict import Event, Verdict


class Engine:
    """The state of one policy's objects, and the only one who changes it.

    Decisions: all rules of all bindings that match are asked in text order, and all must grant; none at all denies.
    The first denial ends the asking and takes back every effect of the event. Whatever goes wrong while deciding is
    a denial, and so is a time before that of an earlier event. The time of the last event is no effect of a rule: it
    goes on when the event is denied.

    `decide` takes an event with all its names. Who sends many messages the same way holds a `Connection` instead:
    `advance` the time when it moves, then call the connection's functions with sids and fields; a denial is a small
    integer, and `decide` on the same event tells its reason.
    """

    def __init__(self, policy: Policy) -> None:
        self._last_ns: int | None = None
        self._moment = Moment()
        self._method_ids: dict[str, MethodIds] = {}
        self._connections: dict[tuple[str, str | None], Connection] = {}
        self._enforce(policy, _fresh(policy))

    def decide(self, event: Event) -> Verdict:
        """The verdict on one event; never raises."""
        try:
            return self._decide(event)
        except Exception as failure:  # INVARIANT: an error while deciding never grants and leaves no effect
            return Verdict(False, "engine", f"error while deciding: {_sentence(failure)}")

    def consider(self, event: Event) -> Verdict:
        """The verdict that `decide` would give now, without any effect: objects and time stay as they are."""
        last_ns = self._last_ns
        undo: Undo = []
        try:
            found = self._find(event)
            return found if isinstance(found, Verdict) else self._ask(found, event, undo)
        except Exception as failure:  # INVARIANT: as in `decide`
            return Verdict(False, "engine", f"error while deciding: {_sentence(failure)}")
        finally:
            take_back(undo)
            self._last_ns, self._moment.at_ns = last_ns, last_ns or 0

    def advance(self, at_ns: int) -> bool:
        """Move the time of the decisions that follow; False, and nothing moves, if it would run backwards."""
        if self._last_ns is not None and at_ns < self._last_ns:
            return False
        self._last_ns = self._moment.at_ns = at_ns
        return True

    def connect(self, src: str, dst: str | None) -> Connection:
        """The decisions between two classes; a class that the policy does not know is denied everything.

        Args:
            src: The class that asks.
            dst: The class that is asked; None for one that only speaks to the security module.
        """
        found = self._connections.get((src, dst))
        if found is None:
            client, server = self._ids(src), self._ids(dst or "")
            found = self._connections[src, dst] = Connection(src, dst, self._table, client=client, server=server)
        return found

    def method_id(self, server: str, endpoint: str, method: str) -> int:
        """The number of a method in the lists of a connection; 0 if the class has no such method.

        Args:
            server: The class that the method belongs to.
            endpoint: Its endpoint there; empty for a method of its security interface.
            method: Its name.
        """
        return self._ids(server).find(endpoint, method)

    def swap(self, policy: Policy) -> None:
        """Put another policy in force, between two events; connections stay valid and follow it.

        All is made ready aside before anything changes. Objects declared alike in both keep their state, others begin
        anew; the time goes on.
        """
        objects = _fresh(policy)
        for name, model in objects.items():
            if name in self._objects and _declared_alike(name, policy, self.policy):
                model.restore(self._objects[name].snapshot())
        self._enforce(policy, objects)
        for class_name, ids in self._method_ids.items():
            ids.learn(policy.classes.get(class_name))
        for connection in self._connections.values():
            connection.renew(self._table)

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
        self._moment.at_ns = self._last_ns or 0
        for name, inner in state["objects"].items():
            self._objects[name].restore(inner)

    # ---- deciding --------------------------------------------------------------------------------------------------

    def _find(self, event: Event) -> Decision | Verdict:
        """The rules for an event, once the time is moved to it; a denial where there are none."""
        if not self.advance(event.at_ns):
            return Verdict(False, "engine", f"time ran backwards: {event.at_ns} ns after {self._last_ns} ns")
        key = (event.kind, event.src, event.dst, event.endpoint, event.method)
        found = self._table.find(key)
        if isinstance(found, str) or not found.rules:
            why = found if isinstance(found, str) else f"denied by default: no rule speaks of {_shown(key)}"
            return Verdict(False, "default", why)
        return found

    def _decide(self, event: Event) -> Verdict:
        found = self._find(event)
        if isinstance(found, Verdict):
            return found
        if self._verdicts.follows_choices(found):
            return self._ask(found, event, [])
        try:
            fields = found.extract(event.message)
        except Exception:  # a message that does not fit its description: the rules may not need what is missing
            return self._ask(found, event, [])
        if found.whole:
            fields = (*fields, event)
        if found.decide(event.src_sid, event.dst_sid, *fields) == GRANTED:
            return self._verdicts.granted(found, event)
        return self._ask(found, event, [], denied=True)

    def _ask(self, found: Decision, event: Event, undo: Undo, *, denied: bool = False) -> Verdict:
        """Ask the rules one by one; `denied` says that the decision function has denied already.

        What they do is noted in `undo`, and taken back unless all of them grant.
        """
        said: list[Said] = []
        try:
            for rule in found.rules:
                why = _one(rule, event, undo, said)
                if why is not None:
                    take_back(undo)
                    return self._verdicts.denied(said, event, why)
            if denied:
                message = "the rules, asked one by one, grant what their decision function denied"
                raise RuntimeError(message)
        except BaseException:
            take_back(undo)
            raise
        return self._verdicts.granted(found, event, said)

    # ---- the policy in force ---------------------------------------------------------------------------------------

    def _enforce(self, policy: Policy, objects: dict[str, Model]) -> None:
        table, verdicts = DecisionTable(policy, objects, self._moment), VerdictMaker(policy, objects)
        self.policy, self._objects, self._table, self._verdicts = policy, objects, table, verdicts

    def _ids(self, class_name: str) -> MethodIds:
        ids = self._method_ids.get(class_name)
        if ids is None:
            ids = self._method_ids[class_name] = MethodIds()
            ids.learn(self.policy.classes.get(class_name))
        return ids


def _one(rule: Rule, event: Event, undo: Undo, said: list[Said]) -> str | None:
    """Ask one rule and note what it said; of a choice also what the rules of the fitting case said."""
    if rule.inner is None:
        why = rule.run(event, undo)
        said.append(Said(rule, granted=why is None))
        return why
    asked, why = rule.inner(event, undo)
    said.append(Said(rule, granted=why is None))
    said.extend(Said(one, granted=why is None or one is not asked[-1]) for one in asked)
    # Where no case fits, the choice itself says so, in words of its own; it has no effect then.
    return why if asked or why is None else rule.run(event, undo)


def _fresh(policy: Policy) -> dict[str, Model]:
    """New objects of a policy; the audit begins at its own level."""
    objects = {name: make() for name, make in policy.objects.items()}
    base = objects["base"]
    assert isinstance(base, Base)
    base.level = policy.default_level
    return objects


def _declared_alike(name: str, new: Policy, old: Policy) -> bool:
    """Whether an object is of one model with one configuration in both; `base` if the audit begins alike."""
    if name == "base":
        return (new.default_profile, new.default_level) == (old.default_profile, old.default_level)
    first, second = new.objects[name], old.objects[name]
    if not (isinstance(first, partial) and isinstance(second, partial)):
        return False
    return (first.func, first.args, first.keywords) == (second.func, second.args, second.keywords)


def _shown(key: Key) -> str:
    kind, src, dst, endpoint, method = key
    called = ".".join(filter(None, (endpoint, method)))
    way = f" from `{src}`" + (f" to `{dst}`" if dst is not None else "")
    return f"{kind}{f' `{called}`' if called else ''}{way}"


def _sentence(failure: Exception) -> str:
    text = str(failure)
    return text if isinstance(failure, Incorrect) else f"{type(failure).__name__}: {text}"
