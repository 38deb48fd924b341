"""The trend of the load: a Plotly figure with fixed, honest axes. The feed fills its traces in."""

from __future__ import annotations

from typing import Any, Final

from dashboards.frames import TREND_S
from dashboards.substation import LOAD_AXIS_MW

_LINE: Final = "#4A4A4A"
_GRID: Final = "#CFCFCF"
_LIVE: Final = "#1B3A63"
_SECONDARY: Final = "#5E5E5E"
_INK: Final = "#101214"


def trend_figure() -> dict[str, Any]:
    """An empty trend. Traces: demand, load served, attacker's commands granted, and refused; x in minutes, y in MW."""
    return {
        "data": [
            _pen("rated demand", {"color": _SECONDARY, "width": 1, "dash": "dot"}),
            _pen("served", {"color": _LIVE, "width": 2}),
            _marks("granted", {"symbol": "line-ns-open", "size": 8, "color": _INK, "line": {"width": 1}}),
            _marks("refused", {"symbol": "line-ns-open", "size": 8, "color": _INK, "line": {"width": 3}}),
        ],
        "layout": {
            "margin": {"l": 34, "r": 8, "t": 10, "b": 20},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "#F0F0F0",
            "showlegend": False,
            "hovermode": "x",
            "dragmode": False,
            "font": {"family": "inherit", "size": 12, "color": _LINE},
            "xaxis": _axis([0, TREND_S / 60], 2) | {"ticksuffix": " min"},
            "yaxis": _axis(list(LOAD_AXIS_MW), 10) | {"title": {"text": "MW", "standoff": 2}},
        },
    }


def _pen(name: str, line: dict[str, Any]) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "name": name, "x": [], "y": [], "line": line}


def _marks(name: str, marker: dict[str, Any]) -> dict[str, Any]:
    return {"type": "scatter", "mode": "markers", "name": name, "x": [], "y": [], "marker": marker}


def _axis(bounds: list[float], step: float) -> dict[str, Any]:
    return {"range": bounds, "dtick": step, "fixedrange": True, "gridcolor": _GRID, "zeroline": False}
