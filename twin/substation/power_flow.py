"""Power flow of any network: voltages and flows from loads, switch positions and taps."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from twin.substation.columns import Bits, Columns, Floats
from twin.substation.elements import Network, NetworkError
from twin.substation.pgm import CoreEngine, CoreMissingError, Engine, SolveError, WrapperEngine

Backend = Literal["c", "python"]
Quality = Literal["converged", "voltage_collapse"]


class PowerFlowError(Exception):
    """No method gave a result, or an update does not fit the network."""


class Solution(NamedTuple):
    """What one solve found. Arrays are in the order of the network's elements; branches lines, transformers, links.

    Attributes:
        quality: `converged`; or `voltage_collapse` when no operating point was found with the loads as they are, and
            the figures are those of one linear solve with every load as a constant impedance.
        u_pu: Node voltage (per unit of its rating); 0 when dead.
        u_angle_rad: Node angle (rad).
        energized: Whether a source feeds the node.
        p_from_w, q_from_var, i_from_a, p_to_w, q_to_var, i_to_a: Flow into the branch at each end.
        load_p_w, load_q_var: What each load takes; 0 when dead.
        generator_p_w, generator_q_var: What each generator gives; 0 when dead.
        source_p_w, source_q_var: What each source gives.
        shunt_p_w, shunt_q_var, shunt_i_a: What each shunt takes; a capacitor takes negative reactive power.
    """

    quality: Quality
    u_pu: Floats
    u_angle_rad: Floats
    energized: npt.NDArray[np.bool_]
    p_from_w: Floats
    q_from_var: Floats
    i_from_a: Floats
    p_to_w: Floats
    q_to_var: Floats
    i_to_a: Floats
    load_p_w: Floats
    load_q_var: Floats
    generator_p_w: Floats
    generator_q_var: Floats
    source_p_w: Floats
    source_q_var: Floats
    shunt_p_w: Floats
    shunt_q_var: Floats
    shunt_i_a: Floats


_FIELDS: Final = {
    "u_pu": "node.u_pu",
    "u_angle_rad": "node.u_angle",
    "p_from_w": "branch.p_from",
    "q_from_var": "branch.q_from",
    "i_from_a": "branch.i_from",
    "p_to_w": "branch.p_to",
    "q_to_var": "branch.q_to",
    "i_to_a": "branch.i_to",
    "load_p_w": "sym_load.p",
    "load_q_var": "sym_load.q",
    "generator_p_w": "sym_gen.p",
    "generator_q_var": "sym_gen.q",
    "source_p_w": "source.p",
    "source_q_var": "source.q",
    "shunt_p_w": "shunt.p",
    "shunt_q_var": "shunt.q",
    "shunt_i_a": "shunt.i",
}


class PowerFlow:
    """A network in the solver, ready to be changed and solved again and again.

    A solve depends on the network as it stands, never on earlier solves; so a restored twin goes on as the saved one.

    Attributes:
        backend: Which way into the solver is taken: `c` (its C API) or `python` (its ordinary API).
        why: Why `backend` is not the one asked for; empty when it is.

    Raises:
        NetworkError: The network cannot be; the message lists every mistake.
    """

    def __init__(self, network: Network, *, backend: Backend = "c") -> None:
        network.check()
        self.network = network
        self.why = ""
        self._columns = Columns(network)
        try:
            self.backend, self._engine = self._start(backend)
        except SolveError as failure:
            raise NetworkError(f"the solver refuses this network: {failure}") from failure
        self._loads_changed = self._switching_changed = False
        self._slices = {name: slice(*self._columns.at[place]) for name, place in _FIELDS.items()}

    def update(
        self,
        *,
        load_p_w: npt.ArrayLike | None = None,
        load_q_var: npt.ArrayLike | None = None,
        generator_p_w: npt.ArrayLike | None = None,
        generator_q_var: npt.ArrayLike | None = None,
        branch_from: npt.ArrayLike | None = None,
        branch_to: npt.ArrayLike | None = None,
        source: npt.ArrayLike | None = None,
        shunt: npt.ArrayLike | None = None,
        generator: npt.ArrayLike | None = None,
        tap: npt.ArrayLike | None = None,
    ) -> None:
        """Change what the next solve finds; what is left out stays as it is.

        Powers are in W and var, one per load or generator; the others are statuses (0 open, 1 closed), one per
        branch end, source, shunt or generator, and tap positions, one per transformer.

        Raises:
            PowerFlowError: An array has the wrong length.
        """
        loads, switching = self._columns.loads, self._columns.switching
        powers = (
            _put(loads, "sym_load", "p_specified", load_p_w),
            _put(loads, "sym_load", "q_specified", load_q_var),
            _put(loads, "sym_gen", "p_specified", generator_p_w),
            _put(loads, "sym_gen", "q_specified", generator_q_var),
        )
        switches = (
            _fill("branch_from", self._columns.branch_from, branch_from),
            _fill("branch_to", self._columns.branch_to, branch_to),
            _put(switching, "source", "status", source),
            _put(switching, "shunt", "status", shunt),
            _put(switching, "sym_gen", "status", generator),
            _put(switching, "transformer", "tap_pos", tap),
        )
        self._loads_changed |= any(powers)
        self._switching_changed |= any(switches)

    def solve(self) -> Solution:
        """Find the operating point.

        Raises:
            PowerFlowError: Not even the linear solve gave a result.
        """
        if self._switching_changed:
            self._engine.update_switching()
            self._switching_changed = False
        if self._loads_changed:
            self._engine.update_loads()
            self._loads_changed = False
        quality: Quality = "converged"
        try:
            self._engine.calculate("newton_raphson")
        except SolveError:
            quality = "voltage_collapse"
            self._solve_linear()
        return self._solution(quality)

    def _start(self, wanted: Backend) -> tuple[Backend, Engine]:
        if wanted == "c":
            try:
                return "c", CoreEngine(self._columns, self.network.frequency_hz)
            except CoreMissingError as failure:
                self.why = str(failure)
        return "python", WrapperEngine(self._columns, self.network.frequency_hz)

    def _solve_linear(self) -> None:
        try:
            self._engine.calculate("linear")
        except SolveError as failure:
            raise PowerFlowError(f"no method solves this network: {failure}") from failure

    def _solution(self, quality: Quality) -> Solution:
        block = self._columns.block.copy()  # one copy, so that the next solve leaves this result alone
        return Solution(
            quality=quality,
            energized=self._columns.energized.copy().view(np.bool_),
            **{name: block[place] for name, place in self._slices.items()},
        )


def _put(
    table: dict[str, dict[str, npt.NDArray[np.float64]]], component: str, column: str, value: npt.ArrayLike | None
) -> bool:
    if value is None:
        return False
    if component not in table:
        raise PowerFlowError(f"`{component}`: this network has none, so {column} cannot be changed")
    return _fill(f"{component}.{column}", table[component][column], value)


def _fill(name: str, column: Floats | Bits, value: npt.ArrayLike | None) -> bool:
    if value is None:
        return False
    given = np.asarray(value)
    if given.shape != column.shape:
        raise PowerFlowError(f"`{name}` takes {column.size} values, not an array of shape {given.shape}")
    column[:] = given
    return True
