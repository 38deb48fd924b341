"""Decision functions: one shared code object for each shape of a rule list, its parameters bound as defaults.

Ten thousand bindings that differ only in names and numbers share one piece of code; what differs is data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any, Final

from secureos.policy import native

Decide = Callable[..., int]
"""Called with source sid, destination sid (None for `security`), and the fields of the message in their order;
0 is granted, a positive number is 1 + the index of the deciding rule in text order, a negative one is below."""

GRANTED: Final = 0
BY_DEFAULT: Final = -1
"""No rule speaks of such an event, or nobody knows its names."""

BY_ERROR: Final = -2
"""Something went wrong while deciding."""

_MAX_SHAPES: Final = 4096


class Overflow(Exception):
    """An integer does not fit 64 bits; the slow path says so in words."""


def take_back(undo: list[Callable[[], None]]) -> None:
    """Undo the effects of an event, the latest first."""
    while undo:
        undo.pop()()


def _overflow() -> int:
    raise Overflow


# All that decision code can name: it has no built-in functions.
_GLOBALS: Final[dict[str, Any]] = {
    "__builtins__": {},
    "Exception": Exception,
    "len": len,
    "overflow": _overflow,
    "take_back": take_back,
}


def _deny(*_: object) -> int:
    return BY_DEFAULT


deny_by_default: Final[Decide] = native.denial() or _deny
"""The decision function of everything that no rule speaks of."""


def bind(source: str, parameters: Sequence[object]) -> Decide:
    """The function of a shape with these parameters.

    Args:
        source: `def decide(src, dst, f0, f1, …, p0=None, p1=None, …): …`; the same text gives the same code object.
        parameters: The values of the last arguments.

    Raises:
        SyntaxError, MemoryError, RecursionError: The text is too deep for Python's compiler.
    """
    return FunctionType(_code(source), _GLOBALS, "decide", tuple(parameters))


def count_shapes() -> int:
    """How many code objects there are in this process."""
    return _code.cache_info().currsize


@lru_cache(maxsize=_MAX_SHAPES)
def _code(source: str) -> CodeType:
    module = compile(source, "<decision>", "exec")
    return next(part for part in module.co_consts if isinstance(part, CodeType))
