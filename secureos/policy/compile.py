"""From bindings to rules that can be run: one closure per rule, bound to the objects of one engine."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from secureos.policy import syntax as psl
from secureos.policy.bulk import without_collection
from secureos.policy.choices import Case, Inner, matcher, select
from secureos.policy.expressions import Compiled, Evaluate, ExpressionCompiler, mistake
from secureos.policy.language import OBJECTS, language_kind
from secureos.policy.models import Incorrect, Model, Operation, Undo
from secureos.policy.scope import Scope, Targets
from secureos.policy.syntax import EventKind
from secureos.policy.values import BooleanType
from secureos.policy.verdict import Event
from secureos.xdl import IntegerType, TaskClass
from secureos.xdl.source import Diagnostic, PolicyError, near

Run = Callable[[Event, Undo], str | None]
"""None if the rule grants, else the reason for which it denies."""

CHOICE: Final = "choice"
"""The `operation` of a rule that is a choice; its `object` is empty."""

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What is behind a rule; made when it is first looked at.

    Attributes:
        call: Its syntax; None for a choice.
        args: Its arguments, in the order in which its operation takes them; of a choice what is chosen on.
        run: Asks it.
        inner: Of a choice: the rules that were asked in it, the deciding one last, and the reason of a denial.
        note: The comment above it or behind it, for display only.
    """

    call: psl.Call | None
    args: tuple[Compiled, ...]
    run: Run
    inner: Inner[Rule] | None = None
    note: str = ""


class Rule:
    """One rule of the policy.

    Attributes:
        place: File and line, e.g. `security.psl:41`.
        kind, where: For which events it is asked: all that have these values.
        object, operation: The policy object and its rule, e.g. `base` and `grant`; of a choice `` and `choice`.
        profile: The audit profile that holds here; None is the default.
    """

    __slots__ = ("_asked", "_make", "kind", "object", "operation", "place", "profile", "where")

    def __init__(
        self,
        place: str,
        kind: EventKind,
        where: Mapping[str, str],
        *,
        operation: tuple[str, str],
        profile: str | None,
        make: Callable[[], Asked],
    ) -> None:
        self.place = place
        self.kind: EventKind = kind
        self.where = where
        self.object, self.operation = operation
        self.profile = profile
        self._make = make
        self._asked: Asked | None = None

    @property
    def asked(self) -> Asked:
        """What is behind the rule."""
        if self._asked is None:
            self._asked = self._make()
        return self._asked

    def forget(self) -> None:
        """Let go of what can be made again; what was handed out stays as it is."""
        if isinstance(self._make, partial):
            self._asked = None
            self._make.args[0].forget()

    @property
    def call(self) -> psl.Call | None:
        """The syntax; None for a choice."""
        return self.asked.call

    @property
    def args(self) -> tuple[Compiled, ...]:
        """The arguments, in the order in which the operation takes them."""
        return self.asked.args

    @property
    def run(self) -> Run:
        """Asks the rule."""
        return self.asked.run

    @property
    def inner(self) -> Inner[Rule] | None:
        """Of a choice: asks it and tells which rules in it were asked."""
        return self.asked.inner

    @property
    def note(self) -> str:
        """The comment above the rule or behind it."""
        return self.asked.note


def compile_bindings(
    bindings: Iterable[psl.Binding],
    classes: Mapping[str, TaskClass],
    objects: Mapping[str, Model],
    *,
    profiles: Container[str] | None = None,
) -> tuple[Rule, ...]:
    """All rules in text order.

    Args:
        bindings: The bindings.
        classes: The classes that they may name.
        objects: The policy objects that the rules work on.
        profiles: The audit profiles that they may name; None if that was checked before.

    Raises:
        PolicyError: Names, types or constructs are wrong; all mistakes are listed.
    """
    compiler = _BindingCompiler(classes, objects, profiles)
    with without_collection():
        for binding in bindings:
            compiler.binding(binding)
    if compiler.mistakes:
        raise PolicyError(compiler.mistakes)
    return tuple(compiler.rules)


@dataclass(frozen=True, slots=True)
class _Met:
    """What a binding meets among certain classes; kept with the binding, so that it is found once."""

    classes: Mapping[str, TaskClass]
    where: Mapping[str, str]
    left: Targets


class _BindingCompiler:
    def __init__(
        self, classes: Mapping[str, TaskClass], objects: Mapping[str, Model], profiles: Container[str] | None
    ) -> None:
        self.rules: list[Rule] = []
        self.mistakes: list[Diagnostic] = []
        self._classes = classes
        self._objects = objects
        self._profiles = profiles
        self._roots: dict[EventKind, Scope] = {}
        self._checked: dict[object, tuple[tuple[str, str], ...]] = {}

    def binding(self, part: psl.Binding) -> None:
        """A binding with all that is in it."""
        root = self._roots.get(part.event)
        if root is None:
            root = self._roots[part.event] = Scope.of(part.event, self._classes)
        row = part.row
        met = None if row is None else self._met(part, root, row)
        if row is None or met is None:
            self._section(part, root, None, self.rules)
            return
        key = (row.template, row.fixed, met.left.signature)
        operations = self._checked.get(key)
        if operations is None:
            mistakes, first = len(self.mistakes), len(self.rules)
            self._section(part, root, None, self.rules)
            if len(self.mistakes) == mistakes:
                self._checked[key] = tuple((rule.object, rule.operation) for rule in self.rules[first:])
            return
        for position, operation in enumerate(operations):
            make = partial(self._make, part, position, met)
            place = f"{part.source.name}:{row.lines[position]}"
            self.rules.append(Rule(place, part.event, met.where, operation=operation, profile=None, make=make))

    def _met(self, part: psl.Binding, root: Scope, row: psl.Row) -> _Met | None:
        """What a binding of plain rules meets; None if something is wrong with its selectors."""
        known = part.met
        if isinstance(known, _Met) and known.classes is self._classes:
            return known
        left = self._narrow(root, row)
        if left is None:
            return None
        part.met = found = _Met(self._classes, dict(zip(row.template.keys, row.names, strict=True)), left)
        return found

    def _narrow(self, root: Scope, row: psl.Row) -> Targets | None:
        left = root.left
        for key, name in zip(row.template.keys, row.names, strict=True):
            if key in ("src", "dst"):
                if name not in self._classes:
                    return None
                if root.kind == "execute" or key != root.server_key:
                    continue
                left = left.narrow("server", name)
            else:
                left = left.narrow(key, name)
                if not left.every:
                    return None
        return left

    def _make(self, part: psl.Binding, position: int, met: _Met) -> Asked:
        """A rule of a binding like one that was checked before: only numbers differ."""
        item = cast("psl.Call", part.body[position])
        return self._asked(item, Scope(part.event, self._classes, met.where, met.left))

    # ---- sections --------------------------------------------------------------------------------------------------

    def _section(self, part: psl.Binding | psl.Match, outer: Scope, profile: str | None, into: list[Rule]) -> None:
        """A binding or a `match` with all that is in it."""
        try:
            scope = outer.narrow(part.selectors)
        except PolicyError as failure:
            # What is inside cannot be judged without knowing which messages come there.
            self.mistakes.extend(failure.diagnostics)
            return
        self._items(part.body, scope, profile, into)

    def _items(self, body: Sequence[psl.Item], scope: Scope, profile: str | None, into: list[Rule]) -> None:
        profile = self._profile(body, profile)
        for item in body:
            if isinstance(item, psl.Match):
                self._section(item, scope, profile, into)
            elif not isinstance(item, psl.AuditUse):
                try:
                    into.append(self._rule(item, scope, profile))
                except PolicyError as failure:
                    self.mistakes.extend(failure.diagnostics)

    def _profile(self, body: Sequence[psl.Item], outer: str | None) -> str | None:
        """The audit profile of a section: its own, else that of the section around."""
        found = outer
        uses = [item for item in body if isinstance(item, psl.AuditUse)]
        for use in uses:
            found = use.profile.text
            if use is not uses[0]:
                self.mistakes.append(Diagnostic(use.span, "a section has at most one audit profile"))
            elif self._profiles is not None and found not in self._profiles:
                known = list(self._profiles) if isinstance(self._profiles, Iterable) else []
                message = f"unknown audit profile `{found}`{near(found, known)}"
                self.mistakes.append(Diagnostic(use.profile.span, message))
        return found

    # ---- rules -----------------------------------------------------------------------------------------------------

    def _rule(self, item: psl.Call | psl.Choice, scope: Scope, profile: str | None) -> Rule:
        if isinstance(item, psl.Choice):
            asked, operation = self._choice(item, scope, profile), ("", CHOICE)
        else:
            *front, name = item.path.names
            asked, operation = self._asked(item, scope), (".".join(front) or "base", name)
        place = item.span.place
        return Rule(place, scope.kind, scope.where, operation=operation, profile=profile, make=lambda: asked)

    def _asked(self, item: psl.Call, scope: Scope) -> Asked:
        operation = self._find(item.path)
        expressions = ExpressionCompiler(scope, self._objects)
        values = expressions.arguments(operation, item.path.text, item.argument)
        fact = _fact(item, values, expressions)
        return Asked(item, values, _runner(operation, values, item.note, fact), note=item.note)

    def _choice(self, item: psl.Choice, scope: Scope, profile: str | None) -> Asked:
        chosen = ExpressionCompiler(scope, self._objects).selector(item.expression)
        cases: list[Case[Rule]] = []
        for part in item.cases:
            if cases and cases[-1].fits is None:
                raise mistake(part.span, "no case can come behind `_`, which fits always")
            rules: list[Rule] = []
            fits = matcher(part, chosen)
            self._items(part.body, scope, profile, rules)
            cases.append(Case(fits, tuple(rules)))
        inner = select(chosen.evaluate, tuple(cases), scope)
        shown = " ".join(item.expression.span.text.split())

        def run(event: Event, undo: Undo) -> str | None:
            asked, why = inner(event, undo)
            return why if asked or why is None else f"{why} `{shown}`"

        return Asked(None, (chosen,), run, inner)

    def _find(self, path: psl.Path) -> Operation:
        *front, name = path.names
        holder = ".".join(front) or "base"
        kind = language_kind(holder, self._objects)
        if kind == "Bool" and name == "assert":
            return self._objects["base"].rules["assert"]
        if kind is not None:
            raise mistake(path.span, f"{kind} `{holder}` has no rule `{name}`; its expressions stand inside of rules")
        model = self._objects.get(holder)
        if model is None:
            raise mistake(path.span, f"unknown object `{holder}`{near(holder, (*self._objects, *OBJECTS))}")
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
        read = ", ".join(told for text, evaluate in readers if (told := _told(text, evaluate, event)))
        return f"`{shown}` is {truth}" + (f": {read}" if read else "")

    return fact


def _told(text: str, evaluate: Evaluate, event: Event) -> str:
    """A number and its name; nothing where a side that did not matter has no value."""
    try:
        return f"`{text}` is {evaluate(event)}"
    except (Incorrect, LookupError):
        return ""


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
