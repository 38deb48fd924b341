"""What the points showed before: a ring of readings per point, and reading it (part 11, clause 6.5.3)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from asyncua import ua

from twin.fieldbus.opcua.codes import fault
from twin.fieldbus.opcua.host_time import HostTime
from twin.fieldbus.reading import Reading

_MOST_PER_ANSWER: Final = 1_000
# Dates outside these years are not told (the oldest date of the encoding is 1601).
_NO_DATE_BEFORE: Final = 1602


class History:
    """The readings of every point, the oldest forgotten first.

    Args:
        depth: How many are kept of each point.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._rings: dict[str, list[Reading]] = {}

    def add(self, tag: str, reading: Reading) -> None:
        """Keep a reading; one that is older than the last is left out."""
        ring = self._rings.setdefault(tag, [])
        if ring and reading.at_ns < ring[-1].at_ns:
            return
        ring.append(reading)
        if len(ring) >= 2 * self._depth:  # cut seldom, so that adding stays cheap
            del ring[: -self._depth]

    def of(self, tag: str) -> Sequence[Reading]:
        """The readings that are kept of a point, in order of time."""
        return self._rings.get(tag, [])[-self._depth :]


@dataclass(frozen=True)
class Span:
    """What of a point's history is asked for, and how far it was told.

    Attributes:
        tag: Of the point.
        from_ns, to_ns: Between which instants; the first is told, the last is not. None is open.
        forward: Whether the oldest comes first.
        most: How many at a time at most.
        bounds: Whether the readings at or beyond both ends go along.
        told: How many were told before.
    """

    tag: str
    from_ns: int | None
    to_ns: int | None
    forward: bool
    most: int
    bounds: bool
    told: int = 0

    @classmethod
    def of(cls, tag: str, details: ua.ReadRawModifiedDetails, time: HostTime) -> Span:
        """What a client asks for.

        Raises:
            ServiceError: Bad_HistoryOperationInvalid; two of start, end and number must be given.
        """
        start, end = _instant(details.StartTime, time), _instant(details.EndTime, time)
        number = details.NumValuesPerNode
        if (start is None) + (end is None) + (number == 0) > 1:
            raise fault("BadHistoryOperationInvalid")
        forward = end is None or (start is not None and start <= end)
        most = min(number or _MOST_PER_ANSWER, _MOST_PER_ANSWER)
        return cls(tag, start, end, forward, most, bool(details.ReturnBounds))

    def read(self, readings: Sequence[Reading]) -> tuple[Sequence[Reading], Span | None]:
        """The next readings, and what is left to be told after them."""
        chosen = self._chosen(readings)
        part = chosen[self.told : self.told + self.most]
        told = self.told + len(part)
        rest = None if told >= len(chosen) else Span(**{**self.__dict__, "told": told})
        return part, rest

    def _chosen(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        def after(instant: int | None, *, included: bool) -> int:
            if instant is None:
                return 0
            cut = bisect_left if included else bisect_right
            return cut(readings, instant, key=lambda reading: reading.at_ns)

        def before(instant: int | None, *, included: bool) -> int:
            if instant is None:
                return len(readings)
            cut = bisect_right if included else bisect_left
            return cut(readings, instant, key=lambda reading: reading.at_ns)

        same = self.from_ns == self.to_ns
        if self.forward:
            first, last = after(self.from_ns, included=True), before(self.to_ns, included=same)
        else:
            first, last = after(self.to_ns, included=False), before(self.from_ns, included=True)
        if self.bounds:
            first, last = self._widened(readings, first, last)
        chosen = readings[first:last]
        return chosen if self.forward else chosen[::-1]

    def _widened(self, readings: Sequence[Reading], first: int, last: int) -> tuple[int, int]:
        low, high = (self.from_ns, self.to_ns) if self.forward else (self.to_ns, self.from_ns)
        if low is not None and first > 0 and (first == len(readings) or readings[first].at_ns > low):
            first -= 1
        if high is not None and last < len(readings) and (last == 0 or readings[last - 1].at_ns < high):
            last += 1
        return first, last


def _instant(date: datetime | None, time: HostTime) -> int | None:
    return None if date is None or date.year < _NO_DATE_BEFORE else time.instant(date)
