"""What this machine offers to confine a task, found by trying."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from typing import Final

from secureos.kernel.isolation.errors import IsolationUnavailable
from secureos.kernel.isolation.machine import architecture

_TRIAL_S: Final = 20.0


@dataclass(frozen=True)
class Finding:
    """One mechanism on this machine.

    Attributes:
        name: Which, in the field's words.
        found: Whether it works here.
        needed: Whether isolation is refused without it.
        text: What was found; when it is missing, why and what to do.
    """

    name: str
    found: bool
    needed: bool
    text: str


@dataclass(frozen=True)
class Mechanisms:
    """What a task's process is confined by, besides the system-call filter and resource limits."""

    namespaces: bool
    landlock: bool


@cache
def availability() -> tuple[Finding, ...]:
    """What isolation needs and what of it is here; each is tried in a process of its own, once per process."""
    known = architecture() is not None
    findings = [
        Finding(
            "architecture",
            known,
            True,
            "Linux on x86_64 or aarch64"
            if known
            else f"the system-call filter is written for Linux on x86_64 and aarch64, not {os.uname().machine}",
        )
    ]
    for name, (text, remedy) in _TEXTS.items():
        failure = _tried()[name] if known else "not tried"
        needed = name in ("seccomp", "limits")
        findings.append(Finding(name, not failure, needed, f"{failure}; {remedy}" if failure else text))
    return tuple(findings)


def missing() -> list[str]:
    """What stands against isolation here, one sentence each; empty when tasks can be isolated."""
    found = {finding.name: finding for finding in availability()}
    lacking = [f"{one.name}: {one.text}" for one in found.values() if one.needed and not one.found]
    if not found["namespaces"].found and not found["landlock"].found:
        lacking.append(f"either namespaces or Landlock must be there; {found['namespaces'].text}")
    return lacking


@cache
def mechanisms() -> Mechanisms:
    """What to confine by here: all that works.

    Raises:
        IsolationUnavailable: Too little works.
    """
    lacking = missing()
    if lacking:
        raise IsolationUnavailable("tasks cannot be isolated on this machine:\n" + "\n".join(lacking))
    found = {finding.name: finding.found for finding in availability()}
    return Mechanisms(found["namespaces"], found["landlock"])


# What each is good for, and what to do where it is missing.
_TEXTS: Final = {
    "seccomp": (
        "the allow-list of system calls can be installed",
        "use a kernel with CONFIG_SECCOMP_FILTER; in a container, allow `prctl` in its profile",
    ),
    "namespaces": (
        "user, process, network, mount, inter-process and host-name spaces of its own",
        "allow unprivileged user namespaces (sysctl user.max_user_namespaces above 0; where it exists, "
        "kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0)",
    ),
    "landlock": (
        "no file, TCP port or signal outside can be reached",
        "use Linux 5.13 or later with `landlock` among the security modules (lsm=)",
    ),
    "limits": (
        "address space, descriptors and file sizes are limited",
        "let nothing stand against lowering limits (setrlimit)",
    ),
}


@cache
def _tried() -> dict[str, str]:
    """Why each mechanism failed, "" for one that works; tried in processes of their own, for none is ever undone."""
    program = "import sys; sys.path[:0] = sys.argv[1:]; from secureos.kernel.isolation.trials import main; main()"
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", program, *map(os.path.abspath, sys.path)],
            capture_output=True,
            text=True,
            timeout=_TRIAL_S,
            check=True,
        )
        tried: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as failure:
        return dict.fromkeys(_TEXTS, f"cannot be tried: {failure}")
    return tried
