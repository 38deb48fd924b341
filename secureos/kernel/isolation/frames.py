"""Messages between the kernel and a task's process: a length, a kind, a number, and one encoded value.

The kernel asks (`START`, `SERVE`, `ACTIVATE`, `SNAPSHOT`, `RESTORE`) and the task answers with the same number (`DONE`,
`FAILED`); the task calls (`CALL`, with a number of its own and the number of what it is doing, 0 when nothing was
asked of it) and the kernel answers (`ANSWER`, `REFUSED`). `DEVICE` carries a word to or from a granted device, towards
the task also an open descriptor.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from secureos.kernel.isolation.encoding import decode, encode
from secureos.kernel.isolation.errors import ProtocolError

_HEADER = struct.Struct("<IBI")
LONGEST: Final = 1_000_000
"""Bytes of the longest value in a frame; the longest message of the interface language's usual types is far below."""

DESCRIPTORS: Final = 8
"""Open descriptors that may come with what is received at once."""


class Kind(IntEnum):
    """What a frame is."""

    BORN = 1
    START = 2
    SERVE = 3
    ACTIVATE = 4
    SNAPSHOT = 5
    RESTORE = 6
    DONE = 7
    FAILED = 8
    CALL = 9
    ANSWER = 10
    REFUSED = 11
    DEVICE = 12


_KINDS: Final = {int(kind): kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Frame:
    """One message; `number` says what it is an answer to, or what its answer will be to."""

    kind: Kind
    number: int
    value: Any


def pack(kind: Kind, number: int, value: object) -> bytes:
    """The bytes of a frame.

    Raises:
        ValueError: The value cannot travel, or is too long.
    """
    body = encode(value)
    if len(body) > LONGEST:
        raise ValueError(f"a message of {len(body)} bytes cannot travel; {LONGEST} are the most")
    return _HEADER.pack(len(body), kind, number) + body


class FrameReader:
    """Cuts frames out of a stream of bytes that may be anything."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, received: bytes) -> list[Frame]:
        """The frames that are whole now.

        Raises:
            ProtocolError: A frame is of no known kind, too long, or its value is malformed; told as early as can be.
        """
        self._received += received
        frames = []
        while len(self._received) >= _HEADER.size:
            length, kind, number = _HEADER.unpack_from(self._received)
            if kind not in _KINDS:
                raise ProtocolError(f"there are no frames of kind {kind}")
            if length > LONGEST:
                raise ProtocolError(f"a frame of {length} bytes is longer than {LONGEST}")
            end = _HEADER.size + length
            if len(self._received) < end:
                break
            body = bytes(self._received[_HEADER.size : end])
            del self._received[:end]
            frames.append(Frame(_KINDS[kind], number, decode(body)))
        return frames
