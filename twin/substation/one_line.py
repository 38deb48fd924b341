"""The one-line diagram as SVG, drawn from the list of breakers and a table of where each bay stands.

Grey on grey after ISA-101: form carries the state, colour marks live figures only. A closed breaker is a filled
square, an open one is hollow, a moving one is hatched by a dashed edge; a dead line is dashed. A script sets these by
class (`closed`, `open`, `moving`, `dead`) and writes figures by element id.

Element ids, each behind the prefix: a breaker's tag (`F1`), a feeder's line (`F1.line`), a busbar (`A.bar`), and the
tag of each live figure (`F1.P`, `A.U`).
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Final

from twin.substation.network import BREAKERS, FEEDERS, Breaker

_WIDTH: Final = 960
_HEIGHT: Final = 560
_HALF: Final = 9  # half the side of a breaker's square

# Heights of the drawing's levels.
_GRID_Y: Final = 24
_LINE_BREAKER_Y: Final = 62
_HIGH_Y: Final = 106
_HIGH_BREAKER_Y: Final = 142
_TRANSFORMER_Y: Final = 192
_LOW_BREAKER_Y: Final = 242
_BUS_Y: Final = 286
_BAY_BREAKER_Y: Final = 326
_BAY_END_Y: Final = 404
_TIE_Y: Final = 374
_LABEL_WIDTH: Final = 124  # a busbar's name and voltage


@dataclass(frozen=True)
class Busbar:
    """One busbar section: where it begins and ends, and at which height."""

    name: str
    left: int
    right: int
    y: int


_BUSBARS: Final = (
    Busbar("H1", 96, 446, _HIGH_Y),
    Busbar("H2", 502, 852, _HIGH_Y),
    Busbar("A", 12, 446, _BUS_Y),
    Busbar("B", 502, 948, _BUS_Y),
)

_TRANSFORMER_X: Final = {"T1": 236, "T2": 676}
_COUPLER_X: Final = 474

# Where each outgoing bay hangs on its 20 kV section, and who is behind it. F4 and F5 stand next to each other,
# because a normally open tie joins their ends.
_BAYS: Final = {
    "X1": (34, ""),
    "CA1": (84, ""),
    "CA2": (134, ""),
    "F1": (194, "homes"),
    "F2": (266, "homes"),
    "F3": (338, "rural"),
    "F4": (412, "shops"),
    "F5": (528, "works"),
    "F6": (600, "hospital"),
    "F7": (682, "homes"),
    "F8": (746, "water"),
    "CB1": (796, ""),
    "CB2": (844, ""),
    "G1": (890, ""),
    "X2": (930, ""),
}
_END_SYMBOLS: Final = {
    "F": "M-7 0 L0 14 L7 0 Z",  # to customers
    "C": "M0 0 V4 M-11 4 H11 M-11 11 H11 M0 11 V18 M-8 18 H8",  # capacitor to earth
    "X": "M0 0 V3 M-8 3 H8 V17 H-8 Z",  # the station's own supply
    "G": "M0 0 V2 M0 2 A10 10 0 1 1 -0.01 2 M-5 12 q2.5 -6 5 0 t5 0",  # rotating machine
}

_STYLE: Final = """
.one-line{background:#D8D8D8;font-family:"Segoe UI",Roboto,"DejaVu Sans",Arial,sans-serif;font-size:18px}
.one-line line,.one-line circle,.one-line path{stroke:#4A4A4A;stroke-width:2;fill:none}
.one-line .bar line{stroke-width:7}
.one-line text{fill:#2B2B2B;text-anchor:middle}
.one-line .name{font-weight:600}
.one-line .who,.one-line .unit{fill:#4A4A4A}
.one-line .left{text-anchor:start}
.one-line .value{fill:#1B3A63;font-weight:600;font-variant-numeric:tabular-nums}
.one-line .breaker rect{stroke:#4A4A4A;stroke-width:2.5;fill:#D8D8D8}
.one-line .breaker.closed rect{fill:#4A4A4A}
.one-line .breaker.moving rect{fill:#A0A0A0;stroke-dasharray:4 3}
.one-line .dead line,.one-line .dead path{stroke-dasharray:6 5}
"""


def diagram(prefix: str = "") -> str:
    """The whole drawing as one SVG element; `prefix` stands before every id, so that two may share a page."""
    pen = _Pen(prefix)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="one-line" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' aria-labelledby="{pen.id("title")} {pen.id("desc")}">',
        f'<title id="{pen.id("title")}">Substation Auriga, one-line diagram</title>',
        f'<desc id="{pen.id("desc")}">Two 110 kV lines feed busbars H1 and H2; transformers T1 and T2 feed the 20 kV'
        " sections A and B. Filled squares are closed breakers, hollow ones are open, dashed lines are dead.</desc>",
        f"<style>{_STYLE}</style>",
        *(pen.busbar(bar) for bar in _BUSBARS),
        *(pen.infeed(number, x) for number, x in enumerate(_TRANSFORMER_X.values(), start=1)),
        pen.coupler("HC", _HIGH_Y),
        pen.coupler("BT", _BUS_Y),
        pen.tie(),
        *(pen.bay(name, x, who) for name, (x, who) in _BAYS.items()),
        "</svg>",
    ]
    return "\n".join(parts)


class _Pen:
    """Draws the parts; knows the prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def id(self, name: str) -> str:
        """An element id, fit for an attribute."""
        return escape(self._prefix + name, quote=True)

    def busbar(self, bar: Busbar) -> str:
        """A thick line with its name and voltage above the left end."""
        label = bar.left if bar.name in ("H1", "A") else bar.right - _LABEL_WIDTH
        return (
            f'<g id="{self.id(bar.name + ".bar")}" class="bar">{_line(bar.left, bar.y, bar.right, bar.y)}</g>'
            f"{_text(label, bar.y - 12, bar.name, 'name left')}"
            f"{self._value(label + 34, bar.y - 12, bar.name + '.U', 'V', css='left')}"
        )

    def infeed(self, number: int, x: int) -> str:
        """A 110 kV line from the grid and the transformer below it, with its three breakers."""
        line, high, low = f"L{number}", f"T{number}H", f"T{number}M"
        top, bottom = _TRANSFORMER_Y - 8, _TRANSFORMER_Y + 10
        return "".join(
            (
                _text(x, _GRID_Y, f"GRID{number}", "who"),
                f'<g id="{self.id(line + ".line")}">{_line(x, _GRID_Y + 8, x, _HIGH_Y)}</g>',
                f'<g id="{self.id(f"T{number}.line")}">{_line(x, _HIGH_Y, x, top - 14)}'
                f'<circle cx="{x}" cy="{top}" r="14"/><circle cx="{x}" cy="{bottom}" r="14"/>'
                f"{_line(x, bottom + 14, x, _BUS_Y)}</g>",
                self._breaker(line, x, _LINE_BREAKER_Y),
                self._breaker(high, x, _HIGH_BREAKER_Y),
                self._breaker(low, x, _LOW_BREAKER_Y),
                *(_text(x + 18, y + 6, name, "name left") for name, y in _beside(line, high, low)),
                _text(x + 26, _TRANSFORMER_Y + 7, f"T{number} 40 MVA", "who left"),
                self._value(x - 74, _LOW_BREAKER_Y + 6, low + ".P", "kW"),
            )
        )

    def coupler(self, name: str, y: int) -> str:
        """The breaker between two sections of one level."""
        ends = [bar for bar in _BUSBARS if bar.y == y]
        return (
            f'<g id="{self.id(name + ".line")}">{_line(ends[0].right, y, ends[1].left, y)}</g>'
            f"{self._breaker(name, _COUPLER_X, y)}{_text(_COUPLER_X, y - 18, name, 'name')}"
        )

    def tie(self) -> str:
        """The normally open tie between the ends of two feeders; it is worked by hand, so it has no tag."""
        left, right = _BAYS["F4"][0], _BAYS["F5"][0]
        gap = _HALF + 5
        return (
            f"<g>{_line(left, _TIE_Y, _COUPLER_X - gap, _TIE_Y)}{_line(_COUPLER_X + gap, _TIE_Y, right, _TIE_Y)}"
            f'<path d="M{_COUPLER_X - gap} {_TIE_Y} l{2 * gap - 4} -14"/></g>'
            f"{_text(_COUPLER_X, _TIE_Y + 22, 'tie', 'who')}"
        )

    def bay(self, name: str, x: int, who: str) -> str:
        """An outgoing bay: breaker, line, symbol of what is behind it, name, customer and power."""
        symbol = f'<path transform="translate({x} {_BAY_END_Y})" d="{_END_SYMBOLS[name[0]]}"/>'
        parts = [
            f'<g id="{self.id(name + ".line")}">{_line(x, _BUS_Y, x, _BAY_END_Y)}{symbol}</g>',
            self._breaker(name, x, _BAY_BREAKER_Y),
            _text(x, _BAY_END_Y + 42, name, "name"),
        ]
        if who:
            parts.append(_text(x, _BAY_END_Y + 64, who, "name" if who == "hospital" else "who"))
        if name in FEEDERS or name == "G1":
            parts.append(self._value(x, _BAY_END_Y + 90, name + ".P", ""))
            parts.append(_text(x, _BAY_END_Y + 110, "kW", "unit"))
        if name == "F7":
            parts.append(_text(x - 26, _BAY_END_Y + 138, "solar", "who left"))
            parts.append(self._value(x + 28, _BAY_END_Y + 138, "PV.P", "kW", css="left"))
        return "".join(parts)

    def _breaker(self, name: str, x: int, y: int) -> str:
        breaker = _BREAKERS[name]
        state = "closed" if breaker.closed else "open"
        side = 2 * _HALF
        return (
            f'<g id="{self.id(name)}" class="breaker {state}" data-tag="{name}">'
            f"<title>{name}, bay {breaker.bay}</title>"
            f'<rect x="{x - _HALF}" y="{y - _HALF}" width="{side}" height="{side}"/></g>'
        )

    def _value(self, x: int, y: int, tag: str, unit: str, *, css: str = "") -> str:
        after = f' <tspan class="unit">{unit}</tspan>' if unit else ""
        figure = f'<tspan id="{self.id(tag)}" class="value" data-tag="{tag}">–</tspan>'
        return f'<text x="{x}" y="{y}" class="{css}">{figure}{after}</text>'


_BREAKERS: Final[dict[str, Breaker]] = {breaker.name: breaker for breaker in BREAKERS}


def _beside(line: str, high: str, low: str) -> tuple[tuple[str, int], ...]:
    return (line, _LINE_BREAKER_Y), (high, _HIGH_BREAKER_Y), (low, _LOW_BREAKER_Y)


def _line(x1: int, y1: int, x2: int, y2: int) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def _text(x: int, y: int, words: str, css: str) -> str:
    return f'<text x="{x}" y="{y}" class="{css}">{escape(words)}</text>'
