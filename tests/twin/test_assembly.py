"""One twin: its wires, mended when it is live; its journal."""

import asyncio
from datetime import date

import pytest

from secureos.kernel.boot_checks import Trust
from twin.assembly import Twin
from twin.controller.programs import check_start
from twin.core import find_plant, ns
from twin.fieldbus import FieldbusError, TcpWire


async def built(**options):
    kind = find_plant("substation")
    trust = Trust(date(2030, 1, 1))
    checked = check_start(kind.image, kind.image / "security.psl", plant=kind.name, trust=trust)
    twin = Twin(kind, checked.image, checked.policy, wire=TcpWire(), **options)
    await twin.connect()
    twin.start()
    await twin.clock.advance(ns(1))
    return twin


async def cut(twin):
    """Hang up on every connection of the field wire, from the server's side."""
    for server in twin.wire._servers[:1]:
        for connection in tuple(server._roster.connections):
            connection.abort()
    await asyncio.sleep(0.05)


def test_a_broken_wire_ends_a_run_with_an_end():
    async def session():
        twin = await built()
        try:
            await cut(twin)
            with pytest.raises(FieldbusError):
                await twin.clock.advance(ns(2))
        finally:
            await twin.close()

    asyncio.run(session())


def test_a_live_twin_mends_its_wire_and_goes_on():
    async def session():
        twin = await built(live=True)
        try:
            await cut(twin)
            await twin.clock.advance(ns(3))
            await twin.operator.write("F3.open", 1)
            await twin.clock.advance(ns(4))
            return (await twin.operator.poll())["F3.closed"], twin.recorder.rows
        finally:
            await twin.close()

    closed, rows = asyncio.run(session())
    assert closed is False
    assert rows == []
