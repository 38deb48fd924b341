"""Tasks: a program with its identity, its handles and devices, and how it fares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from secureos.kernel.faults import Restarts
from secureos.kernel.handle_fields import SwapAll, handle_walk
from secureos.kernel.handles import HandleTable
from secureos.kernel.image import TaskSpec
from secureos.kernel.program import Program
from secureos.xdl import Method, TaskClass
from secureos.xdl.message import Check


class TaskState(Enum):
    """How a task fares."""

    RUNNING = "running"
    STOPPED = "stopped"  # by a fault; it is started again when its wait is over
    FAILED = "failed"  # by too many faults, or because the policy did not let it start again


@dataclass(slots=True)
class Work:
    """One activation or served request: the call chain it belongs to, and what it may still use."""

    chain: int
    calls: int
    steps: int


Route = Mapping[str, tuple[Check, SwapAll | None]]
"""By kind of message, what is needed to carry the messages of one method: its check, and where handles stand in it."""


class Task:
    """One task of the image.

    Attributes:
        sid: Security identifier; another one after each start.
        servers: Which task is at the end of each static channel, by the channel's name.
        state: Whether it runs.
        run: Counts its ends; what a former run of it still holds of the kernel is dead.
        busy: Whether its program is at work in the call chain under way.
        work: What its program is at, for its budget.
    """

    def __init__(
        self, spec: TaskSpec, make: Callable[[], Program], devices: Mapping[str, Any], table: HandleTable
    ) -> None:
        self.sid = 0
        self.spec = spec
        self.name = spec.task
        self.class_name = spec.task_class.name
        self.quota = spec.quota
        self.make = make
        self.program = make()
        self.devices = devices
        self.servers = {connection.id: connection.target for connection in spec.connections}
        self.table = table
        self.state = TaskState.RUNNING
        self.restarts = Restarts()
        self.run = 0
        self.busy = False
        self.work = Work(0, 0, 0)
        self._routes = {
            (path, name): _route(method)
            for path, endpoint in spec.task_class.endpoints.items()
            for name, method in endpoint.interface.methods.items()
        }
        security = spec.task_class.security
        self._reports = {} if security is None else {name: _route(one) for name, one in security.methods.items()}

    def route(self, endpoint: object, method: object) -> Route | None:
        """The method that a client names, or None; what it names may be anything."""
        if type(endpoint) is not str or type(method) is not str:
            return None
        return self._routes.get((endpoint, method)) or _made_up(self.spec.task_class, endpoint, method)

    def report(self, method: object) -> Route | None:
        """The method of its own security interface that it names, or None."""
        return self._reports.get(method) if type(method) is str else None


def _made_up(task_class: TaskClass, endpoint: str, method: str) -> Route | None:
    """A method that only a class has whose description is not at hand."""
    found = task_class.endpoints.get(endpoint)
    described = None if found is None else found.interface.methods.get(method)
    return None if described is None else _route(described)


def _route(method: Method) -> Route:
    asked = (method.check_inputs, handle_walk(method.inputs))
    return {
        "request": asked,
        "security": asked,
        "response": (method.check_outputs, handle_walk(method.outputs)),
        "error": (method.check_errors, handle_walk(method.errors)),
    }
