"""The client over TCP: pymodbus' own, told when to give up."""

from __future__ import annotations

import asyncio

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusIOException
from pymodbus.pdu import ModbusPDU

from twin.fieldbus.errors import FieldbusError
from twin.fieldbus.modbus.client import RequestingClient
from twin.fieldbus.modbus.pdus import ResponseDecoder


class TcpModbusClient(RequestingClient):
    """A Modbus/TCP client: no retries, no connecting again behind the caller's back.

    Args:
        host: The server's address or name.
        port: The server's port.
        source_host: Local address to speak from, e.g. 127.0.1.10; left out, the system chooses.
        timeout_s: Wall seconds to wait for a connection or an answer.
    """

    def __init__(self, host: str, port: int, *, source_host: str | None = None, timeout_s: float = 3.0) -> None:
        self._name = f"{host}:{port}"
        self._host = host
        self._port = port
        self._source = None if source_host is None else (source_host, 0)
        self._timeout_s = timeout_s
        self._link: AsyncModbusTcpClient | None = None
        self._turn = asyncio.Lock()
        self._is_waiting = False

    async def connect(self) -> None:
        """Connect, unless connected.

        Raises:
            FieldbusError: Nothing listens there, or it does not take the connection in time.
        """
        if self._link is not None and self._link.connected:
            return
        link = AsyncModbusTcpClient(
            self._host,
            port=self._port,
            source_address=self._source,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_connect=self._on_link,
        )
        link.ctx.framer.decoder = ResponseDecoder()
        if not await link.connect():
            raise FieldbusError(f"cannot connect to `{self._name}`: nothing answers there; is the server running?")
        self._link = link

    async def close(self) -> None:
        """Close the connection; a request under way fails."""
        if self._link is not None:
            self._link.close()
            self._on_link(False)
            self._link = None

    async def _exchange(self, request: ModbusPDU) -> ModbusPDU:
        async with self._turn:
            if self._link is None or not self._link.connected:
                raise FieldbusError(f"not connected to `{self._name}`; connect first")
            self._is_waiting = True
            try:
                response: ModbusPDU = await self._link.execute(False, request)
            except ConnectionException as failure:
                raise FieldbusError(f"the connection to `{self._name}` was lost; connect again") from failure
            except ModbusIOException as failure:
                raise FieldbusError(f"`{self._name}` did not answer within {self._timeout_s:g} s") from failure
            finally:
                self._is_waiting = False
            return response

    def _on_link(self, is_up: bool) -> None:
        """Fail the request under way when the connection goes; the library would wait for its time-out."""
        if is_up or not self._is_waiting or self._link is None:
            return
        pending = self._link.ctx.response_future
        if not pending.done():
            pending.set_exception(ConnectionException("connection lost"))
