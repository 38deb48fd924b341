"""What can go wrong on a fieldbus.

The tree: `FieldbusError` (the wire failed) and, under it, `NoAnswer` (it failed after the request had left, so nobody
knows whether it was carried out) and `ModbusRefusal` (the wire worked and the answer was no). Whoever treats them
alike catches the first; whoever tells them apart catches the others before it.
"""

from __future__ import annotations

from enum import IntEnum


class ExceptionCode(IntEnum):
    """Why a server says no (Modbus application protocol 1.1b3, clause 7)."""

    ILLEGAL_FUNCTION = 0x01
    ILLEGAL_DATA_ADDRESS = 0x02
    ILLEGAL_DATA_VALUE = 0x03
    SERVER_DEVICE_FAILURE = 0x04
    ACKNOWLEDGE = 0x05
    SERVER_DEVICE_BUSY = 0x06
    MEMORY_PARITY_ERROR = 0x08
    GATEWAY_PATH_UNAVAILABLE = 0x0A
    GATEWAY_TARGET_FAILED_TO_RESPOND = 0x0B


class FieldbusError(Exception):
    """The wire failed: nothing listens, the connection broke, no answer came in time, or it made no sense."""


class NoAnswer(FieldbusError):
    """The request has left and no answer that makes sense came: whether it was carried out is unknown."""


class ModbusRefusal(FieldbusError):
    """A Modbus exception response: raised by a station to refuse a request, and by a client that got one.

    Attributes:
        code: The exception code that travels.
        reason: A sentence for people; it does not travel, so it is empty on the client's side.
    """

    def __init__(self, code: ExceptionCode, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        name = code.name.lower().replace("_", " ")
        super().__init__(f"modbus exception {code:02X} ({name}){': ' if reason else ''}{reason}")
