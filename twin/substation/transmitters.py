"""What the station's own transducers and contacts show: engineering units by tag, limited to each one's range.

Signs: power is counted from the 20 kV busbar into the bay for feeders, capacitors and auxiliary supplies, towards
the 20 kV busbars for everything that feeds them (L1, L2, T1H, T2H, T1M, T2M, G1), H1 to H2 through HC, A to B through
BT. A transducer saturates at the ends of its range. Frequency is that of the stiff grid beyond: 50 Hz wherever
anything is live, 0 where nothing is.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.plant import Value
from twin.core.points import PointTable
from twin.substation.breakers import Breakers
from twin.substation.columns import Floats
from twin.substation.flow import StationFlow
from twin.substation.network import BREAKERS
from twin.substation.power_flow import Solution

BUSBARS: Final = ("H1", "H2", "A", "B")
ANALOG_TAGS: Final = (
    *(f"{bus}.U" for bus in BUSBARS),
    "STATION.f",
    *(f"{breaker.name}.{what}" for what in ("I", "P", "Q", "PF") for breaker in BREAKERS),
    "PV.P",
)
_GRID_HZ: Final = 50.0
_LEAST_VA: Final = 1.0  # below this apparent power there is no angle to speak of


class Transmitters:
    """The transducers of one station, with the ranges of its points table."""

    def __init__(self, points: PointTable, flow: StationFlow) -> None:
        self._low = np.array([points[tag].low for tag in ANALOG_TAGS])
        self._high = np.array([points[tag].high for tag in ANALOG_TAGS])
        self._buses = np.array([flow.node[bus] for bus in BUSBARS])
        self._rated_v = np.array([flow.network.nodes[index].u_rated_v for index in self._buses])
        sides = [_place(flow, number) for number in range(len(BREAKERS))]
        self._place = np.array([place for place, _ in sides])
        self._sign = np.array([sign for _, sign in sides])

    def bays(self, solution: Solution) -> tuple[Floats, Floats, Floats]:
        """Current (A), active (W) and reactive power (var) of each breaker's bay, signed as the module says."""
        current = np.concatenate((solution.i_from_a, solution.i_to_a, solution.shunt_i_a))[self._place]
        power = np.concatenate((solution.p_from_w, solution.p_to_w, solution.shunt_p_w))[self._place]
        reactive = np.concatenate((solution.q_from_var, solution.q_to_var, solution.shunt_q_var))[self._place]
        return current, power * self._sign, reactive * self._sign

    def show(self, solution: Solution, breakers: Breakers) -> dict[str, Value]:
        """All measured values and contact positions, by tag."""
        current, power, reactive = self.bays(solution)
        apparent = np.hypot(power, reactive)
        factor = np.where(apparent > _LEAST_VA, np.abs(power) / np.maximum(apparent, _LEAST_VA), 0.0)
        volts = solution.u_pu[self._buses] * self._rated_v
        hertz = _GRID_HZ if volts.any() else 0.0
        sun = solution.generator_p_w[1:2] / 1e3
        analog = np.concatenate((volts, (hertz,), current, power / 1e3, reactive / 1e3, factor, sun))
        shown: dict[str, Value] = dict(zip(ANALOG_TAGS, np.clip(analog, self._low, self._high).tolist(), strict=True))
        for breaker, mechanism in zip(BREAKERS, breakers.mechanisms, strict=True):
            shown[f"{breaker.name}.closed"] = mechanism.contact_52a
            shown[f"{breaker.name}.opened"] = mechanism.contact_52b
        return shown


def _place(flow: StationFlow, number: int) -> tuple[int, float]:
    """Where in the row of from ends, to ends and shunts a bay is measured, and with which sign."""
    breaker = BREAKERS[number]
    sign = -1.0 if breaker.towards_bus else 1.0
    branches = len(flow.branch)
    if breaker.where == "shunt":
        return 2 * branches + flow.shunt[breaker.element], sign
    side = branches if breaker.where == "branch_to" else 0
    return side + flow.branch[breaker.element], sign
