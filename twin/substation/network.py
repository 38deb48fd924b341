"""The substation "Auriga", 110/20 kV, 50 Hz, as tables: busbars, bays, cables, transformers, loads.

Figures of lines, cables and power transformers are manufacturers' standard types as pandapower 3.5 lists them
("243-AL1/39-ST1A 110", "NA2XS2Y 1x240/185/150 RM/25 12/20 kV", "94-AL1/15-ST1A 20", "40 MVA 110/20 kV",
"0.25 MVA 20/0.4 kV"). Load sizes, lengths and the combined-heat-and-power set are this station's own. Three figures
that no source gives are assumptions: the iron loss of TG (12 kW, 0.1 %), the reactive power of G1 (0.8
Mvar, which gives the station's known balance on a cold evening), and the customers per feeder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from twin.substation.elements import Generator, Line, Link, Load, LoadKind, Network, Node, Shunt, Source, Transformer

Shape = Literal["residential", "commercial", "industrial", "hospital", "flat"]
Where = Literal["branch_from", "branch_to", "branch_both", "shunt"]

POWER_SHARE: Final = 0.6
"""Share of each load that is of constant power; the rest is of constant impedance."""

PV_PEAK_W: Final = 4e6
G1_POWER_W: Final = 8e6
G1_REACTIVE_VAR: Final = 0.8e6
FIRST_TAP: Final = -2


@dataclass(frozen=True)
class Breaker:
    """One circuit breaker: its tag, its bay, whether it is of the 110 kV side, and what it switches.

    Attributes:
        name: The tag.
        bay: Bay designation in the station's drawing.
        high_voltage: Whether it is a 110 kV breaker, which travels slower.
        element: The branch or shunt that it switches.
        where: Which end of it.
        closed: Its position at the start.
        towards_bus: Whether its power is counted out of the element towards the busbar; otherwise into the element.
    """

    name: str
    bay: str
    high_voltage: bool
    element: str
    where: Where
    closed: bool = True
    towards_bus: bool = False


BREAKERS: Final = (
    Breaker("L1", "E01", True, "L1", "branch_to", towards_bus=True),
    Breaker("L2", "E02", True, "L2", "branch_to", towards_bus=True),
    Breaker("T1H", "E03", True, "T1", "branch_from"),
    Breaker("T2H", "E04", True, "T2", "branch_from"),
    Breaker("HC", "E05", True, "HC", "branch_both"),
    Breaker("T1M", "J01", False, "T1", "branch_to", towards_bus=True),
    Breaker("T2M", "J08", False, "T2", "branch_to", towards_bus=True),
    Breaker("BT", "J07", False, "BT", "branch_both"),
    Breaker("F1", "J02", False, "F1", "branch_from"),
    Breaker("F2", "J03", False, "F2", "branch_from"),
    Breaker("F3", "J04", False, "F3", "branch_from"),
    Breaker("F4", "J05", False, "F4", "branch_from"),
    Breaker("F5", "J09", False, "F5", "branch_from"),
    Breaker("F6", "J10", False, "F6", "branch_from"),
    Breaker("F7", "J11", False, "F7", "branch_from"),
    Breaker("F8", "J12", False, "F8", "branch_from"),
    Breaker("CA1", "J06a", False, "CA1", "shunt"),
    Breaker("CA2", "J06b", False, "CA2", "shunt", closed=False),
    Breaker("CB1", "J13a", False, "CB1", "shunt"),
    Breaker("CB2", "J13b", False, "CB2", "shunt", closed=False),
    Breaker("G1", "J14", False, "TG", "branch_from", towards_bus=True),
    Breaker("X1", "J15", False, "X1", "branch_from"),
    Breaker("X2", "J16", False, "X2", "branch_from"),
)
"""All circuit breakers, in the order of their addresses."""


@dataclass(frozen=True)
class LoadPoint:
    """Demand at one node: peak (W) at rated voltage, power factor (lagging), daily shape, customers.

    The customer counts are our own assumption: 1,000 per MW of residential peak, and a handful of large customers
    on the other feeders. They serve to tell in people what a run cost, and nothing is derived from them.
    """

    node: str
    peak_w: float
    power_factor: float
    shape: Shape
    customers: int

    @property
    def q_per_p(self) -> float:
        """Reactive power per active power."""
        return math.tan(math.acos(self.power_factor))


LOAD_POINTS: Final = (
    LoadPoint("F1", 6.5e6, 0.95, "residential", 6500),
    LoadPoint("F2", 5.5e6, 0.95, "residential", 5500),
    LoadPoint("F3", 2.5e6, 0.95, "residential", 2500),
    LoadPoint("F3b", 2.0e6, 0.95, "residential", 2000),
    LoadPoint("F4", 7.0e6, 0.94, "commercial", 700),
    LoadPoint("F5", 5.0e6, 0.90, "industrial", 40),
    LoadPoint("F5b", 3.0e6, 0.90, "industrial", 20),
    LoadPoint("F6", 3.5e6, 0.97, "hospital", 1),
    LoadPoint("F7", 3.0e6, 0.95, "residential", 3000),
    LoadPoint("F7b", 2.0e6, 0.95, "residential", 2000),
    LoadPoint("F8", 6.0e6, 0.90, "industrial", 30),
    LoadPoint("X1", 0.06e6, 0.90, "flat", 0),
    LoadPoint("X2", 0.06e6, 0.90, "flat", 0),
)

FEEDERS: Final = ("F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8")

_NODES: Final = (
    *(Node(name, 110e3) for name in ("GRID1", "GRID2", "H1", "H2")),
    *(Node(name, 20e3) for name in ("A", "B", *FEEDERS, "F3b", "F5b", "F7b")),
    Node("X1", 400.0),
    Node("X2", 400.0),
    Node("G1", 6.3e3),
)


@dataclass(frozen=True)
class Conductor:
    """A standard type: ohm/km, ohm/km, nF/km, A."""

    r_ohm_km: float
    x_ohm_km: float
    c_nf_km: float
    i_rated_a: float

    def line(self, name: str, ends: tuple[str, str], length_km: float, *, closed: bool = True) -> Line:
        """A line of this type between two nodes; when not `closed`, its from end is open."""
        return Line(
            name,
            *ends,
            r_ohm=self.r_ohm_km * length_km,
            x_ohm=self.x_ohm_km * length_km,
            c_f=self.c_nf_km * 1e-9 * length_km,
            i_rated_a=self.i_rated_a,
            from_closed=closed,
        )


_OVERHEAD_110: Final = Conductor(0.1188, 0.39, 9, 645)
_OVERHEAD_20: Final = Conductor(0.306, 0.35, 10, 350)
_CABLE_240: Final = Conductor(0.122, 0.112, 304, 421)
_CABLE_185: Final = Conductor(0.161, 0.117, 273, 362)
_CABLE_150: Final = Conductor(0.206, 0.116, 250, 319)

_HEADS_KM: Final = (
    ("A", "F1", 4.0),
    ("A", "F2", 5.0),
    ("A", "F3", 6.0),
    ("A", "F4", 3.0),
    ("B", "F5", 3.5),
    ("B", "F6", 2.5),
    ("B", "F7", 6.0),
    ("B", "F8", 4.5),
)

_LINES: Final = (
    _OVERHEAD_110.line("L1", ("GRID1", "H1"), 25),
    _OVERHEAD_110.line("L2", ("GRID2", "H2"), 18),
    *(_CABLE_240.line(feeder, (bus, feeder), km) for bus, feeder, km in _HEADS_KM),
    _OVERHEAD_20.line("F3b", ("F3", "F3b"), 8),
    _CABLE_185.line("F5b", ("F5", "F5b"), 2),
    _CABLE_150.line("F7b", ("F7", "F7b"), 5),
    _CABLE_185.line("TIE", ("F4", "F5b"), 2.5, closed=False),
)


def _power_transformer(name: str, high: str, low: str) -> Transformer:
    return Transformer(
        name,
        high,
        low,
        u1_v=110e3,
        u2_v=20e3,
        s_rated_va=40e6,
        uk=0.162,
        pk_w=0.0034 * 40e6,
        i0=0.0005,
        p0_w=18e3,
        winding_to="delta",
        clock=5,
        tap=FIRST_TAP,
        tap_min=-9,
        tap_max=9,
        tap_step_v=0.015 * 110e3,
    )


def _auxiliary_transformer(name: str, bus: str) -> Transformer:
    return Transformer(
        name,
        bus,
        name,
        u1_v=20e3,
        u2_v=400.0,
        s_rated_va=250e3,
        uk=0.06,
        pk_w=0.0144 * 250e3,
        i0=0.0032,
        p0_w=800.0,
        winding_from="wye",
        winding_to="zigzag_n",
        clock=5,
    )


_GENERATOR_TRANSFORMER: Final = Transformer(
    "TG",
    "B",
    "G1",
    u1_v=20e3,
    u2_v=6.3e3,
    s_rated_va=16e6,
    uk=0.08,
    pk_w=0.006 * 16e6,
    i0=0.001,
    p0_w=12e3,
    winding_from="delta",
    winding_to="wye_n",
    clock=11,
)

_CAPACITOR_VAR: Final = 2.4e6


def _capacitor(name: str, bus: str, *, closed: bool) -> Shunt:
    return Shunt(name, bus, g_s=0.0, b_s=_CAPACITOR_VAR / 20e3**2, closed=closed)


def _loads() -> tuple[Load, ...]:
    """Two objects per load point, first all of constant power, then all of constant impedance."""
    return (
        *(_load(point, "power", POWER_SHARE) for point in LOAD_POINTS),
        *(_load(point, "impedance", 1 - POWER_SHARE) for point in LOAD_POINTS),
    )


def _load(point: LoadPoint, kind: LoadKind, share: float) -> Load:
    p_w = share * point.peak_w
    return Load(f"{point.node}.{kind}", point.node, kind, p_w, p_w * point.q_per_p)


def auriga() -> Network:
    """The whole station with its feeders, switched as at the start and loaded with every feeder's own peak."""
    return Network(
        nodes=_NODES,
        lines=_LINES,
        transformers=(
            _power_transformer("T1", "H1", "A"),
            _power_transformer("T2", "H2", "B"),
            _auxiliary_transformer("X1", "A"),
            _auxiliary_transformer("X2", "B"),
            _GENERATOR_TRANSFORMER,
        ),
        links=(Link("HC", "H1", "H2"), Link("BT", "A", "B")),
        sources=(Source("GRID1", "GRID1", 1.03, 3000e6), Source("GRID2", "GRID2", 1.03, 2500e6)),
        loads=_loads(),
        generators=(Generator("G1", "G1", G1_POWER_W, G1_REACTIVE_VAR), Generator("PV", "F7b", 0.0, 0.0)),
        shunts=(
            _capacitor("CA1", "A", closed=True),
            _capacitor("CA2", "A", closed=False),
            _capacitor("CB1", "B", closed=True),
            _capacitor("CB2", "B", closed=False),
        ),
    )
