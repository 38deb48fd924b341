"""How much a task may use before it counts as faulty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

MOST = 1_000_000_000
"""No quota is larger."""

_MAY_BE_ZERO = ("restarts", "backoff_ms")


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits of one task.

    Attributes:
        calls: Kernel calls during one activation or served request.
        steps: Steps that the program charges to itself during one activation or served request.
        memory_mb: Address space of an isolated task (MiB).
        cpu_s: Processor time of an isolated task during one activation or served request (s).
        restarts: How often it is started again before it counts as failed.
        backoff_ms: Wait before the first restart (ms of the host's time); each further wait is twice as long.
        call_timeout_ms: How long the kernel waits for an isolated task's answer (ms of wall time).
    """

    calls: int = 10_000
    steps: int = 1_000_000
    memory_mb: int = 512
    cpu_s: int = 2
    restarts: int = 5
    backoff_ms: int = 100
    call_timeout_ms: int = 2_000


NAMES = tuple(one.name for one in fields(Quota))
"""The keys of `quota` in `init.yaml`."""


def wrong_limits(limits: Mapping[object, object]) -> list[str]:
    """What is wrong with the values of known keys, one sentence each."""
    wrong = []
    for name, value in limits.items():
        least = 0 if name in _MAY_BE_ZERO else 1
        if name in NAMES and (type(value) is not int or not least <= value <= MOST):
            wrong.append(f"quota `{name}` must be a whole number from {least} to {MOST}, not `{value}`")
    return wrong
