"""What a run speaks over: real TCP sockets, or calls in memory that carry the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, Protocol

from twin.fieldbus.errors import FieldbusError
from twin.fieldbus.linked_client import Exchanging
from twin.fieldbus.modbus.connection import ServerLimits
from twin.fieldbus.modbus.memory_client import MemoryModbusClient
from twin.fieldbus.modbus.responder import Responder
from twin.fieldbus.modbus.server import ModbusServer
from twin.fieldbus.modbus.tcp_client import TcpModbusClient

# A twin's own clients stand still when its time does, so nothing may hang up on them for that.
_LOCK_STEP: Final = ServerLimits(idle_s=None)


@dataclass(frozen=True)
class Endpoint:
    """Where a responder is served; prints as a URL, e.g. `modbus://127.0.0.1:15020`.

    On the memory wire it prints as `modbus+memory://…`, because no foreign client can reach it.
    """

    host: str
    port: int
    wire: Literal["tcp", "memory"] = "tcp"

    def __str__(self) -> str:
        scheme = "modbus" if self.wire == "tcp" else "modbus+memory"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


class Wire(Protocol):
    """Serves responders and makes clients for them."""

    async def serve(self, responder: Responder, *, host: str = "127.0.0.1", port: int = 0) -> Endpoint:
        """Serve a responder; port 0 takes any free one. Raises `FieldbusError` when the address is taken."""
        ...

    def client(self, endpoint: Endpoint, *, source_host: str | None = None) -> Exchanging:
        """A client of an endpoint, not yet connected, that speaks from `source_host`."""
        ...

    async def close(self) -> None:
        """Stop serving; clients that are connected find the connection broken."""
        ...


class TcpWire:
    """Real sockets. Without `limits`, the usual caps on connections and no idle time-out.

    Attributes:
        limits: What strangers may take of what is served here.
    """

    def __init__(self, *, limits: ServerLimits = _LOCK_STEP, timeout_s: float = 3.0) -> None:
        self.limits = limits
        self._timeout_s = timeout_s
        self._servers: list[ModbusServer] = []

    async def serve(self, responder: Responder, *, host: str = "127.0.0.1", port: int = 0) -> Endpoint:
        """Start a server."""
        server = ModbusServer(responder, host=host, port=port, limits=self.limits)
        await server.start()
        self._servers.append(server)
        return Endpoint(host, server.port)

    def client(self, endpoint: Endpoint, *, source_host: str | None = None) -> TcpModbusClient:
        """A TCP client."""
        return TcpModbusClient(endpoint.host, endpoint.port, source_host=source_host, timeout_s=self._timeout_s)

    async def close(self) -> None:
        """Stop every server."""
        while self._servers:
            await self._servers.pop().stop()


class MemoryWire:
    """No sockets: faster, copied along with a twin, and with the same answers."""

    def __init__(self) -> None:
        self._served: dict[Endpoint, Responder] = {}

    async def serve(self, responder: Responder, *, host: str = "127.0.0.1", port: int = 0) -> Endpoint:
        """Enter a responder under an address."""
        taken = {endpoint.port for endpoint in self._served if endpoint.host == host}
        if port in taken:
            raise FieldbusError(
                f"cannot listen on `{host}:{port}`: it is taken; choose another port (0 takes a free one)"
            )
        endpoint = Endpoint(host, port or next(free for free in range(1, 65536) if free not in taken), "memory")
        self._served[endpoint] = responder
        return endpoint

    def client(self, endpoint: Endpoint, *, source_host: str | None = None) -> MemoryModbusClient:
        """A client that calls the responder."""
        if endpoint not in self._served:
            raise FieldbusError(f"nothing is served at `{endpoint}` on this wire; serve it first")
        return MemoryModbusClient(
            self._served[endpoint],
            peer_address=source_host or "127.0.0.1",
            is_listening=partial(self._is_served, endpoint),
        )

    async def close(self) -> None:
        """Forget every responder."""
        self._served.clear()

    def _is_served(self, endpoint: Endpoint) -> bool:
        return endpoint in self._served
