"""The whole of Modbus below the socket: a request's bytes in, the response's bytes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pymodbus.pdu.bit_message import WriteMultipleCoilsResponse
from pymodbus.pdu.register_message import MaskWriteRegisterResponse, WriteMultipleRegistersResponse

from twin.core.points import Table
from twin.fieldbus.errors import ExceptionCode, ModbusRefusal
from twin.fieldbus.modbus.diagnostics import Counters, diagnose
from twin.fieldbus.modbus.identity import DeviceIdentity, identify
from twin.fieldbus.modbus.mbap import HEADER, FramingError, frame_length
from twin.fieldbus.modbus.pdus import (
    READ_TABLES,
    bits_payload,
    encode,
    parse_write,
    read_span,
    registers_payload,
)
from twin.fieldbus.modbus.station import Station
from twin.fieldbus.peer import Peer
from twin.fieldbus.refusal import ReasonKind, Refusal

NATIVE_CODES: Final[dict[ReasonKind, ExceptionCode]] = {
    # Modbus/TCP Security answers a caller without authority by 01 (clause 8.4), and 01 is for "a server in the wrong
    # state to process a request" too (application protocol 1.1b3, clause 7).
    "not_allowed": ExceptionCode.ILLEGAL_FUNCTION,
    "wrong_state": ExceptionCode.ILLEGAL_FUNCTION,
    "unknown": ExceptionCode.ILLEGAL_DATA_ADDRESS,
    "not_readable": ExceptionCode.ILLEGAL_DATA_ADDRESS,
    "not_writable": ExceptionCode.ILLEGAL_DATA_ADDRESS,
    "wrong_type": ExceptionCode.ILLEGAL_DATA_VALUE,
    "out_of_range": ExceptionCode.ILLEGAL_DATA_VALUE,
    "busy": ExceptionCode.SERVER_DEVICE_BUSY,
    "unreachable": ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND,
    "failed": ExceptionCode.SERVER_DEVICE_FAILURE,
}
"""How Modbus says what a station refuses with."""


def native_code(failure: Exception) -> ExceptionCode:
    """The exception code by which a client is told of what a station raised."""
    if isinstance(failure, ModbusRefusal):
        return failure.code
    return NATIVE_CODES[failure.reason_kind] if isinstance(failure, Refusal) else ExceptionCode.SERVER_DEVICE_FAILURE


_ITSELF: Final = (0x00, 0xFF)


class Responder:
    """Answers for one station, whatever wire the bytes come by.

    Attributes:
        counters: What function 08 tells.
        failures: How often the station failed (it raised something other than a refusal); each was answered 04.
        last_failure: The latest of them, or None.
    """

    def __init__(self, station: Station, identity: DeviceIdentity) -> None:
        self.counters = Counters()
        self.failures = 0
        self.last_failure: Exception | None = None
        self._station = station
        self._identity = identity
        self._sessions = 0

    def admit(self, address: str, port: int) -> Peer:
        """Number a new connection."""
        self._sessions += 1
        return Peer(address, port, self._sessions)

    def respond(self, adu: bytes, peer: Peer) -> bytes | None:
        """The response to one request, both with their MBAP header; never raises.

        None when `adu` is not exactly one frame: there is nothing that could be answered.
        """
        try:
            if not adu or frame_length(adu) != len(adu):
                return None
        except FramingError:
            return None
        self.counters.messages += 1
        try:
            pdu = self._answer(adu[6], adu[HEADER:], peer)
        except Exception as failure:
            if not isinstance(failure, ModbusRefusal | Refusal):
                self.failures += 1
                self.last_failure = failure
            pdu = self._refused(adu[HEADER], native_code(failure))
        return adu[:4] + (len(pdu) + 1).to_bytes(2) + adu[6:7] + pdu

    def _refused(self, function: int, code: ExceptionCode) -> bytes:
        self.counters.exceptions += 1
        if code is ExceptionCode.SERVER_DEVICE_BUSY:
            self.counters.busy += 1
        return bytes([function | 0x80, code])

    def _answer(self, unit: int, pdu: bytes, peer: Peer) -> bytes:
        unit = self._resolve(unit)
        self.counters.server_messages += 1
        code = pdu[0]
        table = READ_TABLES.get(code)
        if table is not None:
            address, count = read_span(pdu, table)
            cells = self._read(unit, table, address, count, peer)
            payload = bits_payload(cells) if code <= 2 else registers_payload(cells)
            return pdu[:1] + payload
        if code == 8:
            return diagnose(pdu, self.counters)
        if code == 43:
            return identify(pdu, self._identity)
        return _WRITES.get(code, _unknown)(self, pdu, unit, peer)

    def _resolve(self, unit: int) -> int:
        """The unit meant; 0 and 255 mean the device itself, where there is only one to mean.

        So says the messaging guide (1.0b, clause 4.4.2.2) for a server that is addressed by its IP address; as a
        gateway to several units it cannot tell which.
        """
        units = self._station.units
        if unit in units:
            return unit
        if unit in _ITSELF and len(units) == 1:
            return next(iter(units))
        raise ModbusRefusal(ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND, f"there is no unit {unit}")

    def _read(self, unit: int, table: Table, address: int, count: int, peer: Peer) -> Sequence[int]:
        cells = self._station.read(unit, table, address, count, peer)
        if len(cells) != count:
            raise ValueError(f"the station gave {len(cells)} cells where {count} were asked for")
        return cells

    def _write_coil(self, pdu: bytes, unit: int, peer: Peer) -> bytes:
        request = parse_write(pdu)
        self._station.write(unit, "coil", request.address, [int(request.bits[0])], peer)
        return pdu

    def _write_register(self, pdu: bytes, unit: int, peer: Peer) -> bytes:
        request = parse_write(pdu)
        self._station.write(unit, "holding", request.address, request.registers, peer)
        return pdu

    def _write_coils(self, pdu: bytes, unit: int, peer: Peer) -> bytes:
        request = parse_write(pdu)
        self._station.write(unit, "coil", request.address, [int(bit) for bit in request.bits], peer)
        return encode(WriteMultipleCoilsResponse(address=request.address, count=request.count))

    def _write_registers(self, pdu: bytes, unit: int, peer: Peer) -> bytes:
        request = parse_write(pdu)
        self._station.write(unit, "holding", request.address, request.registers, peer)
        return encode(WriteMultipleRegistersResponse(address=request.address, count=request.count))

    def _mask_write(self, pdu: bytes, unit: int, peer: Peer) -> bytes:
        request = parse_write(pdu)
        (now,) = self._read(unit, "holding", request.address, 1, peer)
        masked = (now & request.and_mask) | (request.or_mask & ~request.and_mask & 0xFFFF)
        self._station.write(unit, "holding", request.address, [masked], peer)
        return encode(MaskWriteRegisterResponse(request.address, request.and_mask, request.or_mask))

    def _read_write(self, pdu: bytes, unit: int, peer: Peer) -> bytes:
        request = parse_write(pdu)
        # The write comes first (clause 6.17), but a read that cannot be must stop it.
        self._read(unit, "holding", request.read_address, request.read_count, peer)
        self._station.write(unit, "holding", request.write_address, request.write_registers, peer)
        cells = self._read(unit, "holding", request.read_address, request.read_count, peer)
        return pdu[:1] + registers_payload(cells)


def _unknown(_responder: Responder, pdu: bytes, _unit: int, _peer: Peer) -> bytes:
    raise ModbusRefusal(ExceptionCode.ILLEGAL_FUNCTION, f"function {pdu[0]} is not served")


_WRITES: Final[dict[int, Callable[[Responder, bytes, int, Peer], bytes]]] = {
    5: Responder._write_coil,
    6: Responder._write_register,
    15: Responder._write_coils,
    16: Responder._write_registers,
    22: Responder._mask_write,
    23: Responder._read_write,
}
