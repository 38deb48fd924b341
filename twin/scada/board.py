"""What supervision last heard of every point, and how old it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, replace
from typing import Any

from twin.fieldbus import Reading


class Board:
    """The last reading of every point.

    Args:
        stale_after_ns: From which age on a reading counts as uncertain: nothing was heard of the point since.
    """

    def __init__(self, stale_after_ns: int) -> None:
        self.stale_after_ns = stale_after_ns
        self.heard_ns: int | None = None
        self._readings: dict[str, Reading] = {}

    def take(self, at_ns: int, readings: Mapping[str, Reading]) -> None:
        """Enter what was heard at `at_ns`; nothing at all is no news."""
        if readings:
            self.heard_ns = at_ns
            self._readings.update(readings)

    def reading(self, tag: str, at_ns: int) -> Reading | None:
        """The last reading of a point as it counts at `at_ns`; None if it was never heard of."""
        last = self._readings.get(tag)
        if last is None or last.quality != "good" or at_ns - last.at_ns < self.stale_after_ns:
            return last
        return replace(last, quality="uncertain")

    def marked(self, at_ns: int) -> dict[str, Reading]:
        """Every point's last reading as it counts at `at_ns`, by tag."""
        return {tag: reading for tag in self._readings if (reading := self.reading(tag, at_ns)) is not None}

    def is_stale(self, at_ns: int) -> bool:
        """Whether nothing at all was heard for longer than a reading holds; from the start of time if never."""
        return at_ns - (self.heard_ns or 0) >= self.stale_after_ns

    def snapshot(self) -> dict[str, Any]:
        """All readings as plain values."""
        rows = {tag: astuple(reading) for tag, reading in self._readings.items()}
        return {"heard_ns": self.heard_ns, "readings": rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self.heard_ns = state["heard_ns"]
        self._readings = {tag: Reading(*row) for tag, row in state["readings"].items()}
