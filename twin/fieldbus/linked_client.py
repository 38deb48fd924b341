"""A client whose way to the server is a link: it finds its requests lost while the link loses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from twin.fieldbus.errors import NoAnswer
from twin.fieldbus.impairments import Link
from twin.fieldbus.modbus.client import ModbusClient, Request, RequestingClient

Sent = Callable[[int, bytes, bytes | None], None]
"""Is told of a request as the client knows it: unit, PDU, and the PDU of its answer, or None if it was lost."""

_IN_VAIN: Final = "no answer came in time; whether the request was carried out is unknown"


class Exchanging(ModbusClient, Protocol):
    """A client whose requests can be got at as PDUs, as those of every wire can."""

    async def exchange_all(self, requests: Sequence[Request]) -> list[bytes]:
        """The answers to several requests."""
        ...


class LinkedClient(RequestingClient):
    """A Modbus client behind a link.

    Args:
        client: Whose requests pass.
        link: What they pass over.
        on_sent: Is told of each request: of all where nobody sees the other end, else of those lost.
        sees_all: Which of the two.
    """

    def __init__(self, client: Exchanging, link: Link, *, on_sent: Sent, sees_all: bool = False) -> None:
        self._client = client
        self._link = link
        self._on_sent = on_sent
        self._sees_all = sees_all

    async def connect(self) -> None:
        """Connect, unless connected.

        Raises:
            FieldbusError: As the client itself raises it.
        """
        await self._client.connect()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def exchange(self, unit: int, pdu: bytes) -> bytes:
        """One request.

        Raises:
            NoAnswer: The link loses it; or what the client itself raises.
            FieldbusError: As the client itself raises it.
        """
        (answer,) = await self.exchange_all([(unit, pdu)])
        return answer

    async def exchange_all(self, requests: Sequence[Request]) -> list[bytes]:
        """Several requests; when the link loses them, the first is all that was sent.

        Raises:
            NoAnswer: The link loses them; or what the client itself raises.
            FieldbusError: As the client itself raises it.
        """
        if self._link.cut:
            self._on_sent(*requests[0], None)
            raise NoAnswer(_IN_VAIN)
        answers = await self._client.exchange_all(requests)
        if self._sees_all:
            for (unit, pdu), answer in zip(requests, answers, strict=True):
                self._on_sent(unit, pdu, answer)
        return answers
