"""The types of message fields, as IDL knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class IntegerType:
    """A whole number from `low` to `high`, both included."""

    name: str
    low: int
    high: int

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class BytesType:
    """At most `limit` bytes."""

    limit: int

    def __str__(self) -> str:
        return f"bytes<{self.limit}>"


@dataclass(frozen=True, slots=True)
class StringType:
    """A text of at most `limit` bytes in UTF-8, the closing zero byte not counted."""

    limit: int

    def __str__(self) -> str:
        return f"string<{self.limit}>"


@dataclass(frozen=True, slots=True)
class SequenceType:
    """At most `limit` items of one type."""

    item: FieldType
    limit: int

    def __str__(self) -> str:
        return f"sequence<{self.item}, {self.limit}>"


@dataclass(frozen=True, slots=True)
class ArrayType:
    """Exactly `count` items of one type."""

    item: FieldType
    count: int

    def __str__(self) -> str:
        return f"array<{self.item}, {self.count}>"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named field: a parameter of a method, or a field of a struct or union."""

    name: str
    type: FieldType


@dataclass(frozen=True, slots=True)
class StructType:
    """All of the fields together."""

    name: str
    fields: tuple[Parameter, ...]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class UnionType:
    """Exactly one of the fields."""

    name: str
    fields: tuple[Parameter, ...]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class HandleType:
    """A capability; `interface` is the package that a typed handle leads to, or None."""

    interface: str | None = None

    def __str__(self) -> str:
        return "Handle" if self.interface is None else f"handle<{self.interface}>"


@dataclass(frozen=True, slots=True)
class OpaqueType:
    """What nobody here can know: a type whose description is not at hand."""

    def __str__(self) -> str:
        return "a type that is not described here"


FieldType = (
    IntegerType | BytesType | StringType | SequenceType | ArrayType | StructType | UnionType | HandleType | OpaqueType
)

MAX_HANDLE: Final = 2**64 - 1
MAX_RIGHTS: Final = 2**32 - 1
HANDLE_FIELDS: Final = (
    Parameter("handle", IntegerType("a handle", 0, MAX_HANDLE)),
    Parameter("rights", IntegerType("a mask of rights", 0, MAX_RIGHTS)),
)
"""What a handle looks like in a message: for a policy `handle` is the security identifier behind it."""

MAX_DEPTH: Final = 32
MAX_WEIGHT: Final = 2000


def is_too_large(kind: FieldType) -> bool:
    """Whether a type nests deeper than `MAX_DEPTH`, or is made of more than `MAX_WEIGHT` types when written out.

    A few lines of declarations that use one another can describe what no memory holds.
    """
    weight, waiting = 0, [(kind, 1)]
    while waiting:
        one, depth = waiting.pop()
        weight += 1
        if depth > MAX_DEPTH or weight > MAX_WEIGHT:
            return True
        if isinstance(one, SequenceType | ArrayType):
            waiting.append((one.item, depth + 1))
        elif isinstance(one, StructType | UnionType):
            waiting.extend((field.type, depth + 1) for field in one.fields)
    return False


MAX_BYTES_TOGETHER: Final = 1 << 24
"""No field and no message takes more: 16 MiB."""

_DESCRIPTOR_BYTES: Final = 8
"""Of what lies in the arena the constant part holds an offset and a size; a handle takes as much."""


def least_bytes(kind: FieldType) -> int:
    """How many bytes every value of a type takes; runs of changing length count with their descriptor alone.

    Arrays of arrays multiply: thirty short lines describe more than any memory holds. The type is not too large in
    the sense of `is_too_large`.
    """
    match kind:
        case IntegerType():
            return (kind.high - kind.low).bit_length() // 8
        case ArrayType():
            return kind.count * least_bytes(kind.item)
        case StructType():
            # One without fields takes a byte, as in C, so that an array of them is bounded too.
            return sum(least_bytes(field.type) for field in kind.fields) or 1
        case UnionType():
            return max(least_bytes(field.type) for field in kind.fields)
    return _DESCRIPTOR_BYTES


INTEGERS: Final[dict[str, IntegerType]] = {
    **{f"UInt{bits}": IntegerType(f"UInt{bits}", 0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    **{f"SInt{bits}": IntegerType(f"SInt{bits}", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    "UIntSize": IntegerType("UIntSize", 0, 2**64 - 1),
    "UIntPtr": IntegerType("UIntPtr", 0, 2**64 - 1),
}
"""The integer types that need no declaration."""
