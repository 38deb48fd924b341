"""The tasks of a controller, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from secureos.kernel import Image, Kernel, Program
from secureos.kernel.isolation import Device, IsolatedProgram, Nursery, Turnstile
from twin.controller.isolated_builders import limits_as_values, points_as_values
from twin.controller.isolated_devices import ClientPort, FieldWire
from twin.core.points import PointTable
from twin.fieldbus import DeviceIdentity, FieldbusError, ServerLimits

_BUILDERS = "twin.controller.isolated_builders"

# What field I/O raises when its wire breaks; a refusal by the plant's own terminals is one, too.
_WIRE_TROUBLE: Mapping[str, type[Exception]] = dict.fromkeys(
    ("FieldbusError", "ModbusRefusal", "NoAnswer"), FieldbusError
)


class IsolatedTasks:
    """What makes the programs of one controller in processes of their own, and what they are granted.

    Args:
        nursery: Where processes come from.
        field: The wire to the plant, granted to field I/O alone.
        port: Where clients come, granted to the gateway alone.
        identity: What the gateway tells of itself.
        limits: What each client's connection may take.
        journal: Whether the gateway shall tell of every write that a client asks for.
    """

    def __init__(
        self,
        nursery: Nursery,
        *,
        field: FieldWire,
        port: ClientPort,
        identity: DeviceIdentity,
        limits: ServerLimits,
        journal: bool = False,
    ) -> None:
        self.field = field
        self.port = port
        self._nursery = nursery
        self._turnstile = Turnstile()
        self._gateway_settings = {
            "product": identity.product_code,
            "revision": identity.revision,
            "limits": limits_as_values(limits),
            "journal": journal,
        }
        self._running: dict[str, IsolatedProgram] = {}

    def programs(self, kernel: Kernel, image: Image, points: PointTable) -> dict[str, Callable[[], Program]]:
        """What makes the program of each task, anew at each restart."""
        table = {"points": points_as_values(points)}
        granted: dict[str, tuple[dict[str, Any], dict[str, Device]]] = {
            "field_io": ({**table, "timeout_s": 3.0}, {"plant": self.field}),
            "control_logic": ({}, {}),
            "gateway": ({**table, **self._gateway_settings}, {"modbus": self.port}),
        }
        quotas = {spec.task: spec.quota for spec in image.tasks}

        def make(task: str) -> Program:
            settings, devices = granted[task]
            self.end(task)
            self._running[task] = program = IsolatedProgram(
                self._nursery,
                f"{_BUILDERS}:{task}",
                quota=quotas[task],
                settings=settings,
                devices=devices,
                turnstile=self._turnstile,
                passes=_WIRE_TROUBLE,
                enter=lambda work: kernel.enter(task, work),
                on_fault=lambda fault: kernel.fail(task, fault),
            )
            return program

        return {task: lambda task=task: make(task) for task in granted}  # type: ignore[misc]

    def pid(self, task: str) -> int:
        """The process in which a task runs now."""
        return self._running[task].pid

    def end(self, task: str) -> None:
        """End the process of a task, if there is one."""
        program = self._running.pop(task, None)
        if program is not None:
            program.close()

    def close(self) -> None:
        """Stop listening and end every process."""
        self.port.close()
        for task in tuple(self._running):
            self.end(task)
