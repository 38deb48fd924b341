"""The station in the solver: breaker positions and demand in, a solved network out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from twin.substation.columns import Floats
from twin.substation.envelope import Supply
from twin.substation.loads import reactive_var
from twin.substation.network import BREAKERS, G1_POWER_W, G1_REACTIVE_VAR, LOAD_POINTS, POWER_SHARE, auriga
from twin.substation.power_flow import Backend, PowerFlow, Solution

# Below this voltage the constant-power part of a load becomes the impedance that takes the same power just there; a
# motor or a supply unit cannot draw ever more current as its voltage goes.
_WEAK_PU: Final = 0.8
_WEAK_IMPEDANCE: Final = 1.0 - POWER_SHARE + POWER_SHARE / _WEAK_PU**2
_NONE_WEAK: Final = np.zeros(len(LOAD_POINTS), np.bool_)
_CUSTOMERS: Final = np.array([point.customers for point in LOAD_POINTS])
_HOSPITAL: Final = next(i for i, point in enumerate(LOAD_POINTS) if point.shape == "hospital")


class StationFlow:
    """The network Auriga, solved for given breaker positions and demand.

    Islands without a grid source are dead: the machine G1 forms no island of its own.
    """

    def __init__(self, backend: Backend = "c") -> None:
        self.network = auriga()
        self.power_flow = PowerFlow(self.network, backend=backend)
        self.node = {node.name: index for index, node in enumerate(self.network.nodes)}
        self.branch = {branch.name: index for index, branch in enumerate(self.network.branches)}
        self.shunt = {shunt.name: index for index, shunt in enumerate(self.network.shunts)}
        self._load_nodes = np.array([self.node[point.node] for point in LOAD_POINTS])
        self._from = np.array([branch.from_closed for branch in self.network.branches], np.int8)
        self._to = np.array([branch.to_closed for branch in self.network.branches], np.int8)
        self._shunts = np.array([shunt.closed for shunt in self.network.shunts], np.int8)
        self._conducting: tuple[bool, ...] = ()

    def solve(self, conducting: Sequence[bool], demand_w: Floats, sun_w: float) -> Solution:
        """Solve for the main contacts of all breakers, the demand of all load points (W) and the sun (W)."""
        self._switch(tuple(conducting))
        self._load(demand_w, sun_w, _NONE_WEAK)
        solution = self.power_flow.solve()
        weak = self._weak(solution)
        if solution.quality == "converged" and weak.any():
            self._load(demand_w, sun_w, weak)
            solution = self.power_flow.solve()
        return solution

    def live_loads(self, solution: Solution) -> npt.NDArray[np.bool_]:
        """Whether each load point's node is live."""
        live: npt.NDArray[np.bool_] = solution.energized[self._load_nodes]
        return live

    def supply(self, solution: Solution, demand_w: Floats) -> Supply:
        """What the customers have."""
        live = self.live_loads(solution)
        return Supply(
            demand_mw=float(demand_w.sum()) / 1e6,
            live_mw=float(demand_w[live].sum()) / 1e6,
            customers_off=int(_CUSTOMERS[~live].sum()),
            hospital_live=bool(live[_HOSPITAL]),
        )

    def _weak(self, solution: Solution) -> npt.NDArray[np.bool_]:
        weak: npt.NDArray[np.bool_] = (solution.u_pu < _WEAK_PU)[self._load_nodes] & self.live_loads(solution)
        return weak

    def _load(self, demand_w: Floats, sun_w: float, weak: npt.NDArray[np.bool_]) -> None:
        reactive = reactive_var(demand_w)
        power = np.where(weak, 0.0, POWER_SHARE)
        impedance = np.where(weak, _WEAK_IMPEDANCE, 1.0 - POWER_SHARE)
        self.power_flow.update(
            load_p_w=np.concatenate((demand_w * power, demand_w * impedance)),
            load_q_var=np.concatenate((reactive * power, reactive * impedance)),
            generator_p_w=(G1_POWER_W, sun_w),
            generator_q_var=(G1_REACTIVE_VAR, 0.0),
        )

    def _switch(self, conducting: tuple[bool, ...]) -> None:
        if conducting == self._conducting:
            return
        self._conducting = conducting
        for breaker, closed in zip(BREAKERS, conducting, strict=True):
            if breaker.where == "shunt":
                self._shunts[self.shunt[breaker.element]] = closed
            if breaker.where in ("branch_from", "branch_both"):
                self._from[self.branch[breaker.element]] = closed
            if breaker.where in ("branch_to", "branch_both"):
                self._to[self.branch[breaker.element]] = closed
        self.power_flow.update(branch_from=self._from, branch_to=self._to, shunt=self._shunts)
