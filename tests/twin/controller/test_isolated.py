"""A controller in processes of its own: the same record, whatever becomes of one of its tasks."""

import asyncio
import os
import signal
import socket
from contextlib import asynccontextmanager

import pytest

from secureos.kernel import load_image
from secureos.kernel.isolation import Nursery, ProtocolError, missing
from secureos.policy import load_policy
from twin.assembly import Twin
from twin.controller import INTERFACES, ClientPort, FieldWire
from twin.core import find_plant, ns
from twin.fieldbus import Endpoint, FieldbusError, MemoryWire, ServerLimits, TcpWire
from twin.scada import CommandRefused

pytestmark = pytest.mark.skipif(bool(missing()), reason="; ".join(missing()))


@pytest.fixture(scope="module")
def nursery():
    with Nursery() as one:
        yield one


@asynccontextmanager
async def running(nursery, *, wire=None, live=False, policy="security"):
    kind = find_plant("substation")
    image = load_image(kind.image, include=(INTERFACES,))
    rules = load_policy(kind.image / f"{policy}.psl", image.catalogue, include=(kind.image,))
    twin = Twin(kind, image, rules, wire=wire or TcpWire(), seed=7, nursery=nursery, live=live)
    try:
        await twin.connect()
        twin.start()
        yield twin
    finally:
        await twin.close()


async def advance(twin, seconds):
    await twin.clock.advance(twin.clock.now_ns + ns(seconds))


async def write(twin, tag):
    try:
        await twin.operator.write(tag, 1)
    except CommandRefused as refusal:
        return str(refusal)
    return "ok"


def faults(twin):
    return [record.reason for record in twin.controller.kernel.audit.records if record.event == "fault"]


async def session(twin):
    answers = []
    for tag in ("F1.open", "F6.open", "F2.open", "F3.open", "F4.open", "F1.close"):
        await advance(twin, 1.3)
        answers.append(await write(twin, tag))
    await advance(twin, 2)
    return answers, twin.recorder.sha256, twin.controller.kernel.audit.granted, twin.controller.kernel.audit.denied


@pytest.mark.parametrize("policy", ["security", "permissive"])
def test_the_record_is_that_of_a_run_in_one_process(nursery, policy):
    async def both():
        async with running(None, policy=policy) as twin:
            here = await session(twin)
            assert twin.isolation == "none"
        async with running(nursery, policy=policy) as twin:
            assert twin.isolation == "process"
            return here, await session(twin)

    here, there = asyncio.run(both())
    assert here == there
    assert "ok" in here[0]


@pytest.mark.parametrize("task", ["field_io", "control_logic", "gateway"])
def test_a_killed_task_is_started_again(nursery, task):
    async def killed():
        async with running(nursery, live=True) as twin:
            await advance(twin, 1)
            first = twin.isolated.pid(task)
            os.kill(first, signal.SIGKILL)
            await advance(twin, 2)
            assert twin.isolated.pid(task) != first
            assert await write(twin, "F1.open") == "ok"
            await advance(twin, 1)
            return faults(twin), twin.plant.measured()["F1.closed"]

    found, closed = asyncio.run(killed())
    assert len(found) == 2
    assert "ended" in found[0]
    assert not closed


def test_a_wire_to_the_plant_that_breaks_is_mended(nursery):
    async def broken():
        async with running(nursery, live=True) as twin:
            await advance(twin, 1)
            server = twin.wire._servers[0]
            for connection in tuple(server._roster.connections):
                connection.abort()
            await advance(twin, 1)
            assert await write(twin, "F1.open") == "ok"
            return faults(twin)

    assert asyncio.run(broken()) == []


def test_a_wire_that_breaks_ends_a_run_in_lock_step(nursery):
    async def broken():
        async with running(nursery) as twin:
            await advance(twin, 1)
            await twin.wire._servers[0].stop()
            await advance(twin, 1)

    with pytest.raises(FieldbusError):
        asyncio.run(broken())


def test_a_snapshot_goes_through(nursery):
    async def saved():
        async with running(nursery) as twin:
            await advance(twin, 3)
            state = twin.snapshot()
            await advance(twin, 2)
            expected = twin.recorder.sha256
        async with running(nursery) as other:
            other.restore(state)
            await advance(other, 2)
            return expected, other.recorder.sha256

    expected, found = asyncio.run(saved())
    assert expected == found


def test_a_wire_in_memory_does_not_reach_them(nursery):
    async def opened():
        async with running(nursery, wire=MemoryWire()):
            pass

    with pytest.raises(TypeError, match="over TCP alone"):
        asyncio.run(opened())


def test_connections_are_counted_by_address_and_given_back(nursery):
    async def counted():
        wire = TcpWire(limits=ServerLimits(connections=4, connections_per_address=2, idle_s=None))
        async with running(nursery, wire=wire, live=True) as twin:
            port = twin.isolated.port
            place = (twin.scada_endpoint.host, twin.scada_endpoint.port)
            held = [socket.create_connection(place, source_address=("127.0.2.1", 0)) for _ in range(3)]
            while port.connections < 3:  # the operator's and two of three
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert held[2].recv(1) == b""
            for one in held:
                one.close()
            while port.connections > 1:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(counted(), 30))


def port_with_one_session():
    port = ClientPort(ServerLimits())
    port._peers[1] = None
    return port


@pytest.mark.parametrize(
    "word",
    [
        None,
        [],
        ["gone", 2],
        ["gone", "1"],
        ["asked", 1],
        ["asked", 1, 1, "nowhere", 0, [1], 0],
        ["asked", 1, 1, "coil", 0, ["1"], 0],
        ["asked", 1, 1, "coil", 0, [1] * 2001, 0],
        ["asked", 2, 1, "coil", 0, [1], 0],
        {"gone": 1},
    ],
)
def test_words_of_a_hostile_gateway_are_refused(word):
    with pytest.raises(ProtocolError):
        port_with_one_session().hear(word)


def test_what_is_told_without_a_journal_is_checked_and_dropped():
    port_with_one_session().hear(["asked", 1, 1, "coil", 0, [1], 0])


def test_the_wire_takes_no_words():
    with pytest.raises(ProtocolError):
        FieldWire(Endpoint("127.0.0.1", 1), source_host="127.0.0.1").hear("x")


def test_a_wire_without_a_server():
    wire = FieldWire(Endpoint("127.0.0.1", 1), source_host="127.0.0.1")
    asyncio.run(wire.connect())  # no task is there to pass a stream to
    wire.attach(lambda value, passed: True)
    with pytest.raises(FieldbusError, match="is the server running"):
        asyncio.run(wire.connect())


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(FieldbusError, match="choose another port"):
        ClientPort(ServerLimits()).listen("127.0.0.1", taken.getsockname()[1])


def test_without_a_gateway_whoever_comes_is_turned_away():
    async def come():
        port = ClientPort(ServerLimits())
        endpoint = port.listen("127.0.0.1", 0)
        try:
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
            assert await reader.read(1) == b""
            writer.close()
        finally:
            port.close()
            port.close()

    asyncio.run(come())
