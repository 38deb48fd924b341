"""From bindings to rules that can be run: one closure per rule, bound to the objects of one engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from secureos.policy import syntax as psl
from secureos.policy.expressions import Compiled, ExpressionCompiler, mistake
from secureos.policy.models import LATER_OBJECTS, Model, Operation, Undo
from secureos.policy.scope import Scope
from secureos.policy.syntax import EventKind
from secureos.policy.values import BooleanType
from secureos.policy.verdict import Event
from secureos.xdl import IntegerType, TaskClass
from secureos.xdl.source import Diagnostic, PolicyError, near

Run = Callable[[Event, Undo], str | None]
"""None if the rule grants, else the reason for which it denies."""

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the policy.

    Attributes:
        place: File and line, e.g. `security.psl:41`.
        kind, where: For which events it is asked: all that have these values.
        run: Asks it.
    """

    place: str
    kind: EventKind
    where: Mapping[str, str]
    run: Run


def compile_bindings(
    bindings: Iterable[psl.Binding], classes: Mapping[str, TaskClass], objects: Mapping[str, Model]
) -> tuple[Rule, ...]:
    """All rules in text order.

    Raises:
        PolicyError: Names, types or constructs are wrong; all mistakes are listed.
    """
    compiler = _BindingCompiler(objects)
    for binding in bindings:
        compiler.section(binding, Scope.of(binding.event, classes))
    if compiler.mistakes:
        raise PolicyError(compiler.mistakes)
    return tuple(compiler.rules)


class _BindingCompiler:
    def __init__(self, objects: Mapping[str, Model]) -> None:
        self.rules: list[Rule] = []
        self.mistakes: list[Diagnostic] = []
        self._objects = objects

    def section(self, part: psl.Binding | psl.Match, outer: Scope) -> None:
        """A binding or a `match` with all that is in it."""
        try:
            scope = outer.narrow(part.selectors)
        except PolicyError as failure:
            # What is inside cannot be judged without knowing which messages come there.
            self.mistakes.extend(failure.diagnostics)
            return
        for item in part.body:
            if isinstance(item, psl.Match):
                self.section(item, scope)
                continue
            try:
                self.rules.append(self._rule(item, scope))
            except PolicyError as failure:
                self.mistakes.extend(failure.diagnostics)

    def _rule(self, item: psl.Call | psl.AuditUse | psl.Choice, scope: Scope) -> Rule:
        if isinstance(item, psl.Choice):
            raise mistake(item.span, "`choice` is not supported yet")
        if isinstance(item, psl.AuditUse):
            raise mistake(item.span, "`audit` is not supported yet")
        operation = self._find(item.path)
        expressions = ExpressionCompiler(scope, self._objects)
        values = expressions.arguments(operation, item.path.text, item.argument)
        fact = _fact(item, values, expressions)
        return Rule(item.span.place, scope.kind, scope.where, _runner(operation, values, item.note, fact))

    def _find(self, path: psl.Path) -> Operation:
        *front, name = path.names
        holder = ".".join(front) or "base"
        if holder in LATER_OBJECTS:
            raise mistake(path.span, f"`{path.text}` is not supported yet")
        model = self._objects.get(holder)
        if model is None:
            raise mistake(path.span, f"unknown object `{holder}`{near(holder, self._objects)}")
        if name in model.unsupported:
            raise mistake(path.span, f"`{name}` is not supported yet")
        if name in model.expressions:
            raise mistake(
                path.span, f"`{path.text}` is an expression; a rule is due here, e.g. `assert ({path.text} …)`"
            )
        if name not in model.rules:
            raise mistake(path.span, f"{model.kind} `{holder}` has no rule `{name}`{near(name, model.rules)}")
        return model.rules[name]


def _runner(operation: Operation, values: tuple[Compiled, ...], note: str, fact: Callable[[Event], str]) -> Run:
    """The closure of one rule; what it says when it denies is put together only then."""
    rule, evaluates = operation.run, tuple(value.evaluate for value in values)

    def run(event: Event, undo: Undo) -> str | None:
        why = rule(event, undo, *[evaluate(event) for evaluate in evaluates])
        if why is None:
            return None
        shown: str = why or fact(event)
        return f"{note} ({shown})" if note else shown

    return run


def _fact(item: psl.Call, values: tuple[Compiled, ...], expressions: ExpressionCompiler) -> Callable[[Event], str]:
    """What is said of a denial if the rule itself says nothing: the argument, whether it is true, and its numbers."""
    if not values or not isinstance(values[0].type, BooleanType):
        return lambda _: f"`{item.path.text}` stands here without condition"
    argument, value = item.argument, values[0].evaluate
    whole = argument.path.span if isinstance(argument, psl.Application) else argument.span
    shown = " ".join(whole.text.split())
    shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
    numbers = [(part.span.text, expressions.compile(part)) for part in _fields(argument)]
    readers = [(text, number.evaluate) for text, number in numbers if isinstance(number.type, IntegerType)]

    def fact(event: Event) -> str:
        truth = "true" if value(event) else "false"
        read = ", ".join(f"`{text}` is {evaluate(event)}" for text, evaluate in readers)
        return f"`{shown}` is {truth}" + (f": {read}" if read else "")

    return fact


def _fields(part: psl.Expression) -> list[psl.Expression]:
    """The fields and identifiers that an expression weighs itself, each once."""
    match part:
        case psl.Path() | psl.Member() | psl.Element():
            return [part]
        case psl.Unary():
            return _fields(part.operand)
        case psl.Binary():
            left = _fields(part.left)
            seen = {field.span.text for field in left}
            return left + [field for field in _fields(part.right) if field.span.text not in seen]
    return []
