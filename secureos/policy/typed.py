"""What a checked expression is: its type, and what computes its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from secureos.policy import syntax as psl
from secureos.policy.models import Operation
from secureos.policy.values import ValueType
from secureos.policy.verdict import Event
from secureos.xdl.source import Diagnostic, PolicyError, Span, near

Evaluate = Callable[[Event], Any]


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression's type, and what computes its value.

    Attributes:
        type: What every value of it is.
        evaluate: Computes the value for an event; raises `Incorrect` where there is none.
        operation: What an expression of a model calls; None for any other expression.
    """

    type: ValueType
    evaluate: Evaluate
    operation: Operation | None = None


class Compiler(Protocol):
    """What operators and functions need to compile their operands."""

    def compile(self, part: psl.Expression) -> Compiled:
        """The closure of an expression."""


def named_entries(
    argument: psl.DictionaryLiteral, known: Mapping[str, object], shown: str
) -> dict[str, psl.Expression]:
    """The entries of an argument `{…}` by name, none of them unknown or twice.

    Raises:
        PolicyError: One is.
    """
    given: dict[str, psl.Expression] = {}
    for entry in argument.entries:
        if entry.key not in known:
            raise mistake(entry.span, f"`{shown}` has no parameter `{entry.key}`{near(str(entry.key), known)}")
        if entry.key in given:
            raise mistake(entry.span, f"parameter `{entry.key}` is given twice")
        given[str(entry.key)] = entry.value
    return given


def mistake(span: Span, message: str) -> PolicyError:
    """An error with one place."""
    return PolicyError([Diagnostic(span, message)])
