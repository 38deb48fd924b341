"""The numbers by which this machine's kernel knows its calls, and the few calls that Python does not offer."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True)
class Architecture:
    """A processor's system-call interface.

    Attributes:
        audit: Its identity in a seccomp filter (`AUDIT_ARCH_…` of linux/audit.h).
        numbers: System-call numbers by name; a call that the architecture lacks is not there.
        foreign_from: Calls from this number on are of another interface (x32), or None.
    """

    audit: int
    numbers: dict[str, int]
    foreign_from: int | None = None


# Common to every architecture since Linux 5.0: asm-generic numbers from 424 on.
_LANDLOCK: Final = {"landlock_create_ruleset": 444, "landlock_restrict_self": 446, "epoll_pwait2": 441}

_X86_64: Final = Architecture(
    0xC000003E,
    {
        "read": 0,
        "write": 1,
        "close": 3,
        "poll": 7,
        "lseek": 8,
        "mmap": 9,
        "mprotect": 10,
        "munmap": 11,
        "brk": 12,
        "rt_sigprocmask": 14,
        "rt_sigreturn": 15,
        "ioctl": 16,
        "readv": 19,
        "writev": 20,
        "sched_yield": 24,
        "mremap": 25,
        "madvise": 28,
        "getpid": 39,
        "sendto": 44,
        "recvfrom": 45,
        "sendmsg": 46,
        "recvmsg": 47,
        "shutdown": 48,
        "getsockname": 51,
        "getpeername": 52,
        "setsockopt": 54,
        "getsockopt": 55,
        "exit": 60,
        "fcntl": 72,
        "gettimeofday": 96,
        "capset": 126,
        "pivot_root": 155,
        "gettid": 186,
        "time": 201,
        "futex": 202,
        "restart_syscall": 219,
        "clock_gettime": 228,
        "clock_getres": 229,
        "clock_nanosleep": 230,
        "exit_group": 231,
        "epoll_wait": 232,
        "epoll_ctl": 233,
        "ppoll": 271,
        "epoll_pwait": 281,
        "getrandom": 318,
        **_LANDLOCK,
    },
    foreign_from=0x40000000,
)

_AARCH64: Final = Architecture(
    0xC00000B7,
    {
        "epoll_ctl": 21,
        "epoll_pwait": 22,
        "fcntl": 25,
        "ioctl": 29,
        "pivot_root": 41,
        "close": 57,
        "lseek": 62,
        "read": 63,
        "write": 64,
        "readv": 65,
        "writev": 66,
        "ppoll": 73,
        "capset": 91,
        "exit": 93,
        "exit_group": 94,
        "futex": 98,
        "clock_gettime": 113,
        "clock_getres": 114,
        "clock_nanosleep": 115,
        "sched_yield": 124,
        "restart_syscall": 128,
        "rt_sigprocmask": 135,
        "rt_sigreturn": 139,
        "gettimeofday": 169,
        "getpid": 172,
        "gettid": 178,
        "getsockname": 204,
        "getpeername": 205,
        "sendto": 206,
        "recvfrom": 207,
        "setsockopt": 208,
        "getsockopt": 209,
        "shutdown": 210,
        "sendmsg": 211,
        "recvmsg": 212,
        "brk": 214,
        "munmap": 215,
        "mremap": 216,
        "mmap": 222,
        "mprotect": 226,
        "madvise": 233,
        "getrandom": 278,
        **_LANDLOCK,
    },
)


@cache
def architecture() -> Architecture | None:
    """This machine's, or None where isolation does not know it."""
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    return {"x86_64": _X86_64, "aarch64": _AARCH64}.get(platform.machine())


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def checked(name: str, *arguments: object) -> int:
    """Call a function of the C library.

    Raises:
        OSError: It failed; the text names it.
    """
    result: int = getattr(_library(), name)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def system_call(name: str, *arguments: object) -> int:
    """Make a system call that the C library has no function for.

    Raises:
        OSError: It failed, or this architecture lacks it; the text names it.
    """
    here = architecture()
    if here is None or name not in here.numbers:
        raise OSError(0, f"{name}: not known on this architecture")
    result: int = _library().syscall(ctypes.c_long(here.numbers[name]), *arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result
