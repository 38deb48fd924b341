"""Messages that fit their description: with nothing in them, and random ones."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any, Final

from secureos.xdl import (
    ArrayType,
    BytesType,
    FieldType,
    HandleType,
    IntegerType,
    Parameter,
    SequenceType,
    StringType,
    StructType,
    UnionType,
)

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._- "
_MOST_ITEMS: Final = 8
"""Random fields are no longer: whole messages of 16 MiB would measure the memory, not the policy."""


def default_message(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Each field with the default of its type."""
    return {parameter.name: default_value(parameter.type) for parameter in parameters}


def default_value(kind: FieldType) -> Any:  # noqa: ANN401 -- a message holds values of any field type
    """0, nothing, or whatever of a type is nearest to it; of a union its first field."""
    value: Any = 0
    match kind:
        case IntegerType():
            value = min(max(kind.low, 0), kind.high)
        case BytesType():
            value = b""
        case StringType():
            value = ""
        case SequenceType():
            value = []
        case ArrayType():
            value = [default_value(kind.item)] * kind.count
        case StructType():
            value = default_message(kind.fields)
        case UnionType():
            value = default_message(kind.fields[:1])
        case HandleType():
            value = {"handle": 0, "rights": 0}
    return value


def random_message(parameters: Iterable[Parameter], source: Random) -> dict[str, Any]:
    """Each field with a random value of its type."""
    return {parameter.name: random_value(parameter.type, source) for parameter in parameters}


def random_value(kind: FieldType, source: Random) -> Any:  # noqa: ANN401
    """A value of a type: its bounds as often as anything between; texts and runs of at most 8 items."""
    value: Any = 0
    match kind:
        case IntegerType():
            value = source.choice((kind.low, kind.high, source.randint(kind.low, kind.high), source.randrange(100)))
        case BytesType():
            value = source.randbytes(_length(kind.limit, source))
        case StringType():
            value = "".join(source.choices(_LETTERS, k=_length(kind.limit, source)))
        case SequenceType():
            value = [random_value(kind.item, source) for _ in range(_length(kind.limit, source))]
        case ArrayType():
            value = [random_value(kind.item, source) for _ in range(kind.count)]
        case StructType():
            value = random_message(kind.fields, source)
        case UnionType():
            value = random_message([source.choice(kind.fields)], source)
        case HandleType():
            value = {"handle": source.randrange(1, 8), "rights": source.getrandbits(32)}
    return value


def _length(limit: int, source: Random) -> int:
    return source.randint(0, min(limit, _MOST_ITEMS))
