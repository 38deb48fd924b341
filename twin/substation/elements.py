"""The parts an electrical network is made of, as plain values, and the check that they make sense together.

All quantities are in SI units and positive sequence. Nothing here knows a solver or a station.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

LoadKind = Literal["power", "impedance"]
Winding = Literal["wye", "wye_n", "delta", "zigzag", "zigzag_n"]


class NetworkError(Exception):
    """A network cannot be; the message lists each mistake as `element: what, why, what to do`."""


@dataclass(frozen=True)
class Node:
    """A place with one voltage: a busbar or a terminal. `u_rated_v` is the rated line-to-line voltage (V)."""

    name: str
    u_rated_v: float


@dataclass(frozen=True)
class Line:
    """A line or cable in the pi model: whole series impedance (ohm), whole capacitance (F), rated current (A)."""

    name: str
    from_node: str
    to_node: str
    r_ohm: float
    x_ohm: float
    c_f: float
    i_rated_a: float
    from_closed: bool = True
    to_closed: bool = True


@dataclass(frozen=True)
class Transformer:
    """A two-winding transformer in the pi model, tap changer on the from side.

    Attributes:
        u1_v, u2_v: Rated voltages of the from and the to side (V).
        s_rated_va: Rated power (VA).
        uk, i0: Short-circuit voltage and no-load current, per unit of the rating.
        pk_w, p0_w: Load and no-load loss (W).
        clock: Vector group number, 0 to 12: the to side lags by 30 degrees each.
        tap, tap_min, tap_max: Position now and its ends; a higher position means more turns, so a lower to side.
        tap_step_v: Change of `u1_v` per step (V).
    """

    name: str
    from_node: str
    to_node: str
    u1_v: float
    u2_v: float
    s_rated_va: float
    uk: float
    pk_w: float
    i0: float
    p0_w: float
    winding_from: Winding = "wye_n"
    winding_to: Winding = "wye_n"
    clock: int = 0
    tap: int = 0
    tap_min: int = 0
    tap_max: int = 0
    tap_step_v: float = 0.0
    from_closed: bool = True
    to_closed: bool = True


@dataclass(frozen=True)
class Link:
    """A connection without impedance worth naming: a bus-tie or coupler."""

    name: str
    from_node: str
    to_node: str
    from_closed: bool = True
    to_closed: bool = True


@dataclass(frozen=True)
class Source:
    """The grid beyond: a voltage (pu, rad) behind a short-circuit power (VA) with a ratio of R to X."""

    name: str
    node: str
    u_ref_pu: float
    sk_va: float
    rx_ratio: float = 0.1
    angle_rad: float = 0.0
    closed: bool = True


@dataclass(frozen=True)
class Load:
    """Demand at rated voltage (W, var; positive is consumed), of constant power or of constant impedance."""

    name: str
    node: str
    kind: LoadKind
    p_w: float
    q_var: float


@dataclass(frozen=True)
class Generator:
    """Infeed of fixed power (W, var; positive is produced)."""

    name: str
    node: str
    p_w: float
    q_var: float
    closed: bool = True


@dataclass(frozen=True)
class Shunt:
    """An admittance to earth (S); a positive `b_s` is a capacitor."""

    name: str
    node: str
    g_s: float
    b_s: float
    closed: bool = True


Branch = Line | Transformer | Link
Appliance = Source | Load | Generator | Shunt
Element = Node | Branch | Appliance


@dataclass(frozen=True)
class Network:
    """All parts of one network. Branches are counted lines first, then transformers, then links."""

    nodes: tuple[Node, ...]
    lines: tuple[Line, ...] = ()
    transformers: tuple[Transformer, ...] = ()
    links: tuple[Link, ...] = ()
    sources: tuple[Source, ...] = ()
    loads: tuple[Load, ...] = ()
    generators: tuple[Generator, ...] = ()
    shunts: tuple[Shunt, ...] = ()
    frequency_hz: float = 50.0

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Lines, transformers and links, in the order in which results and statuses are given."""
        return (*self.lines, *self.transformers, *self.links)

    @property
    def appliances(self) -> tuple[Appliance, ...]:
        """Everything that stands at one node: sources, loads, generators, shunts."""
        return (*self.sources, *self.loads, *self.generators, *self.shunts)

    def check(self) -> None:
        """Refuse a network that cannot be.

        Raises:
            NetworkError: A name is used twice, a node is unknown, or a quantity is impossible.
        """
        mistakes = [*_names(self), *_places(self), *_quantities(self)]
        if mistakes:
            raise NetworkError("\n".join(mistakes))


def _names(network: Network) -> Iterator[str]:
    groups: tuple[tuple[Element, ...], ...] = (
        network.nodes,
        network.branches,
        network.sources,
        network.loads,
        network.generators,
        network.shunts,
    )
    for group in groups:
        seen: set[str] = set()
        for element in group:
            if element.name in seen:
                yield f"{_who(element)}: the name is used twice; give each element of a kind its own"
            seen.add(element.name)


def _places(network: Network) -> Iterator[str]:
    rated = {node.name: node.u_rated_v for node in network.nodes}
    if not network.sources:
        yield "network: there is no source, so nothing can be live; add one"
    for branch in network.branches:
        ends = (branch.from_node, branch.to_node)
        unknown = [end for end in ends if end not in rated]
        yield from (_unknown_node(branch, end) for end in unknown)
        if not unknown and ends[0] == ends[1]:
            yield f"{_who(branch)}: begins and ends at `{ends[0]}`; it must join two nodes"
        elif not unknown and not isinstance(branch, Transformer) and rated[ends[0]] != rated[ends[1]]:
            yield (
                f"{_who(branch)}: joins {rated[ends[0]]:g} V at `{ends[0]}` to {rated[ends[1]]:g} V at `{ends[1]}`;"
                " different voltages need a transformer"
            )
    for element in network.appliances:
        if element.node not in rated:
            yield _unknown_node(element, element.node)


def _quantities(network: Network) -> Iterator[str]:
    elements: tuple[Element, ...] = (*network.nodes, *network.branches, *network.appliances)
    for element in elements:
        for field in fields(element):
            value = getattr(element, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                yield f"{_who(element)}: {field.name} is `{value}`; a finite number is needed"
    for node in network.nodes:
        yield from _above_zero(node, u_rated_v=node.u_rated_v)
    for line in network.lines:
        yield from _not_negative(line, r_ohm=line.r_ohm, x_ohm=line.x_ohm, c_f=line.c_f)
        if line.r_ohm == 0 and line.x_ohm == 0:
            yield f"{_who(line)}: has no impedance at all; use a link"
        yield from _above_zero(line, i_rated_a=line.i_rated_a)
    for transformer in network.transformers:
        yield from _transformer(transformer)
    for source in network.sources:
        yield from _above_zero(source, u_ref_pu=source.u_ref_pu, sk_va=source.sk_va)
        yield from _not_negative(source, rx_ratio=source.rx_ratio)


def _transformer(item: Transformer) -> Iterator[str]:
    yield from _above_zero(item, u1_v=item.u1_v, u2_v=item.u2_v, s_rated_va=item.s_rated_va, uk=item.uk)
    yield from _not_negative(item, pk_w=item.pk_w, p0_w=item.p0_w, i0=item.i0, tap_step_v=item.tap_step_v)
    if item.s_rated_va > 0 and item.pk_w / item.s_rated_va > item.uk:
        yield f"{_who(item)}: load loss {item.pk_w:g} W is more than uk {item.uk:g} allows; one of them is wrong"
    if item.s_rated_va > 0 and item.p0_w / item.s_rated_va > item.i0:
        yield f"{_who(item)}: no-load loss {item.p0_w:g} W is more than i0 {item.i0:g} allows; one of them is wrong"
    if not item.tap_min <= item.tap <= item.tap_max:
        yield f"{_who(item)}: tap {item.tap} is outside {item.tap_min} to {item.tap_max}"
    if not 0 <= item.clock <= 12:
        yield f"{_who(item)}: clock number {item.clock} is outside 0 to 12"
    # A star and a delta winding cannot stand at an even number, two alike cannot stand at an odd one.
    elif item.clock % 2 != (_turns(item.winding_from) != _turns(item.winding_to)):
        yield f"{_who(item)}: clock number {item.clock} does not fit {item.winding_from} and {item.winding_to}"


def _turns(winding: Winding) -> bool:
    return winding in ("wye", "wye_n")


def _above_zero(element: Element, **quantities: float) -> Iterator[str]:
    for name, value in quantities.items():
        if value <= 0:
            yield f"{_who(element)}: {name} is `{value:g}`; it must be above zero"


def _not_negative(element: Element, **quantities: float) -> Iterator[str]:
    for name, value in quantities.items():
        if value < 0:
            yield f"{_who(element)}: {name} is `{value:g}`; it must not be negative"


def _unknown_node(element: Element, node: str) -> str:
    return f"{_who(element)}: node `{node}` is unknown; declare it or mend the name"


def _who(element: Element) -> str:
    return f"{type(element).__name__.lower()} `{element.name}`"
