"""A gateway that is hostile through and through: the plant does not notice, and the fault is on record."""

import asyncio
from dataclasses import replace

import pytest

from secureos.kernel import load_image
from secureos.kernel.isolation import IsolatedProgram, Nursery, missing
from secureos.kernel.quota import Quota
from secureos.policy import load_policy
from twin.assembly import Twin
from twin.controller import INTERFACES
from twin.core import find_plant, ns
from twin.fieldbus import TcpWire

pytestmark = pytest.mark.skipif(bool(missing()), reason="; ".join(missing()))

HOSTILE = "tests.secureos.kernel.isolation.programs:hostile"
STRICT = Quota(memory_mb=256, cpu_s=1, call_timeout_ms=500, restarts=2)
SECONDS = 3.0


@pytest.fixture(scope="module")
def nursery():
    with Nursery() as one:
        yield one


async def state_of_the_plant(nursery):
    kind = find_plant("substation")
    image = load_image(kind.image, include=(INTERFACES,))
    tasks = tuple(replace(spec, quota=STRICT) if spec.task == "gateway" else spec for spec in image.tasks)
    policy = load_policy(kind.image / "security.psl", image.catalogue, include=(kind.image,))
    wires = {"wire": TcpWire(), "scada_wire": TcpWire(timeout_s=0.3)}  # the operator waits for a dead gateway in vain
    twin = Twin(kind, replace(image, tasks=tasks), policy, **wires, seed=7, nursery=nursery, live=True)
    try:
        await twin.connect()
        twin.start()
        await twin.clock.advance(ns(SECONDS))
        audit = twin.controller.kernel.audit.records
        return twin.plant.snapshot(), [record.reason for record in audit if record.event == "fault"]
    finally:
        await twin.close()


@pytest.fixture(scope="module")
def undisturbed(nursery):
    state, faults = asyncio.run(state_of_the_plant(nursery))
    assert faults == []
    return state


@pytest.mark.parametrize(
    ("deed", "says"),
    [
        ("Exit", "ended"),
        ("Crash", "ended"),
        ("Leave", "ended"),
        ("Raw", "sent what it may not"),
        ("Flood", "sent what it may not"),
        ("Sleep", "did not answer within 500 ms"),
        ("Burn", "did not answer within 500 ms"),
        ("Memory", "memory"),
    ],
)
def test_the_plant_does_not_notice(nursery, undisturbed, monkeypatch, deed, says):
    def hostile_gateway(source, builder, *, settings, **options):
        if builder.endswith(":gateway"):
            return IsolatedProgram(source, HOSTILE, settings={"deed": deed}, **options)
        return IsolatedProgram(source, builder, settings=settings, **options)

    monkeypatch.setattr("twin.controller.isolated.IsolatedProgram", hostile_gateway)
    state, faults = asyncio.run(state_of_the_plant(nursery))
    assert state == undisturbed
    assert len(faults) == 5  # stopped three times, started again twice
    assert all(says in reason for reason in faults[::2])
    assert "it is not started again" in faults[-1]
