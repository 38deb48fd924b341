"""The file that a log is written to: a block is written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol


class RawFile(Protocol):
    """What is asked of an unbuffered binary file; `open(path, "xb", buffering=0)` gives one."""

    def write(self, chunk: bytes, /) -> int | None:
        """Write some of the bytes; how many."""

    def truncate(self, size: int, /) -> int:
        """Cut the file."""

    def seek(self, offset: int, /) -> int:
        """Go to a place."""

    def fileno(self) -> int:
        """The descriptor."""

    def close(self) -> None:
        """Close it."""


class LogFile:
    """Appends blocks to a file.

    Args:
        raw: The file, empty and unbuffered.
    """

    def __init__(self, raw: RawFile) -> None:
        self._raw = raw
        self._size = 0
        self._torn = False  # whether a piece of a block may stand behind the last whole one

    @classmethod
    def create(cls, path: Path) -> LogFile:
        """Make a file that does not exist yet.

        Raises:
            OSError: It exists, or cannot be made.
        """
        return cls(path.open("xb", buffering=0))

    def append(self, block: bytes, *, sync: bool) -> None:
        """Write a block behind the others, to the disk itself if `sync`; on failure the file is as it was before.

        Raises:
            OSError: It could not be written.
        """
        self._mend()
        self._torn = True
        try:
            rest = memoryview(block)
            while rest:
                rest = rest[self._raw.write(bytes(rest)) or 0 :]
            if sync:
                os.fsync(self._raw.fileno())
        except OSError:
            with suppress(OSError):
                self._mend()
            raise
        self._torn = False
        self._size += len(block)

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    def _mend(self) -> None:
        if self._torn:
            self._raw.truncate(self._size)
            self._raw.seek(self._size)
            self._torn = False
