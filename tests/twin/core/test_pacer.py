"""The pacer: freeze, run, step, speed; several clocks at one instant."""

import asyncio
import time

import pytest

from twin.core import Clock, Pacer, Phase, ns


def ticking(log, name="tick", period_s=0.1):
    clock = Clock()
    clock.on(name, lambda _: log.append((name, clock.now_s)))
    clock.every(ns(period_s), name, phase=Phase.PLANT)
    return clock


def test_full_speed_does_every_instant():
    log = []
    asyncio.run(Pacer([ticking(log)]).run(ns(1)))
    assert [at for _, at in log] == [pytest.approx(n / 10) for n in range(11)]


def test_several_clocks_are_stepped_to_the_same_instants():
    log, instants = [], []
    clocks = [ticking(log, "a", 0.2), ticking(log, "b", 0.3)]

    def on_instant(at_ns):
        instants.append(at_ns)
        assert all(clock.now_ns == at_ns for clock in clocks)

    asyncio.run(Pacer(clocks, on_instant=on_instant).run(ns(0.6)))
    assert instants == [ns(at) for at in (0, 0.2, 0.3, 0.4, 0.6)]


def test_speed_follows_the_wall_clock():
    log = []
    started = time.monotonic()
    asyncio.run(Pacer([ticking(log)], speed=10).run(ns(5)))
    # Never early; how late a loaded machine is cannot be promised.
    assert time.monotonic() - started >= 0.49
    assert len(log) == 51


def test_freeze_step_and_run_on():
    log = []
    pacer = Pacer([ticking(log)], frozen=True)

    async def session():
        run = asyncio.create_task(pacer.run(ns(10)))
        await asyncio.sleep(0.12)
        assert pacer.now_ns == 0
        assert log == []
        pacer.step(ns(0.25))
        await asyncio.wait_for(until(lambda: pacer.now_ns == ns(0.25)), 5)
        await asyncio.sleep(0.12)
        assert pacer.now_ns == ns(0.25)
        assert pacer.frozen
        pacer.run_on()
        await asyncio.wait_for(run, 20)

    async def until(holds):
        while not holds():
            await asyncio.sleep(0.01)

    asyncio.run(session())
    assert pacer.now_ns == ns(10)
    assert len(log) == 101


def test_stop_ends_the_run():
    log = []
    pacer = Pacer([ticking(log)], speed=1)

    async def session():
        run = asyncio.create_task(pacer.run(ns(1000)))
        await asyncio.sleep(0.1)
        pacer.stop()
        await asyncio.wait_for(run, 5)

    asyncio.run(session())
    assert pacer.now_ns < ns(10)


def test_speed_may_change_on_the_way():
    log = []
    pacer = Pacer([ticking(log)], speed=0.1)

    async def session():
        run = asyncio.create_task(pacer.run(ns(100)))
        await asyncio.sleep(0.1)
        pacer.set_speed(None)
        await asyncio.wait_for(run, 20)

    asyncio.run(session())
    assert pacer.now_ns == ns(100)


@pytest.mark.parametrize("speed", [0, -1, 0.01, 1000, float("nan")])
def test_impossible_speeds_are_refused(speed):
    with pytest.raises(ValueError, match="outside"):
        Pacer([Clock()], speed=speed)


def test_a_step_must_be_positive_and_a_pacer_needs_a_clock():
    with pytest.raises(ValueError, match="positive"):
        Pacer([Clock()]).step(0)
    with pytest.raises(ValueError, match="at least one clock"):
        Pacer([])


def test_lag_is_told():
    clock = Clock()

    def slow(_):
        yield clock.io(asyncio.sleep(0.05))

    clock.on("slow", slow)
    clock.every(ns(0.1), "slow", phase=Phase.PLANT)
    pacer = Pacer([clock], speed=100)
    asyncio.run(pacer.run(ns(1)))
    assert pacer.behind_s > 0.1
