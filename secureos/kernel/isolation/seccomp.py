"""A seccomp filter by allow-list: what a task's process may ask of the machine's kernel once it is locked.

What is left out cannot be done at all, whatever else holds: no file is opened, no socket made, no process or thread
started, no signal sent, no memory made executable, no limit raised. A refused call fails with EPERM, so that a program
that tries gets its error and the attempt is harmless; a call of another architecture ends the process. Source:
linux/seccomp.h, linux/filter.h (classic BPF), linux/audit.h.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import Final

from secureos.kernel.isolation.machine import Architecture, checked

# Without conditions: work on descriptors that it was given, memory, time, waiting, its own end.
_PLAIN: Final = (
    *("read", "write", "readv", "writev", "close", "lseek"),
    *("sendto", "recvfrom", "sendmsg", "recvmsg", "shutdown", "getsockname", "getpeername", "getsockopt"),
    *("poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl"),
    *("brk", "munmap", "mremap", "madvise", "futex", "sched_yield", "getrandom"),
    *("gettimeofday", "time", "clock_gettime", "clock_getres", "clock_nanosleep", "restart_syscall"),
    *("rt_sigprocmask", "rt_sigreturn", "getpid", "gettid", "exit", "exit_group"),
)

_PROT_EXEC: Final = 4
_FIONBIO: Final = 0x5421
_DESCRIPTOR_FLAGS: Final = (1, 2, 3, 4)  # F_GETFD, F_SETFD, F_GETFL, F_SETFL; no duplicates, locks or leases
_IPPROTO_TCP: Final = 6

# With one argument that must be among some values, or must lack some bits: (call, argument, values).
_AMONG: Final = (
    ("ioctl", 1, (_FIONBIO,)),
    ("fcntl", 1, _DESCRIPTOR_FLAGS),
    ("setsockopt", 1, (_IPPROTO_TCP,)),
)
_LACKING: Final = (("mmap", 2, _PROT_EXEC), ("mprotect", 2, _PROT_EXEC))

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_REFUSE: Final = 0x00050000 | errno.EPERM
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def assemble(architecture: Architecture) -> list[Instruction]:
    """The filter for an architecture, as instructions of classic BPF; it never jumps backwards and always returns."""
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_IF_EQUAL, 1, 0, architecture.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if architecture.foreign_from is not None:
        program += [(_IF_AT_LEAST, 0, 1, architecture.foreign_from), (_RETURN, 0, 0, _REFUSE)]
    numbers = architecture.numbers
    for name in _PLAIN:
        if name in numbers:
            program += [(_IF_EQUAL, 0, 1, numbers[name]), (_RETURN, 0, 0, _ALLOW)]
    for name, argument, values in _AMONG:
        checks = [(_IF_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
        program += _conditional(numbers[name], argument, checks)
    for name, argument, bits in _LACKING:
        program += _conditional(numbers[name], argument, [(_IF_ANY_BIT, 0, 1, bits)])
    return [*program, (_RETURN, 0, 0, _REFUSE)]


def install(architecture: Architecture) -> None:
    """Lock the calling process, for good; it must have no other threads.

    Raises:
        OSError: The kernel has no seccomp filters, or does not take this one.
    """
    program = assemble(architecture)
    code = b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    described = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    set_seccomp, by_filter = 22, 2
    checked("prctl", set_seccomp, by_filter, ctypes.c_char_p(described), 0, 0)


def _conditional(number: int, argument: int, checks: list[Instruction]) -> list[Instruction]:
    """Refuse when the checks run through, allow when one of them jumps past the refusal."""
    body: list[Instruction] = [
        (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument),  # the low half; each argument tested is 32 bits wide
        *checks,
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return [(_IF_EQUAL, 0, len(body), number), *body]
