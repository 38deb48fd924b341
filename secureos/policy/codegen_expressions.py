"""From an expression's syntax to the text of a Python expression, for what is worth writing in place.

What is not written here is left to the closures of the checked policy; both compute the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from secureos.policy import syntax as psl
from secureos.policy.codegen_models import EXPRESSIONS, Operand, Parameters
from secureos.policy.language import language_kind
from secureos.policy.models import Model, Operation
from secureos.xdl.grammar import MAX_INTEGER, MIN_INTEGER
from secureos.xdl.types import ArrayType, FieldType, IntegerType, Parameter, SequenceType, StringType, StructType

_MAX_DEPTH: Final = 24
"""Deeper expressions stay closures: Python's own compiler has a limit on brackets."""

_COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_LOGIC: Final[Mapping[str, str]] = {"&&": "and", "||": "or"}


class LeftToClosures(Exception):
    """This expression is not written in place."""


@dataclass
class ExpressionWriter:
    """Writes the expressions of one rule list.

    Attributes:
        fields: The fields of the message in their order; they are `f0`, `f1`, … in the text.
        objects: The policy objects.
        parameters: Collects what is bound to the function.
    """

    fields: Sequence[Parameter]
    objects: Mapping[str, Model]
    parameters: Parameters

    def write(self, part: psl.Expression, depth: int = 0) -> Operand:
        """The text of an expression.

        Raises:
            LeftToClosures: It holds something that only the closures know.
        """
        if depth > _MAX_DEPTH:
            raise LeftToClosures
        match part:
            case psl.Constant():
                return self._constant(part)
            case psl.ListLiteral():
                return self._list(part, depth + 1)
            case psl.Path() | psl.Member() | psl.Element():
                return self._value(part)
            case psl.Unary(operator="!"):
                return Operand(f"(not {self.write(part.operand, depth + 1).text})")
            case psl.Binary():
                return self._binary(part, depth + 1)
            case psl.Application():
                return self._application(part, depth + 1)
        raise LeftToClosures

    def _constant(self, part: psl.Constant) -> Operand:
        if isinstance(part.value, bool):
            return Operand(str(part.value))
        if part.value is None:
            return Operand("None")
        return Operand(self.parameters.add(part.value), literal=part.value)

    def _list(self, part: psl.ListLiteral, depth: int) -> Operand:
        values = [item.value for item in part.items if isinstance(item, psl.Constant)]
        if len(values) == len(part.items):
            return Operand(f"[*{self.parameters.add(tuple(values))}]", run=True, literal=tuple(values))
        items = tuple(self.write(item, depth).text for item in part.items)
        return Operand(f"[{', '.join(items)}]", run=True, items=items)

    def _value(self, part: psl.Path | psl.Member | psl.Element) -> Operand:
        root, *steps = access(part)
        if not steps:
            return Operand({"src_sid": "src", "dst_sid": "dst"}[str(root)])
        position, kind = self._field(steps[0])
        text = f"f{position}"
        for step in steps[1:]:
            kind = _inside(kind, step)
            # INVARIANT: an index is a number of the policy's text, never negative; beyond the end is an error.
            text = f"{text}[{step!r}]"
        if not isinstance(kind, IntegerType | StringType | SequenceType | ArrayType):
            raise LeftToClosures
        return Operand(text, run=isinstance(kind, SequenceType | ArrayType))

    def _field(self, name: str | int) -> tuple[int, FieldType]:
        for position, known in enumerate(self.fields):
            if known.name == name:
                return position, known.type
        raise LeftToClosures

    def _binary(self, part: psl.Binary, depth: int) -> Operand:
        sign = part.operator
        if sign in _LOGIC:
            # A long chain leans to the left; written flat, it needs no brackets within brackets.
            words = f" {_LOGIC[sign]} ".join(self.write(side, depth).text for side in chain(part, sign))
            return Operand(f"({words})")
        left, right = self.write(part.left, depth), self.write(part.right, depth)
        if sign == "==>":
            return Operand(f"(not {left.text} or {right.text})")
        if sign in _COMPARISONS:
            return Operand(f"({left.text} {sign} {right.text})")
        name = self.parameters.local()
        bounds = f"{MIN_INTEGER} <= ({name} := {left.text} {sign} {right.text}) <= {MAX_INTEGER}"
        return Operand(f"({name} if {bounds} else overflow())")

    def _application(self, part: psl.Application, depth: int) -> Operand:
        *front, name = part.path.names
        holder = ".".join(front)
        kind = language_kind(holder, self.objects) if front else ""
        if kind is not None:
            return self._language(kind, name, part.argument, depth)
        model = self.objects[holder]
        operation = model.expressions[name]
        given = self.given(operation, part.argument, depth)
        template = EXPRESSIONS.get((type(model), name))
        if template is not None:
            return template(self.parameters, model, given)
        # Of an event, models read the time alone.
        words = ", ".join(("moment", *(operand.text for operand in given.values())))
        return Operand(f"{self.parameters.add(operation.run)}({words})")

    def _language(self, kind: str, name: str, argument: psl.Expression, depth: int) -> Operand:
        """Expressions of the language itself, those that policies use most."""
        match kind, name, argument:
            case "Bool", "all" | "any", psl.ListLiteral():
                words = [self.write(item, depth).text for item in argument.items]
                joined = (" and " if name == "all" else " or ").join(words)
                return Operand(f"({joined})" if words else str(name == "all"))
            case "Bool", "cond", psl.DictionaryLiteral():
                given = {entry.key: self.write(entry.value, depth).text for entry in argument.entries}
                return Operand(f"({given['then']} if {given['if']} else {given['else']})")
            case "Pred", "empty", _:
                return Operand(f"(not {self.write(argument, depth).text})")
            case "Struct" | "", "size", _:
                return Operand(f"len({self.write(argument, depth).text})")
        raise LeftToClosures

    def given(self, operation: Operation, argument: psl.Expression, depth: int = 0) -> dict[str, Operand]:
        """The operands of a rule or expression by parameter, in the order in which it takes them.

        The operand of `(…)` stands under the empty name; `()` gives none.

        Raises:
            LeftToClosures: As `write`.
        """
        if isinstance(argument, psl.Constant) and argument.value is None and operation.unit:
            return {}
        if operation.parameters and isinstance(argument, psl.DictionaryLiteral):
            entries = {entry.key: entry.value for entry in argument.entries}
            return {name: self.write(entries[name], depth) for name in operation.parameters}
        return {"": self.write(argument, depth)}


def access(part: psl.Expression) -> list[str | int]:
    """The name at the root of an access and the steps behind it.

    Raises:
        LeftToClosures: What is accessed is no plain name.
    """
    match part:
        case psl.Path():
            return list(part.names)
        case psl.Member():
            return [*access(part.of), part.name]
        case psl.Element():
            return [*access(part.of), part.index]
    raise LeftToClosures


def _inside(kind: FieldType, step: str | int) -> FieldType:
    if isinstance(kind, SequenceType | ArrayType) and isinstance(step, int) and step >= 0:
        return kind.item
    if isinstance(kind, StructType):
        return next(known.type for known in kind.fields if known.name == step)
    raise LeftToClosures


def chain(part: psl.Expression, sign: str) -> list[psl.Expression]:
    """The operands of a chain of one sign, from left to right."""
    sides: list[psl.Expression] = []
    while isinstance(part, psl.Binary) and part.operator == sign:
        sides.append(part.right)
        part = part.left
    return [part, *reversed(sides)]
