"""An OPC UA server over one side of a plant's points."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlparse

from asyncua import Server, ua
from asyncua.crypto.security_policies import SECURITY_POLICY_TYPE_MAP

from twin.core import PointTable
from twin.core.points import Side
from twin.fieldbus.errors import FieldbusError
from twin.fieldbus.opcua.access import AccessRules, Gatekeeper
from twin.fieldbus.opcua.certificates import OwnCertificate, TrustList, certificates_folder, own_certificate
from twin.fieldbus.opcua.codes import status
from twin.fieldbus.opcua.connection import Connection, Roster
from twin.fieldbus.opcua.door import Door, offered
from twin.fieldbus.opcua.host_time import HostTime
from twin.fieldbus.opcua.internal import GuardedServer
from twin.fieldbus.opcua.limits import OpcUaLimits, OpcUaStats
from twin.fieldbus.opcua.lockout import Lockout
from twin.fieldbus.opcua.methods import add_methods
from twin.fieldbus.opcua.nodes import Nodes
from twin.fieldbus.opcua.nodeset import nodeset
from twin.fieldbus.opcua.served import Served
from twin.fieldbus.opcua.station import AlarmDesk, AlarmEvent, FileProvider, OpcUaStation
from twin.fieldbus.opcua.users import Users
from twin.fieldbus.reading import Reading

_BACKLOG: Final = 128
_RENEWAL_CHECK_S: Final = 3600.0


@dataclass(frozen=True)
class ServerIdentity:
    """What a server says of itself.

    Attributes:
        name: Short and without blanks, e.g. `substation`; part of its application's and its namespace's name.
        product: What it is, for people.
        revision: Of the software.
        vendor: Who made it.
    """

    name: str
    product: str
    revision: str
    vendor: str = "Holdfast"

    @property
    def application_uri(self) -> str:
        """Of the application on this host (part 4, clause 7.2)."""
        return f"urn:{socket.gethostname()}:holdfast:{self.name}"

    @property
    def namespace(self) -> str:
        """Of the plant's nodes; the same on every host."""
        return f"urn:holdfast:{self.name}"


@dataclass(frozen=True)
class Security:
    """Whom a server lets in.

    Attributes:
        rules: Which identity has which role.
        users: Who may sign in by password.
        folder: Of certificates; the state folder's own if left out.
        check_host: Whether clients' certificates must name the address that they come from.
        now_s: Wall-clock time in seconds that never runs backwards, for waits and lifetimes.
        now: The wall clock's date, for certificates.
    """

    rules: AccessRules = field(default_factory=AccessRules)
    users: Users = field(default_factory=Users)
    folder: Path | None = None
    check_host: bool = False
    now_s: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] | None = None


class OpcUaServer:
    """Serves one side of a plant's points to clients of OPC UA.

    Args:
        table: The plant's points.
        side: Which side of the controller is served.
        station: The device behind it.
        identity: What the server says of itself.
        host_time: The host's clock.
        security: Whom it lets in.
        limits: What they may take of it.
        desk: Who keeps the alarms; without, there are none.
        files: Who keeps the files; without, there are none.

    Attributes:
        stats: What it has seen.
    """

    def __init__(
        self,
        table: PointTable,
        side: Side,
        station: OpcUaStation,
        *,
        identity: ServerIdentity,
        host_time: HostTime,
        security: Security | None = None,
        limits: OpcUaLimits | None = None,
        desk: AlarmDesk | None = None,
        files: FileProvider | None = None,
    ) -> None:
        self.stats = OpcUaStats()
        self._table, self._station, self._identity = table.side(side), station, identity
        self._time, self._security = host_time, security or Security()
        self._limits = limits or OpcUaLimits()
        self._desk, self._files = desk, files
        self._server = GuardedServer(host_time, self._limits)
        self._ua: Any = Server(iserver=self._server)
        self._served: Served | None = None
        self._roster: Roster | None = None
        self._listener: asyncio.Server | None = None
        self._renewal: asyncio.TimerHandle | None = None
        self._shown: dict[str, Reading] = {}

    async def build(self) -> None:
        """Make the address space; about a second. `start` does it where it was not done."""
        if self._served is not None:
            return
        self._ua._application_uri = self._identity.application_uri
        with _without_collection():
            await self._ua.init()
        await self._ua.register_namespace(self._identity.namespace)
        who = self._identity
        built = self._time.epoch
        await self._ua.set_build_info(who.namespace, who.vendor, who.product, who.revision, who.revision, built)
        self._ua.name, self._ua.product_uri = who.product, who.namespace
        self._ua.application_type = ua.ApplicationType.Server
        self._served = Served(
            Nodes(self._server),
            self._table,
            self._station,
            time=self._time,
            limits=self._limits,
            stats=self.stats,
            desk=self._desk,
            provider=self._files,
        )
        add_methods(self._served)
        self._await_first_readings(self._served)

    def _await_first_readings(self, served: Served) -> None:
        waiting = ua.DataValue(StatusCode=status("BadWaitingForInitialData"))
        for node in served.points.types:
            self._server.aspace[node].attributes[ua.AttributeIds.Value].value = waiting

    @property
    def served(self) -> Served:
        """What it shows.

        Raises:
            FieldbusError: It was not built yet.
        """
        if self._served is None:
            raise FieldbusError("the server's address space is not there yet; build or start it first")
        return self._served

    async def start(self, host: str, port: int) -> str:
        """Listen; the address for clients, e.g. `opc.tcp://127.0.0.1:4840`. Port 0 takes a free one.

        Raises:
            FieldbusError: The address cannot be had.
            StateUnavailable: There is nowhere to keep the certificate.
        """
        await self.build()
        folder = self._security.folder or certificates_folder()
        trust = TrustList(folder, check_host=self._security.check_host)
        if self._security.now is not None:
            trust.now = self._security.now
        rules = self._security.rules
        gatekeeper = Gatekeeper(rules, self._security.users, Lockout(self._security.now_s))
        door = Door(self._server, self.served, gatekeeper, trust)
        own = self._own_certificate(folder, trust)
        door.use(own)
        roster = self._roster = Roster(self._server, door, self._security.now_s)
        try:
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_server(lambda: Connection(roster), host, port, backlog=_BACKLOG)
        except OSError as failure:
            raise FieldbusError(f"cannot listen on {host} port {port}: {failure.strerror}") from failure
        url = _url(*self._listener.sockets[0].getsockname()[:2])
        self._offer(url, door)
        await self._server.start()
        self._watch_certificate(folder, trust, door, url)
        return url

    def _own_certificate(self, folder: Path, trust: TrustList) -> OwnCertificate:
        own_folder = folder / "own"
        own_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return own_certificate(own_folder, self._identity.application_uri, trust.now())

    def _offer(self, url: str, door: Door) -> None:
        """Describe the endpoints to whoever asks."""
        self._server.endpoints.clear()
        self._server.supported_tokens = tuple(door.tokens)
        self._ua.endpoint = urlparse(url)
        self._ua._policies = []
        self._ua.set_security_policy(offered(door.rules))
        for kind in offered(door.rules):
            policy, mode, level = SECURITY_POLICY_TYPE_MAP[kind]
            self._ua._set_endpoints(policy, mode, level)

    def _watch_certificate(self, folder: Path, trust: TrustList, door: Door, url: str) -> None:
        """Renew the certificate before it ends, however long the server runs."""
        own = self._own_certificate(folder, trust)
        if own.certificate != self._server.certificate:
            door.use(own)
            self._offer(url, door)
        self._renewal = asyncio.get_running_loop().call_later(
            _RENEWAL_CHECK_S, self._watch_certificate, folder, trust, door, url
        )

    async def stop(self) -> None:
        """Hang up on everyone and listen no longer; a second time does nothing."""
        if self._renewal is not None:
            self._renewal.cancel()
        listener, roster, self._listener, self._roster = self._listener, self._roster, None, None
        if listener is None or roster is None:
            return
        listener.close()
        for connection in list(roster.connections):
            connection.abort()
        await asyncio.sleep(0)
        for session in list(self._server.sessions.values()):
            await session.close_session()
        await listener.wait_closed()
        if roster.closing:
            await asyncio.gather(*roster.closing)
        await self._server.stop()

    async def publish(self, readings: Mapping[str, Reading]) -> None:
        """Show new readings, by tag: tell subscribers, and keep them in the history.

        Only what changed in value or quality is told and kept; who reads is given what the station shows, whenever.

        Raises:
            KeyError: This side has no such point.
        """
        served, now = self.served, self._time.now()
        for tag, reading in readings.items():
            before = self._shown.get(tag)
            if before is not None and before.value == reading.value and before.quality == reading.quality:
                continue
            self._shown[tag] = reading
            node = ua.NodeId(tag, 2)
            value = served.shown(served.points.types[node], reading, now)
            served.history.add(tag, reading)
            await self._server.write_attribute_value(node, value)

    async def publish_alarm(self, event: AlarmEvent) -> None:
        """Tell subscribers of the new state of an alarm.

        Raises:
            KeyError: The point has no alarm limits.
        """
        condition = self.served.conditions[event.tag]
        fields = condition.take(event)
        node = ua.NodeId(event.tag, 2)
        for held in list(self._server.subscription_service.subscriptions.values()):
            session = self._session_of(held)
            if session is not None and self.served.may_read(node, session.peer).is_good():
                await held.monitored_item_srv.tell(condition.notifiers, fields)

    def _session_of(self, held: Any) -> Any:  # noqa: ANN401
        found = (s for s in self._server.sessions.values() if s.session_id == held.session_id)
        return next(found, None)

    async def nodeset(self) -> str:
        """The address space of the plant as a NodeSet2 document (part 6, annex F), for tools of others."""
        await self.build()
        return await nodeset(self._ua, self._identity.namespace, self._time.epoch)

    @property
    def connections(self) -> Sequence[Connection]:
        """The connections that are open."""
        return tuple(self._roster.connections) if self._roster is not None else ()


def _url(host: str, port: int) -> str:
    return f"opc.tcp://[{host}]:{port}" if ":" in host else f"opc.tcp://{host}:{port}"


@contextmanager
def _without_collection() -> Iterator[None]:
    """The standard's 6,000 nodes are made a third quicker while nobody looks for garbage among them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
