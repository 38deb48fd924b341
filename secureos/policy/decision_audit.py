"""Verdicts, and which of them the audit configuration wants recorded: by profile, level and the objects asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from secureos.policy.codegen import applied
from secureos.policy.compile import Rule
from secureos.policy.decision import Decision
from secureos.policy.load import Policy
from secureos.policy.models import Base, Incorrect, Model
from secureos.policy.models.flow import Flow
from secureos.policy.models.regex import Regex
from secureos.policy.profiles import AuditRow
from secureos.policy.verdict import Event, Verdict


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule said of an event."""

    rule: Rule
    granted: bool


class VerdictMaker:
    """Puts verdicts together and says of each whether it is audited.

    A verdict is audited if, in the profile in force where a rule stands and at the level that the event leaves, the
    row of the rule's object wants what that rule said. An object whose expression stands in the rule's argument counts
    as asked with the rule: of a `Regex` only what `emit` lists. A row of a `Flow` with `omit` is silent about an
    automaton that the event leaves in one of those states. Denials without a rule are always audited.
    """

    def __init__(self, policy: Policy, objects: Mapping[str, Model]) -> None:
        self._policy = policy
        self._objects = objects
        self._base = cast("Base", objects["base"])
        self._wanting: dict[int, bool] = {}  # by level: whether any profile has a row there
        self._ever_wanting = any(rows for profile in policy.profiles.values() for rows in profile.values())

    def follows_choices(self, found: Decision) -> bool:
        """Whether it can matter for the audit which rules of a `choice` are asked.

        What counts is the level that the event leaves; one of its own rules may set it.
        """
        return found.chooses and self._ever_wanting

    def granted(self, found: Decision, event: Event, said: Sequence[Said] | None = None) -> Verdict:
        """All rules granted; the verdict is the same object again where nothing but the level can change it.

        Args:
            found: The rules.
            event: What was asked of them.
            said: What each said, where choices matter.
        """
        if said is not None:
            return self._all_granted(found, audited=self._wanted(said, event))
        level = self._base.level
        if found.verdicts is None:
            found.verdicts = {}
        verdict = found.verdicts.get(level)
        if verdict is None:
            plain = [Said(rule, granted=True) for rule in found.rules]
            verdict = self._all_granted(found, audited=self._wanted(plain, event))
            if not any(row.omit for rule in found.rules for row in self._rows(rule)):
                found.verdicts[level] = verdict
        return verdict

    def denied(self, said: Sequence[Said], event: Event, why: str) -> Verdict:
        """The last of these rules denied."""
        tried = tuple(one.rule.place for one in said)
        return Verdict(False, tried[-1], why, tried, self._wanted(said, event))

    def _all_granted(self, found: Decision, *, audited: bool) -> Verdict:
        tried = tuple(rule.place for rule in found.rules)
        reason = "granted by the one rule for it" if len(tried) == 1 else f"granted by all {len(tried)} rules for it"
        return Verdict(True, tried[-1], reason, tried, audited)

    def _anything_wanted(self) -> bool:
        level = self._base.level
        if level not in self._wanting:
            self._wanting[level] = any(rows.get(level) for rows in self._policy.profiles.values())
        return self._wanting[level]

    def _wanted(self, said: Iterable[Said], event: Event) -> bool:
        return self._anything_wanted() and any(
            (row.granted if one.granted else row.denied) and not self._silent(row, one.rule, event)
            for one in said
            for row in self._rows(one.rule)
        )

    def _rows(self, rule: Rule) -> list[AuditRow]:
        """The rows that speak of a rule at the current level."""
        name = self._policy.default_profile if rule.profile is None else rule.profile
        rows = self._policy.profiles[name].get(self._base.level)
        if not rows:
            return []
        found = [rows[rule.object]] if rule.object in rows else []
        for holder, operation in sorted(applied(rule.call.argument)) if rule.call is not None else ():
            row = rows.get(holder)
            if row is not None and (operation in row.emit or not isinstance(self._objects[holder], Regex)):
                found.append(row)
        return found

    def _silent(self, row: AuditRow, rule: Rule, event: Event) -> bool:
        """Whether the automaton that a rule asks about is in a state that the row leaves out."""
        model = self._objects.get(rule.object)
        if not row.omit or not isinstance(model, Flow):
            return False
        try:
            return model.expressions["query"].run(event, rule.args[0].evaluate(event)) in row.omit
        except Incorrect:  # there is no automaton, so it is in no such state
            return False
