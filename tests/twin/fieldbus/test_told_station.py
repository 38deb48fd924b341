"""Whoever is told of writes learns the very code that the client gets."""

import pytest

from twin.core.points import Table
from twin.fieldbus import Answered, ExceptionCode, ModbusRefusal, Peer, Refusal, ToldStation

PEER = Peer("127.0.0.9", 50_000, 7)


class Station:
    """Raises what it is given, whatever is written."""

    units = frozenset({1})

    def __init__(self, failure: Exception | None) -> None:
        self.failure = failure

    def read(self, unit: int, table: Table, address: int, count: int, peer: Peer) -> list[int]:
        return [unit, address, count]

    def write(self, unit: int, table: Table, address: int, cells: list[int], peer: Peer) -> None:
        if self.failure is not None:
            raise self.failure


@pytest.mark.parametrize(
    ("failure", "refusal"),
    [
        (None, 0),
        (ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE), 3),
        (Refusal("busy", "later"), 6),
        (ZeroDivisionError(), 4),
    ],
)
def test_every_write_is_told_with_its_answer(failure, refusal):
    told = []
    station = ToldStation(Station(failure), told.append)
    if failure is None:
        station.write(1, "holding", 5, [1, 2], PEER)
    else:
        with pytest.raises(type(failure)):
            station.write(1, "holding", 5, [1, 2], PEER)
    assert told == [Answered(PEER, 1, "holding", 5, (1, 2), refusal)]


def test_reads_pass_untold():
    told = []
    station = ToldStation(Station(None), told.append)
    assert (station.read(1, "input", 3, 2, PEER), station.units, told) == ([1, 3, 2], frozenset({1}), [])
