"""The types of values in a policy, and what a rule expects of its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from secureos.xdl.grammar import MAX_INTEGER, MIN_INTEGER
from secureos.xdl.source import near
from secureos.xdl.types import ArrayType, FieldType, IntegerType, SequenceType, StringType


@dataclass(frozen=True, slots=True)
class BooleanType:
    """True or false."""

    def __str__(self) -> str:
        return "a Boolean"


@dataclass(frozen=True, slots=True)
class UnitType:
    """The value `()`."""

    def __str__(self) -> str:
        return "`()`"


@dataclass(frozen=True, slots=True)
class LiteralType:
    """An integer or text that stands in the policy itself."""

    value: int | str

    def __str__(self) -> str:
        return f'"{self.value}"' if isinstance(self.value, str) else str(self.value)


@dataclass(frozen=True, slots=True)
class ListType:
    """A list that stands in the policy itself."""

    items: tuple[ValueType, ...]

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.items))}]"


ValueType = FieldType | BooleanType | UnitType | LiteralType | ListType

COMPUTED: Final = IntegerType("an integer", MIN_INTEGER, MAX_INTEGER)
"""What arithmetic yields."""


def is_integer(kind: ValueType) -> bool:
    """Whether values of that type are integers."""
    return isinstance(kind, IntegerType) or (isinstance(kind, LiteralType) and isinstance(kind.value, int))


def is_text(kind: ValueType) -> bool:
    """Whether values of that type are texts."""
    return isinstance(kind, StringType) or (isinstance(kind, LiteralType) and isinstance(kind.value, str))


def is_run_of(fits: Callable[[ValueType], bool]) -> Callable[[ValueType], bool]:
    """Whether values of a type are lists whose items all fit."""

    def check(kind: ValueType) -> bool:
        if isinstance(kind, ListType):
            return all(map(fits, kind.items))
        return isinstance(kind, SequenceType | ArrayType) and fits(kind.item)

    return check


@dataclass(frozen=True, slots=True)
class Shape:
    """What is expected of an argument: in words, as a test, and the texts that it can be if they are known."""

    words: str
    fits: Callable[[ValueType], bool]
    known: tuple[str, ...] = ()

    def refuse(self, kind: ValueType) -> str | None:
        """None if the type fits, else the end of a sentence."""
        if self.fits(kind):
            return None
        options = kind.items if isinstance(kind, ListType) else (kind,)
        wrong = [str(option.value) for option in options if isinstance(option, LiteralType)]
        hints = (near(text, self.known) for text in wrong if self.known and text not in self.known)
        return f"must be {self.words}, not {kind}{next(hints, '')}"


BOOLEAN: Final = Shape("a Boolean", lambda kind: isinstance(kind, BooleanType))
INTEGER: Final = Shape("an integer", is_integer)
INTEGERS: Final = Shape("a list of integers", is_run_of(is_integer))
TEXTS: Final = Shape("a list of texts", is_run_of(is_text))
