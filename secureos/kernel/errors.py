"""What can go wrong in the kernel.

KernelError
├── ImageError      init.yaml or an interface description is wrong; nothing was started
└── StartRefused    the policy did not let a task start
"""

from __future__ import annotations


class KernelError(Exception):
    """Something that only a person can mend; what a task does wrong gets a return code instead."""


class ImageError(KernelError):
    """An image cannot be used; the message lists every mistake, one a line."""


class StartRefused(KernelError):
    """A task was not allowed to start."""
