"""What every Modbus client can do, whatever wire it speaks over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, Protocol

from twin.core.points import Table
from twin.fieldbus.errors import ExceptionCode, ModbusRefusal, NoAnswer
from twin.fieldbus.modbus.pdus import bits_of, read_request, registers_of, write_request
from twin.fieldbus.modbus.registers import MOST_READ, MOST_WRITTEN, Block

Request = tuple[int, bytes]
"""Unit and PDU of a request."""

_BIT_TABLES: Final[tuple[Table, ...]] = ("coil", "discrete")
_REGISTER_TABLES: Final[tuple[Table, ...]] = ("input", "holding")


class ModbusClient(Protocol):
    """One connection to a Modbus server; one request at a time.

    Every request raises `ModbusRefusal` when the server answers with an exception; `NoAnswer` when it was sent and no
    sensible answer came, so that a write may or may not have been carried out; another `FieldbusError` when it was not
    sent; and `ValueError` when it could never be (a quantity, address or value out of range). Nothing is ever sent
    twice. Addresses count from 0; units are 0 to 255.
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

    async def read_blocks(self, blocks: Sequence[Block]) -> list[list[int]]:
        """The cells of several blocks (each what one read may carry; bits as 0 or 1), in their order."""
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
    """The requests that all clients share; each adds how bytes get to the server and back."""

    @abstractmethod
    async def exchange(self, unit: int, pdu: bytes) -> bytes:
        """Send the PDU of one request and give the PDU of the answer, whatever it says.

        Raises:
            NoAnswer: It was sent, and nothing came that could be its answer.
            FieldbusError: It was not sent.
        """

    async def exchange_all(self, requests: Sequence[Request]) -> list[bytes]:
        """Several requests, and their answers in the same order; one after the other, unless the wire can do better."""
        return [await self.exchange(unit, pdu) for unit, pdu in requests]

    async def read_bits(self, table: Table, address: int, count: int, *, unit: int = 1) -> list[bool]:
        """`count` coils or discrete inputs (1 to 2000)."""
        pdu = _read(table, _BIT_TABLES, address, count)
        return _bits(pdu, await self.exchange(unit, pdu), count)

    async def read_registers(self, table: Table, address: int, count: int, *, unit: int = 1) -> list[int]:
        """`count` input or holding registers (1 to 125)."""
        pdu = _read(table, _REGISTER_TABLES, address, count)
        return _registers(pdu, await self.exchange(unit, pdu), count)

    async def read_blocks(self, blocks: Sequence[Block]) -> list[list[int]]:
        """The cells of several blocks (each what one read may carry; bits as 0 or 1), in their order."""
        requests = [(block.unit, _read(block.table, (block.table,), block.address, block.count)) for block in blocks]
        answers = await self.exchange_all(requests)
        cells: list[list[int]] = []
        for block, (_, pdu), answer in zip(blocks, requests, answers, strict=True):
            decode = _bits if block.table in _BIT_TABLES else _registers
            cells.append([*decode(pdu, answer, block.count)])
        return cells

    async def write_coil(self, address: int, value: bool, *, unit: int = 1) -> None:
        """Write one coil."""
        _check_span(address, 1, 1)
        await self._write(unit, write_request(5, address=address, bits=[bool(value)]))

    async def write_coils(self, address: int, values: Sequence[bool], *, unit: int = 1) -> None:
        """Write neighbouring coils (1 to 1968) in one request."""
        _check_span(address, len(values), MOST_WRITTEN["coil"])
        await self._write(unit, write_request(15, address=address, bits=list(values)))

    async def write_register(self, address: int, value: int, *, unit: int = 1) -> None:
        """Write one holding register (0 to 65535)."""
        _check_registers(address, [value])
        await self._write(unit, write_request(6, address=address, registers=[value]))

    async def write_registers(self, address: int, values: Sequence[int], *, unit: int = 1) -> None:
        """Write neighbouring holding registers (1 to 123, each 0 to 65535) in one request."""
        _check_registers(address, values)
        await self._write(unit, write_request(16, address=address, registers=list(values)))

    async def _write(self, unit: int, pdu: bytes) -> None:
        answer = await self.exchange(unit, pdu)
        _check_answer(pdu, answer)
        # The answer repeats the request, or its first five bytes where it wrote several (clauses 6.5 to 6.12).
        if answer != pdu[:5]:
            raise NoAnswer(f"function {pdu[0]} was answered as if something else had been written")


def _read(table: Table, tables: tuple[Table, ...], address: int, count: int) -> bytes:
    if table not in tables:
        raise ValueError(f"`{table}` is not among {', '.join(tables)}; bits and registers are read by two methods")
    _check_span(address, count, MOST_READ[table])
    return read_request(table, address, count)


def _bits(pdu: bytes, answer: bytes, count: int) -> list[bool]:
    _check_answer(pdu, answer)
    bits = bits_of(answer, count)
    if bits is None:
        raise NoAnswer(f"asked for {count} bits, got {len(answer)} bytes that are no such answer")
    return bits


def _registers(pdu: bytes, answer: bytes, count: int) -> list[int]:
    _check_answer(pdu, answer)
    registers = registers_of(answer, count)
    if registers is None:
        raise NoAnswer(f"asked for {count} registers, got {len(answer)} bytes that are no such answer")
    return registers


def _check_answer(pdu: bytes, answer: bytes) -> None:
    """Raise what the answer to a request says, unless it says that all is well."""
    if answer[0] == pdu[0]:
        return
    if answer[0] != pdu[0] | 0x80 or len(answer) != 2:
        raise NoAnswer(f"the answer to function {pdu[0]} makes no sense; is this Modbus?")
    try:
        code = ExceptionCode(answer[1])
    except ValueError:
        raise NoAnswer(f"the server answered exception {answer[1]:02X}, which Modbus does not know") from None
    raise ModbusRefusal(code)


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
