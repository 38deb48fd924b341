"""Field I/O: the only task that holds the wire to the plant. Small, because everything depends on it.

Once per scan it reads the plant's blocks into the input image, tells the security module what was measured, and
at the end writes what came into the output image. A command changes the output image only after a verdict.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Sequence
from itertools import chain
from typing import Any

from secureos.kernel import Reply, Request, System
from twin.controller.codes import UNKNOWN_TAG
from twin.controller.image_layout import ImageLayout, from_counts
from twin.core.points import PointTable
from twin.fieldbus import Block, ModbusClient, RegisterMap


class FieldIo:
    """The program of the field I/O task.

    Arguments in the image: `report=TAG,TAG…` (repeatable): the points reported to the security module.
    Device: `plant`, a Modbus client of the plant's field server.
    """

    def __init__(self, points: PointTable) -> None:
        self._layout = ImageLayout(points)
        self._map = RegisterMap(points.side("field"))
        self._writable = {p.tag: p for p in self._map.points if p.writable}
        self._cells = array("H", bytes(2 * self._layout.size))
        self._blocks: list[Sequence[int]] = []  # as last read; cells and values are made of them
        self._values = array("i")
        self._read_at_ns = 0
        # The output image. A point stands in it once, however often it is commanded within a scan, so it is bounded.
        self._pending: dict[str, int] = {}

    def start(self, system: System) -> None:
        """Find the plant's wire and learn which points to report."""
        self._system = system
        self._client: ModbusClient = system.device("plant")
        listed = [arg.removeprefix("report=") for arg in system.args if arg.startswith("report=")]
        self._reported = tuple(tag for tags in listed for tag in tags.split(","))
        unknown = [tag for tag in self._reported if tag not in self._layout]
        if unknown:
            raise ValueError(f"task `{system.task}` shall report {', '.join(unknown)}, which the image does not hold")
        self._quality = array("B", bytes(len(self._reported)))  # 0 is good: a block that was read was read whole

    async def activate(self, phase: str) -> None:
        """The phases `read` and `write`, at the beginning and the end of a scan.

        Raises:
            LookupError: There is no other phase.
            FieldbusError: The wire to the plant broke.
        """
        if phase == "read":
            await self._read_inputs()
        elif phase == "write":
            await self._write_outputs()
        else:
            raise LookupError(f"field I/O has no phase `{phase}`")

    async def _read_inputs(self) -> None:
        """Beginning of a scan: read the plant's blocks, then report what the policy weighs."""
        blocks = [await self._read(block) for block in self._layout.blocks]
        self._read_at_ns = self._system.now_ns
        if blocks != self._blocks:  # a plant's transmitters change more slowly than a controller scans
            self._blocks = blocks
            self._cells = array("H", chain.from_iterable(blocks))
            self._values = array("i", [self._layout.counts(tag, self._cells) for tag in self._reported])
        if self._reported:
            self._system.report("Report", {"tags": self._reported, "values": self._values, "quality": self._quality})

    def _read(self, block: Block) -> Awaitable[Sequence[int]]:
        read = self._client.read_bits if block.table == "discrete" else self._client.read_registers
        return read(block.table, block.address, block.count, unit=block.unit)

    async def _write_outputs(self) -> None:
        """End of a scan: one write for each change in the output image, in the order in which they came."""
        pending, self._pending = self._pending, {}
        for tag, value in pending.items():
            point = self._writable[tag]
            if point.modbus_table == "coil":
                await self._client.write_coil(point.modbus_address, bool(value), unit=point.modbus_unit)
            else:
                cells = self._map.encode(point, from_counts(point, value))
                await self._client.write_registers(point.modbus_address, cells, unit=point.modbus_unit)

    def serve(self, request: Request) -> Reply:
        """`Read` the input image, `Write` into the output image, `Stop` a machine, or `Beat` the heart."""
        if request.method == "Read":
            return Reply({"cells": self._cells, "atNs": self._read_at_ns})
        if request.method == "Beat":
            writes = {request.fields["tag"]: request.fields["count"]}
        elif request.method == "Stop":
            writes = {request.fields["tag"]: 1}
        else:
            writes = dict(zip(request.fields["tags"], request.fields["values"], strict=False))
        if any(tag not in self._writable for tag in writes):
            return Reply({"code": UNKNOWN_TAG}, error=True)
        self._pending.update(writes)
        return Reply()

    def snapshot(self) -> dict[str, Any]:
        """The images as plain values."""
        return {"cells": list(self._cells), "read_at_ns": self._read_at_ns, "pending": dict(self._pending)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self._blocks, self._cells = [], array("H", state["cells"])
        self._read_at_ns = state["read_at_ns"]
        self._pending = dict(state["pending"])
