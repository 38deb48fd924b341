"""Function 08, diagnostics: an echo, and counters of what came by (application protocol 1.1b3, clause 6.8)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from twin.fieldbus.errors import ExceptionCode, ModbusRefusal

_ECHO: Final = 0x0000
_CLEAR: Final = 0x000A
# The rest of clause 6.8.1 is about serial lines (character overruns, the ASCII delimiter, forced listening) or would
# take the device off the wire, and is refused as an unknown function.
_COUNTERS: Final = {
    0x000B: "messages",
    0x000C: "communication_errors",
    0x000D: "exceptions",
    0x000E: "server_messages",
    0x000F: "unanswered",
    0x0011: "busy",
}


@dataclass
class Counters:
    """What a device has seen since it started or since a client cleared it; each travels modulo 65536.

    Attributes:
        messages: Requests that came, to any unit.
        communication_errors: Connections lost because their bytes could never become a frame.
        exceptions: Exception responses.
        server_messages: Requests to a unit that exists.
        unanswered: Requests that were not answered; a server on TCP answers all of them.
        busy: Exceptions 06.
    """

    messages: int = 0
    communication_errors: int = 0
    exceptions: int = 0
    server_messages: int = 0
    unanswered: int = 0
    busy: int = 0

    def clear(self) -> None:
        """Start anew."""
        for field in fields(self):
            setattr(self, field.name, 0)


def diagnose(pdu: bytes, counters: Counters) -> bytes:
    """The PDU of the answer to a request of function 08.

    Raises:
        ModbusRefusal: 01 for a sub-function that is not served, 03 for a length or a value that it does not have.
    """
    if len(pdu) < 5 or len(pdu) % 2 == 0:
        raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, f"{len(pdu)} bytes cannot be a diagnostic request")
    code = (pdu[1] << 8) | pdu[2]
    if code == _ECHO:
        return pdu
    if code != _CLEAR and code not in _COUNTERS:
        raise ModbusRefusal(ExceptionCode.ILLEGAL_FUNCTION, f"sub-function {code} is not served")
    if pdu[3:] != b"\0\0":
        raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, f"sub-function {code} takes 0000 and nothing else")
    if code == _CLEAR:
        counters.clear()
        return pdu
    count: int = getattr(counters, _COUNTERS[code])
    return pdu[:3] + (count & 0xFFFF).to_bytes(2)
