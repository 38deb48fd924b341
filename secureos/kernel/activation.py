"""One activation of a task: its program's coroutine, driven step by step.

Between two steps the program waits for a device and other call chains pass. So the chain, the budget and whoever
answers for a fault are set for each step anew, and nothing of them is left behind while the program waits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

from secureos.kernel.errors import TaskFault
from secureos.kernel.task import Task, Work

if TYPE_CHECKING:
    from secureos.kernel.kernel import Kernel

_DONE: Final = object()


class Activation:
    """Awaitable; the result is whether the program came to its end without a fault."""

    __slots__ = ("_kernel", "_phase", "_run", "_steps", "_task", "_work")

    def __init__(self, kernel: Kernel, task: Task, work: Work, phase: str) -> None:
        self._kernel = kernel
        self._task = task
        self._work = work
        self._phase = phase
        self._run = task.run
        self._steps: Generator[Any, Any, None] | None = None

    def __await__(self) -> Generator[Any, Any, bool]:
        kernel, answer, raised = self._kernel, None, None
        while True:
            try:
                awaited = kernel.within(self._task, self._work, self._step, answer, raised, passes=kernel.host_errors)
            except TaskFault:
                return False
            if awaited is _DONE:
                return True
            try:
                answer, raised = (yield awaited), None
            except BaseException as thrown:
                answer, raised = None, thrown
            if self._task.run != self._run:
                return self._abandon(raised)

    def _step(self, answer: object, raised: BaseException | None) -> object:
        """Go on to the next thing that the program awaits; `_DONE` at its end."""
        if self._steps is None:
            self._steps = self._task.program.activate(self._phase).__await__()
        try:
            return self._steps.send(answer) if raised is None else self._steps.throw(raised)
        except StopIteration:
            return _DONE

    def _abandon(self, raised: BaseException | None) -> bool:
        """The task was stopped while it waited: nothing of it runs any more."""
        assert self._steps is not None
        with contextlib.suppress(Exception):  # a program may do anything while it is closed
            self._steps.close()
        if raised is not None:
            raise raised
        return False
