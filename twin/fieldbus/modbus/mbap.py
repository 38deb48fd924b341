"""MBAP framing: where one message ends and the next begins (Modbus messaging on TCP/IP 1.0b, clause 3.1.3).

Our own, because pymodbus' framer waits for ever on a header that can never become a frame, and drops all but one of
several messages that arrive together.
"""

from __future__ import annotations

import struct
from typing import Final

HEADER: Final = 7
LEAST_LENGTH: Final = 2  # unit identifier and function code
MOST_LENGTH: Final = 254  # unit identifier and a PDU of 253 bytes
MOST_ADU: Final = 6 + MOST_LENGTH

_HEADER: Final = struct.Struct(">HHHB")


class FramingError(Exception):
    """These bytes can never become a frame; the stream is lost."""


def frame_length(received: bytes | bytearray) -> int:
    """The length of the first ADU in `received` (bytes), or 0 while more must come.

    Raises:
        FramingError: The protocol identifier is not 0, or the length is outside 2 to 254; told as soon as the
            bytes that show it are there.
    """
    if len(received) < 3:
        return 0
    if any(received[2:4]):
        raise FramingError("the protocol identifier is not 0")
    if len(received) < 6:
        return 0
    length = (received[4] << 8) | received[5]
    if not LEAST_LENGTH <= length <= MOST_LENGTH:
        raise FramingError(f"a length of {length} is outside {LEAST_LENGTH} to {MOST_LENGTH}")
    return 6 + length if len(received) >= 6 + length else 0


def frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """A PDU with its header (transaction 0 to 65535, unit 0 to 255)."""
    return _HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu


def answer_pdu(request: bytes, answer: bytes) -> bytes | None:
    """The PDU in `answer` (exactly one ADU); None if it answers something else than `request`, of another unit, too."""
    is_its = answer[:4] == request[:4] and answer[6] == request[6]
    return answer[HEADER:] if is_its else None
