"""Clients that take and give nothing: many idle ones, slow ones, half-open ones, all while a good one is served."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import socket
import struct
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from twin.fieldbus import ModbusServer, ServerLimits, TcpModbusClient

READ_MODE = "03 000a 0001"


def served(rig: Any, act: Callable[[ModbusServer], Awaitable[Any]], **limits: Any) -> Any:
    async def run() -> Any:
        server = ModbusServer(rig.responder, limits=ServerLimits(**limits))
        await server.start()
        try:
            return await act(server)
        finally:
            await server.stop()

    return asyncio.run(run())


@contextlib.asynccontextmanager
async def good_client(server: ModbusServer, source: str = "127.0.9.9") -> AsyncIterator[TcpModbusClient]:
    client = TcpModbusClient(server.host, server.port, source_host=source, timeout_s=10)
    await client.connect()
    try:
        yield client
    finally:
        await client.close()


async def reads(client: TcpModbusClient, times: int = 20) -> None:
    for _ in range(times):
        assert await client.read_registers("holding", 10, 1) == [0]


def connect(server: ModbusServer, source: str) -> socket.socket:
    line = socket.socket()
    line.bind((source, 0))
    line.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        line.connect((server.host, server.port))
    return line


def test_1500_idle_connections_cost_little_and_keep_nobody_out(rig: Any) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))

    async def act(server: ModbusServer) -> None:
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        idle = []
        try:
            for n in range(1500):
                idle.append(connect(server, f"127.1.{n % 3}.1"))
                if n % 50 == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(0.2)
            async with good_client(server) as client:
                await reads(client)
                assert server.connections <= 32
                gc.collect()
                held, _ = tracemalloc.get_traced_memory()
                assert held - before < 2_000_000, "what was turned away is not kept"
            assert server.stats.refused > 1000
        finally:
            tracemalloc.stop()
            for line in idle:
                line.close()

    try:
        served(rig, act)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_slow_ones_are_dropped_while_a_good_one_is_served(rig: Any) -> None:
    async def dribble(server: ModbusServer) -> int:
        sent = 0
        reader, writer = await asyncio.open_connection(server.host, server.port)
        with contextlib.suppress(ConnectionError):
            for byte in rig.adu(READ_MODE) * 20:
                writer.write(bytes([byte]))
                await writer.drain()
                sent += 1
                await asyncio.sleep(0.06)
                if reader.at_eof():
                    break
        writer.transport.abort()
        return sent

    async def act(server: ModbusServer) -> None:
        slow = [asyncio.create_task(dribble(server)) for _ in range(8)]
        async with good_client(server) as client:
            for _ in range(8):
                await reads(client, 5)
                await asyncio.sleep(0.1)
            sent = await asyncio.gather(*slow)
        assert max(sent) < 24, "a frame takes 12 bytes, and none may take 0.3 s"
        assert server.stats.idle_closed + server.stats.refused >= 8

    served(rig, act, idle_s=0.3)


def test_half_open_ones_lose_their_place(rig: Any) -> None:
    """A client that vanished says nothing more; and one that ended its half gets its answers, and no place for ever."""

    async def act(server: ModbusServer) -> None:
        vanished = [connect(server, "127.0.0.1") for _ in range(4)]
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(rig.adu(READ_MODE) * 3)
        writer.write_eof()
        assert len(await asyncio.wait_for(reader.read(), 5)) == 33
        writer.close()
        async with good_client(server) as client:
            for _ in range(6):
                await reads(client, 3)
                await asyncio.sleep(0.1)
        assert server.stats.idle_closed == 4
        for line in vanished:
            line.close()

    served(rig, act, idle_s=0.3)


def test_resets_in_the_middle_leave_nothing_behind(rig: Any, capfd: Any, caplog: Any) -> None:
    async def act(server: ModbusServer) -> None:
        async with good_client(server) as client:
            for n in range(200):
                line = connect(server, "127.0.0.1")
                await asyncio.sleep(0)
                with contextlib.suppress(OSError):
                    line.send((rig.adu(READ_MODE) * 40)[: n * 7])
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                line.close()
                if n % 20 == 0:
                    await reads(client, 2)
            await asyncio.sleep(0.1)
            await reads(client)
            assert server.connections == 1

    served(rig, act)
    assert rig.responder.failures == 0
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []
