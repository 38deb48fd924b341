"""The library's PDU classes as we use them: requests parsed strictly, responses parsed without surprises."""

from __future__ import annotations

import logging
import struct
from typing import Final

from pymodbus.exceptions import ModbusException
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteMultipleCoilsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.diag_message import ReturnQueryDataRequest
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest
from pymodbus.pdu.register_message import (
    MaskWriteRegisterRequest,
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    ReadWriteMultipleRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from twin.fieldbus.errors import ExceptionCode, ModbusRefusal

REQUESTS: Final[dict[int, type[ModbusPDU]]] = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
    5: WriteSingleCoilRequest,
    6: WriteSingleRegisterRequest,
    8: ReturnQueryDataRequest,
    15: WriteMultipleCoilsRequest,
    16: WriteMultipleRegistersRequest,
    22: MaskWriteRegisterRequest,
    23: ReadWriteMultipleRegistersRequest,
    43: ReadDeviceInformationRequest,
}

_FIXED_LENGTH: Final = {1: 5, 2: 5, 3: 5, 4: 5, 5: 5, 6: 5, 22: 7, 43: 4}
_BYTE_COUNT_AT: Final = {15: 5, 16: 5, 23: 9}  # where the count of the bytes that follow stands
_DECODING_ERRORS: Final = (ModbusException, ValueError, IndexError, struct.error)

# The library logs a line for every strange byte that comes in; that is for strangers to fill disks with. The level is
# set on the parent, so its own `pymodbus_apply_logging_config` still switches logging on.
_LOGGER = logging.getLogger("pymodbus")
if _LOGGER.level == logging.NOTSET:
    _LOGGER.setLevel(logging.CRITICAL)


def parse_request(pdu: bytes) -> ModbusPDU:
    """Decode the PDU of a request (function code and what follows, 1 to 253 bytes).

    Stricter than the library, which ignores trailing bytes, takes any value but 0 for a coil's ON and allows more
    coils in one write than the standard (application protocol 1.1b3, clauses 6.1 to 6.17 and 6.21).

    Raises:
        ModbusRefusal: 01 for a function, sub-function or MEI type that is not served; 03 for a wrong length,
            quantity, byte count or coil value.
    """
    code = pdu[0]
    if code not in REQUESTS or _is_other_subfunction(code, pdu):
        raise ModbusRefusal(ExceptionCode.ILLEGAL_FUNCTION, f"function {code} is not served")
    if not _has_right_length(code, pdu):
        raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, f"{len(pdu)} bytes cannot be function {code}")
    if not _has_right_values(code, pdu):
        raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, f"a quantity or value of function {code} is illegal")
    request = REQUESTS[code]()
    try:
        request.decode(pdu[1:])
    except _DECODING_ERRORS as failure:
        raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, str(failure)) from failure
    return request


def _is_other_subfunction(code: int, pdu: bytes) -> bool:
    if code == 8:  # diagnostics: only 00, return query data
        return len(pdu) >= 3 and pdu[1:3] != b"\0\0"
    return code == 43 and len(pdu) >= 2 and pdu[1] != 14  # only MEI 14, read device identification


def _has_right_length(code: int, pdu: bytes) -> bool:
    if code in _FIXED_LENGTH:
        return len(pdu) == _FIXED_LENGTH[code]
    if code in _BYTE_COUNT_AT:
        at = _BYTE_COUNT_AT[code]
        return len(pdu) > at and len(pdu) == at + 1 + pdu[at]
    return len(pdu) >= 5 and len(pdu) % 2 == 1  # diagnostics: a sub-function and whole words


def _has_right_values(code: int, pdu: bytes) -> bool:
    """What the library does not check; it knows the quantities of the plain reads itself."""
    if code == 5:
        return pdu[3:5] in (b"\xff\0", b"\0\0")
    if code == 15:
        bits = int.from_bytes(pdu[3:5])
        return 1 <= bits <= 1968 and pdu[5] == (bits + 7) // 8
    if code == 16:
        registers = int.from_bytes(pdu[3:5])
        return 1 <= registers <= 123 and pdu[5] == 2 * registers
    if code == 23:
        read, written = int.from_bytes(pdu[3:5]), int.from_bytes(pdu[7:9])
        return 1 <= read <= 125 and 1 <= written <= 121 and pdu[9] == 2 * written
    return code != 43 or 1 <= pdu[2] <= 4


class ResponseDecoder(DecodePDU):
    """Decodes responses as the library does, but gives an empty PDU for what makes no sense.

    The library gives None, whereupon its framer raises inside the event loop's callback. It also writes out every
    PDU as text for a debug log that nobody reads, which takes as long as decoding it.
    """

    def __init__(self) -> None:
        super().__init__(False)

    def decode(self, frame: bytes) -> ModbusPDU:
        """The response in `frame` (function code and what follows); `function_code` is 0 when it is none."""
        try:
            code = frame[0]
            response = ExceptionResponse(code & 0x7F) if code & 0x80 else self.pdu_table[code][1]()
            response.decode(frame[1:])
        except (KeyError, *_DECODING_ERRORS):
            return ModbusPDU()
        return response
