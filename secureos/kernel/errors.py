"""What can go wrong in the kernel.

KernelError
├── ImageError       init.yaml or an interface description is wrong; nothing was started
├── StartRefused     the policy did not let a task start
└── ExchangeRefused  another policy was offered, and the one in force stays

TaskFault           a task did something that ends it; the kernel stops it and may start it again
├── TaskCrashed     its program raised, or its process died
├── TaskHung        it did not answer in time
└── QuotaExceeded   it used more than its quota of calls, steps, memory or processor time

HandleError         a handle that a program named cannot be used as it wished; carries the return code
"""

from __future__ import annotations

from secureos.kernel.program import ReturnCode


class KernelError(Exception):
    """Something that only a person can mend; what a task does wrong gets a return code instead."""


class ImageError(KernelError):
    """An image cannot be used; the message lists every mistake, one a line."""


class StartRefused(KernelError):
    """A task was not allowed to start."""


class ExchangeRefused(KernelError):
    """Another policy was offered and not put in force; the message says why."""


class TaskFault(Exception):
    """A task has to be stopped; whoever waits for its answer is told `code`."""

    code = ReturnCode.INTERRUPTED


class TaskCrashed(TaskFault):
    """A program raised, answered with something that is no reply, or its process died."""


class TaskHung(TaskFault):
    """A program did not answer in time."""

    code = ReturnCode.TIMED_OUT


class QuotaExceeded(TaskFault):
    """A program used more than its quota; raised out of what it asked of its `System`."""


class HandleError(Exception):
    """A handle operation was refused: `code` says what kind of refusal, the text why."""

    def __init__(self, code: ReturnCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
