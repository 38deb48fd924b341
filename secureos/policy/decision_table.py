"""All decisions of one policy on the objects of one engine, put together when they are first needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from secureos.policy.bulk import without_collection
from secureos.policy.codegen import Message, Moment, decision
from secureos.policy.compile import compile_bindings
from secureos.policy.decision import Decision, Key, described, extractor, fields_of
from secureos.policy.decision_index import Attributes, RuleIndex
from secureos.policy.load import Policy
from secureos.policy.models import Model
from secureos.policy.shapes import Decide, deny_by_default
from secureos.xdl import Parameter

MAX_KEPT: Final = 1 << 18
"""How many decisions are kept. A class whose description is not at hand has every endpoint that anyone names."""


class DecisionTable:
    """From the names in an event to its decision.

    Args:
        policy: What is asked.
        objects: Whom it is asked of.
        moment: Where the decisions read the time.
    """

    def __init__(self, policy: Policy, objects: Mapping[str, Model], moment: Moment) -> None:
        self._policy = policy
        self._objects = objects
        self._moment = moment
        with without_collection():
            self._index = RuleIndex(compile_bindings(policy.bindings, policy.classes, objects))
        self._kept: dict[Key, Decision] = {}

    def find(self, key: Key) -> Decision | str:
        """The decision on such an event, or why no rule can speak of it: it names what the policy does not know."""
        found = self._kept.get(key)
        if found is not None:
            return found
        return self._unknown(key) or self._make(key)

    def function(self, key: Key) -> Decide:
        """The decision function of such an event."""
        found = self.find(key)
        return deny_by_default if isinstance(found, str) else found.decide

    def may_speak(self, key: Key) -> bool:
        """Whether there is a rule for such an event."""
        return self._unknown(key) is None and self._index.may_speak(key[0], self._attributes(key) or {})

    def _make(self, key: Key) -> Decision:
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        rules, fields = self._index.rules(key[0], self._attributes(key) or {}), self._fields(key)
        function, whole = decision(rules, self._objects, Message(key, fields, self._moment))
        made = self._kept[key] = Decision(rules, function, whole, extractor(fields))
        for rule in rules:  # a denial makes anew what it needs to say why
            rule.forget()
        return made

    def _unknown(self, key: Key) -> str | None:
        kind, src, dst, endpoint, method = key
        for name in (src,) if dst is None else (src, dst):
            if name not in self._policy.classes:
                return f"class `{name}` is not part of this policy"
        if (dst is None) != (kind == "security"):
            return f"a `{kind}` event {'has no' if dst is None else 'has a'} destination"
        if self._attributes(key) is None:
            return f"there is no method `{'.'.join(filter(None, (endpoint, method)))}` to speak of"
        return None

    def _attributes(self, key: Key) -> Attributes | None:
        """What selectors can ask of an event; None if its class has no such method."""
        kind, src, dst, endpoint, method = key
        if kind == "execute":
            return None if endpoint or method else {"src": src, "dst": dst}
        found = described(key, self._policy.classes)
        if found is None:
            return None
        _, interface, component = found
        named = {"src": src, "dst": dst, "endpoint": endpoint, "method": method}
        return {**named, "interface": interface.package, "component": component}

    def _fields(self, key: Key) -> tuple[Parameter, ...]:
        """The fields of the message; none if its description is not at hand: then rules read the event itself."""
        found = described(key, self._policy.classes)
        return () if found is None or found[0].opaque else fields_of(key[0], found[0])
