"""Whether a policy leaves alone what is never blocked.

For each message of the list, and for the replies to it, the policy must grant by constant grants and by nothing else:
whatever could deny it in some state is a mistake, and so is having no grant at all. Which rules can be asked is known
exactly where it depends on classes, methods and the values that the list gives to fields: a `choice` on such a field
has one case. Of everything else the worst is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from secureos.kernel.safety import NeverBlock, Safety
from secureos.policy import Policy
from secureos.policy import syntax as psl
from secureos.policy.candidates import Candidate, UnknownNames, selected
from secureos.policy.constants import constant_answer
from secureos.policy.rule_index import RuleIndex
from secureos.policy.syntax import EventKind
from secureos.xdl.source import Diagnostic


def check_safety(policy: Policy, safety: Safety) -> tuple[Diagnostic, ...]:
    """What is wrong with a policy, each mistake with the rule and the entry of the list that it concerns."""
    if not safety.never_block:
        return ()
    rules = RuleIndex(policy.bindings)
    mistakes: dict[str, Diagnostic] = {}
    for entry in safety.never_block:
        for message in _messages(entry):
            for mistake in _of_message(policy, rules, message):
                mistakes.setdefault(str(mistake), mistake)
    return tuple(mistakes.values())


@dataclass(frozen=True)
class _Listed:
    """One message that must pass: a request of the list, a reply to it, or a message to the security module."""

    entry: NeverBlock
    kind: EventKind
    src: str
    dst: str | None
    known: Mapping[str, Any]

    def __str__(self) -> str:
        reply = "" if self.kind in ("request", "security") else f"the {self.kind} to "
        return f"{reply}`{self.entry.pattern}`, which {self.entry.span.place} says is never blocked"


def _messages(entry: NeverBlock) -> Iterator[_Listed]:
    pattern = entry.pattern
    assert pattern.src is not None
    if pattern.dst is None:
        yield _Listed(entry, "security", pattern.src, None, pattern.where)
        return
    yield _Listed(entry, "request", pattern.src, pattern.dst, pattern.where)
    yield _Listed(entry, "response", pattern.dst, pattern.src, {})
    yield _Listed(entry, "error", pattern.dst, pattern.src, {})


def _of_message(policy: Policy, rules: RuleIndex, message: _Listed) -> Iterator[Diagnostic]:
    candidate = _candidate(policy, message)
    if candidate is None:
        yield Diagnostic(message.entry.span, f"policy `{policy.name}` does not know {message}")
        return
    found = _Walk(message, candidate)
    granted = found.grants([rule.item for rule in rules.rules_for(candidate)])
    yield from found.mistakes
    if not granted and not found.mistakes:
        yield Diagnostic(message.entry.span, f"policy `{policy.name}` has no rule that grants {message}")


def _candidate(policy: Policy, message: _Listed) -> Candidate | None:
    pattern = message.entry.pattern
    named = {"src": message.src, "dst": message.dst, "method": pattern.method, "endpoint": pattern.endpoint or None}
    try:
        return selected(message.kind, named, policy.classes)[0]
    except UnknownNames:
        return None


class _Walk:
    """Goes through the rules for one message, into the cases of choices that it falls into."""

    def __init__(self, message: _Listed, candidate: Candidate) -> None:
        self._message = message
        self._candidate = candidate
        self.mistakes: list[Diagnostic] = []

    def grants(self, items: Iterable[psl.Item]) -> bool:
        """Whether some of these rules grant the message for certain; those that may deny it are mistakes."""
        granted = False
        for item in items:  # each of them, so that each mistake is found
            granted |= self._grants(item)
        return granted

    def _grants(self, item: psl.Item) -> bool:
        if isinstance(item, psl.Match):
            return self._meets(item.selectors) and self.grants(item.body)
        if isinstance(item, psl.Choice):
            return self._choice(item)
        if isinstance(item, psl.AuditUse):
            return False
        answer = constant_answer(item)
        if answer != "grant":
            shown = " ".join(item.span.text.split())
            reaches = "denies" if answer == "deny" else "can deny"
            self._say(item, f"rule `{shown[:80]}` {reaches}")
        return answer == "grant"

    def _choice(self, item: psl.Choice) -> bool:
        field = _field(item.expression)
        known = self._message.known
        if field is None:  # evaluating it can fail, which denies
            self._say(item, "this choice can deny")
            return True
        if field not in known:
            for case in item.cases:
                self._grants_case(case)
            if not item.cases or item.cases[-1].key is not None:
                self._say(item, "this choice has no case `_`, so it can deny")
            return True
        for case in item.cases:
            if case.key is None or _value(case.key) == known[field]:
                self._grants_case(case)
                return True
        self._say(item, "no case of this choice fits, so it denies")
        return True

    def _grants_case(self, case: psl.Case) -> None:
        before = len(self.mistakes)
        if not self.grants(case.body) and len(self.mistakes) == before:
            self._say(case, "this case has no rule for it, so it denies")

    def _meets(self, selectors: Sequence[psl.Selector]) -> bool:
        attributes = self._candidate.attributes
        return all(attributes.get(one.key) == one.value.text for one in selectors)

    def _say(self, item: psl.Call | psl.Choice | psl.Case, what: str) -> None:
        advice = "grant it by a rule without conditions, or by the case of a choice on a field with a fixed value"
        self.mistakes.append(Diagnostic(item.span, f"{what} {self._message}; {advice}"))


def _field(expression: psl.Expression) -> str | None:
    """The field of the message that an expression is, if it is nothing more."""
    if isinstance(expression, psl.Path) and len(expression.names) == 2 and expression.names[0] == "message":
        return expression.names[1]
    return None


def _value(key: psl.Constant | psl.Name) -> object:
    return key.text if isinstance(key, psl.Name) else key.value
