"""Constant expressions of IDL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from lark import Token, Tree

from secureos.xdl.grammar import MAX_INTEGER, MIN_INTEGER, integer, span_of
from secureos.xdl.source import Diagnostic, PolicyError, Source, near


def _divide(left: int, right: int) -> int:
    """As in C: towards zero."""
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _shift_left(left: int, right: int) -> int:
    return left << _in_range(right, 64)


def _raise_to(left: int, right: int) -> int:
    value: int = left ** _in_range(right, 64)
    return value


def _in_range(amount: int, most: int) -> int:
    if not 0 <= amount <= most:
        message = f"{amount} is outside 0 to {most}"
        raise ValueError(message)
    return amount


_OPERATIONS: Final[Mapping[str, Callable[[int, int], int]]] = {
    "or": lambda left, right: left | right,
    "and": lambda left, right: left & right,
    "shift_left": _shift_left,
    "shift_right": lambda left, right: left >> _in_range(right, 64),
    "add": lambda left, right: left + right,
    "subtract": lambda left, right: left - right,
    "multiply": lambda left, right: left * right,
    "divide": _divide,
    "remainder": lambda left, right: left - right * _divide(left, right),
    "raise_to": _raise_to,
}


def evaluate(source: Source, part: Tree[Token], constants: Mapping[str, int]) -> int:
    """The value of a constant expression; every step must fit 64 bits.

    Raises:
        PolicyError: A name is unknown, a divisor is zero, a shift is out of range, or a value is too large.
    """
    if part.data == "number":
        return integer(source, part.children[0])  # type: ignore[arg-type]
    if part.data == "named_constant":
        name = span_of(source, part).text
        if name not in constants:
            raise PolicyError([_at(source, part, f"unknown constant `{name}`{near(name, constants)}")])
        return constants[name]
    values = [evaluate(source, child, constants) for child in part.children if isinstance(child, Tree)]
    try:
        value = -values[0] if part.data == "negate" else _OPERATIONS[part.data](*values)
    except (ValueError, ZeroDivisionError) as failure:
        why = "the divisor is zero" if isinstance(failure, ZeroDivisionError) else str(failure)
        raise PolicyError([_at(source, part, f"this cannot be computed: {why}")]) from None
    if not MIN_INTEGER <= value <= MAX_INTEGER:
        raise PolicyError([_at(source, part, "the value does not fit 64 bits")])
    return value


def _at(source: Source, part: Tree[Token], message: str) -> Diagnostic:
    return Diagnostic(span_of(source, part), message)
