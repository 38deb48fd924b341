"""The process from which tasks' processes are forked: it has loaded every module and holds nothing else.

It is trusted and never sees a byte from a task. For each request it forks a process that gives up its privileges
(`confinement`) before it answers. The chain of parents makes all of them end when the host does.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from secureos.kernel.isolation import confinement
from secureos.kernel.isolation.child import TaskSide
from secureos.kernel.isolation.encoding import decode
from secureos.kernel.isolation.frames import Kind, pack

_LONGEST_REQUEST: Final = 65_536

# Modules that the library loads only when first needed, which a locked process could not do any more.
_LATE: Final = (
    "encodings.idna",
    "encodings.ascii",
    "encodings.latin_1",
    "traceback",
    "linecache",
    "locale",
    "platform",
)


def main(control: int) -> None:
    """Fork tasks' processes on request until the host closes its end of the socket `control`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ends is gone; the host learns it from the task's socket
    for name in _LATE:
        importlib.import_module(name)
    os.environ.clear()
    with socket.socket(fileno=control) as host:
        while True:
            request, descriptors, _, _ = socket.recv_fds(host, _LONGEST_REQUEST, 1)
            if not request:
                return
            _fork(decode(request), descriptors[0])
            os.close(descriptors[0])


def _fork(order: Mapping[str, Any], link: int) -> None:
    try:
        importlib.import_module(order["builder"].partition(":")[0])
    except Exception as failure:
        _tell(link, Kind.FAILED, 0, f"`{order['builder']}` cannot be loaded: {failure!r}")
        return
    gc.freeze()  # what is shared with the children stays shared
    if os.fork() == 0:
        _never_return(order, link)


def _never_return(order: Mapping[str, Any], link: int) -> None:
    """In the new process: confine, run the task, end; nothing of the nursery is ever unwound here."""
    try:
        _close_all_but(link)
        _confine(order, link)
    except BaseException as failure:
        with contextlib.suppress(OSError):
            _tell(link, Kind.FAILED, 0, f"the process cannot be confined: {failure}")
    finally:
        os._exit(1)


def _confine(order: Mapping[str, Any], link: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    confinement.become_nobody()
    if order["namespaces"]:
        confinement.enter_namespaces()
        child = os.fork()
        if child:
            _wait_for(child, link)
    if not order["namespaces"]:
        _be_born(os.getpid(), link)
    loop = asyncio.new_event_loop()
    kernel = socket.socket(fileno=os.dup(link))  # `link` stays, to tell by what failed
    side = TaskSide(kernel, loop, order["builder"])
    confinement.lock(memory_mb=order["memory_mb"], namespaces=order["namespaces"], landlock=order["landlock"])
    os.close(link)
    side.run()


def _wait_for(child: int, link: int) -> None:
    """In between: who makes a process space can fork one process into it only, so the nursery itself does not."""
    confinement.die_with_parent()
    _be_born(child, link)
    os.close(link)
    os.waitpid(child, 0)
    os._exit(0)


def _be_born(process: int, link: int) -> None:
    """Tell the host the process's number, as the host counts, and hand it a descriptor of the process."""
    with socket.socket(fileno=os.dup(link)) as kernel:
        descriptor = os.pidfd_open(process)
        socket.send_fds(kernel, [pack(Kind.BORN, process, None)], [descriptor])
        os.close(descriptor)


def _tell(link: int, kind: Kind, number: int, value: object) -> None:
    with socket.socket(fileno=os.dup(link)) as kernel:
        kernel.sendall(pack(kind, number, value))


def _close_all_but(link: int) -> None:
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number != link:
            with contextlib.suppress(OSError):  # the one by which the folder was read
                os.close(number)
