"""The TCP server, plain and under TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, Final

from twin.fieldbus.errors import FieldbusError
from twin.fieldbus.modbus.connection import Connection
from twin.fieldbus.modbus.responder import Responder
from twin.fieldbus.modbus.roster import Roster, ServerLimits, ServerStats

_BACKLOG: Final = 100
_BREATH_S: Final = 1.0  # before accepting again where too many files are open


class ModbusServer:
    """Serves one responder to any number of Modbus/TCP clients.

    Args:
        responder: Who answers.
        host: Address to listen on (one IPv4 or IPv6 address, or a name that has an IPv4 address).
        port: TCP port; 0 takes any free one.
        limits: What strangers may take.
        tls: Modbus/TCP Security, with a context of `server_context`; left out, plain.
    """

    def __init__(
        self,
        responder: Responder,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: ServerLimits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host = host
        self._port = port
        self._responder = responder
        self._roster = Roster(limits or ServerLimits())
        self._tls = tls
        self._listener: socket.socket | None = None
        self._beginning: set[asyncio.Task[Any]] = set()

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
        if self._listener is not None:
            raise FieldbusError(f"the server at `{self.host}:{self._port}` listens already; stop it first")
        listener = self._bound()
        listener.setblocking(False)
        self._listener = listener
        self._port = listener.getsockname()[1]
        self._roster.is_open = True
        self._listen(listener)

    async def stop(self) -> None:
        """Hang up on everyone and stop listening; a server that does not run is left as it is."""
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        self._roster.is_open = False
        asyncio.get_running_loop().remove_reader(listener)
        listener.close()
        for connection in tuple(self._roster.connections):
            connection.abort()
        await asyncio.gather(*self._beginning, return_exceptions=True)
        while self._roster.connections:  # each leaves at its next turn of the loop
            await asyncio.sleep(0)

    def _bound(self) -> socket.socket:
        # One family, so that port 0 is one port even for a name with two addresses.
        listener = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self._port))
            listener.listen(_BACKLOG)
        except (OSError, OverflowError) as failure:
            listener.close()
            reason = getattr(failure, "strerror", None) or failure
            raise FieldbusError(
                f"cannot listen on `{self.host}:{self._port}`: {reason}; choose another port (0 takes any free one)"
            ) from failure
        return listener

    def _listen(self, listener: socket.socket) -> None:
        if listener is self._listener:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Take who waits, and turn away at once who finds no place: nobody shakes hands without one."""
        for _ in range(_BACKLOG):
            try:
                connected, (address, *_) = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return  # nobody waits, or it went away again
            except OSError:  # too many files are open: who waits goes on waiting
                loop = asyncio.get_running_loop()
                loop.remove_reader(listener)
                loop.call_later(_BREATH_S, self._listen, listener)
                return
            self._take(connected, address)

    def _take(self, connected: socket.socket, address: str) -> None:
        connection = Connection(self._responder, self._roster)
        if not connection.take_place(address):
            connected.close()
            return
        connected.setblocking(False)
        # Several answers in a row must not wait for one another's acknowledgement.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        loop = asyncio.get_running_loop()
        patience_s = None if self._tls is None else self._roster.limits.handshake_s
        begin = loop.create_task(
            loop.connect_accepted_socket(lambda: connection, connected, ssl=self._tls, ssl_handshake_timeout=patience_s)
        )
        connection.until_made(begin.cancel)
        self._beginning.add(begin)
        begin.add_done_callback(lambda _: self._began(begin, connection, connected))

    def _began(self, begin: asyncio.Task[Any], connection: Connection, connected: socket.socket) -> None:
        self._beginning.discard(begin)
        if begin.cancelled() or begin.exception() is not None:
            self._roster.stats.untrusted += not begin.cancelled()
            connected.close()
            connection.leave()
