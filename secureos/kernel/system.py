"""The kernel interface of one task: the only thing that its program is handed.

No public name of it leads to the kernel, to a task or to a program. In process that keeps honest programs honest:
Python lets code that looks for private names find whatever is in its process. Against code that is hostile, isolation
puts a task into a process of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secureos.kernel.program import NO_FIELDS, Answer, Fields, Notice
from secureos.kernel.task import Task

if TYPE_CHECKING:
    from secureos.kernel.kernel import Kernel


class TaskSystem:
    """`System` for one run of one task; once that run is over, everything asked of it raises `TaskFault`."""

    __slots__ = ("__kernel", "__run", "__task")

    def __init__(self, kernel: Kernel, task: Task) -> None:
        self.__kernel = kernel
        self.__task = task
        self.__run = task.run

    @property
    def task(self) -> str:
        """The task's own name."""
        return self.__task.name

    @property
    def args(self) -> tuple[str, ...]:
        """The arguments that the image gives the task."""
        return self.__task.spec.args

    @property
    def now_ns(self) -> int:
        """The host's time (ns)."""
        return self.__kernel.now_ns

    def device(self, name: str) -> Any:  # noqa: ANN401
        """A device that the host granted."""
        return self.__task.devices[name]

    def call(self, channel: str | int, endpoint: str, method: str, fields: Fields = NO_FIELDS) -> Answer:
        """Send a request and wait for the reply."""
        return self.__kernel.call(self.__task, self.__run, channel, endpoint, method, fields)

    def report(self, method: str, fields: Fields) -> Answer:
        """Tell the security module something."""
        return self.__kernel.report(self.__task, self.__run, method, fields)

    def locate(self, name: str) -> int:
        """The handle of a static channel."""
        return self.__kernel.operations.locate(self.__task, self.__run, name)

    def create(self, rights: int, context: int | str) -> int:
        """Make a resource of the task's own."""
        return self.__kernel.operations.create(self.__task, self.__run, rights, context)

    def dereference(self, handle: int) -> int | str:
        """The context of the task's own resource."""
        return self.__kernel.operations.dereference(self.__task, self.__run, handle)

    def rights(self, handle: int) -> int:
        """The rights that a handle carries."""
        return self.__kernel.operations.rights(self.__task, self.__run, handle)

    def sid(self, handle: int) -> int:
        """The security identifier behind a handle."""
        return self.__kernel.operations.sid(self.__task, self.__run, handle)

    def close(self, handle: int) -> None:
        """Give a handle back."""
        self.__kernel.operations.close(self.__task, self.__run, handle)

    def revoke(self, handle: int) -> None:
        """Take back what others have by way of a handle."""
        self.__kernel.operations.revoke(self.__task, self.__run, handle)

    def notices(self) -> list[Notice]:
        """What happened since this was last asked."""
        return self.__kernel.operations.notices(self.__task, self.__run)

    def spend(self, steps: int) -> None:
        """Charge the step budget."""
        self.__kernel.operations.spend(self.__task, self.__run, steps)
