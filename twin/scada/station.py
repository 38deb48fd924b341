"""An operator station: reads the gateway's points and writes commands, over the wire and nothing else."""

from __future__ import annotations

from twin.core.points import PointTable
from twin.fieldbus import Block, ModbusClient, ModbusRefusal, RegisterMap


class CommandRefused(Exception):
    """A write was answered by the protocol's own error.

    Attributes:
        code: The Modbus exception code.
    """

    def __init__(self, tag: str, code: int) -> None:
        super().__init__(f"the write of `{tag}` was refused with Modbus exception {code:02d}")
        self.tag = tag
        self.code = code


class OperatorStation:
    """One Modbus client on the SCADA side, by tag instead of by address.

    Args:
        client: The connection to the gateway.
        points: The plant's table of points; only those of the SCADA side are used.
    """

    def __init__(self, client: ModbusClient, points: PointTable) -> None:
        self._client = client
        self.points = points.side("scada")
        self._map = RegisterMap(self.points)
        self._blocks = [block for block in self._map.read_blocks if block.table in ("discrete", "input")]

    async def connect(self) -> None:
        """Open the connection.

        Raises:
            FieldbusError: Nobody answers.
        """
        await self._client.connect()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def poll(self) -> dict[str, bool | int | float]:
        """Read every measurement and status, in engineering units, by tag."""
        values: dict[str, bool | int | float] = {}
        for block in self._blocks:
            cells = await self._read(block)
            for point in block.points:
                start = point.modbus_address - block.address
                values[point.tag] = self._map.decode(point, cells[start : start + point.width])
        return values

    async def write(self, tag: str, value: float) -> None:
        """Write one point, in engineering units.

        Raises:
            CommandRefused: The gateway answered with an exception.
            KeyError: There is no such point on the SCADA side.
        """
        point = self.points[tag]
        try:
            if point.modbus_table == "coil":
                await self._client.write_coil(point.modbus_address, bool(value), unit=point.modbus_unit)
            else:
                cells = self._map.encode(point, value)
                await self._client.write_registers(point.modbus_address, cells, unit=point.modbus_unit)
        except ModbusRefusal as refusal:
            raise CommandRefused(tag, int(refusal.code)) from refusal

    async def _read(self, block: Block) -> list[int] | list[bool]:
        read = self._client.read_bits if block.table == "discrete" else self._client.read_registers
        return await read(block.table, block.address, block.count, unit=block.unit)
