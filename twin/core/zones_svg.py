"""A plant's zones and conduits as a drawing (SVG).

Grey on grey, as the one-line diagrams are: form carries the meaning, and red marks intruders alone, who are dashed as
well. A zone is a band, from supervision down to the process; a conduit is the pipe that channels pass through from one
band to another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from twin.core.zones import AttackerPosition, Conduit, Host, Network, Zone

_WIDTH: Final = 1080
_MARGIN: Final = 24
_LABELS: Final = 212  # the column of the zones' names
_TITLE_HEIGHT: Final = 56
_GAP: Final = 96  # between two bands, where the conduits are
_PAD: Final = 22
_BOX: Final = (208, 62)
_TASK: Final = (158, 54)
_TASK_GAP: Final = 92
_HEAD: Final = 38  # of the host that runs the image
_SPACE: Final = 28  # between two hosts
_NOTE: Final = 46  # one line of the legend
_MARK: Final = 11  # half the width of an intruder's mark

_STYLE: Final = """
.zones{background:#D8D8D8;font-family:"Segoe UI",Roboto,"DejaVu Sans",Arial,sans-serif;font-size:15px}
.zones text{fill:#2B2B2B}
.zones .title{font-size:21px;font-weight:600}
.zones .name{font-weight:600}
.zones .small{fill:#4A4A4A;font-size:13px}
.zones .mid{text-anchor:middle}
.zones .band{fill:#CBCBCB;stroke:#8C8C8C;stroke-width:1}
.zones .host{fill:#E8E8E8;stroke:#4A4A4A;stroke-width:2}
.zones .task{fill:#F4F4F4;stroke:#4A4A4A;stroke-width:1.5}
.zones .channel{stroke:#4A4A4A;stroke-width:2;fill:none}
.zones .tip{fill:#4A4A4A}
.zones .pipe{fill:#E8E8E8;stroke:#4A4A4A;stroke-width:2}
.zones .attack{stroke:#B3001B;stroke-width:2;stroke-dasharray:6 4;fill:none}
.zones .seat{fill:#D8D8D8;stroke:#B3001B;stroke-width:2;stroke-dasharray:6 4}
.zones .mark{fill:#B3001B}
.zones .marked{fill:#FFFFFF;font-size:12px;font-weight:600;text-anchor:middle}
"""


@dataclass(frozen=True)
class Box:
    """A rectangle on the page, in its units, from the top left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The middle from left to right."""
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.height


def as_svg(network: Network) -> str:
    """The whole drawing as one SVG element."""
    plan = _Plan(network)
    body = [
        *(part for zone in network.zones for part in _band(plan, zone)),
        *(part for host in network.hosts for part in _host(plan, host)),
        *(part for conduit in network.conduits for part in _conduit(plan, conduit)),
        *(part for number, one in enumerate(network.attackers) for part in _attack(plan, one, number)),
        *(_mark(plan, one, number) for number, one in enumerate(network.attackers)),
        *(part for number, one in enumerate(network.attackers) for part in _legend(plan, one, number)),
    ]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="zones" viewBox="0 0 {_WIDTH} {plan.height:g}"'
            f' width="{_WIDTH}" height="{plan.height:g}" role="img" aria-labelledby="zones-title zones-desc">',
            f'<title id="zones-title">{escape(network.title)}: zones and conduits</title>',
            f'<desc id="zones-desc">{escape(_description(network))}</desc>',
            f"<style>{_STYLE}</style>",
            _text(_MARGIN, 36, f"{network.title}: zones and conduits", "title"),
            *body,
            "</svg>",
            "",
        )
    )


def _description(network: Network) -> str:
    zones = ", ".join(zone.title for zone in network.zones)
    conduits = ", ".join(f"{c.title} from {' to '.join(network.joined(c))}" for c in network.conduits)
    return f"Zones: {zones}. Conduits: {conduits or 'none'}. Attackers are numbered and explained below the drawing."


class _Plan:
    """Where everything stands: places by host, `host/task`, zone and attacker."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.bands: dict[str, Box] = {}
        self.places: dict[str, Box] = {}
        self.seats: dict[str, Box] = {}
        self._tasks = _in_order_of_calls(network)
        y: float = _TITLE_HEIGHT
        for zone in network.zones:
            tall = any(host.runs_image for host in network.hosts_of(zone.name))
            height = 2 * _PAD + (_HEAD + _TASK[1] + _PAD if tall else _BOX[1])
            self.bands[zone.name] = Box(_MARGIN, y, _WIDTH - 2 * _MARGIN, height)
            y += height + _GAP
        self._place_all()
        self.legend = y - _GAP + 42
        self.height = self.legend + _NOTE * len(network.attackers) + (0 if network.attackers else -10)

    def _place_all(self) -> None:
        """The controller first, in the middle; the others as near to above or below their partners as they can be."""
        zones = sorted(self.network.zones, key=lambda zone: not any(h.runs_image for h in self._hosts(zone)))
        for zone in zones:
            row = self._row(zone)
            band = self.bands[zone.name]
            x: float = _MARGIN + _LABELS
            free = band.x + band.width - _PAD - x - sum(width for _, _, width in row) - _SPACE * (len(row) - 1)
            for at, (name, wish, width) in enumerate(row):
                start: float
                slack = max(0.0, free)
                if wish is None:
                    start = x + (slack / 2 if len(row) == 1 else 0.0 if at == 0 else slack)
                else:
                    start = min(max(wish - width / 2, x), x + slack)
                free -= start - x
                self._put(name, Box(start, band.y + _PAD, width, band.height - 2 * _PAD))
                x = start + width + (_SPACE if at < len(row) - 1 else 0)

    def _hosts(self, zone: Zone) -> list[Host]:
        return self.network.hosts_of(zone.name)

    def _row(self, zone: Zone) -> list[tuple[str, float | None, float]]:
        """Who stands in a band, from left to right: name, wished middle, width."""
        hosts = [(host.name, self._wish(host.name), self._width(host)) for host in self._hosts(zone)]
        hosts.sort(key=lambda one: one[1] if one[1] is not None else _WIDTH / 2)
        seats: list[tuple[str, float | None, float]] = [
            (one.name, None, _BOX[0]) for one in self.network.attackers_in(zone.name)
        ]
        wishes = [wish for _, wish, _ in hosts if wish is not None]
        leans_right = bool(wishes) and sum(wishes) / len(wishes) > (_MARGIN + _LABELS + _WIDTH) / 2
        return [*seats, *hosts] if leans_right else [*hosts, *seats]  # out of the way of the channels

    def _width(self, host: Host) -> float:
        if not host.runs_image:
            return _BOX[0]
        count = len(self._tasks)
        return 2 * _PAD + count * _TASK[0] + (count - 1) * _TASK_GAP

    def _wish(self, name: str) -> float | None:
        """The middle of whom a host talks to, as far as they stand already."""
        partners = [
            self.places[other].middle
            for conduit in self.network.conduits
            for channel in conduit.channels
            for one, other in ((channel.source, channel.target), (channel.target, channel.source))
            if one.partition("/")[0] == name and other in self.places
        ]
        return sum(partners) / len(partners) if partners else None

    def _put(self, name: str, box: Box) -> None:
        attacker = next((one for one in self.network.attackers if one.name == name), None)
        if attacker is not None and attacker in self.network.attackers_in(attacker.at):
            self.seats[name] = box
            return
        self.places[name] = box
        if next(host for host in self.network.hosts if host.name == name).runs_image:
            for number, task in enumerate(self._tasks):
                x = box.x + _PAD + number * (_TASK[0] + _TASK_GAP)
                self.places[f"{name}/{task}"] = Box(x, box.y + _HEAD, *_TASK)


def _in_order_of_calls(network: Network) -> list[str]:
    """The tasks from those that call to those that are called, so that channels run from left to right."""
    called = {task: [c.target for c in network.wiring.channels if c.source == task] for task in network.wiring.tasks}

    def depth(task: str, seen: frozenset[str] = frozenset()) -> int:
        return max((1 + depth(next_, seen | {task}) for next_ in called[task] if next_ not in seen), default=0)

    return sorted(network.wiring.tasks, key=lambda task: -depth(task))


def _band(plan: _Plan, zone: Zone) -> Iterator[str]:
    box = plan.bands[zone.name]
    yield _rectangle(box, "band", 6)
    yield _text(box.x + 18, box.y + 36, zone.title, "name")
    yield _text(box.x + 18, box.y + 56, f"level {zone.level}", "small")
    if zone.addresses:
        yield _text(box.x + 18, box.y + 74, str(zone.addresses), "small")


def _host(plan: _Plan, host: Host) -> Iterator[str]:
    box = plan.places[host.name]
    yield _rectangle(box, "host", 4)
    if not host.runs_image:
        address = str(host.address) if host.address else ""
        yield _text(box.middle, box.y + (26 if address else 36), host.title, "name mid")
        yield _text(box.middle, box.y + 46, address, "small mid")
        return
    # On the right, and below the tasks: channels come in from above on the left.
    yield _text(box.x + box.width - _PAD, box.y + 25, host.title, "name", anchor="end")
    yield _text(box.middle, box.bottom - 7, "every message between tasks is judged", "small mid")
    for task in plan.network.wiring.tasks:
        place = plan.places[f"{host.name}/{task}"]
        yield _rectangle(place, "task", 4)
        yield _text(place.middle, place.y + 32, task, "mid")
    for held in plan.network.wiring.channels:
        yield from _held(
            plan.places[f"{host.name}/{held.source}"], plan.places[f"{host.name}/{held.target}"], held.name
        )


def _held(source: Box, target: Box, name: str) -> Iterator[str]:
    """A channel between two tasks: straight to the neighbour, below the others to one further on."""
    right = target.x > source.x
    start = source.x + source.width if right else source.x
    end = (target.x if right else target.x + target.width) + (-2 if right else 2)
    y = source.y + source.height / 2
    if abs(end - start) <= _TASK_GAP:
        yield f'<path class="channel" d="M{start:g} {y:g}H{end:g}"/>'
        yield _tip(end, y, "right" if right else "left")
        yield _text((start + end) / 2, y - 9, name, "small mid")
        return
    below = source.bottom + 12
    tip = target.bottom + 2
    yield f'<path class="channel" d="M{source.middle:g} {source.bottom:g}V{below:g}H{target.middle:g}V{tip:g}"/>'
    yield _tip(target.middle, tip, "up")


def _conduit(plan: _Plan, conduit: Conduit) -> Iterator[str]:
    middles: list[float] = []
    paths: list[str] = []
    y = 0.0
    for channel in conduit.channels:
        source, target = plan.places[channel.source], plan.places[channel.target]
        down = source.y < target.y
        start, end = (source.bottom, target.y - 2) if down else (source.y, target.bottom + 2)
        upper = plan.bands[plan.network.zone_of(channel.source if down else channel.target)]
        y = upper.bottom + _GAP / 2
        paths.append(f'<path class="channel" d="M{source.middle:g} {start:g}V{y:g}H{target.middle:g}V{end:g}"/>')
        paths.append(_tip(target.middle, end, "down" if down else "up"))
        middles += [source.middle, target.middle]
    pipe = Box(min(middles) - 26, y - 24, max(middles) - min(middles) + 52, 48)
    yield _rectangle(pipe, "pipe", 12)
    yield from paths
    protocols = sorted({protocol for channel in conduit.channels for protocol in channel.protocols})
    yield _text(pipe.x + pipe.width + 12, y - 3, conduit.title, "name")
    wire = [f"wire {conduit.wire}"] if conduit.wire else []
    yield _text(pipe.x + pipe.width + 12, y + 15, " · ".join([*protocols, *wire]), "small")


def _attack(plan: _Plan, attacker: AttackerPosition, number: int) -> Iterator[str]:
    """The seat of who has one, and its way to what it reaches; who sits in a host uses that host's channels."""
    seat = plan.seats.get(attacker.name)
    if seat is None:
        return
    yield _rectangle(seat, "seat", 4)
    words = attacker.title.split()
    lines = _wrapped(words, 26)[:2]
    for at, line in enumerate(lines):
        yield _text(seat.middle, seat.y + (36 if len(lines) == 1 else 27) + 19 * at, line, "mid")
    for place in attacker.reaches:
        target = plan.places[place]
        if plan.network.zone_of(place) == attacker.at:
            y = target.y + target.height / 2
            ends = (seat.x, target.x + target.width) if target.x < seat.x else (seat.x + seat.width, target.x)
            yield f'<path class="attack" d="M{ends[0]:g} {y:g}H{ends[1]:g}"/>'
            continue
        down = seat.y < target.y
        start, end = (seat.bottom, target.y) if down else (seat.y, target.bottom)
        middle = (plan.bands[attacker.at].bottom + 14) if down else (plan.bands[attacker.at].y - 14)
        side = target.middle + 14 + 6 * number
        yield f'<path class="attack" d="M{seat.middle:g} {start:g}V{middle:g}H{side:g}V{end:g}"/>'


def _mark(plan: _Plan, attacker: AttackerPosition, number: int) -> str:
    box = plan.seats.get(attacker.name) or plan.places[attacker.at]
    earlier = (
        sum(one.at == attacker.at for one in plan.network.attackers[:number]) if attacker.name not in plan.seats else 0
    )
    y = box.bottom if "/" in attacker.at else box.y  # a task's name may stand just above it
    return _triangle(box.x + box.width - 6 - earlier * 30, y, number)


def _legend(plan: _Plan, attacker: AttackerPosition, number: int) -> Iterator[str]:
    y = plan.legend + number * _NOTE
    yield _triangle(_MARGIN + 16, y, number)
    yield _text(_MARGIN + 40, y - 2, attacker.title, "name")
    yield _text(_MARGIN + 40, y + 16, f"meets {attacker.meets}", "small")


def _triangle(x: float, y: float, number: int) -> str:
    points = f"{x:g},{y - 15:g} {x - _MARK - 3:g},{y + 9:g} {x + _MARK + 3:g},{y + 9:g}"
    return f'<polygon class="mark" points="{points}"/>{_text(x, y + 6, str(number + 1), "marked")}'


def _wrapped(words: list[str], most: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= most:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


_TIPS: Final = {"right": (-9, -5, -9, 5), "left": (9, -5, 9, 5), "down": (-5, -9, 5, -9), "up": (-5, 9, 5, 9)}


def _tip(x: float, y: float, way: str) -> str:
    one_x, one_y, two_x, two_y = _TIPS[way]
    return f'<polygon class="tip" points="{x:g},{y:g} {x + one_x:g},{y + one_y:g} {x + two_x:g},{y + two_y:g}"/>'


def _rectangle(box: Box, css: str, radius: int) -> str:
    return (
        f'<rect class="{css}" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="{radius}"/>'
    )


def _text(x: float, y: float, text: str, css: str, *, anchor: str = "") -> str:
    placed = f' style="text-anchor:{anchor}"' if anchor else ""
    return f'<text class="{css}" x="{x:g}" y="{y:g}"{placed}>{escape(text)}</text>' if text else ""
