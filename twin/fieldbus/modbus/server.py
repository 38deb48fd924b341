"""The TCP server."""

from __future__ import annotations

import asyncio
import socket

from twin.fieldbus.errors import FieldbusError
from twin.fieldbus.modbus.connection import Connection, Roster, ServerLimits, ServerStats
from twin.fieldbus.modbus.responder import Responder


class ModbusServer:
    """Serves one responder to any number of Modbus/TCP clients.

    Args:
        responder: Who answers.
        host: Address to listen on (one IPv4 or IPv6 address, or a name that has an IPv4 address).
        port: TCP port; 0 takes any free one.
        limits: What strangers may take.
    """

    def __init__(
        self, responder: Responder, *, host: str = "127.0.0.1", port: int = 0, limits: ServerLimits | None = None
    ) -> None:
        self.host = host
        self._port = port
        self._responder = responder
        self._roster = Roster(limits or ServerLimits())
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port: the one asked for, or the one that was free at the first start."""
        return self._port

    @property
    def stats(self) -> ServerStats:
        """What the server has seen."""
        return self._roster.stats

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._roster.connections)

    async def start(self) -> None:
        """Listen; a server that was stopped starts again on the same port.

        Raises:
            FieldbusError: It listens already, or the address cannot be had.
        """
        if self._server is not None:
            raise FieldbusError(f"the server at `{self.host}:{self._port}` listens already; stop it first")
        loop = asyncio.get_running_loop()
        # One family, so that port 0 is one port even for a name with two addresses.
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            self._server = await loop.create_server(
                lambda: Connection(self._responder, self._roster), self.host, self._port, family=family
            )
        except (OSError, OverflowError) as failure:
            reason = getattr(failure, "strerror", None) or failure
            raise FieldbusError(
                f"cannot listen on `{self.host}:{self._port}`: {reason}; choose another port (0 takes any free one)"
            ) from failure
        self._roster.is_open = True
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hang up on everyone and stop listening; a server that does not run is left as it is."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self._roster.is_open = False
        server.close()
        for connection in tuple(self._roster.connections):
            connection.abort()
        while self._roster.connections:  # each leaves at its next turn of the loop
            await asyncio.sleep(0)
        await server.wait_closed()
