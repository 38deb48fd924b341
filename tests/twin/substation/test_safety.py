"""The substation's `safety.toml`: what is served without a security module, and that denials leave no trace."""

import random

import pytest

from secureos.kernel.safety_check import check_safety
from secureos.kernel.static_table import StaticTable
from twin.fieldbus import ModbusRefusal, Peer, Write
from twin.scada import CommandRefused

STATES_IN_A_TEST, STATES_IN_A_SOAK = 100, 1_000
BREAKERS = ("F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "X1", "X2", "CA1", "CB2")
NEVER_GRANTED = ("F6.open", "L1.open", "L2.open", "T1H.open", "T2H.open", "HC.open", "T1M.open", "BT.open", "G1.close")


def broken(_event):
    raise RuntimeError("broken")


async def refused(work):
    try:
        await work
    except CommandRefused as refusal:
        return refusal.code
    return None


def test_the_emergency_stop_reaches_the_plant_without_a_security_module(twin_session, monkeypatch):
    async def session(twin, advance):
        await advance(2)
        running = (await twin.operator.poll())["G1.closed"]
        monkeypatch.setattr(twin.controller.kernel._module._engine, "decide", broken)
        answers = [await refused(twin.operator.write(tag, 1)) for tag in ("F1.open", "F1.close", "G1.open", "G1.estop")]
        await advance(5)
        shown = await twin.operator.poll()
        return running, answers, (shown["G1.closed"], shown["F1.closed"], shown["STATION.comm_fail"])

    running, answers, shown = twin_session(session)
    assert running
    assert answers == [1, 1, 1, None]
    assert shown == (False, True, False)  # reads and the sign of life go on


def test_every_method_is_served_if_and_only_if_it_is_listed(twin_session, monkeypatch):
    async def session(twin, advance):
        await advance(1)
        kernel = twin.controller.kernel
        monkeypatch.setattr(kernel._module._engine, "decide", broken)
        table, found = StaticTable(kernel.image.safety, kernel.image.tasks), {}
        for caller in kernel.tasks.values():
            for server in kernel.tasks.values():
                for path, endpoint in server.spec.task_class.endpoints.items():
                    for method in endpoint.interface.methods.values():
                        for tag in ("G1.estop", "F6.open", "STATION.heartbeat"):
                            fields = fields_of(method, tag)
                            answer = kernel.send(caller, server, path, method.name, fields)
                            way = ("request", caller.name, server.name, path, method.name)
                            listed = table.find(way, fields) is not None
                            assert (answer.rule == "" and "broken" not in answer.reason) is listed, (way, tag)
                            found[caller.name, method.name, tag] = (
                                found.get((caller.name, method.name, tag), 0) + listed
                            )
        return {key for key, served in found.items() if served}

    assert twin_session(session) == {
        ("gateway", "Stop", "G1.estop"),
        ("control_logic", "Stop", "G1.estop"),
        ("control_logic", "Beat", "STATION.heartbeat"),
        *[("gateway", "Image", tag) for tag in ("G1.estop", "F6.open", "STATION.heartbeat")],
        *[("control_logic", "Read", tag) for tag in ("G1.estop", "F6.open", "STATION.heartbeat")],
    }


def fields_of(method, tag):
    known = {"tag": tag, "tags": (tag,), "values": (1,), "session": 1, "address": "", "count": 1}
    return {one.name: known[one.name] for one in method.inputs}


@pytest.mark.parametrize("policy", ["security", "permissive"])
def test_both_policies_leave_the_list_alone(twin_session, policy):
    async def session(twin, _advance):
        kernel = twin.controller.kernel
        return kernel.image.safety, check_safety(twin.policy, kernel.image.safety)

    safety, mistakes = twin_session(session, policy=policy)
    assert [entry.purpose for entry in safety.never_block] == [
        "emergency-stop",
        "emergency-stop",
        "read",
        "read",
        "sign-of-life",
    ]
    assert mistakes == ()


def test_a_stop_is_sent_before_what_comes_with_it_and_does_not_depend_on_it(twin_session):
    async def session(twin, advance):
        await advance(2)
        gateway = twin.controller.kernel.tasks["gateway"].program
        both = tuple(Write(twin.plant.points[tag], 1) for tag in ("G1.close", "G1.estop"))
        with pytest.raises(ModbusRefusal) as failure:  # nobody may close it from afar
            gateway.write(both, Peer("127.0.0.1", 1, 7))
        await advance(1)
        return int(failure.value.code), (await twin.operator.poll())["G1.closed"]

    assert twin_session(session) == (1, False)


def violated(twin):
    return {limit.name: limit.violated_s for limit in twin.plant.envelope()}


def held(twin):
    """All that a command could have changed on its way to the plant."""
    tasks = twin.controller.kernel.tasks
    return twin.plant.snapshot(), [tasks[name].program.snapshot() for name in ("field_io", "control_logic", "gateway")]


async def states(twin, advance, count, seed):
    """So many random states: granted operations in random order and pace."""
    source = random.Random(seed)
    for _ in range(count):
        await refused(twin.operator.write(f"{source.choice(BREAKERS)}.{source.choice(('open', 'close'))}", 1))
        await advance(source.choice((0.05, 0.1, 0.35, 2.0)))
        yield source.choice(NEVER_GRANTED)


def no_denial_leaves_a_trace(twin_session, count, start, seed):
    async def session(twin, advance):
        await advance(2)
        denied = 0
        async for tag in states(twin, advance, count, seed):
            before, limits = held(twin), violated(twin)
            code = await refused(twin.operator.write(tag, 1))
            assert code == 1, tag
            assert held(twin) == before
            assert violated(twin) == limits
            denied += 1
        return denied

    assert twin_session(session, start=start) == count


def test_a_denial_leaves_the_plant_as_it_is_from_a_hundred_random_states(twin_session):
    no_denial_leaves_a_trace(twin_session, STATES_IN_A_TEST, "18:00", 1)


@pytest.mark.soak
@pytest.mark.parametrize("start", ["03:00", "12:00", "18:00"])
def test_a_denial_leaves_the_plant_as_it_is_from_many_more(twin_session, start):
    no_denial_leaves_a_trace(twin_session, STATES_IN_A_SOAK, start, start)
