"""Breakers as event lists: travel, double contacts, trip-free, anti-pump."""

import asyncio

from twin.core import Clock
from twin.substation.breakers import Breakers, Cause, Kind

MS = 1_000_000


class Bench:
    """One 20 kV and one 110 kV breaker on a clock, and what they did, as (ms, name, position)."""

    def __init__(self, *, closed: bool = True) -> None:
        self.clock = Clock()
        self.log: list[tuple[float, str, str]] = []
        kinds = [Kind("MV", high_voltage=False, closed=closed), Kind("HV", high_voltage=True, closed=closed)]
        self.breakers = Breakers(self.clock, kinds, self._moved)

    def _moved(self, number: int) -> None:
        position = self.breakers.mechanisms[number].position
        self.log.append((self.clock.now_ns / MS, self.breakers.kinds[number].name, position))

    def until(self, ms: float) -> None:
        asyncio.run(self.clock.advance(round(ms * MS)))

    def open(self, number: int = 0, cause: Cause = "command") -> None:
        self.breakers.open(number, cause)

    def close(self, number: int = 0) -> None:
        self.breakers.close(number, "command")


def test_travel_times_of_both_voltages() -> None:
    bench = Bench()
    bench.open(0)
    bench.open(1)
    bench.until(200)
    bench.close(0)
    bench.close(1)
    bench.until(400)
    assert bench.log == [
        (0, "MV", "moving"),
        (0, "HV", "moving"),
        (60, "MV", "open"),
        (60, "HV", "open"),
        (200, "MV", "moving"),
        (200, "HV", "moving"),
        (270, "MV", "closed"),
        (290, "HV", "closed"),
    ]


def test_contacts_show_nothing_while_moving_and_current_flows_to_the_end_of_an_opening() -> None:
    bench = Bench()
    mechanism = bench.breakers.mechanisms[0]
    assert (mechanism.contact_52a, mechanism.contact_52b) == (True, False)
    bench.open()
    bench.until(59)
    assert (mechanism.contact_52a, mechanism.contact_52b) == (False, False)
    assert mechanism.conducting
    assert bench.breakers.positions() == "-1"
    bench.until(60)
    assert (mechanism.contact_52a, mechanism.contact_52b) == (False, True)
    assert not mechanism.conducting
    assert bench.breakers.positions() == "01"


def test_an_open_breaker_does_not_open_again() -> None:
    bench = Bench()
    bench.open()
    bench.until(10)
    bench.open()
    bench.until(100)
    bench.open()
    bench.until(200)
    assert bench.log == [(0, "MV", "moving"), (60, "MV", "open")]


def test_trip_free_an_opening_turns_a_closing_breaker_round() -> None:
    bench = Bench(closed=False)
    bench.close()
    bench.until(50)
    bench.open(cause="emergency_stop")
    bench.until(500)
    assert bench.log == [(0, "MV", "moving"), (50, "MV", "moving"), (110, "MV", "open")]
    assert bench.breakers.mechanisms[0].cause == "emergency_stop"


def test_trip_free_the_contacts_never_touch() -> None:
    bench = Bench(closed=False)
    touched = []
    bench.close()
    for ms in range(1, 300):
        bench.until(ms)
        if ms == 69:
            bench.open()
        touched.append(bench.breakers.mechanisms[0].conducting)
    assert not any(touched)


def test_anti_pump_a_close_pulse_during_an_opening_is_spent() -> None:
    bench = Bench()
    bench.open()
    bench.until(30)
    bench.close()
    bench.until(1000)
    assert bench.log == [(0, "MV", "moving"), (60, "MV", "open")]
    bench.close()
    bench.until(2000)
    assert bench.log[2:] == [(1000, "MV", "moving"), (1070, "MV", "closed")]


def test_anti_pump_one_pulse_closes_once() -> None:
    bench = Bench(closed=False)
    bench.close()
    bench.until(100)
    bench.open()
    bench.until(1000)
    assert bench.log == [(0, "MV", "moving"), (70, "MV", "closed"), (100, "MV", "moving"), (160, "MV", "open")]


def test_both_commands_in_one_instant_end_open() -> None:
    for first, second in (("open", "close"), ("close", "open")):
        for closed in (True, False):
            bench = Bench(closed=closed)
            getattr(bench, first)()
            getattr(bench, second)()
            bench.until(500)
            assert bench.breakers.positions()[0] == "0"


def test_a_travel_survives_a_snapshot() -> None:
    bench, other = Bench(), Bench()
    bench.open()
    bench.until(30)
    other.clock.restore(bench.clock.snapshot())
    other.breakers.restore(bench.breakers.snapshot())
    other.until(100)
    assert other.log == [(60, "MV", "open")]
