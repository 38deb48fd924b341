"""The graph of a policy as a picture (SVG)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape
from itertools import pairwise
from typing import Final

from secureos.policy.graph import Edge, Graph
from secureos.policy.layers import Box, Layout, Link, Place, layout

_MARGIN: Final = 28.0
_HEAD: Final = 64.0
_LINE: Final = 15.0
_NODE_LETTER: Final = 7.6  # a letter's width at 13 px, generously: no two systems have the same font
_LABEL_LETTER: Final = 6.4
_COLUMNS: Final = 3

_STYLE: Final = """
    text { font: 13px system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #1c2733; }
    .title { font-size: 17px; font-weight: 600; }
    .small { font-size: 11px; fill: #44515f; }
    .head { font-size: 11px; font-weight: 600; fill: #44515f; }
    .node rect { fill: #eef3f8; stroke: #5b7390; }
    .node text { text-anchor: middle; }
    .label rect { fill: #ffffff; }
    .label text { font-size: 11px; text-anchor: middle; }
    .label .if { fill: #8a4b00; }
    .edge { fill: none; stroke: #2f6f4f; stroke-width: 1.5; }
    .edge.if { stroke: #a65f00; stroke-dasharray: 6 4; }
    #always path { fill: #2f6f4f; }
    #if path { fill: #a65f00; }
"""
_MARKERS: Final = "".join(
    f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 L8 4 L0 8 z"/></marker>'
    for name in ("always", "if")
)


def as_svg(graph: Graph) -> str:
    """Classes as boxes in columns, calls as arrows from left to right; below, classes apart and calls to the kernel."""
    edges = graph.drawn
    joined = [name for name in graph.classes if any(name in (edge.src, edge.dst) for edge in edges)]
    apart = [name for name in graph.classes if name not in joined]
    places = layout({name: _node_box(name) for name in joined}, [Link(e.src, e.dst, _label_box(e)) for e in edges])
    foot = _foot(apart, graph.kernel, _HEAD + _MARGIN + places.height + 2 * _MARGIN)
    width = max(places.width, _column(graph.kernel) * min(len(graph.kernel), _COLUMNS), 460.0) + 2 * _MARGIN
    height = _HEAD + places.height + 3 * _MARGIN + _foot_height(apart, graph.kernel)
    body = [*_head(graph), *_drawing(edges, places), *foot]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
        f' height="{height:.0f}" role="img">\n<title>{escape(graph.policy)}: who may call whom</title>\n'
        f"<style>{_STYLE}</style>\n<defs>{_MARKERS}</defs>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _node_box(name: str) -> Box:
    return Box(len(name) * _NODE_LETTER + 26, 44)


def _label_box(edge: Edge) -> Box:
    lines = edge.lines()
    return Box(max(map(len, lines)) * _LABEL_LETTER + 12, len(lines) * _LINE + 6)


def _head(graph: Graph) -> Iterable[str]:
    x, y = _MARGIN, _MARGIN
    yield f'<text class="title" x="{x}" y="{y + 8}">{escape(graph.policy)}: who may call whom</text>'
    y += 30
    yield f'<path class="edge" d="M{x} {y} h34" marker-end="url(#always)"/>'
    yield f'<text class="small" x="{x + 42}" y="{y + 4}">always granted</text>'
    yield f'<path class="edge if" d="M{x + 142} {y} h34" marker-end="url(#if)"/>'
    yield f'<text class="small" x="{x + 184}" y="{y + 4}">calls marked ? under a condition</text>'


def _drawing(edges: Sequence[Edge], places: Layout) -> Iterable[str]:
    yield f'<g transform="translate({_MARGIN} {_HEAD + _MARGIN})">'
    for edge, route in zip(edges, _with_ports(places.routes), strict=True):
        kind = "edge if" if edge.sometimes else "edge"
        marker = "if" if edge.sometimes else "always"
        yield f'<path class="{kind}" d="{_path(route)}" marker-end="url(#{marker})"/>'
    for edge, place in zip(edges, places.labels, strict=True):
        yield from _label(edge, place)
    for name, place in places.nodes.items():
        yield from _node(name, place)
    yield "</g>"


def _with_ports(routes: Sequence[Sequence[Place]]) -> list[list[Place]]:
    """The same routes with ends that share one side of a box apart from each other, ordered like their other ends."""
    sides: dict[tuple[float, float, bool], list[tuple[float, int, int]]] = {}
    for number, route in enumerate(routes):
        for end, near in ((0, 1), (-1, -2)):
            side = (route[end].x, route[end].y, route[near].x > route[end].x)
            sides.setdefault(side, []).append((route[near].y, number, end))
    moved = [list(route) for route in routes]
    for ends in sides.values():
        for position, (_, number, end) in enumerate(sorted(ends), start=1):
            place = moved[number][end]
            room = place.box.height - 8
            offset = room * (position / (len(ends) + 1) - 0.5)
            moved[number][end] = replace(place, y=place.y + offset)
    return moved


def _path(route: Sequence[Place]) -> str:
    """A smooth line from border to border, level where it meets a box."""
    first, last = route[0], route[-1]
    way = 1 if last.x > first.x else -1
    points = [(first.x + way * first.box.width / 2, first.y), (first.x + way * first.column / 2, first.y)]
    for place in route[1:-1]:
        points += [(place.x - way * place.column / 2, place.y), (place.x + way * place.column / 2, place.y)]
    points += [(last.x - way * last.column / 2, last.y), (last.x - way * last.box.width / 2, last.y)]
    # A piece without length would have no direction, and the arrow at its end none.
    steps = [(one, other) for one, other in pairwise(points) if one != other]
    return f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(_step(one, other) for one, other in steps)


def _step(one: tuple[float, float], other: tuple[float, float]) -> str:
    (x0, y0), (x1, y1) = one, other
    if y0 == y1:
        return f" H{x1:.1f}"
    bend = (x0 + x1) / 2
    return f" C{bend:.1f} {y0:.1f} {bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"


def _label(edge: Edge, place: Place) -> Iterable[str]:
    left, top = place.x - place.box.width / 2, place.y - place.box.height / 2
    yield f'<g class="label"><rect x="{left:.1f}" y="{top:.1f}" width="{place.box.width:.1f}"'
    yield f' height="{place.box.height:.1f}"/>'
    for number, line in enumerate(edge.lines()):
        kind = ' class="if"' if line.endswith("?") else ""
        yield f'<text{kind} x="{place.x:.1f}" y="{top + 14 + number * _LINE:.1f}">{escape(line)}</text>'
    yield "</g>"


def _node(name: str, place: Place) -> Iterable[str]:
    left, top = place.x - place.box.width / 2, place.y - place.box.height / 2
    yield f'<g class="node"><rect rx="6" x="{left:.1f}" y="{top:.1f}" width="{place.box.width:.1f}"'
    yield f' height="{place.box.height:.1f}"/><text x="{place.x:.1f}" y="{place.y + 4.5:.1f}">{escape(name)}</text></g>'


def _foot(apart: Sequence[str], kernel: Sequence[Edge], y: float) -> Iterable[str]:
    if apart:
        yield f'<text class="head" x="{_MARGIN}" y="{y:.1f}">NEITHER CALL NOR ARE CALLED</text>'
        yield f'<text class="small" x="{_MARGIN}" y="{y + _LINE + 2:.1f}">{escape(", ".join(apart))}</text>'
        y += 3 * _LINE
    if kernel:
        yield f'<text class="head" x="{_MARGIN}" y="{y:.1f}">CALLS TO THE KERNEL</text>'
    for start in range(0, len(kernel), _COLUMNS):
        row = kernel[start : start + _COLUMNS]
        y += _LINE + 4
        for column, edge in enumerate(row):
            x = _MARGIN + column * _column(kernel)
            yield f'<text x="{x:.1f}" y="{y:.1f}">{escape(edge.src)}</text>'
            for number, line in enumerate(edge.lines(), start=1):
                yield f'<text class="small" x="{x + 8:.1f}" y="{y + number * _LINE:.1f}">{escape(line)}</text>'
        y += max(len(edge.lines()) for edge in row) * _LINE + 6


def _column(kernel: Sequence[Edge]) -> float:
    """How wide the texts on calls to the kernel are at most."""
    return max((len(text) * _NODE_LETTER + 24 for edge in kernel for text in (edge.src, *edge.lines())), default=0.0)


def _foot_height(apart: Sequence[str], kernel: Sequence[Edge]) -> float:
    rows = [kernel[start : start + _COLUMNS] for start in range(0, len(kernel), _COLUMNS)]
    tall = sum(max(len(edge.lines()) for edge in row) * _LINE + _LINE + 10 for row in rows)
    return (3 * _LINE if apart else 0) + (tall + _LINE if kernel else 0) + _MARGIN
