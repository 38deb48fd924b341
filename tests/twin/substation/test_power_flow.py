"""The power flow against an independent code, a published table, itself, and its limits."""

import cmath
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from twin.substation import pgm
from twin.substation.elements import Generator, Line, Load, Network, Node, Shunt, Source, Transformer
from twin.substation.network import LOAD_POINTS, auriga
from twin.substation.pgm import library_path
from twin.substation.power_flow import PowerFlow, Solution


def phasors(solution: Solution) -> np.ndarray:
    return solution.u_pu * np.exp(1j * solution.u_angle_rad)


def switched(*opened: str, close: tuple[str, ...] = (), tap: int | None = None) -> Network:
    """Auriga with the from ends of some branches open and of others closed."""
    network = auriga()

    def at(branch):
        if branch.name in opened:
            return replace(branch, from_closed=False)
        return replace(branch, from_closed=True) if branch.name in close else branch

    transformers = tuple(map(at, network.transformers))
    if tap is not None:
        transformers = (replace(transformers[0], tap=tap), *transformers[1:])
    return replace(
        network,
        lines=tuple(map(at, network.lines)),
        links=tuple(map(at, network.links)),
        transformers=transformers,
        generators=(network.generators[0], replace(network.generators[1], p_w=3e6)),
    )


STATES = {
    "as built": switched(),
    "bus-tie and coupler open": switched("BT", "HC"),
    "one transformer": switched("T2"),
    "one line, coupler closed": switched("L2"),
    "tie closed for a feeder": switched("F5", close=("TIE",)),
    "generator off": switched("TG"),
    "taps apart": switched(tap=3),
    "section B dead": switched("T2", "BT"),
}


@pytest.mark.parametrize("network", STATES.values(), ids=STATES)
def test_voltages_agree_with_an_independent_code(network: Network, independent_voltages) -> None:
    solution = PowerFlow(network).solve()
    assert solution.quality == "converged"
    # 1.7e-8 is expected: the solver's link is a large but finite admittance.
    assert np.abs(phasors(solution) - independent_voltages(network)).max() <= 1e-6


@pytest.mark.parametrize("network", STATES.values(), ids=STATES)
def test_both_ways_into_the_solver_give_the_same(network: Network) -> None:
    ours, theirs = PowerFlow(network, backend="c"), PowerFlow(network, backend="python")
    assert (ours.backend, theirs.backend) == ("c", "python")
    for a, b in zip(ours.solve()[1:], theirs.solve()[1:], strict=True):
        assert np.array_equal(a, b)


def test_results_do_not_depend_on_what_was_solved_before() -> None:
    chance = np.random.default_rng(1)
    network = auriga()
    used = PowerFlow(network)
    branches = len(network.branches)
    qualities = set()
    for _ in range(200):
        change = {
            "load_p_w": chance.random(26) * 0.6e6,
            "load_q_var": chance.random(26) * 0.2e6,
            "branch_from": chance.random(branches) < 0.9,
            "branch_to": chance.random(branches) < 0.9,
            "shunt": chance.random(4) < 0.5,
            "tap": [*chance.integers(-9, 10, 2), 0, 0, 0],
        }
        used.update(**change)
        fresh = PowerFlow(network)
        fresh.update(**change)
        before, after = used.solve(), fresh.solve()
        qualities.add(before.quality)
        assert all(np.array_equal(a, b) for a, b in zip(before[1:], after[1:], strict=True))
    assert "converged" in qualities


def test_a_result_stays_as_it_was_when_the_next_is_found() -> None:
    power_flow = PowerFlow(auriga())
    first = power_flow.solve()
    kept = [np.array(column) for column in first[1:]]
    power_flow.update(load_p_w=np.zeros(26), branch_from=np.zeros(len(power_flow.network.branches)))
    power_flow.solve()
    assert all(np.array_equal(a, b) for a, b in zip(kept, first[1:], strict=True))


def test_a_dead_section_is_dead_and_the_rest_lives() -> None:
    network = STATES["section B dead"]
    solution = PowerFlow(network).solve()
    live = {node.name: bool(on) for node, on in zip(network.nodes, solution.energized, strict=True)}
    assert not any(live[name] for name in ("B", "F5", "F5b", "F6", "F7", "F7b", "F8", "X2", "G1"))
    assert all(live[name] for name in ("A", "F1", "F2", "F3", "F3b", "F4", "X1", "H1", "H2"))
    dead = [i for i, node in enumerate(network.nodes) if not live[node.name]]
    assert (solution.u_pu[dead] == 0).all()
    assert (solution.generator_p_w == 0).all()
    taken = dict(zip([load.name for load in network.loads], solution.load_p_w, strict=True))
    assert taken["F6.power"] == 0
    assert taken["F1.power"] == pytest.approx(0.6 * 6.5e6, abs=1.0)


def test_nothing_at_all_may_be_live() -> None:
    power_flow = PowerFlow(auriga())
    power_flow.update(source=[0, 0])
    solution = power_flow.solve()
    assert solution.quality == "converged"
    assert not solution.energized.any()
    assert not solution.u_pu.any()


@pytest.mark.parametrize("backend", ["c", "python"])
def test_voltage_collapse_is_said_and_answered_by_one_linear_solve(backend) -> None:
    power_flow = PowerFlow(auriga(), backend=backend)
    before = power_flow.solve()
    heavy = np.array([load.p_w for load in power_flow.network.loads]) * 4
    reactive = np.array([load.q_var for load in power_flow.network.loads]) * 4
    power_flow.update(load_p_w=heavy, load_q_var=reactive)
    collapsed = power_flow.solve()
    assert collapsed.quality == "voltage_collapse"
    assert not np.array_equal(collapsed.u_pu, before.u_pu)
    live_buses = collapsed.u_pu[4:6]
    assert (live_buses < 0.95).all()
    assert (live_buses > 0.5).all()
    # Every load is a constant impedance in that solve.
    volts = {node.name: u for node, u in zip(power_flow.network.nodes, collapsed.u_pu, strict=True)}
    for load, given, taken in zip(power_flow.network.loads, heavy, collapsed.load_p_w, strict=True):
        assert taken == pytest.approx(given * volts[load.node] ** 2, rel=1e-9)
    power_flow.update(load_p_w=heavy / 4, load_q_var=reactive / 4)
    recovered = power_flow.solve()
    assert recovered.quality == "converged"
    assert np.array_equal(recovered.u_pu, before.u_pu)


def test_the_power_balance_closes() -> None:
    solution = PowerFlow(auriga()).solve()
    given = solution.source_p_w.sum() + solution.generator_p_w.sum()
    lost = (solution.p_from_w + solution.p_to_w).sum()
    assert lost > 0
    assert given == pytest.approx(solution.load_p_w.sum() + solution.shunt_p_w.sum() + lost, abs=10.0)


def test_the_library_is_where_we_look_for_it() -> None:
    assert library_path().is_file()


def test_without_the_library_the_slow_way_is_taken_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved() -> None:
        raise pgm.CoreMissingError("the library of power-grid-model is not where it was: moved")

    expected = PowerFlow(auriga()).solve()
    monkeypatch.setattr(pgm, "_library", moved)
    power_flow = PowerFlow(auriga())
    assert power_flow.backend == "python"
    assert "not where it was" in power_flow.why
    assert np.array_equal(power_flow.solve().u_pu, expected.u_pu)


def test_a_solver_can_be_thrown_away_at_any_time() -> None:
    # In its own interpreter, because memory given back twice would take the whole test run with it.
    program = (
        "import gc\n"
        "from twin.substation.network import auriga\n"
        "from twin.substation.power_flow import PowerFlow\n"
        "for _ in range(50):\n"
        "    flow = PowerFlow(auriga())\n"
        "    kept = flow.solve()\n"
        "    del flow\n"
        "    gc.collect()\n"
        "print(round(float(kept.u_pu[4]), 3))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert 1.0 < float(done.stdout) < 1.06


# IEEE 14-bus: branch, bus and generation figures of the UW archive as in MATPOWER's case14 (100 MVA base).
LINES = (
    (1, 2, 0.01938, 0.05917, 0.0528),
    (1, 5, 0.05403, 0.22304, 0.0492),
    (2, 3, 0.04699, 0.19797, 0.0438),
    (2, 4, 0.05811, 0.17632, 0.0340),
    (2, 5, 0.05695, 0.17388, 0.0346),
    (3, 4, 0.06701, 0.17103, 0.0128),
    (4, 5, 0.01335, 0.04211, 0.0),
    (6, 11, 0.09498, 0.19890, 0.0),
    (6, 12, 0.12291, 0.25581, 0.0),
    (6, 13, 0.06615, 0.13027, 0.0),
    (7, 8, 0.0, 0.17615, 0.0),
    (7, 9, 0.0, 0.11001, 0.0),
    (9, 10, 0.03181, 0.08450, 0.0),
    (9, 14, 0.12711, 0.27038, 0.0),
    (10, 11, 0.08205, 0.19207, 0.0),
    (12, 13, 0.22092, 0.19988, 0.0),
    (13, 14, 0.17093, 0.34802, 0.0),
)
RATIOS = ((4, 7, 0.20912, 0.978), (4, 9, 0.55618, 0.969), (5, 6, 0.25202, 0.932))
DEMAND = {
    2: (21.7, 12.7),
    3: (94.2, 19.0),
    4: (47.8, -3.9),
    5: (7.6, 1.6),
    6: (11.2, 7.5),
    9: (29.5, 16.6),
    10: (9.0, 5.8),
    11: (3.5, 1.8),
    12: (6.1, 1.6),
    13: (13.5, 5.8),
    14: (14.9, 5.0),
}
PV_BUSES = {2: (40.0, 1.045), 3: (0.0, 1.010), 6: (0.0, 1.070), 8: (0.0, 1.090)}
SOLVED = {
    1: (1.060000, 0.0),
    2: (1.045000, -4.9826),
    3: (1.010000, -12.7251),
    4: (1.017671, -10.3129),
    5: (1.019514, -8.7739),
    6: (1.070000, -14.2209),
    7: (1.061520, -13.3596),
    8: (1.090000, -13.3596),
    9: (1.055932, -14.9385),
    10: (1.050985, -15.0973),
    11: (1.056907, -14.7906),
    12: (1.055189, -15.0756),
    13: (1.050382, -15.1563),
    14: (1.035530, -16.0336),
}
ARCHIVE_U = (1.060, 1.045, 1.010, 1.019, 1.020, 1.070, 1.062, 1.090, 1.056, 1.051, 1.057, 1.055, 1.050, 1.036)
BASE_VA, BASE_V = 100e6, 100e3
BASE_OHM = BASE_V**2 / BASE_VA


def ieee_14() -> Network:
    omega = 2 * math.pi * 50
    return Network(
        nodes=tuple(Node(str(bus), BASE_V) for bus in range(1, 15)),
        lines=tuple(
            Line(f"{a}-{b}", str(a), str(b), r * BASE_OHM, x * BASE_OHM, charge / BASE_OHM / omega, 1000.0)
            for a, b, r, x, charge in LINES
        ),
        transformers=tuple(
            Transformer(f"{a}-{b}", str(a), str(b), BASE_V * ratio, BASE_V, BASE_VA, x, 0.0, 0.0, 0.0)
            for a, b, x, ratio in RATIOS
        ),
        sources=(Source("slack", "1", 1.06, 1e18),),
        loads=tuple(Load(str(bus), str(bus), "power", p * 1e6, q * 1e6) for bus, (p, q) in DEMAND.items()),
        generators=tuple(Generator(str(bus), str(bus), p * 1e6, 0.0) for bus, (p, _) in PV_BUSES.items()),
        shunts=(Shunt("9", "9", 0.0, 0.19 / BASE_OHM),),
    )


def hold_voltages(power_flow: PowerFlow) -> tuple[Solution, np.ndarray]:
    """The reactive power (var) with which every PV bus stands at its set voltage, by Newton steps on them."""
    buses = [bus - 1 for bus in PV_BUSES]
    wanted = np.array([u for _, u in PV_BUSES.values()])
    reactive = np.zeros(len(buses))

    def at(q: np.ndarray) -> Solution:
        power_flow.update(generator_q_var=q)
        return power_flow.solve()

    for _ in range(12):
        here = at(reactive)
        slope = np.column_stack([(at(reactive + 1e5 * e).u_pu - here.u_pu)[buses] / 1e5 for e in np.eye(len(buses))])
        reactive = reactive + np.linalg.solve(slope, wanted - here.u_pu[buses])
    return at(reactive), reactive


def test_the_ieee_14_bus_network_comes_out_as_published() -> None:
    solution, reactive = hold_voltages(PowerFlow(ieee_14()))
    expected = np.array([cmath.rect(u, math.radians(a)) for u, a in SOLVED.values()])
    degrees = np.degrees(solution.u_angle_rad)
    assert np.abs(solution.u_pu - np.abs(expected)).max() <= 1e-6
    assert np.abs(degrees - np.array([a for _, a in SOLVED.values()])).max() <= 1e-4
    assert np.abs(solution.u_pu - np.array(ARCHIVE_U)).max() <= 0.002
    assert solution.source_p_w[0] / 1e6 == pytest.approx(232.393, abs=1e-3)
    assert solution.source_q_var[0] / 1e6 == pytest.approx(-16.549, abs=1e-3)
    assert reactive / 1e6 == pytest.approx([43.56, 25.08, 12.73, 17.62], abs=0.01)


def test_the_cold_evening_balance_of_the_station() -> None:
    """Cold peak, sections tied, taps at -2, two capacitors: 38.9 MW and 12.5 Mvar from 110 kV, half load each."""
    shares = {"residential": 0.97, "commercial": 0.65, "industrial": 0.80, "hospital": 0.87, "flat": 1.0}
    demand = np.array([point.peak_w * shares[point.shape] * 1.15 for point in LOAD_POINTS])
    reactive = demand * np.array([point.q_per_p for point in LOAD_POINTS])
    power_flow = PowerFlow(auriga())
    power_flow.update(
        load_p_w=np.concatenate((0.6 * demand, 0.4 * demand)),
        load_q_var=np.concatenate((0.6 * reactive, 0.4 * reactive)),
    )
    solution = power_flow.solve()
    assert solution.source_p_w.sum() / 1e6 == pytest.approx(38.9, abs=0.15)
    assert solution.source_q_var.sum() / 1e6 == pytest.approx(12.5, abs=0.1)
    assert solution.u_pu[4:6] == pytest.approx(1.025, abs=1e-3)
