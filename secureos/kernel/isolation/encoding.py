"""Plain values as bytes and back, for messages between the kernel and a task's process.

Nothing else than None, truth values, numbers, text, bytes, lists, tuples, mappings with text keys and arrays of
numbers can be said, so reading hostile bytes makes no object of any other kind and runs no code. An array travels as
its own memory: both ends are the same machine.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Mapping
from typing import Any, Final

from secureos.kernel.isolation.errors import ProtocolError

DEEPEST: Final = 32
_WIDEST_INTEGER: Final = 64  # bytes
_TYPECODES: Final = frozenset("bBhHiIlLqQfd")

_COUNT = struct.Struct("<I")
_INTEGER = struct.Struct("<q")
_NUMBER = struct.Struct("<d")


def encode(value: object) -> bytes:
    """The bytes of a value.

    Raises:
        ValueError: It, or something in it, is of a kind that cannot travel, or it is nested too deeply.
    """
    out = bytearray()
    _encode(out, value, 0)
    return bytes(out)


def decode(encoded: bytes) -> Any:  # noqa: ANN401
    """The value of bytes, whoever sent them.

    Raises:
        ProtocolError: They are not exactly one value.
    """
    reader = _Reader(encoded)
    value = reader.value(0)
    if reader.at != len(encoded):
        raise ProtocolError(f"{len(encoded) - reader.at} bytes follow the value")
    return value


def _encode(out: bytearray, value: object, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError(f"a value nested more than {DEEPEST} deep cannot travel")
    if value is None or value is True or value is False:
        out += {None: b"N", True: b"T", False: b"F"}[value]
    elif isinstance(value, int):
        _encode_integer(out, value)
    elif isinstance(value, float):
        out += b"d" + _NUMBER.pack(value)
    elif isinstance(value, str | bytes | bytearray):
        raw = value.encode() if isinstance(value, str) else value
        out += (b"s" if isinstance(value, str) else b"b") + _COUNT.pack(len(raw)) + raw
    elif isinstance(value, array) and value.typecode in _TYPECODES:
        raw = value.tobytes()
        out += b"a" + value.typecode.encode() + _COUNT.pack(len(raw)) + raw
    elif isinstance(value, list | tuple):
        out += (b"l" if isinstance(value, list) else b"t") + _COUNT.pack(len(value))
        for item in value:
            _encode(out, item, depth + 1)
    elif isinstance(value, Mapping):
        out += b"m" + _COUNT.pack(len(value))
        for name, item in value.items():
            if not isinstance(name, str):
                raise ValueError(f"a key must be text, not `{name!r}`")
            _encode(out, name, depth + 1)
            _encode(out, item, depth + 1)
    else:
        raise ValueError(f"a {type(value).__name__} cannot travel; plain values and arrays can")


def _encode_integer(out: bytearray, value: int) -> None:
    if -(2**63) <= value < 2**63:
        out += b"i" + _INTEGER.pack(value)
        return
    width = value.bit_length() // 8 + 1
    if width > _WIDEST_INTEGER:
        raise ValueError(f"a number of {width} bytes cannot travel; {_WIDEST_INTEGER} are the most")
    out += b"I" + bytes((width,)) + value.to_bytes(width, "little", signed=True)


class _Reader:
    """Reads values off hostile bytes; what is claimed of a length is held against what is there."""

    def __init__(self, encoded: bytes) -> None:
        self.at = 0
        self._bytes = encoded

    def value(self, depth: int) -> Any:  # noqa: ANN401
        if depth > DEEPEST:
            raise ProtocolError(f"a value is nested more than {DEEPEST} deep")
        tag = self._take(1)
        read = _READ.get(tag)
        if read is None:
            raise ProtocolError(f"byte {tag.hex()} begins no value")
        return read(self, depth)

    def _take(self, count: int) -> bytes:
        taken = self._bytes[self.at : self.at + count]
        if len(taken) != count:
            raise ProtocolError(f"a value ends {count - len(taken)} bytes too early")
        self.at += count
        return taken

    def _count(self) -> int:
        """How many bytes or items follow; never more than there are bytes left, as each item takes at least one."""
        count: int = _COUNT.unpack(self._take(4))[0]
        if count > len(self._bytes) - self.at:
            raise ProtocolError(f"a count of {count} is beyond the end")
        return count

    def _integer(self, _depth: int) -> int:
        return int(_INTEGER.unpack(self._take(8))[0])

    def _wide_integer(self, _depth: int) -> int:
        (width,) = self._take(1)
        if width > _WIDEST_INTEGER:
            raise ProtocolError(f"a number of {width} bytes is wider than {_WIDEST_INTEGER}")
        return int.from_bytes(self._take(width), "little", signed=True)

    def _number(self, _depth: int) -> float:
        return float(_NUMBER.unpack(self._take(8))[0])

    def _text(self, _depth: int) -> str:
        try:
            return self._take(self._count()).decode()
        except UnicodeDecodeError as failure:
            raise ProtocolError("a text is not UTF-8") from failure

    def _raw(self, _depth: int) -> bytes:
        return self._take(self._count())

    def _array(self, _depth: int) -> array[Any]:
        typecode = chr(self._take(1)[0])
        if typecode not in _TYPECODES:
            raise ProtocolError(f"there are no arrays of `{typecode!r}`")
        values: array[Any] = array(typecode)
        raw = self._take(self._count())
        if len(raw) % values.itemsize:
            raise ProtocolError(f"{len(raw)} bytes are no whole number of items of {values.itemsize}")
        values.frombytes(raw)
        return values

    def _list(self, depth: int) -> list[Any]:
        return [self.value(depth + 1) for _ in range(self._count())]

    def _tuple(self, depth: int) -> tuple[Any, ...]:
        return tuple(self._list(depth))

    def _mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self._count()):
            name = self.value(depth + 1)
            if not isinstance(name, str) or name in found:
                raise ProtocolError("a key is no text, or comes twice")
            found[name] = self.value(depth + 1)
        return found


_READ: Final[dict[bytes, Callable[[_Reader, int], Any]]] = {
    b"N": lambda _reader, _depth: None,
    b"T": lambda _reader, _depth: True,
    b"F": lambda _reader, _depth: False,
    b"i": _Reader._integer,
    b"I": _Reader._wide_integer,
    b"d": _Reader._number,
    b"s": _Reader._text,
    b"b": _Reader._raw,
    b"a": _Reader._array,
    b"l": _Reader._list,
    b"t": _Reader._tuple,
    b"m": _Reader._mapping,
}
