"""The client without sockets: the same bytes, handed over by a call."""

from __future__ import annotations

from collections.abc import Callable

from twin.fieldbus.errors import FieldbusError, NoAnswer
from twin.fieldbus.modbus.client import RequestingClient
from twin.fieldbus.modbus.mbap import answer_pdu, frame
from twin.fieldbus.modbus.responder import Responder
from twin.fieldbus.peer import Peer


class MemoryModbusClient(RequestingClient):
    """A Modbus client that speaks to a responder in the same process; it never waits.

    Args:
        responder: Who answers.
        peer_address: The address that the server's side sees.
        is_listening: Whether there is still somebody to speak to; left out, always.
    """

    def __init__(
        self,
        responder: Responder,
        *,
        peer_address: str = "127.0.0.1",
        is_listening: Callable[[], bool] | None = None,
    ) -> None:
        self._responder = responder
        self._peer_address = peer_address
        self._is_listening = is_listening
        self._peer: Peer | None = None
        self._transaction = 0

    async def connect(self) -> None:
        """Get a session number.

        Raises:
            FieldbusError: Nobody listens any more.
        """
        if self._is_listening is not None and not self._is_listening():
            raise FieldbusError("cannot connect: nothing listens there any more; serve it again")
        if self._peer is None:
            self._peer = self._responder.admit(self._peer_address, 0)

    async def close(self) -> None:
        """Give the session up."""
        self._peer = None

    async def exchange(self, unit: int, pdu: bytes) -> bytes:
        """Ask the responder."""
        if self._is_listening is not None and not self._is_listening():
            self._peer = None
        if self._peer is None:
            raise FieldbusError("not connected; connect first")
        self._transaction = self._transaction % 0xFFFF + 1
        request = frame(self._transaction, unit, pdu)
        answer = self._responder.respond(request, self._peer)
        told = None if answer is None else answer_pdu(request, answer)
        if told is None:
            raise NoAnswer(f"function {pdu[0]} was not answered")
        return told
