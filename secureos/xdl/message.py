"""Message structure: does a message fit its description?

A message is a plain mapping from field name to int, str, bytes, list, tuple, `array.array` or mapping. It is
checked whenever a task sends one, so each method gets its checker made once, and long runs of integers are
checked without a loop in Python. A handle is a mapping of `handle` and `rights`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from secureos.xdl.types import (
    HANDLE_FIELDS,
    ArrayType,
    BytesType,
    FieldType,
    HandleType,
    IntegerType,
    OpaqueType,
    Parameter,
    SequenceType,
    StringType,
    StructType,
    UnionType,
)

Check = Callable[[object], str | None]
"""None for a value that fits, else what is wrong with it, as the end of a sentence after the field's name."""

CheckItems = Callable[[Sequence[object]], str | None]

_LISTS: Final = (array, tuple, list)
_ONLY_INTEGERS: Final = frozenset({int})
_ONLY_TEXTS: Final = frozenset({str})
_SHOWN: Final = 40


def check_message(parameters: Sequence[Parameter], message: object) -> str | None:
    """None if the message fits, else a sentence: which field, and why."""
    return checker(parameters)(message)


def checker(parameters: Sequence[Parameter]) -> Check:
    """The check of a whole message, made once per method and direction.

    Missing and unknown fields, wrong types (a bool is no integer), ranges, lengths (of a string: its UTF-8 bytes)
    and counts are found; the first mistake is told. No message makes it raise.
    """
    checks = tuple((parameter.name, _check(parameter.type)) for parameter in parameters)
    names = frozenset(name for name, _ in checks)

    def check(message: object) -> str | None:
        # Asking for the exact kind first spares what `isinstance` takes with an abstract class, at every message.
        if type(message) is not dict and not isinstance(message, Mapping):
            return f"a message is a mapping of fields, not {_kind(message)}"
        if message.keys() != names:
            return _fields_differ(names, message)
        for name, check_field in checks:
            wrong = check_field(message[name])
            if wrong is not None:
                return f"field `{name}`{wrong}"
        return None

    return check


def _fields_differ(names: frozenset[str], fields: Mapping[object, object]) -> str:
    missing = sorted(names - fields.keys())
    if missing:
        return f"field `{missing[0]}` is missing"
    extra = next(name for name in fields if name not in names)
    return f"field `{str(extra)[:_SHOWN]}` is not in the description"


def _check(kind: FieldType) -> Check:
    if isinstance(kind, SequenceType):
        return _run(kind.item, 0, kind.limit)
    if isinstance(kind, ArrayType):
        return _run(kind.item, kind.count, kind.count)
    return _check_single(kind)


def _check_single(
    kind: IntegerType | BytesType | StringType | StructType | UnionType | HandleType | OpaqueType,
) -> Check:
    check: Check = _anything
    match kind:
        case IntegerType():
            check = _integer(kind)
        case BytesType():
            check = _bytes(kind.limit)
        case StringType():
            check = _string(kind.limit)
        case StructType():
            check = _struct(kind.fields, kind.name)
        case UnionType():
            check = _union(kind)
        case HandleType():
            check = _struct(HANDLE_FIELDS, str(kind))
    return check


def _anything(_value: object) -> None:
    return None


def _integer(kind: IntegerType) -> Check:
    low, high, name = kind.low, kind.high, kind.name

    def check(value: object) -> str | None:
        if type(value) is not int:
            return f" must be an integer ({name}), not {_kind(value)}"
        if low <= value <= high:
            return None
        return f" is {_number(value)}, outside {low} to {high} ({name})"

    return check


def _bytes(limit: int) -> Check:
    def check(value: object) -> str | None:
        if not isinstance(value, bytes):
            return f" must be bytes, not {_kind(value)}"
        return None if len(value) <= limit else f" is {len(value)} bytes long, the limit is {limit}"

    return check


def _string(limit: int) -> Check:
    def check(value: object) -> str | None:
        if not isinstance(value, str):
            return f" must be a text, not {_kind(value)}"
        if value.isascii():
            length = len(value)
        else:
            try:
                length = len(value.encode())
            except UnicodeEncodeError:
                return " holds half a surrogate pair, which UTF-8 cannot carry"
        return None if length <= limit else f" is {length} bytes long in UTF-8, the limit is {limit}"

    return check


def _run(item: FieldType, least: int, most: int) -> Check:
    check_items = _check_items(item)

    def check(value: object) -> str | None:
        if not isinstance(value, _LISTS):
            return f" must be a list, not {_kind(value)}"
        if least <= len(value) <= most:
            return check_items(value)
        limit = f"exactly {most} are due" if least == most else f"the limit is {most}"
        return f" has {len(value)} items, {limit}"

    return check


def _check_items(item: FieldType) -> CheckItems:
    if isinstance(item, IntegerType):
        return _integers(item)
    return _texts(item.limit) if isinstance(item, StringType) else _items(_check(item))


def _items(check_item: Check) -> CheckItems:
    def check(values: Sequence[object]) -> str | None:
        for position, value in enumerate(values):
            wrong = check_item(value)
            if wrong is not None:
                return f" item {position}{wrong}"
        return None

    return check


def _texts(limit: int) -> CheckItems:
    one_by_one = _items(_string(limit))
    fitting: tuple[object, ...] = ()

    def check(values: Sequence[object]) -> str | None:
        nonlocal fitting
        if values is fitting:  # the same tuple of texts again, and neither can change: cyclic messages name the same
            return None
        wrong = one_by_one(values)
        if wrong is None and type(values) is tuple and set(map(type, values)) == _ONLY_TEXTS:
            fitting = values
        return wrong

    return check


def _integers(kind: IntegerType) -> CheckItems:
    low, high = kind.low, kind.high
    fitting = frozenset(code for code in "bBhHiIlLqQ" if low <= _bounds(code)[0] and _bounds(code)[1] <= high)
    one_by_one = _items(_integer(kind))

    def check(values: Sequence[object]) -> str | None:
        if type(values) is array and values.typecode in fitting:  # an array of another kind is looked through
            return None
        if not values:
            return None
        # Three passes in C beat one in Python; which item is wrong is looked for only when one is.
        if set(map(type, values)) == _ONLY_INTEGERS and low <= min(values) and max(values) <= high:  # type: ignore[type-var, operator]
            return None
        return one_by_one(values)

    return check


def _bounds(typecode: str) -> tuple[int, int]:
    bits = array(typecode).itemsize * 8
    return (0, 2**bits - 1) if typecode.isupper() else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _struct(fields: Sequence[Parameter], name: str) -> Check:
    check_fields = checker(fields)

    def check(value: object) -> str | None:
        if not isinstance(value, Mapping):
            return f" must be a mapping of fields ({name}), not {_kind(value)}"
        wrong = check_fields(value)
        return None if wrong is None else f": {wrong}"

    return check


def _union(kind: UnionType) -> Check:
    checks = {field.name: checker((field,)) for field in kind.fields}

    def check(value: object) -> str | None:
        if not isinstance(value, Mapping) or len(value) != 1:
            return f" must be a mapping with exactly one of the fields of {kind.name}"
        name = next(iter(value))
        if name not in checks:
            return f": field `{str(name)[:_SHOWN]}` is not in the description"
        wrong = checks[name](value)
        return None if wrong is None else f": {wrong}"

    return check


def _kind(value: object) -> str:
    names = {bool: "a bool", int: "an integer", float: "a float", str: "a text", type(None): "nothing"}
    return names.get(type(value), f"a {type(value).__name__}")


def _number(value: int) -> str:
    return str(value) if value.bit_length() <= 128 else f"a number of {value.bit_length()} bits"
