"""One twin: a plant, its field server, the controller between, and the wires, on one clock.

Protected and unprotected twins are made by the same code from the same image; the only thing that differs is the
policy that is handed in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed
from typing import Any, Literal, TypeVar

from secureos.kernel import Image
from secureos.kernel.isolation import Nursery
from secureos.policy import Policy
from twin.controller import ClientPort, Controller, FieldWire, IsolatedTasks
from twin.core import Clock, Phase, Plant, PlantKind, Recorder, Streams, ns
from twin.core.points import Table
from twin.fieldbus import (
    Answered,
    BankStation,
    Capture,
    DeviceIdentity,
    Endpoint,
    Exchanges,
    FieldbusError,
    Impairment,
    Link,
    LinkedClient,
    ModbusClient,
    Peer,
    RegisterBank,
    RegisterMap,
    Tap,
    TappedResponder,
    TcpWire,
    ToldStation,
    Value,
    Wire,
    WireSide,
    Write,
)
from twin.scada import OperatorStation
from twin.witness import VerdictWitness

SCAN_NS = ns(0.1)
POLL_NS = ns(1.0)

# How long a caller waits for an answer, in simulated time.
FIELD_TIMEOUT_NS = ns(1.0)
SCADA_TIMEOUT_NS = ns(3.0)

# Every part of a twin has an address of its own, all of them on the loopback network.
FIELD_HOST = "127.0.0.1"
SCADA_HOST = "127.0.0.1"
OPERATOR_HOST = "127.0.1.10"

REVISION = installed("holdfast")

Answer = TypeVar("Answer")


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


@dataclass(frozen=True)
class Asked:
    """A write that a client asked of the gateway, stamped with the instant at which it took effect.

    Attributes:
        at_ns: Simulated nanoseconds.
        address, session: Who asked.
        unit, table, start, cells: What for, as it stood in the request.
        refusal: The Modbus exception code of the answer; 0 if it was carried out.
    """

    at_ns: int
    address: str
    session: int
    unit: int
    table: Table
    start: int
    cells: tuple[int, ...]
    refusal: int


Journal = Callable[[Asked], None]


class Twin:
    """A plant with its control system.

    Args:
        kind: Which plant.
        image, policy: What its controller runs, and what is granted there at its start.
        wire: How the parts talk: TCP, or the same PDUs in memory.
        seed: For every random stream of this twin.
        settings: The plant's initial condition.
        live: Whether it serves strangers on the wall clock for as long as anyone likes: then the record is only
            hashed, and a wire between its own parts that breaks is mended instead of ending the run.
        scada_wire: Another wire for the SCADA side, where strangers come; `wire` if it is left out.
        nursery: Where the processes of the controller's tasks come from; left out, its tasks run in this process.
            Isolated tasks speak over TCP alone.
        capture: What is to keep the traffic of both wires; left out, nothing does.
        policy_version: Of the policy, as it was signed.

    Attributes:
        links: Both wires, and what is wrong with them.
        isolated: The processes of the controller's tasks, once connected; None where it has none of its own.
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
        live: bool = False,
        scada_wire: Wire | None = None,
        nursery: Nursery | None = None,
        capture: Capture | None = None,
        policy_version: int = 0,
    ) -> None:
        self.kind = kind
        self.image = image
        self.policy = policy
        self._policy_version = policy_version
        self.wire = wire
        self.clock = Clock()
        self.streams = Streams(seed)
        self.recorder = Recorder(keep=not live)
        self._live = live
        self._scada_wire = scada_wire or wire
        self.plant = kind.build(self.clock, self.streams, self.recorder, settings or {})
        self.links: dict[WireSide, Link] = {
            "field": Link("field", self.streams),
            "scada": Link("scada", self.streams),
        }
        self._capture = capture
        self._taps: dict[WireSide, Tap] = {}
        self._sessions: dict[WireSide, int] = {"field": 0, "scada": 0}
        self._scans = Exchanges(
            self.clock,
            self.links["field"],
            "controller.scan",
            phase=Phase.SCAN,
            timeout_ns=FIELD_TIMEOUT_NS,
            carry_out=self._scan,
            take=lambda *_: None,
            polls=True,
        )
        self._polls = Exchanges(
            self.clock,
            self.links["scada"],
            "scada.poll",
            phase=Phase.RECORD,
            timeout_ns=SCADA_TIMEOUT_NS,
            carry_out=self._poll,
            take=self._take_poll,
            polls=True,
        )
        self.clock.on("controller.scan", lambda _: self._scans.begin())
        self.clock.on("scada.poll", lambda _: self._polls.begin())
        self.controller: Controller
        self.operator: OperatorStation
        self.field_endpoint: Endpoint
        self.scada_endpoint: Endpoint
        self._open: list[ModbusClient] = []
        self._nursery = nursery
        self.isolated: IsolatedTasks | None = None
        self._field: ModbusClient | FieldWire

    @property
    def isolation(self) -> Literal["none", "process"]:
        """Whether the controller's tasks run in this process, or each in one of its own."""
        return "none" if self._nursery is None else "process"

    async def connect(
        self, *, field_port: int = 0, scada_port: int = 0, host: str = SCADA_HOST, journal: Journal | None = None
    ) -> None:
        """Open the wires and boot the controller; nothing moves yet.

        Args:
            field_port: TCP port of the plant's server; 0 takes any free one.
            scada_port: TCP port of the gateway; 0 takes any free one.
            host: The address on which the gateway listens.
            journal: Is told of every write that a client asks of the gateway, and of its answer.

        Raises:
            FieldbusError: A port is in use.
            StartRefused: The policy did not let a task start.
        """
        self._taps = {"field": self._tap("field", FIELD_HOST), "scada": self._tap("scada", host)}
        terminals = TappedResponder(
            PlantStation(self.plant), DeviceIdentity(f"{self.kind.name} field", REVISION), self._taps["field"]
        )
        self.field_endpoint = await self.wire.serve(terminals, host=FIELD_HOST, port=field_port)
        identity = DeviceIdentity(f"{self.kind.name} controller", REVISION, extended=lambda: self.controller.in_force)
        if self._nursery is None:
            self.scada_endpoint = await self._boot(identity, host, scada_port, journal)
        else:
            self.scada_endpoint = self._boot_isolated(self._nursery, identity, host, scada_port, journal)
        # An address of the operator's own exists on the loopback network only.
        self._scada = await self._client("scada", OPERATOR_HOST if host.startswith("127.") else None)
        self.operator = OperatorStation(self._scada, self.plant.points)

    def start(self) -> None:
        """Enter the work of plant, controller and supervision into the agenda."""
        self.plant.start()
        self.clock.every(SCAN_NS, "controller.scan", phase=Phase.SCAN)
        self.clock.every(POLL_NS, "scada.poll", phase=Phase.RECORD)

    async def station(self, host: str) -> OperatorStation:
        """A further client of the gateway, from the address `host`."""
        client = await self._client("scada", host)
        return OperatorStation(client, self.plant.points)

    def impair(self, side: WireSide, name: str, impairment: Impairment) -> None:
        """Let something go wrong with a wire from now on, and record it."""
        self.links[side].begin(name, impairment)
        self.recorder.event(
            self.clock.now_ns, "malfunction", malfunction=name, wire=side, state="begun", **impairment.effects
        )

    def mend(self, name: str) -> None:
        """End what goes wrong under a name, and record it; where nothing does, nothing happens."""
        for side, link in self.links.items():
            if link.end(name):
                self.recorder.event(self.clock.now_ns, "malfunction", malfunction=name, wire=side, state="ended")

    async def close(self) -> None:
        """Close every connection and server."""
        for client in self._open:
            await client.close()
        if self.isolated is not None:
            self.isolated.close()
        await self._scada_wire.close()
        await self.wire.close()

    def snapshot(self) -> dict[str, Any]:
        """The whole state of this twin as plain values; between instants, on the memory wire."""
        return {
            "clock": self.clock.snapshot(),
            "streams": self.streams.snapshot(),
            "recorder": self.recorder.snapshot(),
            "plant": self.plant.snapshot(),
            "kernel": self.controller.kernel.snapshot(),
            "links": {side: link.snapshot() for side, link in self.links.items()},
            "exchanges": {"scans": self._scans.snapshot(), "polls": self._polls.snapshot()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave; the twin must be connected and not started."""
        self.clock.restore(state["clock"])
        self.streams.restore(state["streams"])
        self.recorder.restore(state["recorder"])
        self.plant.restore(state["plant"])
        self.controller.kernel.restore(state["kernel"])
        for side, link in self.links.items():
            link.restore(state["links"][side])
        self._scans.restore(state["exchanges"]["scans"])
        self._polls.restore(state["exchanges"]["polls"])

    async def _boot(self, identity: DeviceIdentity, host: str, port: int, journal: Journal | None) -> Endpoint:
        """Boot the controller in this process, and serve what its gateway answers with."""
        client = self._field = await self._client("field", FIELD_HOST)
        self.controller = self._controller(field=client)
        station = self.controller.station
        assert station is not None
        if journal is not None:
            station = ToldStation(station, lambda answered: journal(self._journalled(answered)))
        self._taps["scada"].witness = VerdictWitness(self.controller.kernel.audit)
        return await self._scada_wire.serve(
            TappedResponder(station, identity, self._taps["scada"]), host=host, port=port
        )

    def _boot_isolated(
        self, nursery: Nursery, identity: DeviceIdentity, host: str, port: int, journal: Journal | None
    ) -> Endpoint:
        """Boot the controller in processes of its tasks' own, and let its gateway serve who comes."""
        if not isinstance(self._scada_wire, TcpWire):
            raise TypeError("isolated tasks speak over TCP alone; a wire in memory does not reach them")
        limits = self._scada_wire.limits
        clients = ClientPort(limits, None if journal is None else lambda asked: journal(self._journalled(asked)))
        self._field = wire = FieldWire(self.field_endpoint, source_host=FIELD_HOST)
        self.isolated = IsolatedTasks(
            nursery, field=wire, port=clients, identity=identity, limits=limits, journal=journal is not None
        )
        endpoint = clients.listen(host, port)
        self.controller = self._controller(isolated=self.isolated)
        return endpoint

    def _controller(self, *, field: ModbusClient | None = None, isolated: IsolatedTasks | None = None) -> Controller:
        return Controller(
            self.image,
            self.policy,
            points=self.plant.points,
            clock=self.clock,
            policy_version=self._policy_version,
            field=field,
            isolated=isolated,
        )

    def _journalled(self, told: Answered) -> Asked:
        peer = told.peer
        at_ns = self.clock.now_ns
        return Asked(at_ns, peer.address, peer.session, told.unit, told.table, told.start, told.cells, told.refusal)

    def _tap(self, side: WireSide, server: str) -> Tap:
        place = {"field": "between controller and plant", "scada": "between supervision and controller"}[side]
        return Tap(self.links[side], server, now_ns=lambda: self.clock.now_ns, place=place, capture=self._capture)

    async def _client(self, side: WireSide, host: str | None) -> ModbusClient:
        """A client on a wire, connected. What isolated tasks answer is seen from the client's end alone."""
        field = side == "field"
        wire = self.wire if field else self._scada_wire
        endpoint = self.field_endpoint if field else self.scada_endpoint
        self._sessions[side] += 1
        client = LinkedClient(
            wire.client(endpoint, source_host=host),
            self.links[side],
            on_sent=self._taps[side].client_end(host or endpoint.host, self._sessions[side]),
            sees_all=not field and self._nursery is not None,
        )
        await client.connect()
        self._open.append(client)
        return client

    async def _scan(self, _: object) -> None:
        """One scan of the controller; isolated tasks that shall find the wire broken are left alone meanwhile."""
        if self.isolated is None or not self.links["field"].cut:
            await self._over("field", self._field, self.controller.scan)

    async def _poll(self, _: object) -> dict[str, Value] | None:
        return await self._over("scada", self._scada, self.operator.poll)

    def _take_poll(self, _: object, values: dict[str, Value] | None, answered: bool) -> None:
        if values is not None and answered:
            self.recorder.measured(self.clock.now_ns, values)

    async def _over(
        self, side: WireSide, client: ModbusClient | FieldWire, work: Callable[[], Awaitable[Answer]]
    ) -> Answer | None:
        """Do work that needs a wire; None if the request was lost on it, or a live twin's wire broke on the way.

        What was not read is not reported, so the policy soon knows nothing of the plant and refuses what it weighs.
        """
        try:
            return await work()
        except FieldbusError:
            if self.links[side].cut:
                return None
            if not self._live:
                raise
            await client.close()
            with contextlib.suppress(FieldbusError):  # the next scan tries again
                await client.connect()
            return None
