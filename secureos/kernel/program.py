"""What a program sees of the kernel, and what the kernel asks of a program.

A program is handed one `System` when it starts and nothing else: it never imports another program, opens a
socket or reads a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

Fields = Mapping[str, Any]
NO_FIELDS: Fields = {}


class ReturnCode(Enum):
    """How an exchange ended for the one who called."""

    OK = "rcOk"
    INVALID_ARGUMENT = "rcInvalidArgument"  # the message does not fit its interface description
    SECURITY_DISALLOW = "rcSecurityDisallow"  # the security module refused it
    NOT_CONNECTED = "rcNotConnected"  # no channel of that name, or nobody at its other end
    BUSY = "rcBusy"  # the server is itself waiting for this very call chain
    FAILED = "rcFailed"  # the server failed while serving


@dataclass(frozen=True, slots=True)
class Request:
    """A message that reached a server. Who sent it is not told: what a client may do is the policy's matter."""

    endpoint: str
    method: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answers: the method's `out` fields, or with the error flag its `error` fields."""

    fields: Fields = field(default_factory=dict)
    error: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets back from a call.

    Attributes:
        code: OK when the exchange took place, whatever the server said.
        fields: The server's `out` fields, or its `error` fields if `error` is set; empty unless OK.
        error: The server's error flag.
        reason: Why the kernel refused; empty if it did not. For people and protocol gateways' logs.
    """

    code: ReturnCode
    fields: Fields = field(default_factory=dict)
    error: bool = False
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the exchange took place and the server did what was asked."""
        return self.code is ReturnCode.OK and not self.error


class System(Protocol):
    """The kernel interface of one task."""

    @property
    def task(self) -> str:
        """The task's own name."""

    @property
    def args(self) -> tuple[str, ...]:
        """The arguments that the image gives the task."""

    @property
    def now_ns(self) -> int:
        """The host's time (ns)."""

    def call(self, channel: str, endpoint: str, method: str, fields: Fields = NO_FIELDS) -> Answer:
        """Send a request over a channel and wait for the reply."""

    def report(self, method: str, fields: Fields) -> Answer:
        """Tell the security module something through the task's security interface."""

    def device(self, name: str) -> Any:  # noqa: ANN401
        """A device that the host granted to this task.

        Raises:
            KeyError: It was not granted.
        """


class Program(Protocol):
    """The code of a task."""

    def start(self, system: System) -> None:
        """Called once, before any message; keeps `system`."""

    def serve(self, request: Request) -> Reply:
        """Answer one request."""

    def snapshot(self) -> dict[str, Any]:
        """The program's state as plain values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
