"""Simulated time as clients of OPC UA see it: dates in UTC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_NS_PER_US = 1_000


@dataclass(frozen=True)
class HostTime:
    """The host's clock and the date at which it stood at zero.

    The same simulated instant is always the same date, so what is read over OPC UA is as repeatable as the run.

    Attributes:
        now_ns: Simulated nanoseconds.
        epoch: The date of simulated zero, with its time zone.
    """

    now_ns: Callable[[], int]
    epoch: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def date(self, at_ns: int) -> datetime:
        """The date of an instant, to the microsecond below."""
        return self.epoch + timedelta(microseconds=at_ns // _NS_PER_US)

    def now(self) -> datetime:
        """The date of the present instant."""
        return self.date(self.now_ns())

    def instant(self, date: datetime) -> int:
        """The instant of a date, in simulated nanoseconds; negative before the epoch."""
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        return (aware - self.epoch) // timedelta(microseconds=1) * _NS_PER_US
