"""The whole of Modbus below the socket: a request's bytes in, the response's bytes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pymodbus.constants import DeviceInformation
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsResponse,
    ReadDiscreteInputsResponse,
    WriteMultipleCoilsResponse,
    WriteSingleCoilResponse,
)
from pymodbus.pdu.diag_message import ReturnQueryDataResponse
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse
from pymodbus.pdu.register_message import (
    MaskWriteRegisterResponse,
    ReadHoldingRegistersResponse,
    ReadInputRegistersResponse,
    ReadWriteMultipleRegistersResponse,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterResponse,
)

from twin.fieldbus.errors import ExceptionCode, ModbusRefusal
from twin.fieldbus.modbus.mbap import HEADER, FramingError, frame_length
from twin.fieldbus.modbus.pdus import parse_request
from twin.fieldbus.modbus.station import Station
from twin.fieldbus.peer import Peer

# Which objects each kind of stream access reaches (application protocol 1.1b3, clause 6.21).
_LAST_OBJECT: Final = {DeviceInformation.BASIC: 0x02, DeviceInformation.REGULAR: 0x7F, DeviceInformation.EXTENDED: 0xFF}
_EXTENDED: Final = 0x80  # the first of a device's own objects
_ITSELF: Final = (0x00, 0xFF)


@dataclass(frozen=True)
class DeviceIdentity:
    """What function 43/14 tells: texts in ASCII, at most 80 characters each.

    Attributes:
        product_code, revision, vendor_name: The basic objects, which never change.
        extended: The device's own objects, from 0x80 on; asked for at each request, because they may change.

    Raises:
        ValueError: A text of a basic object is empty, too long, or not ASCII.
    """

    product_code: str
    revision: str
    vendor_name: str = "Holdfast"
    extended: Callable[[], Sequence[str]] = tuple

    def __post_init__(self) -> None:
        for text in self._basic.values():
            if not (text.isascii() and 0 < len(text) <= 80):
                raise ValueError(f"`{text}` cannot identify a device; it must be 1 to 80 ASCII characters")

    @property
    def objects(self) -> dict[int, str]:
        """Object identifiers and texts as they are now (application protocol 1.1b3, clause 6.21)."""
        return self._basic | dict(enumerate(self.extended(), start=_EXTENDED))

    @property
    def conformity(self) -> int:
        """Which objects there are: basic ones, or extended ones too; by stream and by individual access."""
        return 0x83 if self.extended() else 0x81

    @property
    def _basic(self) -> dict[int, str]:
        return {0: self.vendor_name, 1: self.product_code, 2: self.revision}


class Responder:
    """Answers for one station, whatever wire the bytes come by.

    Attributes:
        failures: How often the station failed (it raised something other than a refusal); each was answered 04.
        last_failure: The latest of them, or None.
    """

    def __init__(self, station: Station, identity: DeviceIdentity) -> None:
        self.failures = 0
        self.last_failure: Exception | None = None
        self._station = station
        self._identity = identity
        self._sessions = 0
        self._framer = FramerSocket(DecodePDU(True))

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
        code = adu[HEADER]
        try:
            return self._frame(adu, self._answer(adu[6], adu[HEADER:], peer))
        except ModbusRefusal as refusal:
            return self._frame(adu, ExceptionResponse(code & 0x7F, refusal.code))
        except Exception as failure:
            self.failures += 1
            self.last_failure = failure
            return self._frame(adu, ExceptionResponse(code & 0x7F, ExceptionCode.SERVER_DEVICE_FAILURE))

    def _frame(self, adu: bytes, response: ModbusPDU) -> bytes:
        response.transaction_id = (adu[0] << 8) | adu[1]
        response.dev_id = adu[6]
        return self._framer.buildFrame(response)

    def _answer(self, unit: int, pdu: bytes, peer: Peer) -> ModbusPDU:
        unit = self._resolve(unit)
        request = parse_request(pdu)
        return _ANSWERS[request.function_code](self, request, unit, peer)

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

    def _read_coils(self, request: ModbusPDU, unit: int, peer: Peer) -> ModbusPDU:
        cells = self._station.read(unit, "coil", request.address, request.count, peer)
        return ReadCoilsResponse(bits=_bits(cells, request.count))

    def _read_discrete_inputs(self, request: ModbusPDU, unit: int, peer: Peer) -> ModbusPDU:
        cells = self._station.read(unit, "discrete", request.address, request.count, peer)
        return ReadDiscreteInputsResponse(bits=_bits(cells, request.count))

    def _read_holding_registers(self, request: ModbusPDU, unit: int, peer: Peer) -> ModbusPDU:
        cells = self._station.read(unit, "holding", request.address, request.count, peer)
        return ReadHoldingRegistersResponse(registers=_registers(cells, request.count))

    def _read_input_registers(self, request: ModbusPDU, unit: int, peer: Peer) -> ModbusPDU:
        cells = self._station.read(unit, "input", request.address, request.count, peer)
        return ReadInputRegistersResponse(registers=_registers(cells, request.count))

    def _write_coil(self, request: ModbusPDU, unit: int, peer: Peer) -> ModbusPDU:
        self._station.write(unit, "coil", request.address, [int(request.bits[0])], peer)
        return WriteSingleCoilResponse(address=request.address, bits=request.bits)

    def _write_register(self, request: ModbusPDU, unit: int, peer: Peer) -> ModbusPDU:
        self._station.write(unit, "holding", request.address, request.registers, peer)
        return WriteSingleRegisterResponse(address=request.address, registers=request.registers)

    def _write_coils(self, request: ModbusPDU, unit: int, peer: Peer) -> ModbusPDU:
        self._station.write(unit, "coil", request.address, [int(bit) for bit in request.bits], peer)
        return WriteMultipleCoilsResponse(address=request.address, count=request.count)

    def _write_registers(self, request: ModbusPDU, unit: int, peer: Peer) -> ModbusPDU:
        self._station.write(unit, "holding", request.address, request.registers, peer)
        return WriteMultipleRegistersResponse(address=request.address, count=request.count)

    def _mask_write(self, request: Any, unit: int, peer: Peer) -> ModbusPDU:  # noqa: ANN401
        (now,) = self._station.read(unit, "holding", request.address, 1, peer)
        masked = (now & request.and_mask) | (request.or_mask & ~request.and_mask & 0xFFFF)
        self._station.write(unit, "holding", request.address, [masked], peer)
        return MaskWriteRegisterResponse(request.address, request.and_mask, request.or_mask)

    def _read_write(self, request: Any, unit: int, peer: Peer) -> ModbusPDU:  # noqa: ANN401
        # The write comes first (clause 6.17), but a read that cannot be must stop it.
        self._station.read(unit, "holding", request.read_address, request.read_count, peer)
        self._station.write(unit, "holding", request.write_address, request.write_registers, peer)
        cells = self._station.read(unit, "holding", request.read_address, request.read_count, peer)
        return ReadWriteMultipleRegistersResponse(registers=_registers(cells, request.read_count))

    def _echo(self, request: Any, _unit: int, _peer: Peer) -> ModbusPDU:  # noqa: ANN401
        return ReturnQueryDataResponse(message=request.message)

    def _identify(self, request: Any, _unit: int, _peer: Peer) -> ModbusPDU:  # noqa: ANN401
        objects, first = self._identity.objects, request.object_id
        if request.read_code == DeviceInformation.SPECIFIC:
            if first not in objects:
                raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_ADDRESS, f"there is no object {first}")
            told = {first: objects[first]}
        else:
            last = _LAST_OBJECT[request.read_code]
            # A stream starts anew at an object that it does not reach.
            begin = first if first in objects and first <= last else 0
            told = {at: text for at, text in objects.items() if begin <= at <= last}
        response = ReadDeviceInformationResponse(request.read_code, told)
        response.conformity = self._identity.conformity
        return response


def _bits(cells: Sequence[int], count: int) -> list[bool]:
    return [bool(cell) for cell in _registers(cells, count)]


def _registers(cells: Sequence[int], count: int) -> Sequence[int]:
    if len(cells) != count:
        raise ValueError(f"the station gave {len(cells)} cells where {count} were asked for")
    return cells


_ANSWERS: Final[dict[int, Callable[[Responder, Any, int, Peer], ModbusPDU]]] = {
    1: Responder._read_coils,
    2: Responder._read_discrete_inputs,
    3: Responder._read_holding_registers,
    4: Responder._read_input_registers,
    5: Responder._write_coil,
    6: Responder._write_register,
    8: Responder._echo,
    15: Responder._write_coils,
    16: Responder._write_registers,
    22: Responder._mask_write,
    23: Responder._read_write,
    43: Responder._identify,
}
