"""The kernel: tasks, channels, synchronous messages, and the one place where a verdict is asked for."""

from secureos.kernel.errors import ImageError, KernelError, StartRefused
from secureos.kernel.image import Connection, Image, TaskSpec, load_image
from secureos.kernel.kernel import Clock, Kernel, Task
from secureos.kernel.program import Answer, Program, Reply, Request, ReturnCode, System
from secureos.kernel.security_module import SecurityModule

__all__ = [
    "Answer",
    "Clock",
    "Connection",
    "Image",
    "ImageError",
    "Kernel",
    "KernelError",
    "Program",
    "Reply",
    "Request",
    "ReturnCode",
    "SecurityModule",
    "StartRefused",
    "System",
    "Task",
    "TaskSpec",
    "load_image",
]
