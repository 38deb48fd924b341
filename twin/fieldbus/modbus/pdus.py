"""PDUs, from bytes and to bytes: the library's classes, parsed strictly, and a short way for what is always asked.

Reads are what a scan and a poll are made of, so their spans and payloads are packed here; a test holds them against
the library. Everything else goes through the library's own classes.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import WriteMultipleCoilsRequest, WriteSingleCoilRequest
from pymodbus.pdu.register_message import (
    MaskWriteRegisterRequest,
    ReadWriteMultipleRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from twin.core.points import Table
from twin.fieldbus.errors import ExceptionCode, ModbusRefusal
from twin.fieldbus.modbus.registers import MOST_READ, MOST_WRITTEN

READ_CODES: Final[dict[Table, int]] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
READ_TABLES: Final[dict[int, Table]] = {code: table for table, code in READ_CODES.items()}

_WRITES: Final[dict[int, type[ModbusPDU]]] = {
    5: WriteSingleCoilRequest,
    6: WriteSingleRegisterRequest,
    15: WriteMultipleCoilsRequest,
    16: WriteMultipleRegistersRequest,
    22: MaskWriteRegisterRequest,
    23: ReadWriteMultipleRegistersRequest,
}
_FIXED_LENGTH: Final = {5: 5, 6: 5, 22: 7}
_BYTE_COUNT_AT: Final = {15: 5, 16: 5, 23: 9}  # where the count of the bytes that follow stands
_DECODING_ERRORS: Final = (ModbusException, ValueError, IndexError, struct.error)

_SPAN: Final = struct.Struct(">BHH")
_REGISTERS: Final = tuple(struct.Struct(f">{count}H") for count in range(126))
_BITS: Final = tuple(tuple(bool(byte >> bit & 1) for bit in range(8)) for byte in range(256))
_DIGITS: Final = b"0" + b"1" * 255

# The library logs a line for every strange byte that comes in; that is for strangers to fill disks with. The level is
# set on the parent, so its own `pymodbus_apply_logging_config` still switches logging on.
_LOGGER = logging.getLogger("pymodbus")
if _LOGGER.level == logging.NOTSET:
    _LOGGER.setLevel(logging.CRITICAL)


def read_request(table: Table, address: int, count: int) -> bytes:
    """The PDU that asks for `count` cells of a table."""
    return _SPAN.pack(READ_CODES[table], address, count)


def read_span(pdu: bytes, table: Table) -> tuple[int, int]:
    """Address and count of a read (clauses 6.1 to 6.4).

    Raises:
        ModbusRefusal: 03 for a wrong length or quantity.
    """
    if len(pdu) != 5:
        raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, f"{len(pdu)} bytes cannot be a read")
    _, address, count = _SPAN.unpack(pdu)
    if not 1 <= count <= MOST_READ[table]:
        raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, f"{count} cells cannot be read at once")
    return address, count


def bits_payload(cells: Sequence[int]) -> bytes:
    """Byte count and bits, the first cell in the lowest bit of the first byte (1 to 2000 cells)."""
    size = (len(cells) + 7) // 8
    return bytes([size]) + int(bytes(cells).translate(_DIGITS)[::-1], 2).to_bytes(size, "little")


def registers_payload(cells: Sequence[int]) -> bytes:
    """Byte count and registers (1 to 125 cells)."""
    count = len(cells)
    return bytes([2 * count]) + _REGISTERS[count].pack(*cells)


def bits_of(pdu: bytes, count: int) -> list[bool] | None:
    """The bits in the answer to a read of `count` coils or discrete inputs; None if it carries something else."""
    size = (count + 7) // 8
    if len(pdu) != 2 + size or pdu[1] != size:
        return None
    return list(chain.from_iterable(map(_BITS.__getitem__, pdu[2:])))[:count]


def registers_of(pdu: bytes, count: int) -> list[int] | None:
    """The registers in the answer to a read of `count` of them; None if it carries something else."""
    if len(pdu) != 2 + 2 * count or pdu[1] != 2 * count:
        return None
    return list(_REGISTERS[count].unpack_from(pdu, 2))


def write_request(code: int, **fields: Any) -> bytes:  # noqa: ANN401 -- each class of the library has its own
    """The PDU of a write, as the library encodes it."""
    return encode(_WRITES[code](**fields))


def encode(pdu: ModbusPDU) -> bytes:
    """The bytes of one of the library's PDUs."""
    return bytes([pdu.function_code]) + pdu.encode()


def parse_write(pdu: bytes) -> Any:  # noqa: ANN401 -- each class of the library has its own fields
    """Decode the PDU of a write (function code and what follows, 1 to 253 bytes) as the library's class.

    Stricter than the library, which ignores trailing bytes, takes any value but 0 for a coil's ON and allows more
    coils in one write than the standard (application protocol 1.1b3, clauses 6.5, 6.6, 6.11, 6.12, 6.16 and 6.17).

    Raises:
        ModbusRefusal: 01 for a function that is not served; 03 for a wrong length, quantity, byte count or coil value.
    """
    code = pdu[0]
    if code not in _WRITES:
        raise ModbusRefusal(ExceptionCode.ILLEGAL_FUNCTION, f"function {code} is not served")
    if not _has_right_length(code, pdu):
        raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, f"{len(pdu)} bytes cannot be function {code}")
    if not _has_right_values(code, pdu):
        raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, f"a quantity or value of function {code} is illegal")
    request = _WRITES[code]()
    try:
        request.decode(pdu[1:])
    except _DECODING_ERRORS as failure:
        raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, str(failure)) from failure
    return request


def _has_right_length(code: int, pdu: bytes) -> bool:
    if code in _FIXED_LENGTH:
        return len(pdu) == _FIXED_LENGTH[code]
    at = _BYTE_COUNT_AT[code]
    return len(pdu) > at and len(pdu) == at + 1 + pdu[at]


def _has_right_values(code: int, pdu: bytes) -> bool:
    """What the library does not check."""
    if code == 5:
        return pdu[3:5] in (b"\xff\0", b"\0\0")
    if code == 15:
        bits = int.from_bytes(pdu[3:5])
        return 1 <= bits <= MOST_WRITTEN["coil"] and pdu[5] == (bits + 7) // 8
    if code == 16:
        registers = int.from_bytes(pdu[3:5])
        return 1 <= registers <= MOST_WRITTEN["holding"] and pdu[5] == 2 * registers
    if code == 23:
        read, written = int.from_bytes(pdu[3:5]), int.from_bytes(pdu[7:9])
        return 1 <= read <= 125 and 1 <= written <= 121 and pdu[9] == 2 * written
    return True
