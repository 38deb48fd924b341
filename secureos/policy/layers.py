"""A layered drawing of a directed graph: which column and which height each node, label and bend gets.

The classic way in four steps (Sugiyama, Tagawa, Toda 1981): break circles, give every node a layer, order the layers so
that edges cross little, then straighten. Labels are nodes of layers of their own, so nothing lies upon anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

GAP_X: Final = 32.0
GAP_Y: Final = 18.0

_SWEEPS: Final = 12


@dataclass(frozen=True, slots=True)
class Box:
    """Something with a size, in pixels."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where the centre of a box is, and how wide its column: lines that cross a column level meet nothing in it."""

    x: float
    y: float
    box: Box
    column: float


@dataclass(frozen=True, slots=True)
class Link:
    """An edge to be drawn: its ends and the size of its label."""

    src: str
    dst: str
    label: Box


@dataclass(frozen=True)
class Layout:
    """What came out.

    Attributes:
        nodes: The place of each node.
        routes: For each link, in the order given, the places it passes from source to destination; the ends are nodes.
        labels: For each link the place of its label, which is on its route.
        width, height: Of the whole.
    """

    nodes: Mapping[str, Place]
    routes: tuple[tuple[Place, ...], ...]
    labels: tuple[Place, ...]
    width: float
    height: float


@dataclass
class _Item:
    """A node, a label or a bend in its layer."""

    box: Box
    layer: int
    before: list[_Item] = field(default_factory=list)
    after: list[_Item] = field(default_factory=list)
    y: float = 0.0


def layout(nodes: Mapping[str, Box], links: Sequence[Link]) -> Layout:
    """Place nodes in columns from left to right; the same graph gives the same drawing. No link is a loop."""
    backward = _backward(nodes, links)
    forward = [
        (link.dst, link.src) if back else (link.src, link.dst) for link, back in zip(links, backward, strict=True)
    ]
    ranks = _ranks(nodes, forward)
    items = {name: _Item(box, 2 * ranks[name]) for name, box in nodes.items()}
    chains = [_chain(items[a], items[b], link) for (a, b), link in zip(forward, links, strict=True)]
    columns = _columns([*items.values(), *(item for chain in chains for item in chain[1:-1])])
    _order(columns)
    _straighten(columns)
    widths = [max(item.box.width for item in column) for column in columns]
    centres = _centres(widths)
    top = min((item.y - item.box.height / 2 for column in columns for item in column), default=0.0)
    bottom = max((item.y + item.box.height / 2 for column in columns for item in column), default=0.0)

    def place(item: _Item) -> Place:
        return Place(centres[item.layer], item.y - top, item.box, widths[item.layer])

    routes = [tuple(map(place, chain)) for chain in chains]
    return Layout(
        nodes={name: place(item) for name, item in items.items()},
        routes=tuple(route[::-1] if back else route for route, back in zip(routes, backward, strict=True)),
        labels=tuple(place(chain[1]) for chain in chains),
        width=centres[-1] + widths[-1] / 2 if widths else 0.0,
        height=bottom - top,
    )


def _backward(nodes: Iterable[str], links: Sequence[Link]) -> list[bool]:
    """Which links to turn round so that no circle is left: those that lead back to where a search came from."""
    out: dict[str, list[int]] = {name: [] for name in nodes}
    for number, link in enumerate(links):
        out[link.src].append(number)
    backward, done, on_way = [False] * len(links), set[str](), set[str]()
    # Nodes that nobody calls first: then calls run from left to right.
    called = {link.dst for link in links}
    for root in sorted(out, key=lambda name: name in called):
        stack = [(root, iter(out[root]))] if root not in done else []
        done.add(root)
        on_way.add(root)
        while stack:
            name, rest = stack[-1]
            for number in rest:
                after = links[number].dst
                if after in on_way:
                    backward[number] = True
                elif after not in done:
                    done.add(after)
                    on_way.add(after)
                    stack.append((after, iter(out[after])))
                    break
            else:
                on_way.discard(name)
                stack.pop()
        on_way.discard(root)
    return backward


def _ranks(nodes: Iterable[str], links: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The longest way to each node, counted in links."""
    ranks = dict.fromkeys(nodes, 0)
    changed = True
    while changed:
        changed = False
        for src, dst in links:
            if ranks[dst] <= ranks[src]:
                ranks[dst], changed = ranks[src] + 1, True
    return ranks


def _chain(first: _Item, last: _Item, link: Link) -> list[_Item]:
    """The link as items of neighbouring layers, its label first."""
    chain = [first]
    for layer in range(first.layer + 1, last.layer):
        box = link.label if len(chain) == 1 else Box(0, 0)
        chain.append(_Item(box, layer))
    chain.append(last)
    for one, other in pairwise(chain):
        one.after.append(other)
        other.before.append(one)
    return chain


def _columns(items: Iterable[_Item]) -> list[list[_Item]]:
    columns: dict[int, list[_Item]] = {}
    for item in items:
        columns.setdefault(item.layer, []).append(item)
    return [columns.get(layer, []) for layer in range(max(columns, default=-1) + 1)]


def _order(columns: list[list[_Item]]) -> None:
    """Each item goes to the mean position of its neighbours, first from the left, then from the right, and again."""
    for sweep in range(_SWEEPS):
        rightwards = sweep % 2 == 0
        for column in columns if rightwards else reversed(columns):
            middle: dict[int, float] = {}
            for position, item in enumerate(column):
                near = item.before if rightwards else item.after
                middle[id(item)] = sum(other.y for other in near) / len(near) if near else position
            column.sort(key=lambda item: middle[id(item)])
            for position, item in enumerate(column):
                item.y = position


def _straighten(columns: list[list[_Item]]) -> None:
    """Heights that keep order and distances and are nearest to the mean of the neighbours."""
    for column in columns:
        _spread(column, [0.0] * len(column))
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = []
            for item in column:
                near = item.before + item.after
                wanted.append(sum(other.y for other in near) / len(near) if near else item.y)
            _spread(column, wanted)


def _spread(column: Sequence[_Item], wanted: Sequence[float]) -> None:
    """Least squares, under the condition that items do not touch: isotonic regression by pooling neighbours."""
    offsets, offset = [], 0.0
    for number, item in enumerate(column):
        if number:
            offset += (column[number - 1].box.height + item.box.height) / 2 + GAP_Y
        offsets.append(offset)
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        mean, count = want - offset, 1
        while pools and pools[-1][0] > mean:
            before, members = pools.pop()
            mean = (mean * count + before * members) / (count + members)
            count += members
        pools.append((mean, count))
    means = [mean for mean, count in pools for _ in range(count)]
    for item, mean, offset in zip(column, means, offsets, strict=True):
        item.y = mean + offset


def _centres(widths: Sequence[float]) -> list[float]:
    centres, x = [], 0.0
    for width in widths:
        centres.append(x + width / 2)
        x += width + GAP_X
    return centres
