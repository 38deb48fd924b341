"""One client's TCP connection: chunks, fairness, and when to hang up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from asyncua import ua
from asyncua.ua.ua_binary import header_from_binary, uatcp_to_binary

from twin.fieldbus.opcua.codes import status
from twin.fieldbus.opcua.door import Door
from twin.fieldbus.opcua.internal import GuardedServer
from twin.fieldbus.opcua.limits import Headcount
from twin.fieldbus.opcua.processor import Processor
from twin.fieldbus.opcua.seam import StrictBuffer

_HEADER: Final = 8
_LEAST: Final = {b"HEL": 32, b"OPN": 12, b"MSG": 12, b"CLO": 12}
# Chunks that wait at which reading pauses and goes on again.
_PAUSE_AT: Final = 16
_RESUME_AT: Final = 4


class Roster:
    """The connections open at one server."""

    def __init__(self, server: GuardedServer, door: Door, now_s: Callable[[], float]) -> None:
        self.server, self.door, self.now_s = server, door, now_s
        limits = door.served.limits
        self.limits, self.stats = limits, door.served.stats
        self.heads = Headcount(limits.connections, limits.connections_per_address)
        self.connections: set[Connection] = set()
        self.closing: set[asyncio.Task[None]] = set()


class Connection(asyncio.Protocol):
    """Takes the chunks of one client, one per turn of the event loop.

    A chunk's size is looked at when its first eight bytes are there, so nothing is kept that could never be taken. One
    chunk is answered before the next is looked at, and everyone else has a turn in between.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster, self._limits, self._stats = roster, roster.limits, roster.stats
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._chunks: deque[bytes] = deque()
        self._there = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._address = ""
        self._processor: Processor | None = None
        self._worker: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._began_s = self._last_s = self._allowed_s = roster.now_s()
        self._allowance = float(self._limits.burst)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or hang up at once."""
        self._transport = cast("asyncio.Transport", transport)
        address, port = (transport.get_extra_info("peername") or ("unknown", 0))[:2]
        if not self._roster.heads.join(address):
            self._stats.refused += 1
            self._transport.abort()
            return
        self._stats.accepted += 1
        self._address = address
        self._transport.set_write_buffer_limits(high=self._limits.unsent_bytes // 4)
        self._roster.connections.add(self)
        self._processor = Processor(
            self._roster.server,
            self._transport,
            self._roster.door,
            address=address,
            port=port,
            now_s=self._roster.now_s,
        )
        self._worker = self._loop.create_task(self._work(self._processor))
        self._watch = self._loop.call_later(1.0, self._check)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Forget what was not answered; what the session makes of it is done on its own."""
        if self._watch is not None:
            self._watch.cancel()
        if self._processor is None or self._worker is None:
            return
        self._worker.cancel()
        self._received.clear()
        self._chunks.clear()
        self._roster.connections.discard(self)
        self._roster.heads.leave(self._address)
        closing = self._loop.create_task(self._processor.close())
        self._roster.closing.add(closing)
        closing.add_done_callback(self._roster.closing.discard)

    def data_received(self, data: bytes) -> None:
        """Take bytes in, however they were cut, and cut them into chunks."""
        if self._processor is None or self._transport.is_closing():
            return
        if not self._received and _is_whole(data, self._processor.most_buffer):
            self._chunks.append(data)
            self._there.set()
            if len(self._chunks) >= _PAUSE_AT:
                self._transport.pause_reading()
            return
        self._received += data
        while len(self._received) >= _HEADER:
            kind, size = bytes(self._received[:3]), int.from_bytes(self._received[4:8], "little")
            if kind not in _LEAST or self._received[3] not in b"FCA":
                self._refuse("BadTcpMessageTypeInvalid")
                return
            if not _LEAST[kind] <= size <= self._processor.most_buffer:
                self._refuse("BadTcpMessageTooLarge")
                return
            if len(self._received) < size:
                break
            self._chunks.append(bytes(self._received[:size]))
            del self._received[:size]
            self._there.set()
        if len(self._chunks) >= _PAUSE_AT:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Answer nothing while the client does not take its answers."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on answering."""
        self._writable.set()

    def abort(self) -> None:
        """Hang up at once."""
        self._transport.abort()

    def _refuse(self, code: str) -> None:
        """Say why, and hang up."""
        self._stats.bad_frames += 1
        self._received.clear()
        self._chunks.clear()
        told = status(code)
        self._transport.write(uatcp_to_binary(ua.MessageType.Error, ua.ErrorMessage(told, told.name)))
        self._transport.close()

    async def _work(self, processor: Processor) -> None:
        with suppress(asyncio.CancelledError):
            while True:
                while not self._chunks:
                    self._there.clear()
                    await self._there.wait()
                if not self._writable.is_set():
                    await self._writable.wait()
                if self._limits.requests_per_s is not None:
                    await self._wait_for_allowance(self._limits.requests_per_s)
                if not self._chunks or not await self._take(processor, self._chunks.popleft()):
                    self._transport.close()
                    return
                if len(self._chunks) <= _RESUME_AT and not self._transport.is_reading():
                    self._transport.resume_reading()
                if self._chunks:
                    await asyncio.sleep(0)

    async def _take(self, processor: Processor, chunk: bytes) -> bool:
        self._last_s = self._roster.now_s()
        buffer = StrictBuffer(chunk)
        return await processor.process(header_from_binary(buffer), buffer)

    async def _wait_for_allowance(self, rate: float) -> None:
        """A token bucket (requests per wall second)."""
        now_s = self._roster.now_s()
        self._allowance = min(self._limits.burst, self._allowance + (now_s - self._allowed_s) * rate)
        self._allowed_s = now_s
        if self._allowance < 1:
            await asyncio.sleep((1 - self._allowance) / rate)
        self._allowance -= 1

    def _check(self) -> None:
        """Once a wall second: hang up on those who do nothing, and on those who do not read."""
        processor = self._processor
        now_s, limits = self._roster.now_s(), self._limits
        idle = limits.idle_s is not None and now_s - self._last_s > limits.idle_s
        waiting = processor is not None and not processor.activated and now_s - self._began_s > limits.activation_s
        unread = self._transport.get_write_buffer_size() > limits.unsent_bytes
        if idle or waiting or unread:
            self._stats.idle_closed += idle or waiting
            self._stats.unread_closed += unread
            self._transport.abort()
            return
        self._watch = self._loop.call_later(1.0, self._check)


def _is_whole(content: bytes, most: int) -> bool:
    """Whether what came is exactly one chunk that may be taken, as nearly always."""
    size = len(content)
    return (
        _LEAST.get(content[:3], most + 1) <= size <= most
        and int.from_bytes(content[4:8], "little") == size
        and content[3] in b"FCA"
    )
