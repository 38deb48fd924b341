"""A station whose writes somebody else is told of, whatever becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twin.core.points import Table
from twin.fieldbus.modbus.responder import native_code
from twin.fieldbus.modbus.station import Station
from twin.fieldbus.peer import Peer


@dataclass(frozen=True)
class Answered:
    """A write that a client asked for, and its answer.

    Attributes:
        peer: Who asked.
        unit, table, start, cells: What for, as it stood in the request.
        refusal: The Modbus exception code of the answer; 0 if it was carried out.
    """

    peer: Peer
    unit: int
    table: Table
    start: int
    cells: tuple[int, ...]
    refusal: int


class ToldStation:
    """Answers as `station` does, and calls `told` with every write once it is answered."""

    def __init__(self, station: Station, told: Callable[[Answered], None]) -> None:
        self._station, self._told = station, told

    @property
    def units(self) -> frozenset[int]:
        """The units of the station itself."""
        return self._station.units

    def read(self, unit: int, table: Table, address: int, count: int, peer: Peer) -> Sequence[int]:
        """What the station answers."""
        return self._station.read(unit, table, address, count, peer)

    def write(self, unit: int, table: Table, address: int, cells: Sequence[int], peer: Peer) -> None:
        """What the station makes of it."""
        refusal = 0
        try:
            self._station.write(unit, table, address, cells, peer)
        except Exception as failure:
            refusal = int(native_code(failure))
            raise
        finally:
            self._told(Answered(peer, unit, table, address, tuple(cells), refusal))
