"""The client over a connection that somebody else made and handed over."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from twin.fieldbus.errors import FieldbusError, NoAnswer
from twin.fieldbus.modbus.client import RequestingClient
from twin.fieldbus.modbus.mbap import MOST_ADU, FramingError, answer_pdu, frame, frame_length

_GONE: Final = "the connection to the server was lost; another has to be handed over"


class StreamModbusClient(RequestingClient):
    """A Modbus/TCP client without the right to connect: for a task that is granted streams and opens no sockets.

    Args:
        timeout_s: Wall seconds to wait for an answer.
    """

    def __init__(self, *, timeout_s: float = 3.0) -> None:
        self._timeout_s = timeout_s
        self._stream: socket.socket | None = None
        self._turn = asyncio.Lock()
        self._transaction = 0

    def take(self, stream: socket.socket) -> None:
        """Speak over a connected stream from now on, instead of the one before."""
        self._drop()
        stream.setblocking(False)
        self._stream = stream

    async def connect(self) -> None:
        """Nothing, where there is a stream.

        Raises:
            FieldbusError: There is none, and only whoever handed it over can mend that.
        """
        if self._stream is None:
            raise FieldbusError(_GONE)

    async def close(self) -> None:
        """Close the stream."""
        self._drop()

    async def exchange(self, unit: int, pdu: bytes) -> bytes:
        """Send one request over the stream and wait for its answer."""
        async with self._turn:
            if self._stream is None:
                raise FieldbusError(_GONE)
            self._transaction = self._transaction % 0xFFFF + 1
            request = frame(self._transaction, unit, pdu)
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await self._ask_stream(self._stream, request)
            except (OSError, TimeoutError, FramingError) as failure:
                # Whatever still comes on this stream answers something that nobody waits for any more.
                self._drop()
                why = f"did not answer within {self._timeout_s:g} s" if isinstance(failure, TimeoutError) else "is lost"
                raise NoAnswer(f"the server at the granted stream {why}; hand over another one") from failure
            told = answer_pdu(request, answer)
            if told is None:
                self._drop()
                raise NoAnswer("the server at the granted stream answers something else; hand over another one")
            return told

    async def _ask_stream(self, stream: socket.socket, adu: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(stream, adu)
        received = b""
        while not (length := frame_length(received)):
            more = await loop.sock_recv(stream, MOST_ADU)
            if not more:
                raise ConnectionError("the server hung up")
            received += more
        if length != len(received):
            raise FramingError(f"{len(received) - length} bytes follow the answer")
        return received

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
