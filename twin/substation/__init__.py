"""Auriga, a 110/20 kV substation: physics, points, one-line diagram, and the image of its controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from twin.core.clock import Clock
from twin.core.plant import Plant
from twin.core.points import PointTable
from twin.core.recorder import Recorder
from twin.core.streams import Streams


@dataclass(frozen=True)
class SubstationKind:
    """What the house needs to know of this plant; the solver is loaded when one is built."""

    name: str = "substation"
    title: str = "Auriga, a 110/20 kV substation with eight feeders"
    image: Path = Path(__file__).parent / "image"

    def build(self, clock: Clock, streams: Streams, recorder: Recorder, settings: Mapping[str, Any]) -> Plant:
        """A new station on `clock`; settings are `start` ("18:00" or seconds of the day) and `day_factor` (1.0).

        Raises:
            PlantError: A setting is unknown or out of range.
        """
        from twin.substation.plant import Substation
        from twin.substation.settings import Settings

        return Substation(clock, streams, recorder, Settings.parse(settings))

    def points(self) -> PointTable:
        """The station's table of points."""
        from twin.substation.plant import points

        return points()

    def diagram(self, prefix: str = "") -> str:
        """The one-line diagram as SVG; element ids are `prefix` and a tag, so that two may stand on one page."""
        from twin.substation.one_line import diagram

        return diagram(prefix)


PLANT: Final = SubstationKind()

__all__ = ["PLANT", "SubstationKind"]
