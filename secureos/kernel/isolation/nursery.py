"""The host's side of making confined processes."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from secureos.kernel.isolation.availability import Mechanisms, mechanisms
from secureos.kernel.isolation.encoding import encode
from secureos.kernel.isolation.errors import NotConfined, ProtocolError
from secureos.kernel.isolation.frames import FrameReader, Kind

_CHUNK: Final = 65_536
_END_S: Final = 5.0
BIRTH_S: Final = 30.0
"""Wall seconds that a process may take to be there; the first waits until the nursery has loaded its modules."""


@dataclass
class Child:
    """A confined process.

    Attributes:
        link: The socket to it, not blocking.
        pid: Its number, as this process counts.
        descriptor: A pidfd: stays its own, whatever becomes of the number.
    """

    link: socket.socket
    pid: int
    descriptor: int

    @property
    def cpu_s(self) -> float:
        """The processor time that it has used (s); 0 once it is gone."""
        try:
            return time.clock_gettime(
                (~self.pid << 3) | 2
            )  # the clock of a process, as clock_getcpuclockid(3) makes it
        except OSError:
            return 0.0

    def end(self) -> None:
        """Kill it and wait until it is gone; one that is gone already is no error."""
        if self.descriptor < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)
        select.select([self.descriptor], [], [], _END_S)
        os.close(self.descriptor)
        self.descriptor = -1
        self.link.close()


class Nursery:
    """Makes confined processes quickly, by forking one that has loaded what they need.

    Raises:
        IsolationUnavailable: This machine cannot confine; nothing was started.
    """

    def __init__(self) -> None:
        self.mechanisms: Mechanisms = mechanisms()
        self._children: list[Child] = []
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _PROGRAM, str(theirs.fileno()), *_search_path()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={},
                cwd="/",
                start_new_session=True,  # an interrupt at the terminal is the host's matter
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def spawn(self, builder: str, *, memory_mb: int) -> Child:
        """A new confined process, in which nothing of the program runs yet.

        Args:
            builder: `module:function`, a `Builder`.
            memory_mb: Its address space (MiB).

        Raises:
            NotConfined: It was not made, or could not be confined.
        """
        order = {
            "builder": builder,
            "memory_mb": memory_mb,
            "namespaces": self.mechanisms.namespaces,
            "landlock": self.mechanisms.landlock,
        }
        link, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._control, [encode(order)], [theirs.fileno()])
            child = _await_birth(link)
        except (OSError, ProtocolError, NotConfined) as failure:
            link.close()
            raise NotConfined(f"no process for `{builder}`: {failure}") from failure
        self._children = [one for one in self._children if one.descriptor >= 0]
        self._children.append(child)
        return child

    def close(self) -> None:
        """End every process that was made here, and the nursery itself."""
        for child in self._children:
            child.end()
        self._children.clear()
        self._control.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_PROGRAM: Final = (
    "import os, sys; os.environ['OPENBLAS_NUM_THREADS'] = '1'; sys.path[:0] = sys.argv[2:]; "
    "from secureos.kernel.isolation.nursery_process import main; main(int(sys.argv[1]))"
)


def _search_path() -> list[str]:
    return [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 -- the empty entry means the current folder


def _await_birth(link: socket.socket) -> Child:
    link.settimeout(BIRTH_S)
    reader = FrameReader()
    descriptors: list[int] = []
    while True:
        received, passed, _, _ = socket.recv_fds(link, _CHUNK, 1)
        descriptors += passed
        if not received:
            raise NotConfined("it ended before it was confined")
        for frame in reader.feed(received):
            if frame.kind is not Kind.BORN:
                raise NotConfined(str(frame.value))
            link.setblocking(False)
            return Child(link, frame.number, descriptors[0])
