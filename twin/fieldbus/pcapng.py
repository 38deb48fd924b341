"""Writing captures in the pcapng format (IETF draft-ietf-opsawg-pcapng, sections 3 and 4).

Our own, because the libraries that write it have had no release for years; it is four kinds of block.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_PACKET: Final = 6  # enhanced packet block
_BYTE_ORDER: Final = 0x1A2B3C4D
_ETHERNET: Final = 1

_COMMENT: Final = 1
_SECTION_APPLICATION: Final = 4
_INTERFACE_NAME: Final = 2
_INTERFACE_DESCRIPTION: Final = 3
_INTERFACE_RESOLUTION: Final = 9
_NANOSECONDS: Final = bytes([9])  # ten to the power of minus nine

_MOST_OPTION: Final = 0xFFFF
_OPTION: Final = struct.Struct("<HH")
_BLOCK: Final = struct.Struct("<II")
_LENGTH: Final = struct.Struct("<I")
_PACKET_HEAD: Final = struct.Struct("<IIIIIII")  # type, block length, interface, time high and low, two lengths

Option = tuple[int, bytes]


class PcapngWriter:
    """Writes one section: first its interfaces, then packets of Ethernet, stamped in nanoseconds.

    Args:
        file: Opened for writing bytes; it stays the caller's to close.
        application: What made the file.
        comment: About the whole capture.
    """

    def __init__(self, file: BinaryIO, *, application: str, comment: str = "") -> None:
        self._file = file
        self._interfaces = 0
        body = struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1)  # version 1.0, section of unknown length
        self._block(_SECTION, body + _options(*_comment(comment), (_SECTION_APPLICATION, _text(application))))

    def interface(self, name: str, description: str) -> int:
        """Declare where packets were seen; the answer is its number."""
        body = struct.pack("<HHI", _ETHERNET, 0, 0)  # packets are never cut short
        self._block(
            _INTERFACE,
            body
            + _options(
                (_INTERFACE_NAME, _text(name)),
                (_INTERFACE_DESCRIPTION, _text(description)),
                (_INTERFACE_RESOLUTION, _NANOSECONDS),
            ),
        )
        self._interfaces += 1
        return self._interfaces - 1

    def packet(self, interface: int, at_ns: int, frame: bytes, comment: str = "") -> None:
        """Write one frame.

        Args:
            interface: A number that `interface` gave.
            at_ns: When it was seen (ns since the epoch, from 0 on).
            frame: From the Ethernet header on.
            comment: Shown beside the packet; left out if empty.
        """
        size = len(frame)
        tail = bytes(-size % 4) + (_options(*_comment(comment)) if comment else b"")
        length = 32 + size + len(tail)
        self._file.write(
            b"".join(
                (
                    _PACKET_HEAD.pack(_PACKET, length, interface, at_ns >> 32, at_ns & 0xFFFFFFFF, size, size),
                    frame,
                    tail,
                    _LENGTH.pack(length),
                )
            )
        )

    def _block(self, kind: int, body: bytes) -> None:
        length = 12 + len(body)
        self._file.write(_BLOCK.pack(kind, length) + body + _LENGTH.pack(length))


def _comment(text: str) -> list[Option]:
    return [(_COMMENT, _text(text))] if text else []


def _text(text: str) -> bytes:
    """UTF-8, cut to what an option may hold without breaking a character."""
    return text.encode("utf-8", "replace")[:_MOST_OPTION].decode("utf-8", "ignore").encode()


def _options(*options: Option) -> bytes:
    """Options padded to 32 bits each, and their end."""
    parts = [_OPTION.pack(code, len(value)) + value + bytes(-len(value) % 4) for code, value in options]
    return b"".join((*parts, bytes(4)))
