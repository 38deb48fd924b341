"""From bindings to rules that can be run: one closure per rule, bound to the objects of one engine."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Final, cast

from secureos.policy import syntax as psl
from secureos.policy.bulk import without_collection
from secureos.policy.checked import Checked, Likeness, Places, Selected
from secureos.policy.choices import Case, Inner, matcher, select
from secureos.policy.expressions import Compiled, ExpressionCompiler, mistake
from secureos.policy.language import OBJECTS, language_kind
from secureos.policy.models import Model, Operation, Undo
from secureos.policy.reasons import fact
from secureos.policy.scope import Scope
from secureos.policy.syntax import EventKind
from secureos.policy.verdict import Event
from secureos.xdl import TaskClass
from secureos.xdl.source import Diagnostic, PolicyError, Source, near

Run = Callable[[Event, Undo], str | None]
"""None if the rule grants, else the reason for which it denies."""

CHOICE: Final = "choice"
"""The `operation` of a rule that is a choice; its `object` is empty."""


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
        kind: The event.
        object, operation: The policy object and its rule, e.g. `base` and `grant`; of a choice `` and `choice`.
        profile: The audit profile that holds here; None is the default.
    """

    __slots__ = ("_again", "_asked", "_keys", "_line", "_source", "_values", "kind", "object", "operation", "profile")

    def __init__(
        self,
        place: tuple[Source, int],
        kind: EventKind,
        selected: Selected,
        *,
        operation: tuple[str, str],
        profile: str | None,
        asked: Asked,
    ) -> None:
        self._source, self._line = place
        self.kind: EventKind = kind
        self._keys, self._values = selected
        self.object, self.operation = operation
        self.profile = profile
        self._asked: Asked | None = asked
        self._again: _Again | None = None

    @property
    def place(self) -> str:
        """File and line, e.g. `security.psl:41`."""
        return f"{self._source.name}:{self._line}"

    @property
    def selected(self) -> Selected:
        """The keys of the selectors around the rule, and their values."""
        return self._keys, self._values

    @property
    def where(self) -> Mapping[str, str]:
        """For which events of its kind it is asked: all that have these values."""
        return dict(zip(self._keys, self._values, strict=True))

    @property
    def asked(self) -> Asked:
        """What is behind the rule."""
        found = self._asked
        if found is None:
            found = self._asked = cast("_Again", self._again)()
        return found

    def forget(self) -> None:
        """Let go of what can be made again; what was handed out stays as it is."""
        if self._again is not None:
            self._asked = None
            self._again.part.forget()

    def share(self, again: _Again, row: psl.Row) -> None:
        """Say how what is behind the rule is made again, and use what its binding shares with others."""
        self._again = again
        if self._values == row.names:
            self._keys, self._values = row.template.keys, row.names

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


class _Again:
    """Makes again what is behind a rule of a binding that was checked."""

    __slots__ = ("_compiler", "_position", "part")

    def __init__(self, compiler: _BindingCompiler, part: psl.Binding, position: int) -> None:
        self._compiler = compiler
        self.part = part
        self._position = position

    def __call__(self) -> Asked:
        return self._compiler.again(self.part, self._position)


class Rules:
    """The rules of some bindings on the objects of one engine; those of a binding are made when they are asked for.

    Attributes:
        checked: The bindings.
    """

    def __init__(self, checked: Checked, objects: Mapping[str, Model]) -> None:
        self.checked = checked
        self._compiler = _BindingCompiler(checked.classes, objects, None)
        self._made: dict[int, tuple[Rule, ...]] = {}

    def of(self, number: int) -> tuple[Rule, ...]:
        """The rules of one binding, in text order."""
        made = self._made.get(number)
        if made is None:
            made = self._made[number] = tuple(self._compiler.checked(self.checked[number]))
        return made

    def __iter__(self) -> Iterator[Rule]:
        """All rules in text order."""
        return (rule for number in range(len(self.checked)) for rule in self.of(number))


def compile_bindings(
    bindings: Iterable[psl.Binding],
    classes: Mapping[str, TaskClass],
    objects: Mapping[str, Model],
    *,
    profiles: Container[str] | None = None,
) -> Rules:
    """All rules in text order; bindings that were checked against these classes are not checked again.

    Args:
        bindings: The bindings.
        classes: The classes that they may name.
        objects: The policy objects that the rules work on.
        profiles: The audit profiles that they may name; None if that was checked before.

    Raises:
        PolicyError: Names, types or constructs are wrong; all mistakes are listed.
    """
    if isinstance(bindings, Checked) and bindings.classes is classes:
        return Rules(bindings, objects)
    checked, compiler = Checked(bindings), _BindingCompiler(classes, objects, profiles)
    with without_collection():
        checked.classes, checked.places = classes, compiler.places(checked)
    if compiler.mistakes:
        raise PolicyError(compiler.mistakes)
    return Rules(checked, objects)


class _BindingCompiler:
    def __init__(
        self, classes: Mapping[str, TaskClass], objects: Mapping[str, Model], profiles: Container[str] | None
    ) -> None:
        self.mistakes: list[Diagnostic] = []
        self._objects = objects
        self._profiles = profiles
        self._likeness = Likeness(classes)

    def places(self, bindings: Iterable[psl.Binding]) -> Places:
        """Check all bindings; of those that are alike the first stands for all."""
        places, right = Places(), dict[Hashable, tuple[Selected, ...]]()
        for number, binding in enumerate(bindings):
            likeness = self._likeness.of(binding)
            found = right.get(likeness)
            if found is None:
                mistakes = len(self.mistakes)
                rules = self._rules(binding)
                found = tuple(dict.fromkeys(rule.selected for rule in rules))
                binding.forget()
                for selected in found:
                    places.add(binding.event, selected, number)
                if likeness is not None and len(self.mistakes) == mistakes:
                    outer = len(cast("psl.Row", binding.row).names)
                    right[likeness] = tuple((keys[outer:], values[outer:]) for keys, values in found)
            else:
                row = cast("psl.Row", binding.row)
                for keys, values in found:
                    places.add(binding.event, (row.template.keys + keys, row.names + values), number)
        return places

    def checked(self, part: psl.Binding) -> list[Rule]:
        """The rules of a binding that was checked; what is behind them can be let go of if it can be made again."""
        rules = self._rules(part)
        if part.row is not None:
            for position, rule in enumerate(rules):
                rule.share(_Again(self, part, position), part.row)
        return rules

    def again(self, part: psl.Binding, position: int) -> Asked:
        """What is behind one rule of a binding that was checked."""
        return self._rules(part)[position].asked

    def _rules(self, part: psl.Binding) -> list[Rule]:
        rules: list[Rule] = []
        self._section(part, self._likeness.root(part.event), None, rules)
        return rules

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
            asked, operation = self._asked(item, scope), _named(item.path)
        place, selected = (item.span.source, item.span.line), (tuple(scope.where), tuple(scope.where.values()))
        return Rule(place, scope.kind, selected, operation=operation, profile=profile, asked=asked)

    def _asked(self, item: psl.Call, scope: Scope) -> Asked:
        operation = self._find(item.path)
        expressions = ExpressionCompiler(scope, self._objects)
        values = expressions.arguments(operation, item.path.text, item.argument)
        run = _runner(operation, values, item.note, fact(item, values, expressions))
        return Asked(item, values, run, note=item.note)

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
        holder, name = _named(path)
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


def _named(path: psl.Path) -> tuple[str, str]:
    """The object and the rule that a path names."""
    *front, name = path.names
    return intern(".".join(front) or "base"), intern(name)


def _runner(operation: Operation, values: tuple[Compiled, ...], note: str, told: Callable[[Event], str]) -> Run:
    """The closure of one rule; what it says when it denies is put together only then."""
    rule, evaluates = operation.run, tuple(value.evaluate for value in values)

    def run(event: Event, undo: Undo) -> str | None:
        why = rule(event, undo, *[evaluate(event) for evaluate in evaluates])
        if why is None:
            return None
        shown: str = why or told(event)
        return f"{note} ({shown})" if note else shown

    return run
