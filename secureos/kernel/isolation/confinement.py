"""How a process gives up, step by step and for good, everything that a task does not need.

Two steps. `enter_namespaces` before there is a program: an unprivileged user, and new user, process, network, mount,
inter-process and host-name spaces. `lock` once everything is loaded: an empty file system, limits, no capabilities,
no new privileges, Landlock without one allowed path, and the seccomp filter. Each stands alone; a later one that
fails ends the process. Sources: user_namespaces(7), landlock(7), seccomp(2), capabilities(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
from pathlib import Path
from typing import Final

from secureos.kernel.isolation import seccomp
from secureos.kernel.isolation.errors import NotConfined
from secureos.kernel.isolation.machine import architecture, checked, system_call

NOBODY: Final = 65534
MIB: Final = 2**20

# CLONE_NEWUSER, NEWPID, NEWNET, NEWIPC, NEWUTS, NEWNS of linux/sched.h.
_NEW_SPACES: Final = 0x10000000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x00020000

_SET_PDEATHSIG, _SET_DUMPABLE, _CAPBSET_DROP, _SET_NO_NEW_PRIVS = 1, 4, 24, 38
_PRIVATE: Final = 0x4000 | 0x40000  # MS_REC, MS_PRIVATE
_TMPFS_FLAGS: Final = 1 | 2 | 4 | 8  # read-only, no set-user-id, no devices, no programs
_DETACH: Final = 2
_CAPABILITY_VERSION_3: Final = 0x20080522

# What each Landlock interface version adds (linux/landlock.h): bits of file access, of network access, of scopes.
_FILE_ACCESS: Final = {1: 0x1FFF, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_NETWORK_ACCESS: Final = {4: 0b11}
_SCOPES: Final = {6: 0b11}

_DESCRIPTORS: Final = 128
"""Open at one time: the link to the kernel, an event loop, granted devices, clients' connections."""


def die_with_parent() -> None:
    """End this process by SIGKILL when the one that made it ends."""
    checked("prctl", _SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def become_nobody() -> None:
    """Leave the superuser behind, if that is who runs; an ordinary user stays who they are.

    Changing the user makes a process undumpable, by which it could not describe its new user space any more.
    """
    if os.geteuid() != 0:
        return
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    checked("prctl", _SET_DUMPABLE, 1, 0, 0, 0)


def enter_namespaces() -> None:
    """Move to new name spaces; the next child is the first process of its own process space.

    Raises:
        OSError: They are not allowed here.
    """
    user, group = os.geteuid(), os.getegid()
    checked("unshare", _NEW_SPACES)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1")


def lock(*, memory_mb: int, namespaces: bool, landlock: bool) -> None:
    """Give up the rest; from here on untrusted bytes may come.

    Args:
        memory_mb: Address space (MiB).
        namespaces: Whether `enter_namespaces` was done.
        landlock: Whether Landlock is there.

    Raises:
        OSError: A step failed.
        NotConfined: The address space in use is larger than allowed already.
    """
    limit(memory_mb)
    if namespaces:
        empty_file_system()
    _drop_capabilities()
    die_with_parent()  # after the last change of who this is, which undoes it
    promise_no_new_privileges()
    if landlock:
        restrict_by_landlock()
    checked("prctl", _SET_DUMPABLE, 0, 0, 0, 0)
    here = architecture()
    if here is None:
        raise NotConfined("no system-call filter is known for this architecture")
    seccomp.install(here)


def promise_no_new_privileges() -> None:
    """Never gain a privilege again, as seccomp and Landlock demand of an ordinary user."""
    checked("prctl", _SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def landlock_version() -> int:
    """The interface version of Landlock (1 and up), or 0 where there is none."""
    try:
        return system_call("landlock_create_ruleset", None, ctypes.c_size_t(0), ctypes.c_uint(1))
    except OSError:
        return 0


def empty_file_system() -> None:
    """Make an empty read-only root the whole of the file system."""
    checked("mount", b"none", b"/", None, ctypes.c_ulong(_PRIVATE), None)
    checked("mount", b"none", b"/proc", b"tmpfs", ctypes.c_ulong(_TMPFS_FLAGS), b"size=4k")
    os.chdir("/proc")
    system_call("pivot_root", b".", b".")
    checked("umount2", b".", _DETACH)
    os.chdir("/")


def limit(memory_mb: int) -> None:
    """Lower what the process may use, for good."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    used_mb = pages * resource.getpagesize() // MIB
    if used_mb >= memory_mb:
        raise NotConfined(f"the interpreter alone takes {used_mb} MiB of address space; raise `memory_mb`")
    limits = {
        resource.RLIMIT_AS: memory_mb * MIB,
        resource.RLIMIT_NOFILE: _DESCRIPTORS,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for which, most in limits.items():
        resource.setrlimit(which, (most, most))


def _drop_capabilities() -> None:
    for capability in range(64):
        with contextlib.suppress(OSError):  # beyond the last one, or not allowed to: then there is none to drop
            checked("prctl", _CAPBSET_DROP, capability, 0, 0, 0)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    system_call("capset", ctypes.c_char_p(header), ctypes.c_char_p(bytes(24)))


def restrict_by_landlock() -> None:
    """Allow no path, no TCP port, and no signal or abstract socket outside, as far as the version knows them."""
    version = landlock_version()
    if version == 0:
        raise OSError(0, "landlock_create_ruleset: there is no Landlock")
    file, network, scopes = (
        sum(bits for since, bits in table.items() if since <= version)
        for table in (_FILE_ACCESS, _NETWORK_ACCESS, _SCOPES)
    )
    size = 8 if version < 4 else 16 if version < 6 else 24
    attributes = struct.pack("QQQ", file, network, scopes)[:size]
    rules = system_call("landlock_create_ruleset", ctypes.c_char_p(attributes), ctypes.c_size_t(size), ctypes.c_uint(0))
    system_call("landlock_restrict_self", ctypes.c_int(rules), ctypes.c_uint(0))
    os.close(rules)
