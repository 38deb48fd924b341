"""What is said of a rule that denies: in words of the policy, put together only then."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final

from secureos.policy import syntax as psl
from secureos.policy.expressions import Compiled, Evaluate, ExpressionCompiler
from secureos.policy.models import Incorrect
from secureos.policy.values import BooleanType
from secureos.policy.verdict import Event
from secureos.xdl import IntegerType

_SHOWN: Final = 100


def fact(item: psl.Call, values: tuple[Compiled, ...], expressions: ExpressionCompiler) -> Callable[[Event], str]:
    """What is said of a denial if the rule itself says nothing: the argument, whether it is true, and its numbers."""
    if not values or not isinstance(values[0].type, BooleanType):
        return lambda _: f"`{item.path.text}` stands here without condition"
    return _Fact(item.argument, values[0].evaluate, expressions).told


class _Fact:
    """A condition in words; they are looked up when the first denial wants them."""

    def __init__(self, argument: psl.Expression, holds: Evaluate, expressions: ExpressionCompiler) -> None:
        self._argument = argument
        self._holds = holds
        self._expressions = expressions

    def told(self, event: Event) -> str:
        """The words, whether it is true, and the numbers in it."""
        truth = "true" if self._holds(event) else "false"
        read = ", ".join(told for text, evaluate in self._numbers if (told := _told(text, evaluate, event)))
        return f"`{self._shown}` is {truth}" + (f": {read}" if read else "")

    @cached_property
    def _shown(self) -> str:
        argument = self._argument
        whole = argument.path.span if isinstance(argument, psl.Application) else argument.span
        shown = " ".join(whole.text.split())
        return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"

    @cached_property
    def _numbers(self) -> list[tuple[str, Evaluate]]:
        parts = [(part.span.text, self._expressions.compile(part)) for part in _fields(self._argument)]
        return [(text, number.evaluate) for text, number in parts if isinstance(number.type, IntegerType)]


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
