"""The session: both twins in lock-step, the attack at the same instant, freeze, step, restart, end."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from dashboards.orders import Order
from dashboards.session import ATTACK_DELAY_S, Session, SessionBrief
from scenarios.catalogue import find_scenario
from twin.core import PlantError, ns

SCENARIO = find_scenario("substation/mass-open").scenario


@asynccontextmanager
async def session(wire="memory"):
    live = Session(SessionBrief(SCENARIO, wire=wire))
    await live.open()
    live.pacer.set_speed(None)
    try:
        yield live
    finally:
        await live.close()


async def go_to(live, at_s):
    await live.pacer.run(ns(at_s))


def settled(live):
    """The state with everything read: two looks at a frozen session."""
    live.pacer.freeze()
    live.state()
    state = live.state()
    live.pacer.run_on()
    return state


def hashes(live):
    return [(side.run.twin.recorder.count, side.run.twin.recorder.sha256) for side in live.sides.values()]


@pytest.mark.parametrize("wire", ["memory", "tcp"])
def test_both_sides_are_identical_until_the_attack(wire):
    async def check():
        async with session(wire) as live:
            await go_to(live, 25)
            left, right = hashes(live)
            assert left == right
            assert left[0] > 50
            values = settled(live).values
            assert values["run.identical_until_s"] == 25
            assert values["run.differ"] is False
            assert values["left.measured.F1.P"] == values["right.measured.F1.P"]
            assert values["left.commands"]["legitimate"] == {"sent": 1, "granted": 1, "denied": 0}

    asyncio.run(check())


def test_the_attack_begins_on_both_sides_at_once_and_only_the_protected_one_stands():
    async def check():
        async with session() as live:
            await go_to(live, 30)
            live.obey(Order("attack"))
            await go_to(live, 100)
            left, right = (side.run for side in live.sides.values())
            attacks = [[one for one in run.answered if one.by == "attacker"] for run in (left, right)]
            assert [one.at_s for one in attacks[0]] == [one.at_s for one in attacks[1]]
            assert attacks[0][0].at_s == 31 + ATTACK_DELAY_S
            assert len(attacks[0]) == 8
            values = settled(live).values
            assert float(values["left.truth.served_mw"]) < 1
            assert float(values["right.truth.served_mw"]) > 25
            assert values["left.denied"] == 0
            assert values["left.state.F6"] == "open"
            assert values["left.state.F6.line"] == "dead"
            assert values["right.state.F6"] == "closed"
            hospital = [row for row in values["right.verdicts"] if row["object"] == "F6.open"]
            assert [row["granted"] for row in hospital] == [False]
            assert hospital[0]["rule"].startswith("security.psl:")
            assert "hospital" in hospital[0]["reason"]
            assert values["run.differ"] is True
            assert values["run.identical_until_s"] == pytest.approx(attacks[0][1].at_s, abs=5)

    asyncio.run(check())


def test_without_the_order_there_is_no_attack():
    async def check():
        async with session() as live:
            await go_to(live, 400)
            assert live.state().values["run.attack"] == "armed"
            for side in live.sides.values():
                assert {one.by for one in side.run.answered} == {"operator"}
            left, right = hashes(live)
            assert left == right

    asyncio.run(check())


def test_operator_s_acts_that_the_attack_overtakes_are_left_out():
    async def check():
        async with session() as live:
            live.obey(Order("attack"))
            await go_to(live, 60)
            for side in live.sides.values():
                assert {one.by for one in side.run.answered} == {"attacker"}
            live.obey(Order("attack"))  # a second time changes nothing
            await go_to(live, 80)
            assert len([one for one in live.sides["left"].run.answered if one.by == "attacker"]) == 8

    asyncio.run(check())


def test_the_session_freezes_at_the_scenario_s_end():
    async def check():
        async with session() as live:
            live.obey(Order("attack"))
            end_ns = live.sides["left"].script.end_ns
            running = asyncio.create_task(live.run())
            while not live.pacer.frozen:
                await asyncio.sleep(0.05)
            assert live.state().values["run.stage"] == "ended"
            assert 0 <= ns(live.state().at_s) - end_ns < ns(0.1)
            live.stop()
            await asyncio.wait_for(running, 5)

    asyncio.run(check())


def test_freeze_step_run_and_restart():
    async def check():
        async with session() as live:
            live.obey(Order("freeze"))
            running = asyncio.create_task(live.run())
            await asyncio.sleep(0.2)
            assert (live.state().at_s, live.state().values["run.stage"]) == (0, "frozen")
            live.obey(Order("step"))
            await asyncio.sleep(0.5)
            assert live.state().at_s == 1
            live.obey(Order("speed", 20.0))
            live.obey(Order("run"))
            await asyncio.sleep(0.5)
            assert live.state().at_s > 2
            before = live.sides
            live.obey(Order("restart"))
            while live.sides is before:
                await asyncio.sleep(0.02)
            state = live.state()
            assert (state.run, state.values["run.speed"], state.obeyed) == (2, 20.0, 5)
            assert state.at_s < 2
            live.stop()
            await asyncio.wait_for(running, 5)

    asyncio.run(check())


def test_rows_are_let_go_once_read_and_the_hash_goes_on():
    async def check():
        async with session() as live:
            await go_to(live, 60)
            settled(live)
            for side in live.sides.values():
                assert side.run.twin.recorder.rows == []
                assert side.run.twin.recorder.count > 100

    asyncio.run(check())


def test_a_plant_without_a_page_is_told():
    other = SCENARIO.model_copy(update={"plant": "refinery"})
    with pytest.raises(PlantError, match="no live page for the plant `refinery`"):
        Session(SessionBrief(other))
