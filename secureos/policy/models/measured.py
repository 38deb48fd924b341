"""Measured state as the policy knows it: the last report on each point, with its time and quality."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from secureos.policy.models.model import Undo

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

NS_PER_MS: Final = 1_000_000
MAX_MS: Final = 30 * 24 * 3600 * 1000
"""No time in a configuration is longer than 30 days."""


class Reading(NamedTuple):
    """The last report on a point; the value None is unknown."""

    at_ns: int
    value: int | None


class Measurements:
    """The readings of a fixed set of points, so that memory is bounded by the configuration.

    Args:
        name: Of the policy object, for its sentences.
        points: Which ones are kept; reports on others are passed over.
        max_age_ms: A reading older than that is as good as none.
    """

    def __init__(self, name: str, points: Iterable[str], max_age_ms: int) -> None:
        self.name = name
        self.points = frozenset(points)
        self.max_age_ns = max_age_ms * NS_PER_MS
        self.readings: dict[str, Reading] = {}

    def observe(
        self, event: Event, undo: Undo, points: Sequence[str], values: Sequence[int], quality: Sequence[int]
    ) -> str | None:
        """Take over a report; the later of two rows on one point counts. None, or why it cannot be read."""
        if not len(points) == len(values) == len(quality):
            lengths = f"{len(points)}, {len(values)} and {len(quality)}"
            return f"`{self.name}`: points, values and quality have {lengths} items"
        found = {
            point: Reading(event.at_ns, None if bad else value)
            for point, value, bad in zip(points, values, quality, strict=True)
            if point in self.points
        }
        undo.append(partial(self._put_back, {point: self.readings.get(point) for point in found}))
        self.readings.update(found)
        return None

    def read(self, point: str, at_ns: int) -> int | str:
        """The value of a point, or why it is not known, as a sentence without its full stop."""
        reading = self.readings.get(point)
        if reading is None:
            return f"`{point}` has not been measured yet"
        if reading.value is None:
            return f"`{point}` is marked bad"
        age_ns = at_ns - reading.at_ns
        if age_ns > self.max_age_ns:
            most = self.max_age_ns // NS_PER_MS
            return f"`{point}` was measured {age_ns // NS_PER_MS} ms ago, at most {most} ms are allowed"
        return reading.value

    def snapshot(self) -> dict[str, Any]:
        """Each reading as `[at_ns, value]`."""
        return {point: list(self.readings[point]) for point in sorted(self.readings)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self.readings.clear()
        self.readings.update((point, Reading(*row)) for point, row in state.items())

    def _put_back(self, before: Mapping[str, Reading | None]) -> None:
        for point, reading in before.items():
            if reading is None:
                del self.readings[point]
            else:
                self.readings[point] = reading
