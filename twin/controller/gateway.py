"""The Modbus gateway: parses the protocol for the SCADA side and knows nothing else.

Reads are served from its own copy of the process image, refreshed by one mediated message per scan. A write
becomes one message to the control logic; a refusal anywhere behind it comes back as the protocol's own error.
"""

from __future__ import annotations

from array import array
from typing import Any

from secureos.kernel import Reply, Request, ReturnCode, System
from twin.controller.codes import REFUSED
from twin.controller.image_layout import ImageLayout, to_counts
from twin.core.points import PointTable
from twin.fieldbus import BankStation, ExceptionCode, ModbusRefusal, Peer, RegisterBank, RegisterMap, Write


class ModbusGateway:
    """The program of a Modbus gateway task.

    Device: `modbus`, the host's port; the gateway gives it the station that answers clients.
    """

    def __init__(self, points: PointTable) -> None:
        self._layout = ImageLayout(points)
        self._bank = RegisterBank(RegisterMap(points.side("scada")))

    def start(self, system: System) -> None:
        """Begin to answer on the port that the host granted."""
        self._system = system
        system.device("modbus").attach(BankStation(self._bank, self.write))

    async def activate(self, phase: str) -> None:
        """The phase `refresh`, once per scan: copy the process image, block by block, into what clients read.

        Raises:
            LookupError: There is no other phase.
        """
        if phase != "refresh":
            raise LookupError(f"the gateway has no phase `{phase}`")
        answer = self._system.call("commands", "commands", "Image")
        if not answer.ok:
            return
        cells = answer.fields["cells"]
        offset = 0
        for block in self._layout.blocks:
            self._bank.load(block, cells[offset : offset + block.count])
            offset += block.count

    def write(self, writes: tuple[Write, ...], peer: Peer) -> None:
        """One client request, all or nothing.

        Raises:
            ModbusRefusal: 01 ILLEGAL FUNCTION when it is refused. The specification (V1.1b3, section 7) gives that
                code to a server "in the wrong state to process a request", Modbus/TCP Security to a caller without
                authority; 04 SERVER DEVICE FAILURE when it could not be carried out.
        """
        # A command is a pulse: writing 0 to its coil asks for nothing.
        asked = [w for w in writes if w.value or w.point.kind != "command"]
        if not asked:
            return
        answer = self._system.call(
            "commands",
            "commands",
            "Write",
            {
                "tags": tuple(w.point.tag for w in asked),
                "values": array("i", [to_counts(w.point, w.value) for w in asked]),
                "session": peer.session,
                "address": peer.address,
            },
        )
        if answer.ok:
            return
        if answer.code is ReturnCode.SECURITY_DISALLOW or (answer.error and answer.fields["code"] == REFUSED):
            raise ModbusRefusal(ExceptionCode.ILLEGAL_FUNCTION)
        raise ModbusRefusal(ExceptionCode.SERVER_DEVICE_FAILURE)

    def serve(self, request: Request) -> Reply:
        """A gateway has no endpoints; the kernel lets nothing through to it."""
        raise LookupError(f"the gateway serves no `{request.method}`")

    def snapshot(self) -> dict[str, Any]:
        """What clients read, as plain values."""
        return {"cells": [self._bank.words(block) for block in self._layout.blocks]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        for block, cells in zip(self._layout.blocks, state["cells"], strict=True):
            self._bank.load(block, cells)
