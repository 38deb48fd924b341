"""What a task can do with handles, apart from calling by them. Each refusal is recorded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from secureos.kernel.errors import HandleError, QuotaExceeded
from secureos.kernel.handles import USER, Handle, Handles
from secureos.kernel.program import Notice, ReturnCode
from secureos.kernel.rights import GET_SID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secureos.kernel.kernel import Kernel
    from secureos.kernel.task import Task


class HandleOperations:
    """The handle operations of every task.

    Each is told the task and the run of it that asks, charges one kernel call, and raises `HandleError` when refused.

    Args:
        kernel: Charges and records.
        handles: All tables.
        new_sid: Makes a security identifier for a resource.
    """

    def __init__(self, kernel: Kernel, handles: Handles, new_sid: Callable[[], int]) -> None:
        self._kernel = kernel
        self._handles = handles
        self._new_sid = new_sid

    def locate(self, task: Task, run: int, name: object) -> int:
        """The number of the task's static channel `name`."""
        with self._asked(task, run, "locate"):
            if type(name) is not str or name not in task.table.channels:
                raise HandleError(ReturnCode.NOT_CONNECTED, f"task `{task.name}` holds no channel of that name")
            return self._handles.locate(task.table, name).number

    def create(self, task: Task, run: int, rights: object, context: object) -> int:
        """A new resource of the task's own; the number of its first handle."""
        with self._asked(task, run, "create"):
            return self._handles.create(task.table, self._new_sid, rights, context).number

    def dereference(self, task: Task, run: int, number: object) -> int | str:
        """The context of a resource that the task provides."""
        with self._asked(task, run, "dereference"):
            resource = task.table.use(number).resource
            if resource.kind != USER or resource.provider != task.name or resource.context is None:
                reason = f"handle {number} of task `{task.name}` leads to nothing that the task provides"
                raise HandleError(ReturnCode.HANDLE_FOREIGN, reason)
            return resource.context

    def rights(self, task: Task, run: int, number: object) -> int:
        """The rights of a handle."""
        with self._asked(task, run, "rights"):
            return task.table.use(number).rights

    def sid(self, task: Task, run: int, number: object) -> int:
        """The security identifier behind a handle."""
        with self._asked(task, run, "sid"):
            return task.table.use(number, GET_SID).resource.sid

    def close(self, task: Task, run: int, number: object) -> None:
        """Give a handle back, revoked or not."""
        with self._asked(task, run, "close"):
            self._handles.close(task.table.find(number))

    def revoke(self, task: Task, run: int, number: object) -> None:
        """Take back all that descends from a handle."""
        with self._asked(task, run, "revoke"):
            handle: Handle = task.table.use(number)
            self._handles.revoke(handle)

    def notices(self, task: Task, run: int) -> list[Notice]:
        """The notices that wait."""
        self._kernel.charge(task, run)
        return task.table.take_notices()

    def spend(self, task: Task, run: int, steps: object) -> None:
        """Charge steps; what is no count of steps uses up all of them."""
        self._kernel.charge(task, run)
        work = task.work
        work.steps = work.steps - steps if type(steps) is int and steps >= 0 else -1
        if work.steps < 0:
            raise QuotaExceeded(f"task `{task.name}` used more than its {task.quota.steps} steps")

    @contextmanager
    def _asked(self, task: Task, run: int, operation: str) -> Iterator[None]:
        self._kernel.charge(task, run)
        try:
            yield
        except HandleError as refusal:
            self._kernel.record_refusal(task, operation, str(refusal))
            raise
