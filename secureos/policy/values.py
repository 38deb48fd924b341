"""The types of values in a policy, and what a rule expects of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from secureos.xdl.grammar import MAX_INTEGER, MIN_INTEGER
from secureos.xdl.source import near
from secureos.xdl.types import ArrayType, FieldType, IntegerType, OpaqueType, SequenceType, StringType


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


@dataclass(frozen=True, slots=True)
class RecordType:
    """A dictionary that stands in the policy itself."""

    fields: Mapping[str, ValueType]

    def __str__(self) -> str:
        return "{" + ", ".join(f"{name} : {kind}" for name, kind in self.fields.items()) + "}"


ValueType = FieldType | BooleanType | UnitType | LiteralType | ListType | RecordType

COMPUTED: Final = IntegerType("an integer", MIN_INTEGER, MAX_INTEGER)
"""What arithmetic yields."""


SID: Final = IntegerType("a security identifier", 0, MAX_INTEGER)

# What is opaque may be anything: each of the tests below takes it, and a wrong value is found while deciding.


def is_boolean(kind: ValueType) -> bool:
    """Whether values of that type are Booleans."""
    return isinstance(kind, BooleanType | OpaqueType)


def is_integer(kind: ValueType) -> bool:
    """Whether values of that type are integers."""
    if isinstance(kind, LiteralType):
        return isinstance(kind.value, int)
    return isinstance(kind, IntegerType | OpaqueType)


def is_text(kind: ValueType) -> bool:
    """Whether values of that type are texts."""
    if isinstance(kind, LiteralType):
        return isinstance(kind.value, str)
    return isinstance(kind, StringType | OpaqueType)


def is_run(kind: ValueType) -> bool:
    """Whether values of that type are lists of something."""
    return isinstance(kind, SequenceType | ArrayType | ListType | OpaqueType)


def is_run_of(fits: Callable[[ValueType], bool]) -> Callable[[ValueType], bool]:
    """Whether values of a type are lists whose items all fit."""

    def check(kind: ValueType) -> bool:
        if isinstance(kind, ListType):
            return all(map(fits, kind.items))
        return isinstance(kind, OpaqueType) or (isinstance(kind, SequenceType | ArrayType) and fits(kind.item))

    return check


@dataclass(frozen=True, slots=True)
class Shape:
    """What is expected of an argument: in words, as a test, and the texts that it can be if they are known."""

    words: str
    fits: Callable[[ValueType], bool]
    known: tuple[str, ...] = ()

    def refuse(self, kind: ValueType) -> str | None:
        """None if the type fits, else the end of a sentence."""
        if isinstance(kind, OpaqueType) or self.fits(kind):
            return None
        options = kind.items if isinstance(kind, ListType) else (kind,)
        wrong = [str(option.value) for option in options if isinstance(option, LiteralType)]
        hints = (near(text, self.known) for text in wrong if self.known and text not in self.known)
        return f"must be {self.words}, not {kind}{next(hints, '')}"


BOOLEAN: Final = Shape("a Boolean", is_boolean)
INTEGER: Final = Shape("an integer", is_integer)
INTEGERS: Final = Shape("a list of integers", is_run_of(is_integer))
TEXTS: Final = Shape("a list of texts", is_run_of(is_text))
