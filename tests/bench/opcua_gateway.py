"""Our OPC UA server against a bare one of asyncua: the same client, loop and machine, no security on either.

Of ours, every read goes to a station that decides for each item who asks; of the bare one, to a value in memory.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from asyncua import Client, Server, ua

from twin.core import Point, PointTable
from twin.fieldbus import Peer, Reading, Write
from twin.fieldbus.opcua import AccessRules, HostTime, OpcUaServer, Security, ServerIdentity

TABLE = Path(__file__).parent.parent / "twin" / "fieldbus" / "opcua" / "tiny.csv"
ROUNDS = 5
REQUESTS = 600
CLIENTS = 10


class _Station:
    """Shows what it was told last, and takes every write."""

    def __init__(self, table: PointTable) -> None:
        self._values: dict[str, bool | int | float] = {point.tag: point.low for point in table}

    def read(self, points: Sequence[Point], _peer: Peer) -> list[Reading]:
        return [Reading(self._values[point.tag], "good", 0) for point in points]

    def write(self, writes: tuple[Write, ...], _peer: Peer) -> None:
        for write in writes:
            self._values[write.point.tag] = write.value


def run() -> None:
    """Print the median and p99 of a read and a write, requests per second, and the ratio of ours to bare."""
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    asyncio.run(_compare())


async def _compare() -> None:
    table = PointTable.load(TABLE)
    with tempfile.TemporaryDirectory() as folder:
        ours = OpcUaServer(
            table,
            "scada",
            _Station(table),
            identity=ServerIdentity("bench", "Bench", "1"),
            host_time=HostTime(lambda: 0),
            security=Security(
                AccessRules(anonymous_role="x", unsecured=True, unsecured_writes=True), folder=Path(folder)
            ),
        )
        urls = {"ours": await ours.start("127.0.0.1", 0)}
        bare = await _bare(table)
        urls["bare"] = f"opc.tcp://127.0.0.1:{bare.bserver.port}"
        try:
            await _measure(urls)
        finally:
            await ours.stop()
            await bare.stop()


async def _bare(table: PointTable) -> Server:
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    for point in table:
        node = await server.nodes.objects.add_variable(ua.NodeId(point.tag, 2), point.tag, 0.0)
        await node.set_writable()
    await server.start()
    return server


async def _measure(urls: dict[str, str]) -> None:
    kinds: dict[str, Callable[[Client], Awaitable[object]]] = {
        "read 1": lambda c: c.read_values([c.get_node("ns=2;s=T1.L")]),
        "read 20": lambda c: c.read_values([c.get_node("ns=2;s=T1.L")] * 20),
        "write 1": lambda c: c.get_node("ns=2;s=V6.SP").write_value(50.0, ua.VariantType.Double),
    }
    for name, ask in kinds.items():
        times: dict[str, list[float]] = {"ours": [], "bare": []}
        rates: dict[str, list[float]] = {"ours": [], "bare": []}
        costs: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(ROUNDS):  # interleaved, so that a noisy moment hits both alike
            for who, url in urls.items():
                times[who] += await _one(url, ask)
                rate, cost = await _many(url, ask)
                rates[who].append(rate)
                costs[who].append(cost)
        _tell(name, times, rates)
        ratio = min(costs["bare"]) / min(costs["ours"])
        print(f"{name:8} ours is {ratio:.2f} of bare by processor time, client included")


async def _one(url: str, ask: Callable[[Client], Awaitable[object]]) -> list[float]:
    times = []
    async with Client(url) as client:
        for _ in range(REQUESTS):
            began = time.perf_counter()
            await ask(client)
            times.append(time.perf_counter() - began)
    return times


async def _many(url: str, ask: Callable[[Client], Awaitable[object]]) -> tuple[float, float]:
    """Requests per wall second, and processor seconds per request."""
    clients = [Client(url) for _ in range(CLIENTS)]
    for client in clients:
        await client.connect()

    async def talk(client: Client) -> None:
        for _ in range(REQUESTS // CLIENTS):
            await ask(client)

    began, cost = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(talk, clients))
    took, cost = time.perf_counter() - began, time.process_time() - cost
    for client in clients:
        await client.disconnect()
    return REQUESTS / took, cost / REQUESTS


def _tell(name: str, times: dict[str, list[float]], rates: dict[str, list[float]]) -> None:
    medians = {who: statistics.median(each) for who, each in times.items()}
    best = {who: max(each) for who, each in rates.items()}
    for who, each in times.items():
        p99 = sorted(each)[int(len(each) * 0.99)]
        print(
            f"{name:8} {who}  p50 {medians[who] * 1e6:6.0f} µs  p99 {p99 * 1e6:6.0f} µs  "
            f"{1 / medians[who]:6.0f}/s with 1 client  {best[who]:6.0f}/s with {CLIENTS}"
        )
    one, many = medians["bare"] / medians["ours"], best["ours"] / best["bare"]
    print(f"{name:8} ours is {one:.2f} of bare with 1 client, {many:.2f} with {CLIENTS}")
