"""What the live page shows of the substation: its diagram, what is written into it, and the words for its limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from twin.substation import PLANT
from twin.substation.settings import Settings

LOAD_AXIS_MW: Final = (0, 50)
"""Fixed axis of the load trend: the station's peak is 40 MW."""

LIMIT_WORDS: Final = {
    "remote_disconnection": "Cut off remotely in 60 s",
    "bus_voltage_high": "20 kV busbar, highest",
    "bus_voltage_low": "20 kV busbar, lowest",
    "f6_live": "Hospital feeder F6",
}

_BUSBARS: Final = ("H1", "H2", "A", "B")
_DEAD_VOLTAGE_V: Final = 1000.0
_DEAD_CURRENT_A: Final = 0.5
_TAGS: Final = tuple(re.findall(r'data-tag="([^"]+)"', PLANT.diagram()))


def diagram(side: str) -> str:
    """The one-line diagram as SVG; every element id begins with `side` and a hyphen."""
    return PLANT.diagram(prefix=f"{side}-")


def start_of_day_s(settings: Mapping[str, Any]) -> float:
    """The time of day at which a run begins (s after midnight).

    Raises:
        PlantError: A setting is unknown or out of range.
    """
    return Settings.parse(settings).start_s


def figures(measured: Mapping[str, Any]) -> dict[str, str]:
    """The text of every live figure in the diagram, by tag: whole V and kW, as the diagram's units say."""
    return {tag: f"{measured[tag]:,.0f}".replace("-", "−") for tag in _TAGS if tag in measured}


def states(measured: Mapping[str, Any]) -> dict[str, str]:
    """The state of every element of the diagram, by element id without prefix.

    A breaker is closed, open, moving (neither contact made) or bad (both made). A busbar or a bay's line is live or
    dead, told from measured voltage, and from breaker position and measured current.
    """
    found = {tag: _position(measured, tag) for tag in _TAGS if f"{tag}.closed" in measured}
    lines = {
        f"{tag}.line": "live" if position == "closed" and measured[f"{tag}.I"] >= _DEAD_CURRENT_A else "dead"
        for tag, position in found.items()
        if tag[0] in "FCXG"
    }
    bars = {
        f"{bar}.bar": "live" if measured[f"{bar}.U"] >= _DEAD_VOLTAGE_V else "dead"
        for bar in _BUSBARS
        if f"{bar}.U" in measured
    }
    return found | lines | bars


def _position(measured: Mapping[str, Any], breaker: str) -> str:
    contacts = bool(measured[f"{breaker}.closed"]), bool(measured[f"{breaker}.opened"])
    return {(True, False): "closed", (False, True): "open", (False, False): "moving", (True, True): "bad"}[contacts]
