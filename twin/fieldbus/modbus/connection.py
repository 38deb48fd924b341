"""One client's TCP connection: framing, fairness, and when to hang up."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Final, cast

from twin.fieldbus.modbus.mbap import FramingError, frame_length
from twin.fieldbus.modbus.responder import Responder
from twin.fieldbus.peer import Peer

# Unanswered bytes at which reading pauses and goes on again; far above one frame (260), far below what one read of
# the socket may bring.
_PAUSE_AT: Final = 4096
_RESUME_AT: Final = 1024


@dataclass(frozen=True)
class ServerLimits:
    """What strangers may take of a server.

    Attributes:
        connections: At one time, in all.
        connections_per_address: At one time, from one IP address.
        idle_s: Wall seconds without a whole request after which a connection is dropped; None never. Must be None
            where clients stand still with simulated time.
        requests_per_s: Per connection, in wall time; None is as fast as they come. Must be None in lock-step runs,
            which it would slow down.
        burst: Requests that may come at once before `requests_per_s` bites.
    """

    connections: int = 32
    connections_per_address: int = 16
    idle_s: float | None = 60.0
    requests_per_s: float | None = None
    burst: int = 50


@dataclass
class ServerStats:
    """What a server has seen since it was made.

    Attributes:
        accepted, refused: Connections taken, and turned away because of a cap.
        bad_frames: Connections dropped because their bytes could never become a frame.
        idle_closed: Connections dropped because no whole request came for too long.
        requests: Requests answered, refusals included.
    """

    accepted: int = 0
    refused: int = 0
    bad_frames: int = 0
    idle_closed: int = 0
    requests: int = 0


class Roster:
    """The connections open at one server, and whether another may join."""

    def __init__(self, limits: ServerLimits) -> None:
        self.limits = limits
        self.stats = ServerStats()
        self.is_open = False
        self.connections: set[Connection] = set()
        self._by_address: Counter[str] = Counter()

    def join(self, connection: Connection, address: str) -> bool:
        """Enter a connection; False when it must be turned away."""
        full = len(self.connections) >= self.limits.connections
        hoarding = self._by_address[address] >= self.limits.connections_per_address
        if full or hoarding or not self.is_open:
            self.stats.refused += 1
            return False
        self.stats.accepted += 1
        self.connections.add(connection)
        self._by_address[address] += 1
        return True

    def leave(self, connection: Connection, address: str) -> None:
        """Strike a connection that was entered."""
        self.connections.discard(connection)
        self._by_address[address] -= 1
        self._by_address += Counter()  # drops the zeros, else every address ever seen stays


class Connection(asyncio.Protocol):
    """Answers the requests of one client, one per turn of the event loop.

    The first request is answered in the very callback that brought it, those behind it one by one with everyone
    else's turn between: a client that floods waits for itself alone. Plain callbacks and no task: nothing to cancel,
    and no extra turn of the loop before an answer.
    """

    def __init__(self, responder: Responder, roster: Roster) -> None:
        self._responder = responder
        self._roster = roster
        self._limits = roster.limits
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._peer: Peer | None = None
        self._turn: asyncio.Handle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._choked = False
        self._ended = False
        self._last_request_s = self._allowed_at_s = self._loop.time()
        self._allowance = float(self._limits.burst)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or hang up at once."""
        self._transport = cast("asyncio.Transport", transport)
        address, port = (transport.get_extra_info("peername") or ("unknown", 0))[:2]
        if not self._roster.join(self, address):
            self._transport.abort()
            return
        self._peer = self._responder.admit(address, port)
        if self._limits.idle_s is not None:
            self._watch = self._loop.call_later(self._limits.idle_s, self._check_idleness, self._limits.idle_s)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Forget what was not answered."""
        for handle in (self._turn, self._watch):
            if handle is not None:
                handle.cancel()
        self._received.clear()
        if self._peer is not None:
            self._roster.leave(self, self._peer.address)

    def data_received(self, data: bytes) -> None:
        """Take bytes in, however they were cut."""
        self._received += data
        if len(self._received) >= _PAUSE_AT:
            self._transport.pause_reading()
        if self._turn is None and not self._choked:
            self._serve()

    def eof_received(self) -> bool:
        """Answer what came before the client stopped sending, then close."""
        self._ended = True
        return self._turn is not None or self._choked

    def pause_writing(self) -> None:
        """Answer nothing while the client does not take its answers."""
        self._choked = True

    def resume_writing(self) -> None:
        """Go on answering."""
        self._choked = False
        self._take_turn()

    def abort(self) -> None:
        """Hang up at once."""
        self._transport.abort()

    def _serve(self) -> None:
        """Answer the first whole request, if there is one and it is allowed yet."""
        self._turn = None
        if self._peer is None or self._transport.is_closing():
            return
        try:
            length = frame_length(self._received)
        except FramingError:
            self._roster.stats.bad_frames += 1
            self._transport.abort()
            return
        if length == 0:
            if self._ended:
                self._transport.close()
            return
        wait_s = self._wait_s()
        if wait_s > 0:
            self._turn = self._loop.call_later(wait_s, self._serve)
            return
        self._respond(length, self._peer)

    def _respond(self, length: int, peer: Peer) -> None:
        adu = bytes(self._received[:length])
        del self._received[:length]
        self._last_request_s = self._loop.time()
        self._roster.stats.requests += 1
        response = self._responder.respond(adu, peer)
        if response is not None:
            self._transport.write(response)
        if len(self._received) <= _RESUME_AT and not self._transport.is_reading():
            self._transport.resume_reading()
        self._take_turn()

    def _take_turn(self) -> None:
        if self._turn is None and not self._choked and (self._received or self._ended):
            self._turn = self._loop.call_soon(self._serve)

    def _wait_s(self) -> float:
        """How long the next request must wait (wall s); a token bucket, off unless a rate is set."""
        rate = self._limits.requests_per_s
        if rate is None:
            return 0.0
        now_s = self._loop.time()
        self._allowance = min(self._limits.burst, self._allowance + (now_s - self._allowed_at_s) * rate)
        self._allowed_at_s = now_s
        if self._allowance < 1:
            return (1 - self._allowance) / rate
        self._allowance -= 1
        return 0.0

    def _check_idleness(self, idle_s: float) -> None:
        left_s = self._last_request_s + idle_s - self._loop.time()
        if left_s > 0:
            self._watch = self._loop.call_later(left_s, self._check_idleness, idle_s)
            return
        self._roster.stats.idle_closed += 1
        self._transport.abort()
