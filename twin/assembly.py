"""One twin: a plant, its field server, the controller between, and the wires, on one clock.

Protected and unprotected twins are made by the same code from the same image; the only thing that differs is the
policy that is handed in.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from importlib.metadata import version as installed
from typing import Any

import simpy

from secureos.kernel import Image
from secureos.policy import Policy
from twin.controller import Controller
from twin.core import Clock, Phase, Plant, PlantKind, Recorder, Streams, ns
from twin.core.points import Table
from twin.fieldbus import (
    BankStation,
    DeviceIdentity,
    Endpoint,
    ModbusClient,
    Peer,
    RegisterBank,
    RegisterMap,
    Responder,
    Wire,
    Write,
)
from twin.scada import OperatorStation

SCAN_NS = ns(0.1)
POLL_NS = ns(1.0)

# Every part of a twin has an address of its own, all of them on the loopback network.
FIELD_HOST = "127.0.0.1"
SCADA_HOST = "127.0.0.1"
OPERATOR_HOST = "127.0.1.10"

REVISION = installed("holdfast")


class PlantStation(BankStation):
    """The plant's own terminals: what its transmitters show is what a reader gets, whenever it asks."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._terminals = RegisterBank(RegisterMap(plant.points.side("field")))
        self._shown = -1
        super().__init__(self._terminals, self._command)

    def read(self, unit: int, table: Table, address: int, count: int, peer: Peer) -> list[int]:
        """The cells asked for, brought up to date first."""
        version = self._plant.version()
        if version != self._shown:
            self._shown = version
            for tag, value in self._plant.measured().items():
                self._terminals.set(tag, value)
        return super().read(unit, table, address, count, peer)

    def _command(self, writes: tuple[Write, ...], peer: Peer) -> None:  # noqa: ARG002 -- terminals ask nobody
        for write in writes:
            self._plant.command(write.point.tag, write.value)


class Twin:
    """A plant with its control system.

    Args:
        kind: Which plant.
        image, policy: What its controller runs, and what is granted there.
        wire: How the parts talk: TCP, or the same PDUs in memory.
        seed: For every random stream of this twin.
        settings: The plant's initial condition.
        keep_record: Whether the record's rows are kept (a run with an end) or only hashed.
    """

    def __init__(
        self,
        kind: PlantKind,
        image: Image,
        policy: Policy,
        *,
        wire: Wire,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        keep_record: bool = True,
    ) -> None:
        self.kind = kind
        self.image = image
        self.policy = policy
        self.wire = wire
        self.clock = Clock()
        self.streams = Streams(seed)
        self.recorder = Recorder(keep=keep_record)
        self.plant = kind.build(self.clock, self.streams, self.recorder, settings or {})
        self.clock.on("controller.scan", lambda _: self._scan())
        self.clock.on("scada.poll", lambda _: self._poll())
        self.controller: Controller
        self.operator: OperatorStation
        self.field_endpoint: Endpoint
        self.scada_endpoint: Endpoint
        self._open: list[ModbusClient] = []

    async def connect(self, *, field_port: int = 0, scada_port: int = 0, host: str = SCADA_HOST) -> None:
        """Open the wires and boot the controller; nothing moves yet.

        Args:
            field_port: TCP port of the plant's server; 0 takes any free one.
            scada_port: TCP port of the gateway; 0 takes any free one.
            host: The address on which the gateway listens.

        Raises:
            FieldbusError: A port is in use.
            StartRefused: The policy did not let a task start.
        """
        terminals = Responder(PlantStation(self.plant), DeviceIdentity(f"{self.kind.name} field", REVISION))
        self.field_endpoint = await self.wire.serve(terminals, host=FIELD_HOST, port=field_port)
        field_client = await self._client(self.field_endpoint, FIELD_HOST)
        self.controller = Controller(
            self.image,
            self.policy,
            points=self.plant.points,
            clock=self.clock,
            field=field_client,
        )
        gateway = Responder(self.controller.station, DeviceIdentity(f"{self.kind.name} controller", REVISION))
        self.scada_endpoint = await self.wire.serve(gateway, host=host, port=scada_port)
        self.operator = await self.station(OPERATOR_HOST)

    def start(self) -> None:
        """Enter the work of plant, controller and supervision into the agenda."""
        self.plant.start()
        self.clock.every(SCAN_NS, "controller.scan", phase=Phase.SCAN)
        self.clock.every(POLL_NS, "scada.poll", phase=Phase.RECORD)

    async def station(self, host: str) -> OperatorStation:
        """A further client of the gateway, from the address `host`."""
        return OperatorStation(await self._client(self.scada_endpoint, host), self.plant.points)

    async def close(self) -> None:
        """Close every connection and server."""
        for client in self._open:
            await client.close()
        await self.wire.close()

    def snapshot(self) -> dict[str, Any]:
        """The whole state of this twin as plain values; between instants, on the memory wire."""
        return {
            "clock": self.clock.snapshot(),
            "streams": self.streams.snapshot(),
            "recorder": self.recorder.snapshot(),
            "plant": self.plant.snapshot(),
            "kernel": self.controller.kernel.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave; the twin must be connected and not started."""
        self.clock.restore(state["clock"])
        self.streams.restore(state["streams"])
        self.recorder.restore(state["recorder"])
        self.plant.restore(state["plant"])
        self.controller.kernel.restore(state["kernel"])

    async def _client(self, endpoint: Endpoint, host: str) -> ModbusClient:
        client = self.wire.client(endpoint, source_host=host)
        await client.connect()
        self._open.append(client)
        return client

    def _scan(self) -> Generator[simpy.Event, Any, None]:
        yield self.clock.io(self.controller.scan())

    def _poll(self) -> Generator[simpy.Event, Any, None]:
        values = yield self.clock.io(self.operator.poll())
        self.recorder.measured(self.clock.now_ns, values)
