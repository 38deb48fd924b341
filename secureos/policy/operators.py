"""The operators: what they take, what they give, and how they compute."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from secureos.policy import syntax as psl
from secureos.policy.models import Incorrect
from secureos.policy.typed import Compiled, Compiler, Evaluate, mistake
from secureos.policy.values import COMPUTED, BooleanType, ValueType, is_boolean, is_integer, is_text
from secureos.policy.verdict import Event
from secureos.xdl.grammar import MAX_INTEGER, MIN_INTEGER
from secureos.xdl.types import IntegerType, OpaqueType

_BOOLEAN: Final = BooleanType()


def unary(compiler: Compiler, part: psl.Unary) -> Compiled:
    """`!` of a Boolean, `~` of an integer.

    Raises:
        PolicyError: The operand has another type.
    """
    if part.operator == "!":
        value = operand(compiler, "!", part.operand, is_boolean, "a Boolean").evaluate
        return Compiled(_BOOLEAN, lambda event: not value(event))
    number = operand(compiler, "~", part.operand, is_integer, "an integer")
    return Compiled(COMPUTED, _complement(number))


def binary(compiler: Compiler, part: psl.Binary) -> Compiled:
    """Everything with a sign between two operands.

    Raises:
        PolicyError: An operand has the wrong type.
    """
    sign = part.operator
    if sign in _LOGIC:
        left = operand(compiler, sign, part.left, is_boolean, "a Boolean").evaluate
        right = operand(compiler, sign, part.right, is_boolean, "a Boolean").evaluate
        return Compiled(_BOOLEAN, _LOGIC[sign](left, right))
    if sign in ("==", "!="):
        return _equality(compiler, part)
    left = operand(compiler, sign, part.left, is_integer, "an integer").evaluate
    right = operand(compiler, sign, part.right, is_integer, "an integer").evaluate
    if sign in _ORDER:
        return Compiled(_BOOLEAN, _apply(_ORDER[sign], left, right))
    return Compiled(COMPUTED, _bounded(sign, left, right))


def operand(
    compiler: Compiler, sign: str, part: psl.Expression, fits: Callable[[ValueType], bool], words: str
) -> Compiled:
    """An operand that must fit.

    Raises:
        PolicyError: It does not.
    """
    value = compiler.compile(part)
    if not fits(value.type):
        raise mistake(part.span, f"`{sign}` takes {words}, not {value.type}")
    return value


def bounded(value: int, what: str) -> int:
    """The value, if it fits 64 bits.

    Raises:
        Incorrect: It does not.
    """
    if not MIN_INTEGER <= value <= MAX_INTEGER:
        raise Incorrect(f"the result of `{what}` does not fit 64 bits")
    return value


def _equality(compiler: Compiler, part: psl.Binary) -> Compiled:
    left, right = compiler.compile(part.left), compiler.compile(part.right)
    compare = operator.eq if part.operator == "==" else operator.ne
    if not any(fits(left.type) and fits(right.type) for fits in (is_integer, is_boolean)):
        if is_text(left.type) or is_text(right.type):
            message = f"`{part.operator}` compares numbers and Booleans, not texts; use `re.match` or a PointSet"
            raise mistake(part.span, message)
        raise mistake(part.span, f"`{part.operator}` cannot compare {left.type} with {right.type}")
    return Compiled(_BOOLEAN, _apply(compare, left.evaluate, right.evaluate))


def _complement(number: Compiled) -> Evaluate:
    """All bits turned within the operand's own type; a number of the text itself, or computed, has all 64 bits."""
    value, kind = number.evaluate, number.type
    if isinstance(kind, IntegerType) and kind.low == 0:
        mask = kind.high
        return lambda event: value(event) ^ mask
    if isinstance(kind, OpaqueType):
        return _unknowable("~")
    return lambda event: bounded(~value(event), "~")


def _unknowable(sign: str) -> Evaluate:
    def evaluate(_event: Event) -> int:
        raise Incorrect(f"`{sign}` needs the width of a value whose description is not at hand")

    return evaluate


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
    "&": operator.and_,
    "|": operator.or_,
}


def _apply(compute: Callable[[Any, Any], bool], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda event: compute(left(event), right(event))


def _bounded(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    compute = _ARITHMETIC[sign]
    return lambda event: bounded(compute(left(event), right(event)), sign)
