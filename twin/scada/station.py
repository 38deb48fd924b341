"""An operator station: reads the gateway's points and writes commands, over the wire and nothing else."""

from __future__ import annotations

from twin.core import Point, PointTable
from twin.fieldbus import Block, ModbusClient, ModbusRefusal, Reading, RegisterMap, Value


class CommandRefused(Exception):
    """A write was answered by the protocol's own error.

    Attributes:
        code: The Modbus exception code.
    """

    def __init__(self, tag: str, code: int) -> None:
        super().__init__(f"the write of `{tag}` was refused with Modbus exception {code:02d}")
        self.tag = tag
        self.code = code


class NotSelected(Exception):
    """A command that is selected before it is operated was not, or no longer; nothing was operated."""

    def __init__(self, tag: str, why: str) -> None:
        super().__init__(f"`{tag}` was not operated: {why}; select it anew")
        self.tag = tag


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

    async def poll(self) -> dict[str, Value]:
        """Read every measurement and status, in engineering units, by tag.

        Raises:
            FieldbusError: The wire failed, or any block was refused.
        """
        values: dict[str, Value] = {}
        for block in self._blocks:
            values.update(await self._read(block))
        return values

    async def survey(self, at_ns: int) -> dict[str, Reading]:
        """Read what can be read of all measurements and status, by tag, as readings of `at_ns`.

        Modbus carries no quality: a block that the gateway refuses is left out, and its points grow old.

        Raises:
            FieldbusError: The wire failed.
        """
        readings: dict[str, Reading] = {}
        for block in self._blocks:
            try:
                values = await self._read(block)
            except ModbusRefusal:
                continue
            readings.update((tag, Reading(value, "good", at_ns)) for tag, value in values.items())
        return readings

    async def read(self, tag: str) -> Value:
        """Read one point, of any table, in engineering units.

        Raises:
            FieldbusError: The wire failed, or the gateway refused.
            KeyError: There is no such point on the SCADA side.
        """
        point = self.points[tag]
        block = Block(point.modbus_unit, point.modbus_table, point.modbus_address, point.width, (point,))
        return (await self._read(block))[tag]

    async def write(self, tag: str, value: float) -> None:
        """Write one point, in engineering units; one that is selected first is selected, and then operated.

        Raises:
            CommandRefused: The gateway answered with an exception.
            NotSelected: The gateway took the selection and does not show it.
            KeyError: There is no such point on the SCADA side.
        """
        point = self.points[tag]
        if point.selected_by:
            await self.select(tag)
            await self.operate(tag, value)
        else:
            await self._write(point, value)

    async def select(self, tag: str) -> None:
        """The first of two steps: take a command in hand. What keeps others off it is the gateway's matter.

        Raises:
            CommandRefused: The gateway answered with an exception; somebody else may have it in hand.
        """
        await self._write(self.points[self.points[tag].selected_by], 1)

    async def operate(self, tag: str, value: float) -> None:
        """The second step: order what is in hand.

        Raises:
            NotSelected: The gateway does not show it as selected: it never was, or its time is over.
            CommandRefused: The gateway answered with an exception.
        """
        point = self.points[tag]
        if not await self.read(point.selected_by):
            raise NotSelected(tag, f"`{point.selected_by}` does not show it as selected")
        await self._write(point, value)

    async def cancel(self, tag: str) -> None:
        """Instead of the second step: let go of a command.

        Raises:
            CommandRefused: The gateway answered with an exception.
        """
        await self._write(self.points[self.points[tag].selected_by], 0)

    async def _write(self, point: Point, value: float) -> None:
        try:
            if point.modbus_table == "coil":
                await self._client.write_coil(point.modbus_address, bool(value), unit=point.modbus_unit)
            else:
                cells = self._map.encode(point, value)
                await self._client.write_registers(point.modbus_address, cells, unit=point.modbus_unit)
        except ModbusRefusal as refusal:
            raise CommandRefused(point.tag, int(refusal.code)) from refusal

    async def _read(self, block: Block) -> dict[str, Value]:
        bits = block.table in ("coil", "discrete")
        read = self._client.read_bits if bits else self._client.read_registers
        cells = await read(block.table, block.address, block.count, unit=block.unit)
        values: dict[str, Value] = {}
        for point in block.points:
            start = point.modbus_address - block.address
            values[point.tag] = self._map.decode(point, cells[start : start + point.width])
        return values
