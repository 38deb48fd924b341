"""A gateway with one breaker that is selected before it is operated, and an operator at it, over either wire."""

import asyncio
from pathlib import Path

import pytest

from twin.core import PointTable, ns
from twin.fieldbus import (
    BankStation,
    DeviceIdentity,
    ExceptionCode,
    MemoryWire,
    ModbusRefusal,
    RegisterBank,
    RegisterMap,
    Responder,
    TcpWire,
)
from twin.scada import Operator, OperatorStation, Supervision

POINTS = PointTable.load(Path(__file__).parent / "points.csv")


class Gateway(BankStation):
    """Keeps a selection for as long as the test lets it; carries out what it is told to carry out."""

    def __init__(self):
        self.bank = RegisterBank(RegisterMap(POINTS))
        self.obeys = True
        self.refused = set()  # tables that answer no read
        self.written = []
        self.bank.set("BUS.V", 20.0)
        self.bank.set("TANK.L", 5.0)
        super().__init__(self.bank, self._take)

    def read(self, unit, table, address, count, peer):
        if (table, address) in self.refused:
            raise ModbusRefusal(ExceptionCode.SERVER_DEVICE_FAILURE, "nothing is known")
        return super().read(unit, table, address, count, peer)

    def _take(self, writes, peer):
        for write in writes:
            tag, value = write.point.tag, write.value
            selected = self.bank.read(1, "coil", 0, 1)[0]
            if tag == "CB.open" and not selected:
                raise ModbusRefusal(ExceptionCode.ILLEGAL_DATA_VALUE, "not selected")
            self.written.append((tag, value))
            if tag == "CB.open":
                self.bank.set("CB.select", False)
                self.bank.set("CB.opened", self.obeys)
            elif tag == "CB.select" or self.obeys:
                self.bank.set(tag, value)


class Room:
    """A control room of one operator; the test moves its time."""

    def __init__(self, gateway, wire, client):
        self.gateway, self.wire = gateway, wire
        self.station = OperatorStation(client, POINTS)
        self.supervision = Supervision(POINTS)
        self.operator = Operator("ann", self.station, self.supervision)
        self.at_ns = 0

    async def poll(self, seconds=1):
        for _ in range(seconds):
            self.at_ns += ns(1)
            self.supervision.observe(self.at_ns, await self.station.survey(self.at_ns))
            await self.operator.watch(self.at_ns)

    def blind(self, seconds):
        for _ in range(seconds):
            self.at_ns += ns(1)
            self.supervision.observe(self.at_ns, {})

    @property
    def told(self):
        return [(row.event, row.alarm) for row in self.supervision.journal]


@pytest.fixture(params=["memory", "tcp"])
def control_room(request):
    """Runs `await session(room)` and closes everything."""

    def run(session):
        async def whole():
            wire = MemoryWire() if request.param == "memory" else TcpWire()
            gateway = Gateway()
            endpoint = await wire.serve(Responder(gateway, DeviceIdentity("test", "1")))
            room = Room(gateway, wire, wire.client(endpoint))
            await room.station.connect()
            try:
                return await session(room)
            finally:
                await room.station.close()
                await wire.close()

        return asyncio.run(whole())

    return run
