"""A program in a process of its own, which to the kernel is a program like any other.

Whatever comes from the process is taken as hostile: its frames are bounded and checked, its answers are awaited for a
limited time, and what it may begin of its own accord is counted. Anything wrong ends the process and is this task's
fault; nobody else's work stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from secureos.kernel.errors import HandleError, QuotaExceeded, TaskCrashed, TaskFault, TaskHung
from secureos.kernel.isolation.devices import Device
from secureos.kernel.isolation.errors import NotConfined, ProtocolError
from secureos.kernel.isolation.frames import Frame, FrameReader, Kind, pack
from secureos.kernel.isolation.nursery import Child, Nursery
from secureos.kernel.isolation.operations import carry_out
from secureos.kernel.isolation.turnstile import Turnstile
from secureos.kernel.program import Reply, Request, System
from secureos.kernel.quota import Quota

_CHUNK: Final = 65_536
_LOOK_S: Final = 0.05
"""How often a task that is waited for is looked at (wall s)."""


@dataclass
class _Asked:
    """Something that the task was asked and has not answered yet."""

    deadline_s: float
    cpu_until_s: float
    done: bool = False
    value: Any = None


class IsolatedProgram:
    """The kernel's end of the link to one task's process.

    Args:
        nursery: Where processes come from.
        builder: `module:function`, which makes the program there.
        quota: What the task may use.
        settings: Plain values for the builder.
        devices: What is granted, by device name.
        turnstile: Shared by the tasks of one kernel; left out, the task has nobody to wait for.
        passes: What the program's devices raise that concerns the host and not the task, by name: it goes through to
            the host, and the task goes on.
        enter: Makes a call that the task began by itself, as `Kernel.enter` does; left out, it is just made.
        on_fault: Is told when the task is found at fault while nothing was asked of it, as `Kernel.fail` is.
    """

    def __init__(
        self,
        nursery: Nursery,
        builder: str,
        *,
        quota: Quota,
        settings: Mapping[str, Any] | None = None,
        devices: Mapping[str, Device] | None = None,
        turnstile: Turnstile | None = None,
        passes: Mapping[str, type[Exception]] | None = None,
        enter: Callable[[Callable[[], None]], None] = lambda work: work(),
        on_fault: Callable[[TaskFault], None] = lambda _: None,
    ) -> None:
        self._nursery = nursery
        self._builder = builder
        self._quota = quota
        self._settings = settings or {}
        self._devices = devices or {}
        self._turnstile = turnstile or Turnstile()
        self._passes = passes or {}
        self._enter = enter
        self._on_fault = on_fault
        self._awaited: asyncio.Future[None] | None = None
        self._reader = FrameReader()
        self._numbers = 0
        self._asked: dict[int, _Asked] = {}
        self._own: Frame | None = None  # a call that the task began by itself, and waits for
        self._unasked = 0  # how much it did by itself since it was last asked something
        self._cpu_s = 0.0  # what it had used when it last answered
        self._fault: TaskFault | None = TaskCrashed("it was not started")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._system: System
        self._child: Child

    @property
    def pid(self) -> int:
        """The process, as this process counts."""
        return self._child.pid

    # ---- the contract of a program -----------------------------------------------------------------------------

    def start(self, system: System) -> None:
        """Make the process, let it build its program, and start that.

        Raises:
            TaskFault: There is no process, or its program did not start.
        """
        self._system = system
        try:
            self._child = self._nursery.spawn(self._builder, memory_mb=self._quota.memory_mb)
        except NotConfined as failure:
            raise TaskCrashed(f"task `{system.task}` has no process: {failure}") from failure
        self._fault = None
        self._cpu_s = self._child.cpu_s
        self._wait(self._ask(Kind.START, [system.task, tuple(system.args), dict(self._settings)]))
        for name, device in self._devices.items():
            device.attach(partial(self._say, name))
        self._listen()

    def serve(self, request: Request) -> Reply:
        """Have the process answer a request; waits for it.

        Raises:
            TaskFault: It did not, or not properly.
        """
        asked = self._ask(Kind.SERVE, [request.endpoint, request.method, request.fields])
        value = self._wait(asked)
        match value:
            case [dict() as fields, bool() as error]:
                return Reply(fields, error)
            case _:
                raise self._break(TaskCrashed(f"{self._name} answered a request with something that is no reply"))

    async def activate(self, phase: str) -> None:
        """Have the process do a piece of cyclic work; the host's loop goes on meanwhile.

        Raises:
            TaskFault: It failed, or did not end in time.
        """
        self._listen()
        with self._turnstile.closed():
            asked = self._ask(Kind.ACTIVATE, phase)
            try:
                while not asked.done:
                    await self._something_comes()
                    self._take()
                    self._look_at(asked)
            finally:
                if not asked.done:
                    self._break(TaskCrashed(f"{self._name} was ended amid its work"))
            self._finish(asked)

    async def _something_comes(self) -> None:
        """Wait until the process has sent something, or until it is time to look at it."""
        loop = asyncio.get_running_loop()
        self._awaited = loop.create_future()
        look = loop.call_later(_LOOK_S, self._wake)
        try:
            await self._awaited
        finally:
            look.cancel()
            self._awaited = None

    def snapshot(self) -> dict[str, Any]:
        """The program's state.

        Raises:
            TaskFault: The process did not give it.
        """
        state = self._wait(self._ask(Kind.SNAPSHOT, None))
        if not isinstance(state, dict):
            raise self._break(TaskCrashed(f"{self._name} gave a state that is none"))
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Let the program take over a state.

        Raises:
            TaskFault: The process did not take it.
        """
        self._wait(self._ask(Kind.RESTORE, state))

    def close(self) -> None:
        """End the process; a program that is closed can only be replaced."""
        if self._fault is None:
            self._break(TaskCrashed(f"{self._name} was ended"))

    # ---- asking ------------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return f"task `{self._system.task}`"

    def _ask(self, kind: Kind, value: object) -> _Asked:
        """Begin something in the process.

        Raises:
            TaskFault: It is faulty already, or takes nothing any more.
        """
        if self._fault is not None:
            raise self._fault
        self._unasked = 0
        cpu_s = self._child.cpu_s
        if cpu_s - self._cpu_s > self._quota.cpu_s:
            raise self._break(QuotaExceeded(f"{self._name} used {cpu_s - self._cpu_s:.1f} s of processor time unasked"))
        self._numbers += 1
        timeout_s = self._quota.call_timeout_ms / 1000
        asked = _Asked(time.monotonic() + timeout_s, cpu_s + self._quota.cpu_s)
        self._asked[self._numbers] = asked
        self._send(pack(kind, self._numbers, [self._system.now_ns, value]), asked.deadline_s)
        return asked

    def _send(self, frame: bytes, deadline_s: float, passed: socket.socket | None = None) -> None:
        link = self._child.link
        descriptors = [] if passed is None else [passed.fileno()]
        while frame:
            try:
                sent = socket.send_fds(link, [frame], descriptors) if descriptors else link.send(frame)
                frame, descriptors = frame[sent:], []
            except BlockingIOError:
                if not self._ready(select.POLLOUT, deadline_s):
                    raise self._break(TaskHung(f"{self._name} takes no messages")) from None
            except OSError as failure:
                raise self._break(TaskCrashed(f"the process of {self._name} ended")) from failure

    def _wait(self, asked: _Asked) -> Any:  # noqa: ANN401
        """Stand still until the process has answered.

        Raises:
            TaskFault: It does not, or not properly.
        """
        while not asked.done:
            self._ready(select.POLLIN, min(asked.deadline_s, time.monotonic() + _LOOK_S))
            self._take()
            self._look_at(asked)
        return self._finish(asked)

    def _ready(self, what: int, until_s: float) -> bool:
        poll = select.poll()
        poll.register(self._child.link, what)
        return bool(poll.poll(max(0.0, until_s - time.monotonic()) * 1000))

    def _look_at(self, asked: _Asked) -> None:
        """Hold what was asked and not answered yet against time and processor time."""
        if asked.done:
            return
        if self._fault is not None:
            raise self._fault
        if self._child.cpu_s > asked.cpu_until_s:
            raise self._break(QuotaExceeded(f"{self._name} used more than {self._quota.cpu_s} s of processor time"))
        if time.monotonic() >= asked.deadline_s:
            raise self._break(TaskHung(f"{self._name} did not answer within {self._quota.call_timeout_ms} ms"))

    def _finish(self, asked: _Asked) -> Any:  # noqa: ANN401
        if isinstance(asked.value, TaskFault):
            raise self._break(asked.value)
        self._cpu_s = self._child.cpu_s
        if isinstance(asked.value, Exception):
            raise asked.value
        return asked.value

    # ---- what comes from the process ---------------------------------------------------------------------------

    def _listen(self) -> None:
        """Take what comes at any time from now on, if there is a loop to do so."""
        if self._loop is None and self._fault is None:
            with contextlib.suppress(RuntimeError):
                self._loop = asyncio.get_running_loop()
                self._loop.add_reader(self._child.link, self._on_readable)

    def _on_readable(self) -> None:
        if self._awaited is not None:  # an activation takes it, in a step of its own
            self._wake()
            return
        try:
            self._take()
        except TaskFault as fault:
            self._on_fault(fault)

    def _wake(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)

    def _take(self) -> None:
        """Take what has come.

        Raises:
            TaskFault: It is malformed, out of turn, or too much; or the process has ended.
        """
        if self._fault is not None:
            raise self._fault
        try:
            received = self._child.link.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            raise self._break(TaskCrashed(f"the process of {self._name} ended"))
        try:
            for frame in self._reader.feed(received):
                self._handle(frame)
        except ProtocolError as failure:
            raise self._break(TaskCrashed(f"{self._name} sent what it may not: {failure}")) from failure

    def _handle(self, frame: Frame) -> None:
        if self._fault is not None:
            return
        if frame.kind in (Kind.DONE, Kind.FAILED):
            self._close_asked(frame)
        elif frame.kind is Kind.CALL:
            self._take_call(frame)
        elif frame.kind is Kind.DEVICE:
            self._count_unasked()
            self._hear(frame.value)
        else:
            raise ProtocolError(f"a frame of kind {frame.kind.name} comes from the kernel only")

    def _close_asked(self, frame: Frame) -> None:
        asked = self._asked.pop(frame.number, None)
        if frame.number == 0:
            raise self._break(TaskCrashed(f"{self._name} has no process: {frame.value}"))
        if asked is None:
            raise ProtocolError(f"an answer to {frame.number}, which was not asked")
        asked.done, asked.value = True, frame.value
        if frame.kind is Kind.FAILED:
            asked.value = self._failure(frame.value)

    def _failure(self, told: object) -> Exception:
        match told:
            case [str() as kind, str() as text] if kind in self._passes:
                return self._passes[kind](text)
            case ["MemoryError", str() as text]:
                return QuotaExceeded(f"{self._name} used more than {self._quota.memory_mb} MiB of memory: {text}")
            case ["QuotaExceeded", str() as text]:
                return QuotaExceeded(f"{self._name}: {text}")
            case [str(), str() as text]:
                return TaskCrashed(f"{self._name} failed: {text}")
            case _:
                raise ProtocolError("a failure without kind and text")

    def _take_call(self, frame: Frame) -> None:
        match frame.value:
            case [int() as doing, operation, arguments]:
                pass
            case _:
                raise ProtocolError("a call without operation and arguments")
        if doing:
            if doing not in self._asked:
                raise ProtocolError(f"a call while doing {doing}, which was not asked or is over")
            self._carry_out(frame.number, operation, arguments)
            return
        if self._own is not None:
            raise ProtocolError("a second call of its own, while the first waits")
        self._count_unasked()
        self._own = frame
        self._turnstile.enter(self._carry_out_own)

    def _count_unasked(self) -> None:
        self._unasked += 1
        if self._unasked > self._quota.calls:
            raise self._break(QuotaExceeded(f"{self._name} began more than {self._quota.calls} things by itself"))

    def _carry_out_own(self) -> None:
        if self._fault is not None:
            return
        try:
            self._enter(self._carry_out_waiting)
        except TaskFault as fault:
            self._on_fault(self._break(fault))

    def _carry_out_waiting(self) -> None:
        assert self._own is not None
        frame, self._own = self._own, None
        _, operation, arguments = frame.value
        try:
            self._carry_out(frame.number, operation, arguments)
        except ProtocolError as failure:
            raise TaskCrashed(f"{self._name} sent what it may not: {failure}") from failure

    def _carry_out(self, number: int, operation: object, arguments: object) -> None:
        """Do what the process asks of the kernel, and tell it what came of it."""
        kind = Kind.ANSWER
        try:
            value: list[Any] = [0, carry_out(self._system, operation, arguments)]
            value[0] = self._system.now_ns
        except (HandleError, QuotaExceeded, LookupError) as refusal:
            code = refusal.code.value if isinstance(refusal, HandleError) else ""
            kind, value = Kind.REFUSED, [type(refusal).__name__, code, str(refusal)]
        except TaskFault as fault:
            raise self._break(fault) from None
        self._send(pack(kind, number, value), time.monotonic() + self._quota.call_timeout_ms / 1000)

    # ---- devices -----------------------------------------------------------------------------------------------

    def _hear(self, told: object) -> None:
        match told:
            case [str() as name, value] if name in self._devices:
                self._devices[name].hear(value)
            case _:
                raise ProtocolError("words to a device that was not granted")

    def _say(self, device: str, value: object, passed: socket.socket | None) -> bool:
        """A word to the task's end of a device; a task that leaves so much unread that none fits counts as hung."""
        if self._fault is not None:
            return False
        frame = pack(Kind.DEVICE, 0, [device, value, passed is not None])
        try:
            self._send(frame, time.monotonic(), passed)
        except TaskFault as fault:
            self._on_fault(fault)
            return False
        return True

    # ---- the end -----------------------------------------------------------------------------------------------

    def _break(self, fault: TaskFault) -> TaskFault:
        """End the process and remember why; the first fault counts, and is what comes back."""
        if self._fault is not None:
            return self._fault
        self._fault = fault
        if self._loop is not None:
            self._loop.remove_reader(self._child.link)
        self._child.end()
        self._wake()
        for device in self._devices.values():
            device.detach()
        return fault
