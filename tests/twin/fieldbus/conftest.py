"""A station with one point of every datatype, whose writes are written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin.core import PointTable
from twin.fieldbus import (
    BankStation,
    DeviceIdentity,
    Peer,
    RegisterBank,
    RegisterMap,
    Responder,
    Write,
)

HERE = Path(__file__).parent


class Rig:
    """A responder on `points.csv`; `refuse_with` makes the owner refuse, or fail, every write."""

    def __init__(self) -> None:
        self.map = RegisterMap(PointTable.load(HERE / "points.csv"))
        self.bank = RegisterBank(self.map)
        self.station = BankStation(self.bank, self.on_write)
        self.responder = Responder(self.station, DeviceIdentity("HF-RTU", "1.2.3"))
        self.requests: list[tuple[dict[str, bool | int | float], Peer]] = []
        self.refuse_with: Exception | None = None
        self.peer = Peer("127.0.0.1", 0, 1)

    def on_write(self, writes: tuple[Write, ...], peer: Peer) -> None:
        if self.refuse_with is not None:
            raise self.refuse_with
        self.requests.append(({write.point.tag: write.value for write in writes}, peer))
        for write in writes:
            self.bank.set(write.point.tag, write.value)

    @property
    def written(self) -> list[dict[str, bool | int | float]]:
        return [writes for writes, _ in self.requests]

    @staticmethod
    def adu(pdu: str, *, unit: int = 1, transaction: int = 0x1234) -> bytes:
        body = bytes.fromhex(pdu)
        return transaction.to_bytes(2) + b"\0\0" + (len(body) + 1).to_bytes(2) + bytes([unit]) + body

    def ask(self, pdu: str, *, unit: int = 1) -> str:
        """The response's PDU in hexadecimal, its header checked."""
        answer = self.responder.respond(self.adu(pdu, unit=unit), self.peer)
        assert answer is not None
        assert answer[:4] == b"\x12\x34\0\0"
        assert int.from_bytes(answer[4:6]) == len(answer) - 6
        assert answer[6] == unit
        return answer[7:].hex()


@pytest.fixture
def rig() -> Rig:
    return Rig()
