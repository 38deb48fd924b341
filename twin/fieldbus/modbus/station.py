"""What stands behind a Modbus server: the station that is read and asked to write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from twin.core import Point
from twin.core.points import Table
from twin.fieldbus.errors import ExceptionCode, ModbusRefusal
from twin.fieldbus.modbus.bank import RegisterBank
from twin.fieldbus.modbus.codec import Value
from twin.fieldbus.peer import Peer


@dataclass(frozen=True)
class Write:
    """One point that a client asks to write, with the value in engineering units."""

    point: Point
    value: Value


class Station(Protocol):
    """The device that a responder speaks for; it answers at once and never waits.

    To refuse, both methods raise `ModbusRefusal`; anything else they raise is answered with 04.
    """

    @property
    def units(self) -> frozenset[int]:
        """The unit identifiers that exist."""
        ...

    def read(self, unit: int, table: Table, address: int, count: int, peer: Peer) -> Sequence[int]:
        """`count` cells from `address` on."""
        ...

    def write(self, unit: int, table: Table, address: int, cells: Sequence[int], peer: Peer) -> None:
        """Write neighbouring cells of a table of coils or holding registers: one request, all or nothing."""
        ...


class BankStation:
    """A station that reads from a register bank and turns a write into points and values.

    Args:
        bank: What clients read.
        on_write: Called once per request, with every point it would write, in order of address. It changes the bank
            where the write takes effect (the station itself never does), or raises `ModbusRefusal` and changes
            nothing.
    """

    def __init__(self, bank: RegisterBank, on_write: Callable[[tuple[Write, ...], Peer], None]) -> None:
        self._bank = bank
        self._on_write = on_write

    @property
    def units(self) -> frozenset[int]:
        """The units of the bank's map."""
        return self._bank.map.units

    def read(self, unit: int, table: Table, address: int, count: int, peer: Peer) -> list[int]:  # noqa: ARG002
        """What the bank holds; everyone may read."""
        return self._bank.read(unit, table, address, count)

    def write(self, unit: int, table: Table, address: int, cells: Sequence[int], peer: Peer) -> None:
        """Hand every point over to `on_write` in one call.

        Raises:
            ModbusRefusal: 02, when a cell belongs to no point; 03, when only half of a 32-bit point is written or a
                value lies outside its point's range; or what `on_write` refuses with.
        """
        writes: list[Write] = []
        done = 0
        while done < len(cells):
            write = self._write(unit, table, address + done, cells[done:])
            writes.append(write)
            done += write.point.width
        self._on_write(tuple(writes), peer)

    def _write(self, unit: int, table: Table, address: int, cells: Sequence[int]) -> Write:
        point = self._bank.map.at(unit, table, address)
        if point is None:
            reason = f"unit {unit} has no point at {table} {address}"
            raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_ADDRESS, reason)
        if point.modbus_address != address or point.width > len(cells):
            reason = f"`{point.tag}` takes {point.width} registers, which are written together"
            raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, reason)
        codec = self._bank.map.codec(point)
        value = codec.decode(cells)
        if not codec.admits(cells):
            reason = f"`{point.tag}` cannot be {value:g}; it is within {point.low:g} to {point.high:g} {point.unit}"
            raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, reason.rstrip())
        return Write(point, value)
