"""The plant protocol: what a plant must offer to be twinned, attacked, judged and drawn.

A plant is a sub-package of `twin` that exports `PLANT`, or an installed distribution's entry point in the group
`holdfast.plants`; nothing else in the house has to know of it.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import twin
from twin.core.clock import Clock
from twin.core.points import PointTable
from twin.core.recorder import Recorder
from twin.core.streams import Streams

Value = bool | int | float


class PlantError(Exception):
    """A plant cannot be found or built."""


@dataclass(frozen=True)
class EnvelopeLimit:
    """One line of the safety envelope as watched on the true state, and how a run kept to it.

    Attributes:
        name: What is limited.
        limit: The bound, in `unit`.
        unit: Unit of `limit` and `worst`.
        worst: The value furthest towards (or beyond) the bound so far, in `unit`.
        first_violation_s: When it was first exceeded (s), or None.
        violated_s: For how long it was exceeded in all (s).
    """

    name: str
    limit: float
    unit: str
    worst: float
    first_violation_s: float | None
    violated_s: float


class Plant(Protocol):
    """One running plant. It moves as SimPy events on the clock it was built with."""

    points: PointTable

    def start(self) -> None:
        """Enter the plant's work into the clock's agenda and bring the state to its initial condition."""

    def measured(self) -> Mapping[str, Value]:
        """What the plant's own transmitters and contacts show now, in engineering units, by tag."""

    def version(self) -> int:
        """A number that rises whenever `measured` may have changed."""

    def command(self, tag: str, value: Value) -> None:
        """A write that reached the plant's terminals over the field wire: `value` in engineering units."""

    def truth(self) -> dict[str, Any]:
        """What really is: one value per name, for the record."""

    def envelope(self) -> list[EnvelopeLimit]:
        """The safety envelope of the run so far."""

    def damage(self) -> list[dict[str, Any]]:
        """Equipment that is broken: rows of `equipment, mode, at_s`."""

    def impact(self) -> dict[str, float]:
        """What the run has cost so far, by plant-specific names with their units."""

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain values (the agenda is the clock's)."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""


@runtime_checkable
class PlantKind(Protocol):
    """What a plant package exports as `PLANT`."""

    name: str
    title: str
    image: Path

    def build(self, clock: Clock, streams: Streams, recorder: Recorder, settings: Mapping[str, Any]) -> Plant:
        """A new plant on `clock`; `settings` are the scenario's (initial condition, time of day…)."""

    def points(self) -> PointTable:
        """The plant's table of points."""

    def diagram(self, prefix: str = "") -> str:
        """The plant's drawing as SVG, whose element ids are tags behind `prefix`."""


def plant_names() -> list[str]:
    """The names of all plants that are installed, sorted."""
    return sorted(_kinds())


def find_plant(name: str) -> PlantKind:
    """The plant called `name`.

    Raises:
        PlantError: There is none; the message names near ones.
    """
    kinds = _kinds()
    if name not in kinds:
        near = difflib.get_close_matches(name, kinds, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(sorted(kinds))}"
        raise PlantError(f"there is no plant `{name}`; {hint}")
    return kinds[name]


def _kinds() -> dict[str, PlantKind]:
    kinds: dict[str, PlantKind] = {}
    for module in pkgutil.iter_modules(twin.__path__):
        if not module.ispkg:
            continue
        found = getattr(importlib.import_module(f"twin.{module.name}"), "PLANT", None)
        if isinstance(found, PlantKind):
            kinds[found.name] = found
    for entry in entry_points(group="holdfast.plants"):
        found = entry.load()
        kinds[found.name] = found
    return kinds
