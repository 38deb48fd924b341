"""The control logic: scans the process image as a PLC does, and passes remote commands on to the field side."""

from __future__ import annotations

from array import array
from typing import Any

from secureos.kernel import Answer, Reply, Request, ReturnCode, System
from twin.controller.codes import DEFERRED, FAILED, REFUSED

NS_PER_S = 1_000_000_000


class ControlLogic:
    """The program of the control logic task.

    Argument in the image: `heartbeat=TAG`, a register counted up once a second, by which the plant's own devices
    notice when the controller is gone.
    """

    def __init__(self) -> None:
        self._cells = array("H")
        self._at_ns = 0
        self._beat = 0
        self._next_beat_ns = 0
        self._heartbeat: str | None = None

    def start(self, system: System) -> None:
        """Learn the heartbeat's tag."""
        self._system = system
        for arg in system.args:
            if arg.startswith("heartbeat="):
                self._heartbeat = arg.removeprefix("heartbeat=")

    async def activate(self, phase: str) -> None:
        """The phase `scan`: read the input image, execute, write the outputs.

        Raises:
            LookupError: There is no other phase.
        """
        if phase != "scan":
            raise LookupError(f"the control logic has no phase `{phase}`")
        answer = self._system.call("outputs", "outputs", "Read")
        if answer.ok:
            self._cells, self._at_ns = answer.fields["cells"], answer.fields["atNs"]
        self._count_heartbeat()

    def serve(self, request: Request) -> Reply:
        """Hand out the `Image`, or pass a client's `Write` or `Stop` on to the field side."""
        if request.method == "Image":
            return Reply({"cells": self._cells, "atNs": self._at_ns})
        # Where it came from ends here: what is admissible does not depend on it.
        asked = {name: value for name, value in request.fields.items() if name != "address"}
        answer = self._system.call("outputs", "outputs", request.method, asked)
        if answer.ok:  # or altered within what is admissible, which the image will show
            return Reply()
        if answer.error:
            return Reply(answer.fields, error=True)
        return Reply({"code": _code(answer)}, error=True)

    def snapshot(self) -> dict[str, Any]:
        """The image and the heartbeat as plain values."""
        return {
            "cells": list(self._cells),
            "at_ns": self._at_ns,
            "beat": self._beat,
            "next_beat_ns": self._next_beat_ns,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self._cells = array("H", state["cells"])
        self._at_ns = state["at_ns"]
        self._beat = state["beat"]
        self._next_beat_ns = state["next_beat_ns"]

    def _count_heartbeat(self) -> None:
        if self._heartbeat is None or self._system.now_ns < self._next_beat_ns:
            return
        self._beat = (self._beat + 1) % 65536
        self._next_beat_ns = self._system.now_ns + NS_PER_S
        self._system.call("outputs", "outputs", "Beat", {"tag": self._heartbeat, "count": self._beat})


def _code(answer: Answer) -> int:
    if answer.disposition == "defer":
        return DEFERRED
    return REFUSED if answer.code is ReturnCode.SECURITY_DISALLOW else FAILED
