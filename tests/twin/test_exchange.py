"""A twin's policy is exchanged between two scans; what is in force can be read over the wire."""

import asyncio
from dataclasses import replace

import pytest
from pyModbusTCP.client import ModbusClient

from secureos.kernel import ExchangeRefused
from secureos.policy import load_policy
from twin.scada import CommandRefused


def policy(twin, name):
    return load_policy(twin.image.folder / f"{name}.psl", twin.image.catalogue, include=(twin.image.folder,))


def told(port):
    """The device's own objects, as a client that is not ours reads them."""
    client = ModbusClient(host="127.0.0.1", port=port, unit_id=1, timeout=5.0, auto_open=True)
    found = client.read_device_identification(3, 0x80).objects_by_id
    client.close()
    return [found[number].decode() for number in sorted(found)]


async def opens(twin, tag):
    try:
        await twin.operator.write(tag, 1)
    except CommandRefused:
        return False
    return True


def test_the_next_scan_puts_it_in_force_and_anybody_can_read_it(twin_session):
    async def session(twin, advance):
        await advance(1.05)
        old, new = twin.policy, policy(twin, "permissive")
        done = twin.controller.exchange_policy(new, version=3)
        before = await asyncio.to_thread(told, twin.scada_endpoint.port), await opens(twin, "F6.open"), done.done()
        await advance(0.1)
        await done
        after = await asyncio.to_thread(told, twin.scada_endpoint.port), await opens(twin, "F6.open")
        image = twin.image.sha256
        assert before == ([image, old.sha256, "0"], False, False)
        assert after == ([image, new.sha256, "3"], True)
        assert twin.controller.kernel.policy is new

    twin_session(session, wire="tcp")


def test_what_was_spent_stays_spent(twin_session):
    """The same policy with another comment: a feeder opened before counts, and the objects know the plant."""

    async def session(twin, advance):
        await advance(2)
        granted = [await opens(twin, f"{feeder}.open") for feeder in ("F5", "F4")]
        done = twin.controller.exchange_policy(replace(policy(twin, "security"), sha256="0" * 64))
        await advance(0.2)
        await done
        return granted, await opens(twin, "F8.open"), await opens(twin, "X1.open")

    # F5 and F4 leave too little of 12 MW in a minute for F8, but enough for a small one.
    assert twin_session(session) == ([True, True], False, True)


def test_a_refusal_leaves_the_old_policy_and_is_told(twin_session):
    async def session(twin, advance):
        await advance(1)
        old = twin.policy
        twin.controller.kernel.audit.fail("the disk is full")
        done = twin.controller.exchange_policy(policy(twin, "permissive"))
        await advance(0.2)
        with pytest.raises(ExchangeRefused, match="the disk is full"):
            await done
        assert twin.controller.kernel.policy is old
        assert not await opens(twin, "F6.open")

    twin_session(session)


def test_what_nobody_waits_for_any_more_is_not_exchanged(twin_session):
    async def session(twin, advance):
        await advance(1)
        old = twin.policy
        twin.controller.exchange_policy(policy(twin, "permissive")).cancel()
        await advance(0.2)
        assert twin.controller.kernel.policy is old

    twin_session(session)
