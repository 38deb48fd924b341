"""Exit codes of the command line."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended, for scripts."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    INVALID = 3
    EXPECTATION = 4
    DENIED = 5
    ENVIRONMENT = 6
    INTERRUPTED = 130
