"""The task's end of the link: runs one program, and carries what it asks of the kernel over the socket.

The process is locked by then. It is single-threaded: a call waits on the socket, and whatever the kernel asks
meanwhile is done inside that wait, so two sides never wait for one another.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from secureos.kernel.errors import HandleError, QuotaExceeded
from secureos.kernel.isolation.frames import DESCRIPTORS, Frame, FrameReader, Kind, pack
from secureos.kernel.program import NO_FIELDS, Answer, Fields, Notice, Program, Request, ReturnCode

_CHUNK: Final = 65_536
_LONGEST_TEXT: Final = 500

DeviceWord = Callable[[Any, int | None], None]
"""What a device's end in the task is told: a plain value, and an open descriptor if one came with it."""


@dataclass
class Place:
    """What a builder makes a program of.

    Attributes:
        settings: Plain values that the host chose for this task.
        tell: Says a plain value to the host's end of a device.
        heard: What is to be called with the host's words to a device, by device name.
    """

    settings: Mapping[str, Any]
    tell: Callable[[str, Any], None]
    heard: dict[str, DeviceWord] = field(default_factory=dict)


@dataclass(frozen=True)
class Built:
    """A program and what it finds around it.

    Attributes:
        program: The program.
        devices: The devices that it finds by name.
        waits: Whether its activations wait for a device. One that does not is run without a turn of the event loop, so
            that nothing else of the task comes in between.
    """

    program: Program
    devices: Mapping[str, Any] = field(default_factory=dict)
    waits: bool = False


Builder = Callable[[Place], Built]

# The number of what the kernel asked and is being done; what asynchronous work inherits it from is over some day.
_doing: ContextVar[int] = ContextVar("doing", default=0)


class TaskSide:
    """One task in its process.

    Args:
        kernel: The link.
        loop: An event loop, made before the process was locked.
        builder: `module:function`; the module is loaded already.
    """

    def __init__(self, kernel: socket.socket, loop: asyncio.AbstractEventLoop, builder: str) -> None:
        self.now_ns = 0
        self._kernel = kernel
        self._loop = loop
        module, _, name = builder.partition(":")
        self._build: Builder = getattr(importlib.import_module(module), name)
        self._reader = FrameReader()
        self._inbox: deque[Frame] = deque()
        self._descriptors: deque[int] = deque()
        self._open: set[int] = set()
        self._calls = 0
        self._works: set[asyncio.Task[None]] = set()
        self._waits = False
        self._place: Place
        self._program: Program

    def run(self) -> None:
        """Do what the kernel asks.

        Raises:
            SystemExit: It hung up.
        """
        asyncio.set_event_loop(self._loop)
        self._loop.add_reader(self._kernel, self._on_readable)
        self._loop.run_forever()

    # ---- towards the kernel ------------------------------------------------------------------------------------

    @property
    def doing(self) -> int:
        """The number of what the kernel asked and is being done here, or 0."""
        number = _doing.get()
        return number if number in self._open else 0

    def ask(self, operation: str, *arguments: object) -> Any:  # noqa: ANN401
        """Have the kernel carry out an operation, and wait for what it gives.

        Raises:
            HandleError, QuotaExceeded, LookupError: As the kernel raised it.
            ValueError: An argument cannot travel.
        """
        self._calls += 1
        number = self._calls
        self._send(Kind.CALL, number, [self.doing, operation, list(arguments)])
        while (frame := self._next()).kind not in (Kind.ANSWER, Kind.REFUSED) or frame.number != number:
            self._handle(frame)
        if self._inbox:  # it came along with the answer, and nothing more may come that would call for a look
            self._loop.call_soon(self._handle_waiting)
        if frame.kind is Kind.REFUSED:
            raise _raised(*frame.value)
        self.now_ns, value = frame.value
        return value

    def tell(self, device: str, value: object) -> None:
        """Say something to the host's end of a device; nothing comes back."""
        self._send(Kind.DEVICE, 0, [device, value])

    def _send(self, kind: Kind, number: int, value: object) -> None:
        self._kernel.sendall(pack(kind, number, value))

    # ---- from the kernel ---------------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        self._receive()
        self._handle_waiting()

    def _handle_waiting(self) -> None:
        while self._inbox:
            self._handle(self._inbox.popleft())

    def _next(self) -> Frame:
        while not self._inbox:
            self._receive()
        return self._inbox.popleft()

    def _receive(self) -> None:
        received, descriptors, _, _ = socket.recv_fds(self._kernel, _CHUNK, DESCRIPTORS)
        if not received:
            raise SystemExit  # the kernel is gone, and with it the reason to be
        self._descriptors.extend(descriptors)
        self._inbox.extend(self._reader.feed(received))

    def _handle(self, frame: Frame) -> None:
        if frame.kind is Kind.DEVICE:
            device, value, has_descriptor = frame.value
            self._place.heard[device](value, self._descriptors.popleft() if has_descriptor else None)
            return
        self.now_ns, value = frame.value
        self._open.add(frame.number)
        before = _doing.set(frame.number)
        try:
            if frame.kind is Kind.ACTIVATE and self._waits:
                work = self._loop.create_task(self._activate(frame.number, value))
                self._works.add(work)
                work.add_done_callback(self._works.discard)
                return
            self._answer(frame.number, lambda: self._do(frame.kind, value))
        finally:
            _doing.reset(before)

    def _do(self, kind: Kind, value: Any) -> Any:  # noqa: ANN401
        if kind is Kind.SERVE:
            reply = self._program.serve(Request(*value))
            return [dict(reply.fields), reply.error]
        if kind is Kind.ACTIVATE:
            return _step_through(self._program.activate(value))
        if kind is Kind.SNAPSHOT:
            return self._program.snapshot()
        if kind is Kind.RESTORE:
            return self._program.restore(value)
        return self._start(*value)

    def _start(self, task: str, args: tuple[str, ...], settings: Mapping[str, Any]) -> None:
        self._place = Place(settings, self.tell)
        built = self._build(self._place)
        self._program, self._waits = built.program, built.waits
        self._program.start(_RemoteSystem(self, task, args, built.devices))

    def _answer(self, number: int, work: Callable[[], Any]) -> None:
        try:
            value = work()
            self._open.discard(number)
            self._send(Kind.DONE, number, value)
        except Exception as failure:
            self._fail(number, failure)

    async def _activate(self, number: int, phase: str) -> None:
        try:
            await self._program.activate(phase)
            self._open.discard(number)
            self._send(Kind.DONE, number, None)
        except Exception as failure:
            self._fail(number, failure)

    def _fail(self, number: int, failure: Exception) -> None:
        self._open.discard(number)
        text = f"{type(failure).__name__}: {failure}"[:_LONGEST_TEXT]
        self._send(Kind.FAILED, number, [type(failure).__name__, text])


class _RemoteSystem:
    """The kernel interface of the task, each operation carried over the link."""

    def __init__(self, side: TaskSide, task: str, args: tuple[str, ...], devices: Mapping[str, Any]) -> None:
        self.__side, self.__task, self.__args, self.__devices = side, task, args, devices

    @property
    def task(self) -> str:
        return self.__task

    @property
    def args(self) -> tuple[str, ...]:
        return self.__args

    @property
    def now_ns(self) -> int:
        # While something the kernel asked is done time stands still; in between nobody says that it went on.
        if not self.__side.doing:
            self.__side.ask("now")
        return self.__side.now_ns

    def call(self, channel: str | int, endpoint: str, method: str, fields: Fields = NO_FIELDS) -> Answer:
        return _answer(self.__side.ask("call", channel, endpoint, method, fields))

    def report(self, method: str, fields: Fields) -> Answer:
        return _answer(self.__side.ask("report", method, fields))

    def device(self, name: str) -> Any:  # noqa: ANN401
        return self.__devices[name]

    def locate(self, name: str) -> int:
        return int(self.__side.ask("locate", name))

    def create(self, rights: int, context: int | str) -> int:
        return int(self.__side.ask("create", rights, context))

    def dereference(self, handle: int) -> int | str:
        found: int | str = self.__side.ask("dereference", handle)
        return found

    def rights(self, handle: int) -> int:
        return int(self.__side.ask("rights", handle))

    def sid(self, handle: int) -> int:
        return int(self.__side.ask("sid", handle))

    def close(self, handle: int) -> None:
        self.__side.ask("close", handle)

    def revoke(self, handle: int) -> None:
        self.__side.ask("revoke", handle)

    def notices(self) -> list[Notice]:
        return [Notice(kind, handle) for kind, handle in self.__side.ask("notices")]

    def spend(self, steps: int) -> None:
        self.__side.ask("spend", steps)


def _answer(told: list[Any]) -> Answer:
    code, fields, *further = told
    return Answer(ReturnCode(code), fields, *further)


def _step_through(work: Coroutine[Any, Any, None]) -> None:
    """Run an activation that has no device to wait for, without a turn of the event loop in between."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise RuntimeError("an activation waits, but its builder said that none does")


def _raised(kind: str, code: str, text: str) -> Exception:
    if kind == "HandleError":
        return HandleError(ReturnCode(code), text)
    return {"QuotaExceeded": QuotaExceeded}.get(kind, LookupError)(text)
