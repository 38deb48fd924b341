"""A whole twin of the substation on either wire, for tests that need all of the path."""

import asyncio
from contextlib import asynccontextmanager
from datetime import date

import pytest

from secureos.kernel.boot_checks import Trust
from twin.assembly import Twin
from twin.controller.programs import check_start
from twin.core import find_plant, ns
from twin.fieldbus import MemoryWire, TcpWire


@pytest.fixture
def twin_session():
    """Runs `await session(twin, advance)` on a connected, started twin and closes it."""

    @asynccontextmanager
    async def opened(policy, wire, settings):
        kind = find_plant("substation")
        path = policy if policy not in ("security", "permissive") else kind.image / f"{policy}.psl"
        checked = check_start(kind.image, path, plant=kind.name, trust=Trust(date(2030, 1, 1)))
        twin = Twin(
            kind, checked.image, checked.policy, wire=MemoryWire() if wire == "memory" else TcpWire(), settings=settings
        )
        try:
            await twin.connect()
            twin.start()
            yield twin
        finally:
            await twin.close()

    def run(session, *, policy="security", wire="memory", start="18:00"):
        async def whole():
            async with opened(policy, wire, {"start": start}) as twin:

                async def advance(seconds):
                    await twin.clock.advance(twin.clock.now_ns + ns(seconds))

                return await session(twin, advance)

        return asyncio.run(whole())

    return run
