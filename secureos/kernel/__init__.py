"""The kernel: tasks, channels, synchronous messages, and the one place where a verdict is asked for."""

from secureos.kernel.errors import (
    ExchangeRefused,
    HandleError,
    ImageError,
    KernelError,
    QuotaExceeded,
    StartRefused,
    TaskCrashed,
    TaskFault,
    TaskHung,
)
from secureos.kernel.image import Connection, Image, TaskSpec, load_image
from secureos.kernel.kernel import Clock, Kernel
from secureos.kernel.program import Answer, Notice, Program, Reply, Request, ReturnCode, System
from secureos.kernel.security_module import SecurityModule
from secureos.kernel.task import Task, TaskState

__all__ = [
    "Answer",
    "Clock",
    "Connection",
    "ExchangeRefused",
    "HandleError",
    "Image",
    "ImageError",
    "Kernel",
    "KernelError",
    "Notice",
    "Program",
    "QuotaExceeded",
    "Reply",
    "Request",
    "ReturnCode",
    "SecurityModule",
    "StartRefused",
    "System",
    "Task",
    "TaskCrashed",
    "TaskFault",
    "TaskHung",
    "TaskSpec",
    "TaskState",
    "load_image",
]
