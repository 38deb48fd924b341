"""The state folder: what this machine keeps between starts, for its owner alone.

It is `$HOLDFAST_HOME`, else `$XDG_STATE_HOME/holdfast`, else `~/.local/state/holdfast`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from secureos.kernel.refusals import StateUnavailable


def state_folder() -> Path:
    """Where the state folder is; it may not exist yet.

    Raises:
        StateUnavailable: No variable says where, and there is no home.
    """
    if chosen := os.environ.get("HOLDFAST_HOME"):
        return Path(chosen)
    if state := os.environ.get("XDG_STATE_HOME"):
        return Path(state) / "holdfast"
    try:
        return Path.home() / ".local" / "state" / "holdfast"
    except RuntimeError:
        raise StateUnavailable("there is no home to keep keys in; set HOLDFAST_HOME to a folder of yours") from None


def private_folder(*parts: str) -> Path:
    """A folder in the state folder, made if need be, for its owner alone.

    Raises:
        StateUnavailable: It cannot be made.
    """
    folder = state_folder()
    try:
        for part in ("", *parts):
            folder = folder / part
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as failure:
        raise _unavailable(folder, failure) from failure
    return folder


def keep(path: Path, content: bytes) -> None:
    """Put a new file in place, at once and whole; one that is there already stays as it is.

    Raises:
        StateUnavailable: It cannot be written.
    """

    def link(written: Path) -> None:
        with contextlib.suppress(FileExistsError):  # another process was quicker
            path.hardlink_to(written)

    _put(path, content, link)


def renew(path: Path, content: bytes) -> None:
    """Put a file in place, at once and whole, instead of what was there.

    Raises:
        StateUnavailable: It cannot be written.
    """
    _put(path, content, lambda written: written.replace(path))


def _put(path: Path, content: bytes, place: Callable[[Path], object]) -> None:
    try:
        # mkstemp makes the file for its owner alone.
        number, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        written = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
            place(written)
        finally:
            written.unlink(missing_ok=True)
    except OSError as failure:
        raise _unavailable(path, failure) from failure


def _unavailable(path: Path, failure: OSError) -> StateUnavailable:
    hint = "set HOLDFAST_HOME to a folder that you may write to"
    return StateUnavailable(f"the state folder cannot be used: `{path}`: {failure.strerror}; {hint}")
