"""One client's TCP connection: framing, fairness, and when to hang up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from twin.fieldbus.modbus.mbap import FramingError, frame_length
from twin.fieldbus.modbus.responder import Responder
from twin.fieldbus.modbus.roster import Roster, ServerLimits, ServerStats
from twin.fieldbus.modbus.security import proven
from twin.fieldbus.peer import Peer

__all__ = ["Connection", "Roster", "ServerLimits", "ServerStats"]

# Unanswered bytes at which reading pauses and goes on again; far above one frame (260), far below what one read of
# the socket may bring.
_PAUSE_AT: Final = 4096
_RESUME_AT: Final = 1024


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
        self._transport: asyncio.Transport
        self._peer: Peer | None = None
        self._turn: asyncio.Handle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._hang_up: Callable[[], object] = lambda: None
        self._choked = False
        self._ended = False
        self.address = ""
        self.last_request_s = self._allowed_at_s = self._loop.time()
        self._allowance = float(self._limits.burst)

    def take_place(self, address: str) -> bool:
        """Take a place before there is a transport; False when turned away."""
        self.address = address
        return self._roster.join(self, address)

    def until_made(self, hang_up: Callable[[], object]) -> None:
        """How to hang up while hands are still shaken."""
        self._hang_up = hang_up

    def leave(self) -> None:
        """Give the place back."""
        self._roster.leave(self, self.address)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or hang up at once."""
        self._transport = made = cast("asyncio.Transport", transport)
        self._hang_up = made.abort
        address, port = (transport.get_extra_info("peername") or ("unknown", 0))[:2]
        if not self.address and not self.take_place(address):
            made.abort()
            return
        self._peer = proven(self._responder.admit(address, port), transport.get_extra_info("ssl_object"))
        if self._limits.idle_s is not None:
            self._watch = self._loop.call_later(self._limits.idle_s, self._check_idleness, self._limits.idle_s)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Forget what was not answered."""
        for handle in (self._turn, self._watch):
            if handle is not None:
                handle.cancel()
        self._received.clear()
        self._peer = None
        self.leave()

    def data_received(self, data: bytes) -> None:
        """Take bytes in, however they were cut."""
        self._received += data
        if len(self._received) >= _PAUSE_AT:
            self._transport.pause_reading()
        if self._turn is None and not self._choked:
            self._serve()

    def eof_received(self) -> bool:
        """Answer what came before the client stopped sending, then close; TLS closes both ways at once."""
        self._ended = True
        return (self._turn is not None or self._choked) and not self._transport.get_extra_info("ssl_object")

    def pause_writing(self) -> None:
        """Answer nothing while the client does not take its answers."""
        self._choked = True

    def resume_writing(self) -> None:
        """Go on answering."""
        self._choked = False
        self._take_turn()

    def abort(self) -> None:
        """Hang up at once."""
        self._hang_up()

    def _serve(self) -> None:
        """Answer the first whole request, if there is one and it is allowed yet."""
        self._turn = None
        if self._peer is None or self._transport.is_closing():
            return
        try:
            length = frame_length(self._received)
        except FramingError:
            self._roster.stats.bad_frames += 1
            self._responder.counters.communication_errors += 1
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
        self.last_request_s = self._loop.time()
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
        left_s = self.last_request_s + idle_s - self._loop.time()
        if left_s > 0:
            self._watch = self._loop.call_later(left_s, self._check_idleness, idle_s)
            return
        self._roster.stats.idle_closed += 1
        self._transport.abort()
