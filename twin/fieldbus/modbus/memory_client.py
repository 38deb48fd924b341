"""The client without sockets: the same bytes, handed over by a call."""

from __future__ import annotations

from collections.abc import Callable

from pymodbus.framer import FramerSocket
from pymodbus.pdu import ModbusPDU

from twin.fieldbus.errors import FieldbusError
from twin.fieldbus.modbus.client import RequestingClient
from twin.fieldbus.modbus.pdus import ResponseDecoder
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
        self._framer = FramerSocket(ResponseDecoder())
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

    async def _exchange(self, request: ModbusPDU) -> ModbusPDU:
        if self._is_listening is not None and not self._is_listening():
            self._peer = None
        if self._peer is None:
            raise FieldbusError("not connected; connect first")
        self._transaction = self._transaction % 0xFFFF + 1
        request.transaction_id = self._transaction
        answer = self._responder.respond(self._framer.buildFrame(request), self._peer)
        if answer is None:
            raise FieldbusError(f"function {request.function_code} was not answered")
        _, response = self._framer.handleFrame(answer, request.dev_id, request.transaction_id)
        return response or ModbusPDU()
