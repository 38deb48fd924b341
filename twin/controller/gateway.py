"""The Modbus gateway: parses the protocol for the SCADA side and knows nothing else.

Reads are served from its own copy of the process image, refreshed by one mediated message per scan. A write
becomes one message to the control logic; a refusal anywhere behind it comes back as the protocol's own error.

What a denial did beside refusing, in Modbus's words: a value that was carried out altered is a success, and what came
of it can be read; a command that waits is exception 05 ACKNOWLEDGE; whatever was done *instead* of what the client
asked for is a refusal to the client, since the client's command was not carried out.
"""

from __future__ import annotations

from array import array
from typing import Any

from secureos.kernel import Answer, Reply, Request, ReturnCode, System
from twin.controller.codes import DEFERRED, REFUSED
from twin.controller.image_layout import ImageLayout, to_counts
from twin.core.points import PointTable
from twin.fieldbus import BankStation, ExceptionCode, ModbusRefusal, Peer, RegisterBank, RegisterMap, Write


class ModbusGateway:
    """The program of a Modbus gateway task.

    Argument in the image: `stop=TAG` (repeatable): a command that is an emergency stop, and sent as such.
    Device: `modbus`, the host's port; the gateway gives it the station that answers clients.
    """

    def __init__(self, points: PointTable) -> None:
        self._layout = ImageLayout(points)
        self._bank = RegisterBank(RegisterMap(points.side("scada")))
        self._shown = array("H")  # the image that was last copied; most scans bring the same one

    def start(self, system: System) -> None:
        """Begin to answer on the port that the host granted."""
        self._system = system
        self._stops = {arg.removeprefix("stop=") for arg in system.args if arg.startswith("stop=")}
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
        if cells == self._shown:
            return
        self._shown = cells
        offset = 0
        for block in self._layout.blocks:
            self._bank.load(block, cells[offset : offset + block.count])
            offset += block.count

    def write(self, writes: tuple[Write, ...], peer: Peer) -> None:
        """One client request, all or nothing; but an emergency stop in it goes first and does not depend on the rest.

        Raises:
            ModbusRefusal: 01 ILLEGAL FUNCTION when it is refused. The specification (V1.1b3, section 7) gives that
                code to a server "in the wrong state to process a request", Modbus/TCP Security to a caller without
                authority; 04 SERVER DEVICE FAILURE when it could not be carried out; 05 ACKNOWLEDGE when it waits.
        """
        # A command is a pulse: writing 0 to its coil asks for nothing.
        asked = [w for w in writes if w.value or w.point.kind != "command"]
        sender = {"session": peer.session, "address": peer.address}
        answers = [
            self._system.call("commands", "commands", "Stop", {"tag": w.point.tag, **sender})
            for w in asked
            if w.point.tag in self._stops
        ]
        if others := [w for w in asked if w.point.tag not in self._stops]:
            tags = tuple(w.point.tag for w in others)
            values = array("i", [to_counts(w.point, w.value) for w in others])
            fields = {"tags": tags, "values": values, **sender}
            answers.append(self._system.call("commands", "commands", "Write", fields))
        for answer in answers:
            if not answer.ok:
                raise ModbusRefusal(_exception(answer))

    def serve(self, request: Request) -> Reply:
        """A gateway has no endpoints; the kernel lets nothing through to it."""
        raise LookupError(f"the gateway serves no `{request.method}`")

    def snapshot(self) -> dict[str, Any]:
        """What clients read, as plain values."""
        return {"cells": [self._bank.words(block) for block in self._layout.blocks]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self._shown = array("H")
        for block, cells in zip(self._layout.blocks, state["cells"], strict=True):
            self._bank.load(block, cells)


def _exception(answer: Answer) -> ExceptionCode:
    code = answer.fields["code"] if answer.error else None
    if code == DEFERRED or answer.disposition == "defer":
        return ExceptionCode.ACKNOWLEDGE
    refused = answer.code is ReturnCode.SECURITY_DISALLOW or code == REFUSED
    return ExceptionCode.ILLEGAL_FUNCTION if refused else ExceptionCode.SERVER_DEVICE_FAILURE
