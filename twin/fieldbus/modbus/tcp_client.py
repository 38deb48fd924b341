"""The client over TCP: told when to give up, and never sending anything twice."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import cast

from twin.fieldbus.errors import FieldbusError, NoAnswer
from twin.fieldbus.modbus.client import Request, RequestingClient
from twin.fieldbus.modbus.mbap import FramingError, answer_pdu, frame, frame_length


class TcpModbusClient(RequestingClient):
    """A Modbus/TCP client: no retries, no connecting again behind the caller's back.

    Args:
        host: The server's address or name.
        port: The server's port.
        source_host: Local address to speak from, e.g. 127.0.1.10; left out, the system chooses.
        timeout_s: Wall seconds to wait for a connection or an answer.
        tls: How to prove who we are and check who answers (Modbus/TCP Security); left out, plain.
        in_flight: How many requests may be sent before the first is answered, where several are asked at once. Every
            server takes 1; what it takes besides is its own matter (messaging guide 1.0b, clause 4.3.3).
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        source_host: str | None = None,
        timeout_s: float = 3.0,
        tls: ssl.SSLContext | None = None,
        in_flight: int = 1,
    ) -> None:
        self._name = f"{host}:{port}"
        self._host = host
        self._port = port
        self._source = None if source_host is None else (source_host, 0)
        self._timeout_s = timeout_s
        self._tls = tls
        self._in_flight = in_flight
        self._link: _Link | None = None
        self._turn = asyncio.Lock()
        self._transaction = 0

    async def connect(self) -> None:
        """Connect, unless connected.

        Raises:
            FieldbusError: Nothing listens there, it does not take the connection in time, or one of the two does not
                trust the other.
        """
        if self._link is not None and not self._link.is_lost:
            return
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                _, self._link = await loop.create_connection(
                    _Link, self._host, self._port, local_addr=self._source, ssl=self._tls
                )
        except ssl.SSLError as failure:
            raise FieldbusError(f"`{self._name}` and we do not trust each other: {failure.reason}") from failure
        except (OSError, TimeoutError, OverflowError) as failure:
            raise FieldbusError(
                f"cannot connect to `{self._name}`: nothing answers there; is the server running?"
            ) from failure

    async def close(self) -> None:
        """End the connection; a request under way fails."""
        if self._link is not None:
            self._link.lose(ConnectionError("closed"))
            self._link = None

    async def exchange(self, unit: int, pdu: bytes) -> bytes:
        """Send one request and wait for its answer."""
        (answer,) = await self.exchange_all([(unit, pdu)])
        return answer

    async def exchange_all(self, requests: Sequence[Request]) -> list[bytes]:
        """Send several requests, as many at once as the server takes, and wait for their answers."""
        async with self._turn:
            answers: list[bytes] = []
            for at in range(0, len(requests), self._in_flight):
                answers += await self._ask(requests[at : at + self._in_flight])
            return answers

    async def _ask(self, requests: Sequence[Request]) -> list[bytes]:
        link = self._link
        if link is None or link.is_lost:
            raise FieldbusError(f"not connected to `{self._name}`; connect first")
        adus = []
        for unit, pdu in requests:
            self._transaction = self._transaction % 0xFFFF + 1
            adus.append(frame(self._transaction, unit, pdu))
        try:
            return await link.ask(adus, self._timeout_s)
        except TimeoutError as failure:
            raise NoAnswer(f"`{self._name}` did not answer within {self._timeout_s:g} s; connect again") from failure
        except FramingError as failure:
            raise NoAnswer(f"what `{self._name}` answers makes no sense: {failure}; is this Modbus?") from failure
        except OSError as failure:
            raise NoAnswer(f"the connection to `{self._name}` was lost; connect again") from failure
        except asyncio.CancelledError:
            # Nobody waits for the answer any more, so the next one would be taken for it.
            link.lose(ConnectionError("given up"))
            raise


class _Link(asyncio.Protocol):
    """One connection: what was asked and not yet answered. Lost for good at the first thing that goes wrong."""

    def __init__(self) -> None:
        self.is_lost = False
        self._received = bytearray()
        self._asked: Sequence[bytes] = ()
        self._answers: list[bytes] = []
        self._done: asyncio.Future[list[bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lose(exc if isinstance(exc, OSError) else ConnectionError("the server hung up"))

    async def ask(self, adus: Sequence[bytes], timeout_s: float) -> list[bytes]:
        """Send requests and wait for all their answers."""
        loop = asyncio.get_running_loop()
        self._asked, self._answers = adus, []
        done: asyncio.Future[list[bytes]] = loop.create_future()
        self._done = done
        watch = loop.call_later(timeout_s, self.lose, TimeoutError())
        self._transport.write(adus[0] if len(adus) == 1 else b"".join(adus))
        try:
            return await done
        finally:
            watch.cancel()
            self._done = None

    def data_received(self, data: bytes) -> None:
        """Take answers, which come in the order of the requests, or unasked."""
        self._received += data
        try:
            while length := frame_length(self._received):
                self._take(bytes(self._received[:length]))
                del self._received[:length]
        except FramingError as failure:
            self.lose(failure)

    def lose(self, why: Exception) -> None:
        """End the connection: whatever still came over it would answer something that nobody waits for."""
        self.is_lost = True
        self._transport.abort()
        if self._done is not None and not self._done.done():
            self._done.set_exception(why)

    def _take(self, answer: bytes) -> None:
        if self._done is None or len(self._answers) == len(self._asked):
            raise FramingError("an answer came that nobody had asked for")
        told = answer_pdu(self._asked[len(self._answers)], answer)
        if told is None:
            raise FramingError("an answer came to another request")
        self._answers.append(told)
        if len(self._answers) == len(self._asked) and not self._done.done():
            self._done.set_result(self._answers)
