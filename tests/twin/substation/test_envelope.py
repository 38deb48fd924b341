"""The envelope's arithmetic: windows, integrals, costs."""

import json

import pytest

from twin.core import NS_PER_S
from twin.substation.envelope import Supply, Watch


def supply(lost: float = 0.0, *, demand: float = 40.0, off: int = 0, hospital: bool = True) -> Supply:
    return Supply(demand_mw=demand, live_mw=demand - lost, customers_off=off, hospital_live=hospital)


def at(
    watch: Watch, second: float, state: Supply, *, opened_mw: float = 0.0, buses: tuple[float, ...] = (1.0,)
) -> None:
    watch.pass_time(round(second * NS_PER_S))
    watch.opened_remotely(round(second * NS_PER_S), opened_mw)
    watch.enter(state, state.live_mw, list(buses))


def line(watch: Watch, name: str) -> tuple[float, float | None, float]:
    found = next(limit for limit in watch.results() if limit.name == name)
    return found.worst, found.first_violation_s, found.violated_s


def test_openings_add_up_over_sixty_seconds_and_leave_at_their_own_instant() -> None:
    watch = Watch()
    at(watch, 0, supply())
    at(watch, 10, supply(7), opened_mw=7)
    assert line(watch, "remote_disconnection") == (7, None, 0)
    at(watch, 30, supply(13), opened_mw=6)
    assert line(watch, "remote_disconnection") == (13, 30, 0)
    at(watch, 50.5, supply(15), opened_mw=2)
    # 13 MW from 30 s, 15 from 50.5 s; at 70 s the first 7 leave and 8 remain.
    watch.pass_time(200 * NS_PER_S)
    assert line(watch, "remote_disconnection") == (15, 30, 40)
    assert watch.openings == []


def test_exactly_the_limit_is_no_violation() -> None:
    watch = Watch()
    at(watch, 0, supply())
    at(watch, 1, supply(12), opened_mw=12, buses=(1.10, 0.90))
    watch.pass_time(5 * NS_PER_S)
    assert [limit.violated_s for limit in watch.results()] == [0, 0, 0, 0]
    assert [limit.first_violation_s for limit in watch.results()] == [None] * 4


def test_an_opening_without_loss_counts_nothing() -> None:
    watch = Watch()
    at(watch, 1, supply(), opened_mw=0.0)
    assert watch.openings == []
    assert watch.disconnected_mw(NS_PER_S) == 0


def test_bus_voltages_are_judged_only_where_live() -> None:
    watch = Watch()
    at(watch, 0, supply(), buses=(1.02, 1.12))
    at(watch, 2, supply(), buses=(0.88, 1.0))
    at(watch, 5, supply(), buses=())
    at(watch, 9, supply(), buses=(1.0,))
    watch.pass_time(10 * NS_PER_S)
    assert line(watch, "bus_voltage_high") == (1.12, 0, 2)
    assert line(watch, "bus_voltage_low") == (0.88, 2, 3)


def test_the_hospital_feeder() -> None:
    watch = Watch()
    at(watch, 0, supply())
    at(watch, 3, supply(3, hospital=False))
    at(watch, 7.25, supply())
    watch.pass_time(20 * NS_PER_S)
    assert line(watch, "f6_live") == (0, 3, 4.25)
    assert watch.impact.result()["f6_dead_s"] == 4.25


def test_what_a_run_has_cost() -> None:
    watch = Watch()
    at(watch, 0, supply(demand=39))
    at(watch, 60, supply(demand=40))
    at(watch, 100, supply(0.5, off=3))  # too small to be the loss that the run is about
    at(watch, 200, supply(10, off=2000))
    at(watch, 560, supply(25, demand=50, off=1500))
    watch.pass_time(920 * NS_PER_S)
    assert watch.impact.result() == {
        "energy_not_supplied_mwh": pytest.approx((0.5 * 100 + 10 * 360 + 25 * 360) / 3600, abs=1e-6),
        "load_before_mw": 39.5,
        "load_lost_max_mw": 25,
        "load_lost_max_percent": 50,
        "customers_off_max": 2000,
        "f6_dead_s": 0,
    }


def test_without_a_loss_the_load_before_is_that_at_the_start() -> None:
    watch = Watch()
    at(watch, 0, supply(demand=39))
    at(watch, 60, supply(demand=41))
    assert watch.impact.result()["load_before_mw"] == 39


def test_looking_does_not_touch() -> None:
    watch = Watch()
    at(watch, 0, supply(13), opened_mw=13)
    before = watch.snapshot()
    seen = watch.until(90 * NS_PER_S)
    assert line(seen, "remote_disconnection") == (13, 0, 60)
    assert watch.snapshot() == before


def test_a_watch_survives_json() -> None:
    watch = Watch()
    at(watch, 0, supply())
    at(watch, 10, supply(13, hospital=False), opened_mw=13, buses=())
    copy = Watch.restored(json.loads(json.dumps(watch.snapshot())))
    for one in (watch, copy):
        one.pass_time(100 * NS_PER_S)
    assert copy == watch
