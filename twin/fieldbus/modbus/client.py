"""What every Modbus client can do, whatever wire it speaks over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, Protocol

from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteMultipleCoilsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from twin.core.points import Table
from twin.fieldbus.errors import ExceptionCode, FieldbusError, ModbusRefusal
from twin.fieldbus.modbus.registers import MOST_READ, MOST_WRITTEN

_READS: Final[dict[Table, type[ModbusPDU]]] = {
    "coil": ReadCoilsRequest,
    "discrete": ReadDiscreteInputsRequest,
    "input": ReadInputRegistersRequest,
    "holding": ReadHoldingRegistersRequest,
}


class ModbusClient(Protocol):
    """One connection to a Modbus server; one request at a time.

    Every request raises `ModbusRefusal` when the server answers with an exception, `FieldbusError` when no sensible
    answer comes, and `ValueError` when it could never be sent (a quantity, address or value out of range).
    Addresses count from 0; units are 0 to 255.
    """

    async def connect(self) -> None:
        """Make the connection, unless there is one; a broken one can be made again."""
        ...

    async def close(self) -> None:
        """End the connection, if there is one."""
        ...

    async def read_bits(self, table: Table, address: int, count: int, *, unit: int = 1) -> list[bool]:
        """`count` coils or discrete inputs (1 to 2000)."""
        ...

    async def read_registers(self, table: Table, address: int, count: int, *, unit: int = 1) -> list[int]:
        """`count` input or holding registers (1 to 125)."""
        ...

    async def write_coil(self, address: int, value: bool, *, unit: int = 1) -> None:
        """Write one coil."""
        ...

    async def write_coils(self, address: int, values: Sequence[bool], *, unit: int = 1) -> None:
        """Write neighbouring coils (1 to 1968) in one request."""
        ...

    async def write_register(self, address: int, value: int, *, unit: int = 1) -> None:
        """Write one holding register (0 to 65535)."""
        ...

    async def write_registers(self, address: int, values: Sequence[int], *, unit: int = 1) -> None:
        """Write neighbouring holding registers (1 to 123, each 0 to 65535) in one request."""
        ...


class RequestingClient(ABC):
    """The requests that both clients share; each adds how bytes get to the server and back."""

    @abstractmethod
    async def _exchange(self, request: ModbusPDU) -> ModbusPDU:
        """Number the request, send it, and give the response as it was decoded."""

    async def read_bits(self, table: Table, address: int, count: int, *, unit: int = 1) -> list[bool]:
        """`count` coils or discrete inputs (1 to 2000)."""
        response = await self._read(table, ("coil", "discrete"), address, count, unit)
        if len(response.bits) != (count + 7) // 8 * 8:
            raise FieldbusError(f"asked for {count} bits, got {len(response.bits)}")
        return list(response.bits[:count])

    async def read_registers(self, table: Table, address: int, count: int, *, unit: int = 1) -> list[int]:
        """`count` input or holding registers (1 to 125)."""
        response = await self._read(table, ("input", "holding"), address, count, unit)
        if len(response.registers) != count:
            raise FieldbusError(f"asked for {count} registers, got {len(response.registers)}")
        return list(response.registers)

    async def write_coil(self, address: int, value: bool, *, unit: int = 1) -> None:
        """Write one coil."""
        _check_span(address, 1, 1)
        await self._write(WriteSingleCoilRequest(address=address, bits=[value], dev_id=unit))

    async def write_coils(self, address: int, values: Sequence[bool], *, unit: int = 1) -> None:
        """Write neighbouring coils (1 to 1968) in one request."""
        _check_span(address, len(values), MOST_WRITTEN["coil"])
        await self._write(WriteMultipleCoilsRequest(address=address, bits=list(values), dev_id=unit))

    async def write_register(self, address: int, value: int, *, unit: int = 1) -> None:
        """Write one holding register (0 to 65535)."""
        _check_registers(address, [value])
        await self._write(WriteSingleRegisterRequest(address=address, registers=[value], dev_id=unit))

    async def write_registers(self, address: int, values: Sequence[int], *, unit: int = 1) -> None:
        """Write neighbouring holding registers (1 to 123, each 0 to 65535) in one request."""
        _check_registers(address, values)
        await self._write(WriteMultipleRegistersRequest(address=address, registers=list(values), dev_id=unit))

    async def _read(self, table: Table, tables: tuple[Table, ...], address: int, count: int, unit: int) -> ModbusPDU:
        if table not in tables:
            raise ValueError(f"`{table}` is not among {', '.join(tables)}; bits and registers are read by two methods")
        _check_span(address, count, MOST_READ[table])
        return await self._ask(_READS[table](address=address, count=count, dev_id=unit))

    async def _write(self, request: ModbusPDU) -> None:
        response = await self._ask(request)
        if response.address != request.address:
            raise FieldbusError(f"wrote address {request.address}, but the answer is about {response.address}")

    async def _ask(self, request: ModbusPDU) -> ModbusPDU:
        response = await self._exchange(request)
        code = response.function_code
        if code & 0x7F != request.function_code or response.transaction_id != request.transaction_id:
            raise FieldbusError(f"the answer to function {request.function_code} makes no sense; is this Modbus?")
        if code & 0x80:
            raise _refusal(response.exception_code)
        return response


def _refusal(code: int) -> FieldbusError:
    try:
        return ModbusRefusal(ExceptionCode(code))
    except ValueError:
        return FieldbusError(f"the server answered exception {code:02X}, which Modbus does not know")


def _check_span(address: int, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise ValueError(f"{count} cells cannot be asked for at once; it takes 1 to {most}")
    if not 0 <= address <= 65536 - count:
        raise ValueError(f"{count} cells from address {address} do not lie within 0 to 65535")


def _check_registers(address: int, values: Sequence[int]) -> None:
    _check_span(address, len(values), MOST_WRITTEN["holding"])
    for value in values:
        if not 0 <= value <= 65535:
            raise ValueError(f"{value} does not fit a register (0 to 65535)")
