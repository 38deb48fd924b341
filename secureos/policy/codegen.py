"""From the rules asked for one event to one decision function.

The text of the function keeps the order of the policy. Rules written in place test first; their changes of state are
put off to the end, where nothing can deny any more. A rule that is called instead changes state at once and notes in
the undo list how to take it back. Putting off is allowed only where no later rule looks at that object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from secureos.policy import native
from secureos.policy import syntax as psl
from secureos.policy.codegen_expressions import ExpressionWriter, LeftToClosures
from secureos.policy.codegen_models import RULES, Parameters, Step
from secureos.policy.compile import Rule
from secureos.policy.decision import Key
from secureos.policy.models import Model
from secureos.policy.shapes import BY_ERROR, Decide, bind, deny_by_default
from secureos.policy.verdict import Event
from secureos.xdl.types import Parameter

_MAX_IN_PLACE: Final = 64
"""Of longer rule lists each rule is called, so that no function grows without bound."""

_PARAMETER: Final = re.compile(r"\bp\d+\b")


@dataclass(slots=True)
class Moment:
    """The time of the event being decided (ns); all that models read of an event."""

    at_ns: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """What the rules see of one kind of event.

    Attributes:
        key: Kind, source class, destination class, endpoint, method.
        fields: The fields in their order; empty for `execute`.
        moment: Holds the time of the event.
    """

    key: Key
    fields: tuple[Parameter, ...]
    moment: Moment


def decision(rules: Sequence[Rule], objects: Mapping[str, Model], message: Message) -> tuple[Decide, bool]:
    """The decision function of these rules, and whether it is better off with the event whole, as last argument."""
    if not rules:
        return deny_by_default, False
    if len(rules) > _MAX_IN_PLACE:
        return _Writer(rules, objects, message, in_place=False).function()
    try:
        plain, whole = _Writer(rules, objects, message, in_place=True).function()
    except (SyntaxError, MemoryError, RecursionError):  # too deep for Python's compiler: call every rule
        return _Writer(rules, objects, message, in_place=False).function()
    if whole:
        return plain, whole
    kept = partial(_looked_at_later, rules)
    return native.quicken(plain, native.Asked(rules, objects, message.fields, message.moment, kept)), whole


def _rebuild(message: Message, src_sid: int, dst_sid: int | None, *fields: object) -> Event:
    """The event whole, for rules that are called: who holds a connection hands over its fields only."""
    kind, src, dst, endpoint, method = message.key
    named = {field.name: value for field, value in zip(message.fields, fields, strict=True)}
    return Event(kind, message.moment.at_ns, src_sid, dst_sid, src, dst, endpoint, method, named)


@dataclass
class _Writer:
    rules: Sequence[Rule]
    objects: Mapping[str, Model]
    message: Message
    in_place: bool
    parameters: Parameters = field(default_factory=Parameters)
    lines: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    undoes: bool = False
    rebuilds: bool = False

    def function(self) -> tuple[Decide, bool]:
        """Write all rules and bind what they need."""
        if not self.in_place:
            self._loop()
        else:
            for position, rule in enumerate(self.rules):
                step = self._step(position, rule)
                self._call(position, rule) if step is None else self._test(position, step)
        values = ([None] if self.rebuilds else []) + ([self.message.moment] if self._timed else [])
        bound = self._bound()
        return bind(self._text(bound), (*values, *bound.values())), self.rebuilds

    def _bound(self) -> dict[str, object]:
        """The parameters by name; without those that the rules took in otherwise, since each costs time in a call."""
        used = set(_PARAMETER.findall("\n".join((*self.lines, *self.commits))))
        named = ((f"p{position}", value) for position, value in enumerate(self.parameters.values))
        return {name: value for name, value in named if name in used}

    @property
    def _timed(self) -> bool:
        return any("moment" in line for line in self.lines)

    # ---- rules -----------------------------------------------------------------------------------------------------

    def _step(self, position: int, rule: Rule) -> Step | None:
        """The rule in place; None if its closure must be called."""
        model = self.objects.get(rule.object)
        operation = None if model is None else model.rules.get(rule.operation)
        if model is None or operation is None or rule.call is None:
            return None
        kept = len(self.parameters.values)
        try:
            given = ExpressionWriter(self.message.fields, self.objects, self.parameters).given(
                operation, rule.call.argument
            )
        except LeftToClosures:
            del self.parameters.values[kept:]
            return None
        template = RULES.get((type(model), rule.operation))
        step = None if template is None else template(self.parameters, model, given)
        if step is None or (step.commit and _looked_at_later(self.rules, position)):
            words = ", ".join(("moment", "undo", *(operand.text for operand in given.values())))
            step = Step(denied=f"{self.parameters.add(operation.run)}({words}) is not None", undoes=True)
        return step

    def _test(self, position: int, step: Step) -> None:
        self.undoes = self.undoes or step.undoes
        self.lines.extend(step.prepare)
        if step.denied:
            self.lines.append(f"if {step.denied}: {self._refuse(position + 1)}")
        self.commits.extend(step.commit)

    def _call(self, position: int, rule: Rule) -> None:
        self._need_event()
        run = self.parameters.add(rule.run)
        self.lines.append(f"if {run}(event, undo) is not None: {self._refuse(position + 1)}")

    def _loop(self) -> None:
        self._need_event()
        runs = self.parameters.add(tuple(rule.run for rule in self.rules))
        body = f" if v1(event, undo) is not None: {self._refuse('v0')}"
        self.lines += ["v0 = 0", f"for v1 in {runs}:", " v0 = v0 + 1", body]

    def _need_event(self) -> None:
        """Closures need the event whole."""
        self.undoes = True
        if not self.rebuilds:
            self.rebuilds = True
            rebuild = self.parameters.add(partial(_rebuild, self.message))
            fields = ", ".join(("src", "dst", *self._fields()))
            self.lines.append(f"if event is None: event = {rebuild}({fields})")

    def _refuse(self, reason: int | str) -> str:
        return f"{'take_back(undo); ' * self.undoes}return {reason}"

    def _fields(self) -> list[str]:
        return [f"f{position}" for position in range(len(self.message.fields))]

    def _text(self, bound: Iterable[str]) -> str:
        given = (*["event"] * self.rebuilds, *["moment"] * self._timed, *bound)
        head = ", ".join(("src", "dst", *self._fields(), *(f"{name}=None" for name in given)))
        failed = [*["take_back(undo)"] * self.undoes, f"return {BY_ERROR}"]
        return "\n".join(
            [
                f"def decide({head}):",
                *[" undo = []"] * self.undoes,
                " try:",
                *(f"  {line}" for line in (*self.lines, *self.commits, "return 0")),
                " except Exception:",
                *(f"  {line}" for line in failed),
                "",
            ]
        )


def _looked_at_later(rules: Sequence[Rule], position: int) -> bool:
    """Whether a rule that comes later can look at the object of this one."""
    return any(_may_touch(later, rules[position].object) for later in rules[position + 1 :])


def _may_touch(rule: Rule, name: str) -> bool:
    """Whether a rule can look at the object of that name."""
    if rule.call is None:  # a choice can ask anything
        return True
    return rule.object == name or any(holder == name for holder, _ in applied(rule.call.argument))


def applied(part: psl.Expression) -> set[tuple[str, str]]:
    """The models' expressions that stand in an expression, by object and name."""
    parts: tuple[psl.Expression, ...] = ()
    found: set[tuple[str, str]] = set()
    match part:
        case psl.Application():
            *front, name = part.path.names
            found, parts = {(".".join(front), name)}, (part.argument,)
        case psl.Unary():
            parts = (part.operand,)
        case psl.Binary():
            parts = (part.left, part.right)
        case psl.Member() | psl.Element():
            parts = (part.of,)
        case psl.ListLiteral():
            parts = part.items
        case psl.DictionaryLiteral():
            parts = tuple(entry.value for entry in part.entries)
    return found.union(*map(applied, parts))
