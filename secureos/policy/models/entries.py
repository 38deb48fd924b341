"""The types that an entry of a `HashSet` can have, and its values as keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from secureos.policy import syntax as psl
from secureos.policy.models.configuration import Configuration
from secureos.policy.values import (
    ListType,
    LiteralType,
    RecordType,
    Shape,
    ValueType,
    is_boolean,
    is_integer,
)
from secureos.xdl import ArrayType, SequenceType, StructType
from secureos.xdl.grammar import MAX_INTEGER, MIN_INTEGER
from secureos.xdl.source import near
from secureos.xdl.types import INTEGERS

Entry = int | str
"""A value as a key: an integer as it is, everything else as JSON text (so that `1` and `true` differ)."""

MAX_DEPTH: Final = 8

_NAMED: Final = {
    **{name: (kind.low, kind.high) for name, kind in INTEGERS.items()},
    "Number": (MIN_INTEGER, MAX_INTEGER),
    "Signed": (MIN_INTEGER, 2**63 - 1),
    "Unsigned": (0, MAX_INTEGER),
    "Sid": (0, MAX_INTEGER),
}

_Fits = Callable[[ValueType], bool]
_Holds = Callable[[object], bool]


@dataclass(frozen=True, slots=True)
class EntryKind:
    """A type of entries.

    Attributes:
        shape: What an argument must be, checked at load.
        holds: Whether a value belongs to the type, checked while deciding: an expression may yield more than fits.
    """

    shape: Shape
    holds: _Holds

    @classmethod
    def read(cls, configuration: Configuration, kind: psl.TypeExpression | None) -> EntryKind:
        """The type as the policy declares it; what is wrong with it is noted in the configuration."""
        if kind is None:
            return cls(Shape("an entry", _never), _never)
        fits, holds = _read(configuration, kind, MAX_DEPTH)
        return cls(Shape(f"of the type `{' '.join(kind.span.text.split())}`", fits), holds)

    def freeze(self, value: object) -> Entry | None:
        """The value as a key; None if it does not belong to the type."""
        if not self.holds(value):
            return None
        return value if type(value) is int else json.dumps(value, sort_keys=True, default=list)


def _read(configuration: Configuration, kind: psl.TypeExpression, depth: int) -> tuple[_Fits, _Holds]:
    match kind:
        case psl.NamedType(arguments=()):
            return _named(configuration, kind)
        case psl.Constant(value=int() as value):
            return _integer(value, value)
        case psl.VariantType():
            return _variant([_part(configuration, option, depth) for option in kind.options])
        case psl.TupleType():
            return _tuple([_part(configuration, item, depth) for item in kind.items])
        case psl.DictionaryType():
            return _record({name: _part(configuration, item, depth) for name, item in kind.fields})
    return _refuse(configuration, kind, "entries are integers, Booleans, and dictionaries or tuples of those")


def _part(configuration: Configuration, kind: psl.TypeExpression, depth: int) -> tuple[_Fits, _Holds]:
    if depth == 0:
        return _refuse(configuration, kind, f"types of entries nest at most {MAX_DEPTH} deep")
    return _read(configuration, kind, depth - 1)


def _named(configuration: Configuration, kind: psl.NamedType) -> tuple[_Fits, _Holds]:
    if kind.name == "Boolean":
        return is_boolean, lambda value: isinstance(value, bool)
    if kind.name in _NAMED:
        return _integer(*_NAMED[kind.name])
    hint = near(kind.name, ("Boolean", *_NAMED))
    why = "entries are integers, Booleans, and dictionaries or tuples of those"
    return _refuse(configuration, kind, f"`{kind.name}` cannot be in an entry: {why}{hint}")


def _refuse(configuration: Configuration, kind: psl.TypeExpression, message: str) -> tuple[_Fits, _Holds]:
    configuration.say(kind.span, message)
    return _never, _never


def _integer(low: int, high: int) -> tuple[_Fits, _Holds]:
    def holds(value: object) -> bool:
        return type(value) is int and low <= value <= high

    return lambda kind: holds(kind.value) if isinstance(kind, LiteralType) else is_integer(kind), holds


def _variant(options: list[tuple[_Fits, _Holds]]) -> tuple[_Fits, _Holds]:
    def fits(kind: ValueType) -> bool:
        return any(option[0](kind) for option in options)

    def holds(value: object) -> bool:
        return any(option[1](value) for option in options)

    return fits, holds


def _tuple(items: list[tuple[_Fits, _Holds]]) -> tuple[_Fits, _Holds]:
    def fits(kind: ValueType) -> bool:
        if isinstance(kind, ListType):
            return len(kind.items) == len(items) and all(
                item[0](one) for item, one in zip(items, kind.items, strict=True)
            )
        # How many items a sequence has is known only while deciding.
        return isinstance(kind, ArrayType | SequenceType) and all(item[0](kind.item) for item in items)

    def holds(value: object) -> bool:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != len(items):
            return False
        return all(item[1](one) for item, one in zip(items, value, strict=True))

    return fits, holds


def _record(fields: dict[str, tuple[_Fits, _Holds]]) -> tuple[_Fits, _Holds]:
    def fits(kind: ValueType) -> bool:
        if isinstance(kind, StructType):
            found: dict[str, ValueType] = {field.name: field.type for field in kind.fields}
        elif isinstance(kind, RecordType):
            found = dict(kind.fields)
        else:
            return False
        return found.keys() == fields.keys() and all(fields[name][0](found[name]) for name in fields)

    def holds(value: object) -> bool:
        if not isinstance(value, dict) or value.keys() != fields.keys():
            return False
        return all(fields[name][1](value[name]) for name in fields)

    return fits, holds


def _never(_: object) -> bool:
    return False
