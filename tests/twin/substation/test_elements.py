"""A network that cannot be is refused with a message that says what, why, and what to do."""

from dataclasses import replace

import pytest

from twin.substation.elements import Line, Link, Network, NetworkError, Node, Source, Transformer
from twin.substation.network import auriga
from twin.substation.power_flow import PowerFlow, PowerFlowError

NODES = (Node("a", 20e3), Node("b", 20e3), Node("c", 110e3))
GRID = (Source("grid", "a", 1.0, 1e9),)
LINE = Line("ab", "a", "b", r_ohm=0.1, x_ohm=0.2, c_f=0.0, i_rated_a=400)
TRANSFORMER = Transformer(
    "t", "c", "a", u1_v=110e3, u2_v=20e3, s_rated_va=40e6, uk=0.16, pk_w=1e5, i0=0.001, p0_w=1e4, tap_min=-9, tap_max=9
)

BAD = {
    "negative impedance": (
        Network(NODES, sources=GRID, lines=(replace(LINE, r_ohm=-0.1),)),
        "line `ab`: r_ohm is `-0.1`; it must not be negative",
    ),
    "no impedance": (
        Network(NODES, sources=GRID, lines=(replace(LINE, r_ohm=0.0, x_ohm=0.0),)),
        "line `ab`: has no impedance at all; use a link",
    ),
    "unknown node": (
        Network(NODES, sources=GRID, lines=(replace(LINE, to_node="z"),)),
        "line `ab`: node `z` is unknown; declare it or mend the name",
    ),
    "unknown node of a source": (Network(NODES, sources=(replace(GRID[0], node="y"),)), "source `grid`: node `y`"),
    "not a number": (
        Network(NODES, sources=GRID, lines=(replace(LINE, x_ohm=float("nan")),)),
        "line `ab`: x_ohm is `nan`; a finite number is needed",
    ),
    "twice": (Network((*NODES, NODES[0]), sources=GRID), "node `a`: the name is used twice"),
    "no source": (Network(NODES), "there is no source"),
    "two voltages": (Network(NODES, sources=GRID, links=(Link("ac", "a", "c"),)), "different voltages need a transf"),
    "to itself": (Network(NODES, sources=GRID, links=(Link("aa", "a", "a"),)), "link `aa`: begins and ends at `a`"),
    "tap": (Network(NODES, sources=GRID, transformers=(replace(TRANSFORMER, tap=10),)), "tap 10 is outside -9 to 9"),
    "clock": (
        Network(NODES, sources=GRID, transformers=(replace(TRANSFORMER, clock=5),)),
        "clock number 5 does not fit wye_n and wye_n",
    ),
    "load loss": (Network(NODES, sources=GRID, transformers=(replace(TRANSFORMER, pk_w=1e8),)), "load loss 1e+08 W"),
}


@pytest.mark.parametrize(("network", "message"), BAD.values(), ids=BAD)
def test_a_bad_network_is_refused_and_told_why(network: Network, message: str) -> None:
    with pytest.raises(NetworkError) as failure:
        PowerFlow(network)
    assert message in str(failure.value)


def test_every_mistake_is_listed_at_once() -> None:
    lines = (replace(LINE, r_ohm=-1.0, to_node="z"), replace(LINE, name="other", x_ohm=-1.0))
    with pytest.raises(NetworkError) as failure:
        PowerFlow(Network(NODES, sources=GRID, lines=lines))
    assert len(str(failure.value).splitlines()) == 3


def test_the_station_itself_passes() -> None:
    auriga().check()


def test_an_update_of_the_wrong_length_is_refused() -> None:
    power_flow = PowerFlow(auriga())
    with pytest.raises(PowerFlowError, match=r"`sym_load.p_specified` takes 26 values, not an array of shape \(3,\)"):
        power_flow.update(load_p_w=[1.0, 2.0, 3.0])


def test_an_update_of_what_is_not_there_is_refused() -> None:
    power_flow = PowerFlow(Network(NODES, sources=GRID, lines=(LINE,)))
    with pytest.raises(PowerFlowError, match="`shunt`: this network has none"):
        power_flow.update(shunt=[1])
