"""The host's ends of what isolated tasks are granted: a wire to the plant, and the port where clients come."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, cast, get_args

from secureos.kernel.isolation import ProtocolError, Say
from twin.core.points import Table
from twin.fieldbus import Answered, Endpoint, FieldbusError, Peer, ServerLimits

_BACKLOG: Final = 64
_MOST_CELLS: Final = 2000


class FieldWire:
    """The wire to the plant: the host connects and passes the stream in, at each start of the task and when it broke.

    Args:
        endpoint: The plant's server.
        source_host: The address to speak from.
        timeout_s: Wall seconds to wait for a connection.
    """

    def __init__(self, endpoint: Endpoint, *, source_host: str, timeout_s: float = 3.0) -> None:
        self._endpoint = endpoint
        self._source = (source_host, 0)
        self._timeout_s = timeout_s
        self._say: Say | None = None

    def attach(self, say: Say) -> None:
        """Pass a stream in; where there is none now, the task finds its wire broken and the next scan tries again."""
        self._say = say
        with contextlib.suppress(FieldbusError):
            self._pass_stream()

    def hear(self, value: Any) -> None:  # noqa: ANN401
        """Field I/O has nothing to say to its wire.

        Raises:
            ProtocolError: It did.
        """
        raise ProtocolError(f"the wire to the plant takes no words, such as `{str(value)[:50]}`")

    def detach(self) -> None:
        """The task is gone, and its stream with it."""
        self._say = None

    async def connect(self) -> None:
        """Pass another stream in.

        Raises:
            FieldbusError: Nothing answers there.
        """
        self._pass_stream()

    async def close(self) -> None:
        """Nothing: the stream is the task's own, and ends with it."""

    def _pass_stream(self) -> None:
        if self._say is None:
            return
        place = (self._endpoint.host, self._endpoint.port)
        try:
            # A server in this very process takes the connection up later; the system has made it by then.
            stream = socket.create_connection(place, self._timeout_s, source_address=self._source)
        except OSError as failure:
            raise FieldbusError(f"cannot connect to `{self._endpoint}`: {failure}; is the server running?") from failure
        with stream:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._say(None, stream)


class ClientPort:
    """Where clients come: the host listens and counts, the gateway's process gets each connection.

    Args:
        limits: Of these, the host keeps how many connections there may be, in all and per address.
        on_asked: Is told of every write in the gateway's own words, since it alone reads the protocol.
    """

    def __init__(self, limits: ServerLimits, on_asked: Callable[[Answered], None] | None = None) -> None:
        self._limits = limits
        self._on_asked = on_asked
        self._own: tuple[str, ...] = ()
        self._sessions = 0
        self._peers: dict[int, Peer] = {}
        self._say: Say | None = None
        self._listener: socket.socket | None = None

    @property
    def connections(self) -> int:
        """How many the gateway holds, by its own account."""
        return len(self._peers)

    def listen(self, host: str, port: int) -> Endpoint:
        """Listen; port 0 takes any free one.

        Raises:
            FieldbusError: The address cannot be had.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except (OSError, OverflowError) as failure:
            reason = getattr(failure, "strerror", None) or failure
            raise FieldbusError(
                f"cannot listen on `{host}:{port}`: {reason}; choose another port (0 takes any free one)"
            ) from failure
        listener.setblocking(False)
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)
        return Endpoint(host, listener.getsockname()[1])

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def attach(self, say: Say) -> None:
        """Pass connections in from now on."""
        self._say = say
        self.tell_own(self._own)

    def tell_own(self, texts: Sequence[str]) -> None:
        """Let the gateway tell these objects of the device's own from now on, to whoever asks what device it is."""
        self._own = tuple(texts)
        if self._say is not None:
            self._say({"own": list(texts)}, None)

    def detach(self) -> None:
        """The gateway is gone, and every connection with it; who comes meanwhile is turned away."""
        self._say = None
        self._peers.clear()

    def hear(self, value: Any) -> None:  # noqa: ANN401
        """A connection ended, or a client asked for a write.

        Raises:
            ProtocolError: The gateway said something else, or of a connection that is not there.
        """
        match value:
            case ["gone", int() as session] if session in self._peers:
                del self._peers[session]
            case ["asked", int() as session, *what] if session in self._peers:
                asked = _asked(self._peers[session], what)
                if self._on_asked is not None:
                    self._on_asked(asked)
            case _:
                raise ProtocolError("the gateway says what makes no sense")

    def _accept(self, listener: socket.socket) -> None:
        try:
            connected, (address, port, *_) = listener.accept()
        except OSError:
            return  # it went away again, or too many are open
        with connected:
            if self._say is None or not self._admits(address):
                return
            self._sessions += 1
            word = {"session": self._sessions, "address": address, "port": port}
            if self._say(word, connected):
                self._peers[self._sessions] = Peer(address, port, self._sessions)

    def _admits(self, address: str) -> bool:
        by_address = Counter(peer.address for peer in self._peers.values())
        return (
            len(self._peers) < self._limits.connections and by_address[address] < self._limits.connections_per_address
        )


def _asked(peer: Peer, what: list[Any]) -> Answered:
    match what:
        case [int() as unit, str() as table, int() as start, list() as cells, int() as refusal] if (
            table in get_args(Table) and len(cells) <= _MOST_CELLS and all(type(cell) is int for cell in cells)
        ):
            return Answered(peer, unit, cast("Table", table), start, tuple(cells), refusal)
        case _:
            raise ProtocolError("the gateway tells of a write that is none")
