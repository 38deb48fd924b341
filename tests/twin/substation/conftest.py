"""The same network in pandapower, an independent power flow, for comparison only."""

import cmath
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from twin.substation.elements import Network

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports warn; what we call below does not
    import pandapower


def _solve(network: Network) -> np.ndarray[Any, np.dtype[np.complex128]]:
    """Complex node voltages (per unit) of a network as pandapower finds them; 0 where dead."""
    net = pandapower.create_empty_network(f_hz=network.frequency_hz)
    bus = {n.name: pandapower.create_bus(net, vn_kv=n.u_rated_v / 1e3, name=n.name) for n in network.nodes}
    _add_branches(net, network, bus)
    for s in network.sources:
        # A voltage behind the grid's impedance; its own external-grid element has none in a power flow.
        kv = next(n.u_rated_v for n in network.nodes if n.name == s.node) / 1e3
        z = kv**2 / (s.sk_va / 1e6)
        x = z / math.hypot(1, s.rx_ratio)
        behind = pandapower.create_bus(net, vn_kv=kv)
        pandapower.create_ext_grid(
            net, behind, vm_pu=s.u_ref_pu, va_degree=math.degrees(s.angle_rad), in_service=s.closed
        )
        pandapower.create_line_from_parameters(
            net, behind, bus[s.node], 1.0, r_ohm_per_km=x * s.rx_ratio, x_ohm_per_km=x, c_nf_per_km=0, max_i_ka=10
        )
    for load in network.loads:
        if load.kind == "power":
            pandapower.create_load(net, bus[load.node], load.p_w / 1e6, load.q_var / 1e6)
        else:  # as a shunt: its own constant-impedance share is averaged over all loads of a bus
            pandapower.create_shunt(net, bus[load.node], p_mw=load.p_w / 1e6, q_mvar=load.q_var / 1e6)
    for g in network.generators:
        pandapower.create_sgen(net, bus[g.node], g.p_w / 1e6, g.q_var / 1e6, in_service=g.closed)
    for sh in network.shunts:
        mva = next(n.u_rated_v for n in network.nodes if n.name == sh.node) ** 2 / 1e6
        pandapower.create_shunt(net, bus[sh.node], q_mvar=-sh.b_s * mva, p_mw=sh.g_s * mva, in_service=sh.closed)
    pandapower.runpp(
        net, trafo_model="pi", calculate_voltage_angles=True, init="dc", tolerance_mva=1e-9, max_iteration=50
    )
    found = net.res_bus.loc[[bus[n.name] for n in network.nodes]]
    size, angle = found.vm_pu.to_numpy(), found.va_degree.to_numpy()
    return np.array([0j if math.isnan(u) else cmath.rect(u, math.radians(a)) for u, a in zip(size, angle, strict=True)])


def _add_branches(net: Any, network: Network, bus: dict[str, int]) -> None:
    for line in network.lines:
        number = pandapower.create_line_from_parameters(
            net,
            bus[line.from_node],
            bus[line.to_node],
            1.0,
            r_ohm_per_km=line.r_ohm,
            x_ohm_per_km=line.x_ohm,
            c_nf_per_km=line.c_f * 1e9,
            max_i_ka=line.i_rated_a / 1e3,
        )
        _switches(net, "l", number, (bus[line.from_node], line.from_closed), (bus[line.to_node], line.to_closed))
    for t in network.transformers:
        number = pandapower.create_transformer_from_parameters(
            net,
            bus[t.from_node],
            bus[t.to_node],
            sn_mva=t.s_rated_va / 1e6,
            vn_hv_kv=t.u1_v / 1e3,
            vn_lv_kv=t.u2_v / 1e3,
            vkr_percent=100 * t.pk_w / t.s_rated_va,
            vk_percent=100 * t.uk,
            pfe_kw=t.p0_w / 1e3,
            i0_percent=100 * t.i0,
            shift_degree=30.0 * t.clock,
            tap_side="hv",
            tap_neutral=0,
            tap_min=t.tap_min,
            tap_max=t.tap_max,
            tap_pos=t.tap,
            tap_step_percent=100 * t.tap_step_v / t.u1_v,
            tap_changer_type="Ratio",
        )
        _switches(net, "t", number, (bus[t.from_node], t.from_closed), (bus[t.to_node], t.to_closed))
    for link in network.links:
        closed = link.from_closed and link.to_closed
        pandapower.create_switch(net, bus[link.from_node], bus[link.to_node], et="b", closed=closed)


def _switches(net: Any, kind: str, number: int, *ends: tuple[int, bool]) -> None:
    for bus, closed in ends:
        pandapower.create_switch(net, bus, number, et=kind, closed=closed)


@pytest.fixture(scope="session")
def independent_voltages() -> Callable[[Network], np.ndarray[Any, np.dtype[np.complex128]]]:
    """Solves a network with another code: complex node voltages per unit."""
    return _solve
