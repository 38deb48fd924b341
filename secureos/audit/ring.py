"""A ring of compact verdicts: what the hot path writes, 32 bytes each, without making a single object that stays."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

GRANTED: Final = 1
RECORDED: Final = 2
"""Flags of a compact verdict: it was granted; it has a record of its own."""

_VERDICT: Final = Struct("<qqIIB7x")
_PACK: Final = _VERDICT.pack_into
_SIZE: Final = _VERDICT.size

Compact = tuple[int, int, int, int, int]
"""A verdict: instant (ns), call chain, number of the way, number of the rule, flags."""


class VerdictRing:
    """Holds the newest verdicts that nobody has taken yet; when it is full the oldest go.

    Args:
        capacity: How many it holds.
    """

    def __init__(self, capacity: int) -> None:
        self._cells = bytearray(capacity * _SIZE)
        self._size = len(self._cells)
        self._capacity = capacity
        self._end = 0
        self._held = 0

    def put(self, at_ns: int, chain: int, way: int, rule: int, flags: int) -> None:
        """Add a verdict."""
        end = self._end
        _PACK(self._cells, end, at_ns, chain, way, rule, flags)
        end += _SIZE
        self._end = 0 if end == self._size else end
        self._held += 1  # may pass the capacity; `take` then knows how many were overwritten

    def take(self) -> tuple[list[Compact], int]:
        """The verdicts, oldest first, and how many were lost before them; the ring is empty afterwards."""
        held, self._held = self._held, 0
        kept = min(held, self._capacity)
        return list(self._last(kept)), held - kept

    def _last(self, count: int) -> Iterator[Compact]:
        begin = self._end - count * _SIZE
        if begin < 0:
            yield from _VERDICT.iter_unpack(memoryview(self._cells)[begin:])
            begin = 0
        yield from _VERDICT.iter_unpack(memoryview(self._cells)[begin : self._end])
