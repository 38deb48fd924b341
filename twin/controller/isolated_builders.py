"""What is built inside the process of each isolated task: the same programs, around what the host passes in.

Nothing here opens a socket: field I/O is handed a stream to the plant, the gateway the connections of its clients.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import Any

from secureos.kernel.isolation import Built, Place
from twin.controller.control_logic import ControlLogic
from twin.controller.field_io import FieldIo
from twin.controller.gateway import ModbusGateway
from twin.core.points import Point, PointTable
from twin.fieldbus import Answered, DeviceIdentity, Peer, Responder, ServerLimits, Station, ToldStation
from twin.fieldbus.modbus.connection import Connection, Roster
from twin.fieldbus.modbus.stream_client import StreamModbusClient

Tell = Callable[[Any], None]


def points_as_values(points: PointTable) -> dict[str, Any]:
    """A table of points as plain values, for a task's settings."""
    return {"source": points.source, "rows": [astuple(point) for point in points]}


def field_io(place: Place) -> Built:
    """Field I/O over the stream that the host passes in; settings: `points`, `timeout_s`."""
    client = StreamModbusClient(timeout_s=place.settings["timeout_s"])

    def take(_value: object, descriptor: int | None) -> None:
        client.take(socket.socket(fileno=descriptor))

    place.heard["plant"] = take
    return Built(FieldIo(_points(place)), {"plant": client}, waits=True)


def control_logic(_place: Place) -> Built:
    """The control logic, which is granted nothing."""
    return Built(ControlLogic())


def gateway(place: Place) -> Built:
    """The gateway with its clients' connections; settings: `points`, `product`, `revision`, `limits`, `journal`."""
    settings = place.settings

    def tell(value: object) -> None:
        place.tell("modbus", value)

    own: list[str] = []
    identity = DeviceIdentity(settings["product"], settings["revision"], extended=lambda: own)
    port = ConnectionPort(
        identity, ServerLimits(**settings["limits"]), own=own, tell=tell, journal=tell if settings["journal"] else None
    )
    place.heard["modbus"] = port.take
    return Built(ModbusGateway(_points(place)), {"modbus": port})


def _points(place: Place) -> PointTable:
    told = place.settings["points"]
    return PointTable([Point(*row) for row in told["rows"]], source=told["source"])


class ConnectionPort:
    """The device by which the gateway answers clients, in its process: the host passes each connection in.

    Args:
        identity: What function 43/14 tells.
        limits: Per connection; how many there may be is the host's matter.
        own: The texts of the device's own objects, which the host says and may change.
        tell: Says to the host which connection ended.
        journal: Says to the host what was asked; left out, nobody wants to know.
    """

    def __init__(
        self,
        identity: DeviceIdentity,
        limits: ServerLimits,
        *,
        own: list[str],
        tell: Tell,
        journal: Tell | None = None,
    ) -> None:
        self._identity = identity
        self._limits = limits
        self._own = own
        self._tell = tell
        self._journal = journal
        self._beginning: set[asyncio.Task[Any]] = set()
        self._station: Station

    def attach(self, station: Station) -> None:
        """Let `station` answer whoever comes."""
        self._station = station if self._journal is None else ToldStation(station, _as_values(self._journal))

    def take(self, value: Mapping[str, Any], descriptor: int | None) -> None:
        """Serve a connection that the host accepted, or learn what the device shall tell of itself."""
        if descriptor is None:
            self._own[:] = value["own"]
            return
        peer = Peer(value["address"], value["port"], value["session"])
        connected = socket.socket(fileno=descriptor)
        connected.setblocking(False)
        loop = asyncio.get_running_loop()
        roster = _OneClient(self._limits, lambda: self._tell(["gone", peer.session]))
        responder = _OneSession(self._station, self._identity, peer)
        begin = loop.create_task(loop.connect_accepted_socket(lambda: Connection(responder, roster), connected))
        self._beginning.add(begin)
        begin.add_done_callback(self._beginning.discard)


def _as_values(journal: Tell) -> Callable[[Answered], None]:
    """What tells the host of an answered write."""
    return lambda one: journal(
        ["asked", one.peer.session, one.unit, one.table, one.start, list(one.cells), one.refusal]
    )


class _OneSession(Responder):
    """A responder for one connection, whose number the host has given."""

    def __init__(self, station: Station, identity: DeviceIdentity, peer: Peer) -> None:
        super().__init__(station, identity)
        self._peer = peer

    def admit(self, address: str, port: int) -> Peer:  # noqa: ARG002
        return self._peer


class _OneClient(Roster):
    """A roster of one connection."""

    def __init__(self, limits: ServerLimits, on_leave: Callable[[], None]) -> None:
        super().__init__(limits)
        self.is_open = True
        self._on_leave = on_leave

    def leave(self, connection: Connection, address: str) -> None:
        if connection in self.connections:  # it is told once
            super().leave(connection, address)
            self._on_leave()


def limits_as_values(limits: ServerLimits) -> dict[str, Any]:
    """What one connection may take, as plain values for a gateway's settings."""
    return {name: getattr(limits, name) for name in ("idle_s", "requests_per_s", "burst")}
