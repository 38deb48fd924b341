"""What a program sees of the kernel, and what the kernel asks of a program.

A program is handed one `System` when it starts and nothing else: it never imports another program, opens a
socket or reads a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol

Fields = Mapping[str, Any]
NO_FIELDS: Fields = {}


class ReturnCode(Enum):
    """How an exchange ended for the one who called."""

    OK = "rcOk"
    INVALID_ARGUMENT = "rcInvalidArgument"  # the message does not fit its interface description
    SECURITY_DISALLOW = "rcSecurityDisallow"  # the security module refused it
    NOT_CONNECTED = "rcNotConnected"  # no channel of that name, or nobody at its other end
    BUSY = "rcBusy"  # the server is itself waiting for this very call chain
    FAILED = "rcFailed"  # the server is stopped, and not started again yet
    TIMED_OUT = "rcTimeout"  # the server did not answer in time
    INTERRUPTED = "rcInterrupted"  # the server was stopped while serving
    BAD_HANDLE = "rcBadHandle"  # a number that the kernel never gave to this task
    HANDLE_CLOSED = "rcHandleClosed"  # a number that this task itself closed, or that a former run of it held
    HANDLE_REVOKED = "rcHandleRevoked"  # the handle is open, but its rights were taken back
    HANDLE_FOREIGN = "rcHandleForeign"  # the handle leads to a resource of another kind, or of another provider
    NO_RIGHT = "rcAccessDenied"  # the handle lacks the right that the operation needs
    TABLE_FULL = "rcOutOfHandles"  # a task that should get a handle holds as many as it may


# Requests and answers are made for every message and belong to the one who gets them, so they need not be frozen:
# that would double what it costs to make one.


@dataclass(slots=True)
class Request:
    """A message that reached a server. Who sent it is not told: what a client may do is the policy's matter."""

    endpoint: str
    method: str
    fields: Fields


@dataclass(slots=True)
class Reply:
    """What a server answers: the method's `out` fields, or with the error flag its `error` fields."""

    fields: Fields = field(default_factory=dict)
    error: bool = False


@dataclass(slots=True)
class Answer:
    """What a client gets back from a call.

    Attributes:
        code: OK when the exchange took place, whatever the server said.
        fields: The server's `out` fields, or its `error` fields if `error` is set; empty unless OK.
        error: The server's error flag.
        reason: Why the kernel refused; empty if it did not. For people and protocol gateways' logs.
        rule: Which rule of the policy refused; empty if none did.
        disposition: What a denial did beside refusing: `clamp` (the request was carried out, altered), `deny`, `hold`,
            `fallback`, `substitute`, `defer` or `shutdown` (it was not); empty if nothing is declared.
        effective: The fields that were delivered instead, if any were.
    """

    code: ReturnCode
    fields: Fields = field(default_factory=dict)
    error: bool = False
    reason: str = ""
    rule: str = ""
    disposition: str = ""
    effective: Fields = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the exchange took place and the server did what was asked."""
        return self.code is ReturnCode.OK and not self.error


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to a handle without the task's doing.

    Attributes:
        kind: `revoked`: the task's handle was taken back, and is to be closed; `released`: nobody else holds a handle
            to the task's own resource any more; `lost`: notices were dropped because too many waited.
        handle: The handle, by the number that the task knows; of a resource the one that `create` gave. 0 for `lost`.
    """

    kind: Literal["revoked", "released", "lost"]
    handle: int


class System(Protocol):
    """The kernel interface of one task.

    Everything that charges a budget raises `QuotaExceeded` once it is used up, and the task is stopped when its
    program returns, whatever the program makes of it. What takes a handle raises `HandleError`; `call` answers with
    its code instead.
    """

    @property
    def task(self) -> str:
        """The task's own name."""

    @property
    def args(self) -> tuple[str, ...]:
        """The arguments that the image gives the task."""

    @property
    def now_ns(self) -> int:
        """The host's time (ns)."""

    def call(self, channel: str | int, endpoint: str, method: str, fields: Fields = NO_FIELDS) -> Answer:
        """Send a request and wait for the reply.

        Args:
            channel: The name of a static channel, or a handle that leads to a task.
            endpoint: Where it is called, as the server's class names it.
            method: What is called there.
            fields: The method's `in` fields. A handle in them is `{"handle": number, "rights": mask}`.
        """

    def report(self, method: str, fields: Fields) -> Answer:
        """Tell the security module something through the task's security interface."""

    def device(self, name: str) -> Any:  # noqa: ANN401
        """A device that the host granted to this task.

        Raises:
            KeyError: It was not granted.
        """

    def locate(self, name: str) -> int:
        """The handle of the static channel called `name`; another one once the task at its end was restarted."""

    def create(self, rights: int, context: int | str) -> int:
        """Make a resource of the task's own; the handle to it, with `rights` (a 32-bit mask).

        Args:
            rights: See `secureos.kernel.rights`; the upper 16 bits mean what the task says.
            context: A number or text by which the task knows the resource again.
        """

    def dereference(self, handle: int) -> int | str:
        """The context of the task's own resource that a handle leads to, whoever sent it."""

    def rights(self, handle: int) -> int:
        """The rights that a handle carries."""

    def sid(self, handle: int) -> int:
        """The security identifier behind a handle; needs the right GET_SID."""

    def close(self, handle: int) -> None:
        """Give a handle back; what was made of it for others stays."""

    def revoke(self, handle: int) -> None:
        """Take back every handle that others have by way of this one; the handle itself stays as it is."""

    def notices(self) -> list[Notice]:
        """What happened since this was last asked, oldest first."""

    def spend(self, steps: int) -> None:
        """Charge the step budget of the activation or request under way."""


class Program(Protocol):
    """The code of a task.

    Whatever it raises stops the task; a restart begins with a fresh program.
    """

    def start(self, system: System) -> None:
        """Called once, before any message; keeps `system`."""

    def serve(self, request: Request) -> Reply:
        """Answer one request."""

    async def activate(self, phase: str) -> None:
        """Do one piece of cyclic work; may await input and output of a device and nothing else.

        While it awaits, other tasks work, and may call this one.

        Raises:
            LookupError: The program has no phase of that name.
        """

    def snapshot(self) -> dict[str, Any]:
        """The program's state as plain values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
