"""Tries each mechanism of confinement, each in a process that ends with it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from secureos.kernel.isolation import confinement, seccomp
from secureos.kernel.isolation.machine import architecture

_LONGEST_TEXT: Final = 300
_PLENTY_MB: Final = 65_536


def main() -> None:
    """Print, as JSON, why each mechanism failed; "" for one that works."""
    json.dump({name: _trial(use) for name, use in _USES.items()}, sys.stdout)


def _trial(use: Callable[[], None]) -> str:
    """Use one mechanism in a child; the text of its failure, or ""."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            use()
        except BaseException as failure:
            os.write(writing, str(failure).encode()[:_LONGEST_TEXT] or b"it failed")
        finally:
            os._exit(0)
    os.close(writing)
    text = os.read(reading, _LONGEST_TEXT).decode(errors="replace")
    os.close(reading)
    _, status = os.waitpid(child, 0)
    return text or (f"it ended with status {status}" if status else "")


def _use_seccomp() -> None:
    here = architecture()
    if here is None:
        raise OSError(0, "no system-call filter is known for this architecture")
    confinement.promise_no_new_privileges()
    seccomp.install(here)
    try:
        os.open("/", os.O_RDONLY)
    except PermissionError:
        return
    raise OSError(0, "the filter is there and filters nothing")


def _use_namespaces() -> None:
    confinement.become_nobody()
    confinement.enter_namespaces()
    child = os.fork()
    if child == 0:
        try:
            confinement.empty_file_system()
            os._exit(len(list(Path("/").iterdir())))
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        raise OSError(0, "the file system cannot be replaced by an empty one")


def _use_landlock() -> None:
    confinement.promise_no_new_privileges()
    confinement.restrict_by_landlock()
    try:
        list(Path("/").iterdir())
    except PermissionError:
        return
    raise OSError(0, "Landlock is there and restricts nothing")


_USES: Final[dict[str, Callable[[], None]]] = {
    "seccomp": _use_seccomp,
    "namespaces": _use_namespaces,
    "landlock": _use_landlock,
    "limits": lambda: confinement.limit(_PLENTY_MB),
}
