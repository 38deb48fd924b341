"""Answers that are too long for one message: what is left waits under a name of its own (part 4, clause 7.9)."""

from __future__ import annotations

from typing import Generic, TypeVar

Left = TypeVar("Left")


class Continuations(Generic[Left]):
    """What one session has still to be told.

    Args:
        most: How many may wait at a time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._number = 0
        self._left: dict[bytes, Left] = {}

    def keep(self, left: Left) -> bytes | None:
        """A name for what is left; None when too much waits already."""
        if len(self._left) >= self._most:
            return None
        self._number += 1
        name = self._number.to_bytes(8)
        self._left[name] = left
        return name

    def take(self, name: object) -> Left | None:
        """What waits under a name, which then counts no more; None when nothing does."""
        return self._left.pop(name, None) if isinstance(name, bytes) else None
