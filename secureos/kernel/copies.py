"""What a message becomes on its way: a copy of its own, of plain kinds, which nobody else can change.

In process a message would otherwise be an object that sender and receiver share: a sender could change it after its
structure was checked, or answer differently each time it is looked at. So it is read once, before any check, and
everything after that sees what was read.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from typing import Any, Final

_FIXED: Final = frozenset({int, str, bytes, bool, float, type(None)})
_name_of: Final[Callable[[type], str]] = type.__dict__["__name__"].__get__
_DEEPEST: Final = 40  # deeper than any description; `secureos.xdl.types.MAX_DEPTH`


class NoMessageError(Exception):
    """What a task sent is no message; the text says why."""


def own_copy(message: object) -> dict[str, Any]:
    """A message by itself; lists become tuples.

    Raises:
        NoMessageError: It is no mapping, or holds something that no message can carry.
    """
    if not issubclass(type(message), dict):
        raise NoMessageError(f"a message is a mapping of fields, not {kind_of(message)}")
    return _mapping(message, 0)  # type: ignore[arg-type]


def kind_of(value: object) -> str:
    """The name of a value's class, which is asked without running any code of a task's own."""
    return f"a `{_name_of(type(value))}`"


def _mapping(fields: dict[object, object], depth: int) -> dict[str, Any]:
    copy: dict[str, Any] = {}
    for name, value in dict.items(fields):
        if type(name) is not str:
            raise NoMessageError(f"the name of a field is a text, not {kind_of(name)}")
        copy[name] = value if type(value) in _FIXED else _value(value, depth + 1)
    return copy


def _value(value: object, depth: int) -> Any:  # noqa: ANN401 -- any field of any message
    kind = type(value)
    if kind in _FIXED:
        return value
    if depth > _DEEPEST:
        raise NoMessageError(f"a message nests at most {_DEEPEST} levels deep")
    if kind is array:
        return value[:]  # type: ignore[index]
    for base, copied in _COPIES:
        if issubclass(kind, base):
            return copied(value, depth)
    raise NoMessageError(f"a message cannot carry {kind_of(value)}")


def _items(items: Iterable[object], depth: int) -> tuple[object, ...]:
    held = tuple(items)  # which is the tuple itself if it is one
    if _FIXED.issuperset(map(type, held)):
        return held
    return tuple(_value(item, depth + 1) for item in held)


# The methods are those of the kind itself, whatever a sender's own class makes of them.
_COPIES: Final[tuple[tuple[type, Callable[[Any, int], Any]], ...]] = (
    (array, lambda value, _: array.__getitem__(value, slice(None))),
    (tuple, lambda value, depth: _items(value if type(value) is tuple else tuple.__iter__(value), depth)),
    (list, lambda value, depth: _items(list.__iter__(value), depth)),
    (dict, _mapping),
    (str, lambda value, _: str.__str__(value)),
    (bytes, lambda value, _: bytes.__getitem__(value, slice(None))),
)
