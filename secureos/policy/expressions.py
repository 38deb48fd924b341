"""From an expression to a closure: types are checked here, once, so that deciding only computes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from secureos.policy import syntax as psl
from secureos.policy.models import LATER_OBJECTS, Model, Operation
from secureos.policy.scope import Scope, Target
from secureos.policy.values import (
    COMPUTED,
    BooleanType,
    ListType,
    LiteralType,
    UnitType,
    ValueType,
    is_integer,
    is_text,
)
from secureos.policy.verdict import Event
from secureos.xdl import ArrayType, BytesType, HandleType, IntegerType, SequenceType, StructType, UnionType
from secureos.xdl.grammar import MAX_INTEGER, MIN_INTEGER
from secureos.xdl.source import Diagnostic, PolicyError, Span, near

Evaluate = Callable[[Event], Any]

SID: Final = IntegerType("a security identifier", 0, MAX_INTEGER)


class Incorrect(Exception):
    """An expression cannot be computed for this event; the event is denied."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression's type, and what computes its value."""

    type: ValueType
    evaluate: Evaluate


class ExpressionCompiler:
    """Compiles expressions in one scope against the given objects.

    Every method raises `PolicyError` with the place of what is wrong.
    """

    def __init__(self, scope: Scope, objects: Mapping[str, Model]) -> None:
        self._scope = scope
        self._objects = objects

    def compile(self, part: psl.Expression) -> Compiled:
        """The closure of an expression."""
        match part:
            case psl.Constant():
                return _constant(part)
            case psl.ListLiteral():
                return self._list(part)
            case psl.DictionaryLiteral():
                raise mistake(part.span, "a dictionary stands only as the argument of a rule or expression")
            case psl.Path() | psl.Member() | psl.Element():
                return self._value(part)
            case psl.Application():
                return self._application(part)
            case psl.Unary():
                return self._unary(part)
        return self._binary(part)

    def arguments(self, operation: Operation, shown: str, argument: psl.Expression) -> tuple[Compiled, ...]:
        """The arguments of a rule or expression, in the order in which it takes them."""
        if isinstance(argument, psl.Constant) and argument.value is None:
            if operation.unit:
                return ()
            raise mistake(argument.span, f"`{shown}` takes {_expected(operation)}, not `()`")
        if operation.parameters:
            return self._named_arguments(operation, shown, argument)
        if operation.single is None:
            raise mistake(argument.span, f"`{shown}` takes {_expected(operation)}")
        value = self.compile(argument)
        if wrong := operation.single.refuse(value.type):
            raise mistake(argument.span, f"the argument of `{shown}` {wrong}")
        return (value,)

    def _named_arguments(self, operation: Operation, shown: str, argument: psl.Expression) -> tuple[Compiled, ...]:
        if not isinstance(argument, psl.DictionaryLiteral):
            raise mistake(argument.span, f"`{shown}` takes {_expected(operation)}")
        given: dict[str, psl.Entry] = {}
        for entry in argument.entries:
            if entry.key not in operation.parameters:
                hint = near(str(entry.key), operation.parameters)
                raise mistake(entry.span, f"`{shown}` has no parameter `{entry.key}`{hint}")
            if entry.key in given:
                raise mistake(entry.span, f"parameter `{entry.key}` is given twice")
            given[str(entry.key)] = entry
        found = []
        for name, shape in operation.parameters.items():
            if name not in given:
                raise mistake(argument.span, f"`{shown}` needs the parameter `{name}`")
            value = self.compile(given[name].value)
            if wrong := shape.refuse(value.type):
                raise mistake(given[name].value.span, f"`{name}` of `{shown}` {wrong}")
            found.append(value)
        return tuple(found)

    # ---- values ----------------------------------------------------------------------------------------------------

    def _list(self, part: psl.ListLiteral) -> Compiled:
        items = tuple(map(self.compile, part.items))
        evaluates = tuple(item.evaluate for item in items)
        return Compiled(ListType(tuple(item.type for item in items)), lambda event: [each(event) for each in evaluates])

    def _value(self, part: psl.Path | psl.Member | psl.Element) -> Compiled:
        """A predefined value, or a field or item of `message`."""
        root, steps = _steps(part)
        if root.names[0] == "message":
            return self._message(part, steps)
        if root.names[0] not in ("src_sid", "dst_sid"):
            raise self._unknown_value(root)
        if steps:
            raise mistake(part.span, f"`{root.names[0]}` is an integer, it has no fields")
        if root.names[0] == "src_sid":
            return Compiled(SID, lambda event: event.src_sid)
        if self._scope.kind == "security":
            raise mistake(part.span, "`security` events have no `dst_sid`")
        return Compiled(SID, lambda event: event.dst_sid)

    def _unknown_value(self, root: psl.Path) -> PolicyError:
        name = root.names[0]
        if name in self._objects:
            return mistake(root.span, f"`{root.text}` needs an argument, `()` or `{{…}}`")
        return mistake(root.span, f"unknown name `{name}`{near(name, ('message', 'src_sid', 'dst_sid'))}")

    def _message(self, part: psl.Expression, steps: list[str | int]) -> Compiled:
        if self._scope.kind == "execute":
            raise mistake(part.span, "`execute` events carry no message")
        if not steps:
            raise mistake(part.span, "name a field of the message: `message.…`")
        found: ValueType | None = None
        for target in self._scope.targets:
            kind = self._field_type(part, target, steps)
            if found is not None and kind != found:
                message = f"`{part.span.text}` has different types in the messages that can come here; add selectors"
                raise mistake(part.span, message)
            found = kind
        if found is None:
            raise mistake(part.span, "no message can come here")
        if isinstance(found, BytesType | HandleType):
            raise mistake(part.span, f"`{part.span.text}` is {found}, which a policy cannot see")
        return Compiled(found, _reader(tuple(steps)))

    def _field_type(self, part: psl.Expression, target: Target, steps: list[str | int]) -> ValueType:
        fields = {field.name: field.type for field in self._scope.parameters(target)}
        kind: ValueType = StructType(f"the {self._scope.kind} of `{target.method.qualified_name}`", ())
        for position, step in enumerate(steps):
            if isinstance(step, int):
                kind = _item_type(part.span, kind, step)
                fields = {}
            elif step in fields:
                kind = fields[step]
            else:
                more = "; add `method=…`" if position == 0 and len(self._scope.targets) > 1 else ""
                raise mistake(part.span, f"{kind} has no field `{step}`{near(step, fields) or more}")
            fields = {field.name: field.type for field in kind.fields} if isinstance(kind, StructType) else {}
            if isinstance(kind, UnionType):
                raise mistake(part.span, f"fields of the union {kind} are not supported yet")
        return kind

    # ---- applications and operators --------------------------------------------------------------------------------

    def _application(self, part: psl.Application) -> Compiled:
        operation = self._find(part)
        values = self.arguments(operation, part.path.text, part.argument)
        run, evaluates = operation.run, tuple(value.evaluate for value in values)
        if operation.value is None:
            raise mistake(part.path.span, f"`{part.path.text}` is a rule, it has no value")
        return Compiled(operation.value, lambda event: run(event, *[each(event) for each in evaluates]))

    def _find(self, part: psl.Application) -> Operation:
        *front, name = part.path.names
        holder = ".".join(front)
        if holder in LATER_OBJECTS or not front:
            raise mistake(part.path.span, f"`{part.path.text}` is not supported yet")
        model = self._objects.get(holder)
        if model is None:
            raise mistake(part.path.span, f"unknown object `{holder}`{near(holder, self._objects)}")
        if name in model.unsupported:
            raise mistake(part.path.span, f"`{name}` is not supported yet")
        found = model.expressions.get(name) or model.rules.get(name)
        if found is None:
            hint = near(name, model.expressions)
            raise mistake(part.path.span, f"{model.kind} `{holder}` has no expression `{name}`{hint}")
        return found

    def _unary(self, part: psl.Unary) -> Compiled:
        if part.operator == "~":
            raise mistake(part.span, "the bitwise operator `~` is not supported yet")
        value = self._operand(part.operator, part.operand, is_boolean, "a Boolean").evaluate
        return Compiled(BooleanType(), lambda event: not value(event))

    def _binary(self, part: psl.Binary) -> Compiled:
        sign = part.operator
        if sign in ("&", "|"):
            raise mistake(part.span, f"the bitwise operator `{sign}` is not supported yet")
        if sign in _LOGIC:
            left = self._operand(sign, part.left, is_boolean, "a Boolean").evaluate
            return Compiled(
                BooleanType(),
                _LOGIC[sign](left, self._operand(sign, part.right, is_boolean, "a Boolean").evaluate),
            )
        if sign in ("==", "!="):
            return self._equality(part)
        left = self._operand(sign, part.left, is_integer, "an integer").evaluate
        right = self._operand(sign, part.right, is_integer, "an integer").evaluate
        if sign in _ORDER:
            return Compiled(BooleanType(), _apply(_ORDER[sign], left, right))
        return Compiled(COMPUTED, _bounded(sign, left, right))

    def _operand(self, sign: str, part: psl.Expression, fits: Callable[[ValueType], bool], words: str) -> Compiled:
        value = self.compile(part)
        if not fits(value.type):
            raise mistake(part.span, f"`{sign}` takes {words}, not {value.type}")
        return value

    def _equality(self, part: psl.Binary) -> Compiled:
        left, right = self.compile(part.left), self.compile(part.right)
        if is_text(left.type) or is_text(right.type):
            message = f"`{part.operator}` compares numbers and Booleans, not texts; a PointSet can hold texts"
            raise mistake(part.span, message)
        if not any(fits(left.type) and fits(right.type) for fits in (is_integer, is_boolean)):
            raise mistake(part.span, f"`{part.operator}` cannot compare {left.type} with {right.type}")
        compare = operator.eq if part.operator == "==" else operator.ne
        return Compiled(BooleanType(), _apply(compare, left.evaluate, right.evaluate))


def is_boolean(kind: ValueType) -> bool:
    """Whether values of that type are Booleans."""
    return isinstance(kind, BooleanType)


def mistake(span: Span, message: str) -> PolicyError:
    """An error with one place."""
    return PolicyError([Diagnostic(span, message)])


def _constant(part: psl.Constant) -> Compiled:
    value = part.value
    if value is None:
        return Compiled(UnitType(), lambda _: None)
    kind = BooleanType() if isinstance(value, bool) else LiteralType(value)
    return Compiled(kind, lambda _: value)


def _expected(operation: Operation) -> str:
    if operation.parameters:
        return "`{" + ", ".join(f"{name} : …" for name in operation.parameters) + "}`"
    forms = ([f"`(…)` with {operation.single.words}"] if operation.single else []) + ["`()`"] * operation.unit
    return " or ".join(forms)


def _steps(part: psl.Expression) -> tuple[psl.Path, list[str | int]]:
    """The path at the root of an access, and the fields and indices behind its first name."""
    if isinstance(part, psl.Path):
        return part, list(part.names[1:])
    if isinstance(part, psl.Member | psl.Element):
        root, steps = _steps(part.of)
        return root, [*steps, part.name if isinstance(part, psl.Member) else part.index]
    raise mistake(part.span, "this has no fields and no items")


def _item_type(span: Span, kind: ValueType, index: int) -> ValueType:
    if not isinstance(kind, SequenceType | ArrayType):
        raise mistake(span, f"{kind} has no items")
    most = kind.limit if isinstance(kind, SequenceType) else kind.count
    if index >= most:
        raise mistake(span, f"{kind} has no item {index}, the last is {most - 1}")
    return kind.item


def _reader(steps: tuple[str | int, ...]) -> Evaluate:
    if len(steps) == 1:
        name = steps[0]
        return lambda event: event.message[name]  # type: ignore[index]

    def read(event: Event) -> Any:  # noqa: ANN401
        value: Any = event.message
        for step in steps:
            if isinstance(step, int) and step >= len(value):
                raise Incorrect(f"the message has {len(value)} items where item {step} is asked for")
            value = value[step]
        return value

    return read


def _implies(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda event: not left(event) or right(event)


# As in most languages the right side is computed only if it matters.
_LOGIC: Final[Mapping[str, Callable[[Evaluate, Evaluate], Evaluate]]] = {
    "&&": lambda left, right: lambda event: left(event) and right(event),
    "||": lambda left, right: lambda event: left(event) or right(event),
    "==>": _implies,
}
_ORDER: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: Final[Mapping[str, Callable[[int, int], int]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def _apply(compute: Callable[[Any, Any], bool], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda event: compute(left(event), right(event))


def _bounded(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    compute = _ARITHMETIC[sign]

    def evaluate(event: Event) -> int:
        value = compute(left(event), right(event))
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise Incorrect(f"the result of `{sign}` does not fit 64 bits")
        return value

    return evaluate
