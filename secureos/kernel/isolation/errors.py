"""What can go wrong with isolation.

IsolationError
├── IsolationUnavailable   this machine cannot confine a task, and nothing was started
└── NotConfined            a process could not be made or confined after all

ProtocolError              bytes from a task's process are not what they should be: that task's fault
"""

from __future__ import annotations


class IsolationError(Exception):
    """Isolation was asked for and cannot be had; never replaced by less without a word."""


class IsolationUnavailable(IsolationError):
    """This machine lacks what isolation needs; the message says what, and what to do."""


class NotConfined(IsolationError):
    """A task's process was not made, or could not lock itself."""


class ProtocolError(Exception):
    """A frame or a value is malformed, oversized or out of turn."""
