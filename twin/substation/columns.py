"""The memory that a solver reads from and writes to: a network as columns of numbers, made once.

A solve only changes numbers in these columns. All results stand in one block, so that one copy takes them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from power_grid_model import DatasetType, LoadGenType, WindingType, initialize_array

from twin.substation.elements import Branch, Network, Transformer

Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.int8]
Table = dict[str, dict[str, npt.NDArray[Any]]]

_LOAD_TYPES: Final = {"power": LoadGenType.const_power, "impedance": LoadGenType.const_impedance}
BRANCH_RESULTS: Final = ("p_from", "q_from", "i_from", "p_to", "q_to", "i_to")
_RESULTS: Final = {"node": ("u_pu", "u_angle"), "branch": BRANCH_RESULTS, "appliance": ("p", "q", "i")}


@dataclass(frozen=True)
class Group:
    """All elements of one kind: the solver's word for them, their ids, and what is changed and read."""

    component: str
    ids: npt.NDArray[np.int32]
    role: str

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.ids)


class Columns:
    """A network's columns: `given` once, `loads` and `switching` to change, `results` to read.

    Attributes:
        given: Component to structured array, as the solver takes it at its making.
        loads: Component to column of powers (W, var), for loads and generators.
        switching: Component to column of statuses (0 or 1) and taps.
        results: Component to column of what a solve finds; views into `block` and `energized`.
        block: Every floating-point result, one after the other.
        energized: One per node, 1 when a source feeds it.
        at: Where in `block` a role's column begins and ends, by `component.column` or `branch.column`.
    """

    def __init__(self, network: Network) -> None:
        self._next_id = 0
        number = {node.name: index for index, node in enumerate(network.nodes)}
        self.groups = [
            self._group("node", len(network.nodes), "node"),
            self._group("line", len(network.lines), "branch"),
            self._group("transformer", len(network.transformers), "branch"),
            self._group("link", len(network.links), "branch"),
            self._group("source", len(network.sources), "appliance"),
            self._group("sym_load", len(network.loads), "appliance"),
            self._group("sym_gen", len(network.generators), "appliance"),
            self._group("shunt", len(network.shunts), "appliance"),
        ]
        self.given = {g.component: _given(network, g, number) for g in self.groups if g.size}
        self.loads = _loads(self.groups, self.given)
        self.branch_from, self.branch_to = _statuses(network)
        self.switching = self._switching()
        self.at = _places(self.groups)
        self.block: Floats = np.zeros(max(end for _, end in self.at.values()))
        self.energized: Bits = np.zeros(len(network.nodes), np.int8)
        self.results = self._results()

    def _group(self, component: str, size: int, role: str) -> Group:
        ids = np.arange(self._next_id, self._next_id + size, dtype=np.int32)
        self._next_id += size
        return Group(component, ids, role)

    def _switching(self) -> Table:
        table: Table = {}
        start = 0
        for group in self.groups:
            if not group.size or group.component in ("node", "sym_load"):
                continue
            table[group.component] = {"id": group.ids}
            if group.role == "branch":
                here = slice(start, start + group.size)
                table[group.component]["from_status"] = self.branch_from[here]
                table[group.component]["to_status"] = self.branch_to[here]
                start += group.size
            else:
                table[group.component]["status"] = self.given[group.component]["status"].copy()
            if group.component == "transformer":
                table[group.component]["tap_pos"] = self.given[group.component]["tap_pos"].copy()
        return table

    def _results(self) -> Table:
        table: Table = {}
        start = 0
        for group in self.groups:
            if not group.size:
                continue
            columns: dict[str, npt.NDArray[Any]] = {}
            for name in _RESULTS[group.role]:
                first, last = self.at[_place(group, name)]
                offset = start if group.role == "branch" else 0
                columns[name] = self.block[first:last][offset : offset + group.size]
            if group.role == "node":
                columns["energized"] = self.energized
            if group.role == "branch":
                start += group.size
            table[group.component] = columns
        return table


def _place(group: Group, column: str) -> str:
    return f"{'branch' if group.role == 'branch' else group.component}.{column}"


def _places(groups: list[Group]) -> dict[str, tuple[int, int]]:
    branches = sum(group.size for group in groups if group.role == "branch")
    at: dict[str, tuple[int, int]] = {}
    end = 0
    for group in groups:
        size = branches if group.role == "branch" else group.size
        for name in _RESULTS[group.role]:
            if _place(group, name) not in at:
                at[_place(group, name)] = (end, end + size)
                end += size
    return at


def _statuses(network: Network) -> tuple[Bits, Bits]:
    return (
        np.array([branch.from_closed for branch in network.branches], np.int8),
        np.array([branch.to_closed for branch in network.branches], np.int8),
    )


def _loads(groups: list[Group], given: dict[str, npt.NDArray[Any]]) -> Table:
    return {
        group.component: {
            "id": group.ids,
            "p_specified": given[group.component]["p_specified"].copy(),
            "q_specified": given[group.component]["q_specified"].copy(),
        }
        for group in groups
        if group.component in ("sym_load", "sym_gen") and group.size
    }


def _given(network: Network, group: Group, number: dict[str, int]) -> npt.NDArray[Any]:
    rows: dict[str, list[dict[str, float]]] = {
        "node": [{"u_rated": node.u_rated_v} for node in network.nodes],
        "line": [_branch(x, number) | _line(x.r_ohm, x.x_ohm, x.c_f, x.i_rated_a) for x in network.lines],
        "transformer": [_branch(x, number) | _transformer(x) for x in network.transformers],
        "link": [_branch(x, number) for x in network.links],
        "source": [
            {"node": number[x.node], "status": x.closed, "u_ref": x.u_ref_pu, "u_ref_angle": x.angle_rad}
            | {"sk": x.sk_va, "rx_ratio": x.rx_ratio}
            for x in network.sources
        ],
        "sym_load": [
            {"node": number[x.node], "status": 1, "type": _LOAD_TYPES[x.kind]}
            | {"p_specified": x.p_w, "q_specified": x.q_var}
            for x in network.loads
        ],
        "sym_gen": [
            {"node": number[x.node], "status": x.closed, "type": LoadGenType.const_power}
            | {"p_specified": x.p_w, "q_specified": x.q_var}
            for x in network.generators
        ],
        "shunt": [{"node": number[x.node], "status": x.closed, "g1": x.g_s, "b1": x.b_s} for x in network.shunts],
    }
    array: npt.NDArray[Any] = initialize_array(DatasetType.input, group.component, group.size)
    array["id"] = group.ids
    for index, row in enumerate(rows[group.component]):
        for name, value in row.items():
            array[name][index] = value
    return array


def _branch(branch: Branch, number: dict[str, int]) -> dict[str, float]:
    ends: dict[str, float] = {"from_node": number[branch.from_node], "to_node": number[branch.to_node]}
    return ends | {"from_status": branch.from_closed, "to_status": branch.to_closed}


def _line(r_ohm: float, x_ohm: float, c_f: float, i_rated_a: float) -> dict[str, float]:
    return {"r1": r_ohm, "x1": x_ohm, "c1": c_f, "tan1": 0.0, "i_n": i_rated_a}


def _transformer(item: Transformer) -> dict[str, float]:
    return {
        "u1": item.u1_v,
        "u2": item.u2_v,
        "sn": item.s_rated_va,
        "uk": item.uk,
        "pk": item.pk_w,
        "i0": item.i0,
        "p0": item.p0_w,
        "winding_from": WindingType[item.winding_from],
        "winding_to": WindingType[item.winding_to],
        "clock": item.clock,
        "tap_side": 0,
        "tap_pos": item.tap,
        "tap_min": item.tap_min,
        "tap_max": item.tap_max,
        "tap_nom": 0,
        "tap_size": item.tap_step_v,
    }
