"""The TCP server against raw sockets: framing, fairness, limits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin.fieldbus import FieldbusError, ModbusServer, ServerLimits

READ_MODE = "03 000a 0001"
Act = Callable[[ModbusServer], Awaitable[Any]]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def served(rig: Any, act: Act, **limits: Any) -> Any:
    """Run `act` against a server of the rig."""

    async def run() -> Any:
        server = ModbusServer(rig.responder, limits=ServerLimits(**limits))
        await server.start()
        try:
            return await act(server)
        finally:
            await server.stop()

    return asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def opened(server: ModbusServer, source: str = "127.0.0.1") -> AsyncIterator[Stream]:
    """A raw connection, dropped in the end whatever became of it."""
    reader, writer = await asyncio.open_connection(server.host, server.port, local_addr=(source, 0))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """Everything until the server hangs up, which it has 5 s to do."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while chunk := await asyncio.wait_for(reader.read(65536), 5):
            received += chunk
    return bytes(received)


async def talk(server: ModbusServer, chunks: list[bytes], *, pause_s: float = 0.0, source: str = "127.0.0.1") -> bytes:
    """Send the chunks, end the stream, and give all that comes back until the server closes."""
    async with opened(server, source) as (reader, writer):
        with contextlib.suppress(OSError):  # the server may hang up in the middle
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
                await asyncio.sleep(pause_s)
            writer.write_eof()
        return await all_of(reader)


def test_pipelined_requests_are_all_answered_in_order(rig: Any) -> None:
    requests = [rig.adu(READ_MODE, transaction=n) for n in range(1, 200)]
    received = served(rig, lambda server: talk(server, [b"".join(requests)]))
    assert [int.from_bytes(received[at : at + 2]) for at in range(0, len(received), 11)] == list(range(1, 200))


def test_answers_in_a_row_do_not_wait_for_one_another(rig: Any) -> None:
    """Else each pair of requests takes as long as a delayed acknowledgement, some 40 ms."""

    async def act(server: ModbusServer) -> float:
        async with opened(server) as (reader, writer):
            started_s = time.monotonic()
            for _ in range(50):
                writer.write(rig.adu(READ_MODE) * 3)
                await reader.readexactly(33)
            return time.monotonic() - started_s

    assert served(rig, act) < 1.0


def test_a_request_split_byte_by_byte_is_answered(rig: Any) -> None:
    adu = rig.adu("10 0000 0001 02 0005")
    received = served(rig, lambda server: talk(server, [bytes([byte]) for byte in adu], pause_s=0.001))
    assert received == rig.adu("10 0000 0001")
    assert rig.written == [{"TAP.SP": 5}]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["010000 0005", "03 000a 0001", "63", "05 0000 1234", "08 0000 0102"]), max_size=8),
    st.data(),
)
def test_chunking_changes_no_answer(rig: Any, pdus: list[str], draw: Any) -> None:
    stream = b"".join(rig.adu(pdu, transaction=n) for n, pdu in enumerate(pdus))
    cuts = sorted(draw.draw(st.sets(st.integers(0, len(stream)), max_size=12)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = b"".join(rig.responder.respond(rig.adu(pdu, transaction=n), rig.peer) for n, pdu in enumerate(pdus))
    assert served(rig, lambda server: talk(server, chunks)) == whole


@pytest.mark.parametrize(
    "junk",
    [
        "1234 0001 0006 01 03 000a 0001",  # wrong protocol identifier
        "1234 0100",
        "1234 0000 0000",  # lengths that cannot be
        "1234 0000 0001 01",
        "1234 0000 00ff 01",
        "1234 0000 ffff 01 03",
        "474554202f20485454502f312e310d0a",  # GET / HTTP/1.1
        "0300001611e00000000100c1020100c2020102c0010a",  # another protocol of the field
    ],
)
def test_bytes_that_are_no_frame_end_the_connection_at_once(rig: Any, junk: str) -> None:
    async def act(server: ModbusServer) -> tuple[bytes, int]:
        async with opened(server) as (reader, writer):
            writer.write(rig.adu(READ_MODE) + bytes.fromhex(junk))
            received = await all_of(reader)  # we do not end the stream: the server does
        good = await talk(server, [rig.adu(READ_MODE)])
        assert good == received, "what came before the junk is answered, and so is the next client"
        return received, server.stats.bad_frames

    received, bad_frames = served(rig, act)
    assert received[7:].hex() == "03020000"
    assert bad_frames == 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=600), max_size=4))
def test_no_bytes_hurt_the_server(rig: Any, chunks: list[bytes]) -> None:
    async def act(server: ModbusServer) -> bytes:
        await talk(server, chunks)
        return await talk(server, [rig.adu("08 0000 a537")])

    assert served(rig, act) == rig.adu("08 0000 a537")
    assert rig.responder.failures == 0


def test_hostile_bytes_make_no_noise(rig: Any, capfd: Any, caplog: Any) -> None:
    async def act(server: ModbusServer) -> None:
        for junk in (b"\xff" * 300, rig.adu("ff"), rig.adu("80"), rig.adu("2b"), rig.adu("00 00")):
            await talk(server, [junk])

    served(rig, act)
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


def test_a_port_in_use_is_told_with_a_way_out(rig: Any) -> None:
    async def act(server: ModbusServer) -> None:
        with pytest.raises(FieldbusError, match=rf"`127.0.0.1:{server.port}`.*choose another port"):
            await ModbusServer(rig.responder, port=server.port).start()
        with pytest.raises(FieldbusError, match="listens already"):
            await server.start()

    served(rig, act)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("203.0.113.77", 0)])
def test_an_address_that_cannot_be_had_is_told(rig: Any, host: str, port: int) -> None:
    with pytest.raises(FieldbusError, match=f"cannot listen on `{host}:{port}`"):
        asyncio.run(ModbusServer(rig.responder, host=host, port=port).start())


def test_restart_on_the_same_port(rig: Any) -> None:
    async def act(server: ModbusServer) -> None:
        port = server.port
        async with opened(server) as (reader, _):
            await until(lambda: server.connections == 1)
            started_s = time.monotonic()
            await server.stop()
            await server.stop()
            assert time.monotonic() - started_s < 1
            assert server.connections == 0
            assert await all_of(reader) == b""
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(server.host, port)
        await server.start()
        assert server.port == port
        assert await talk(server, [rig.adu(READ_MODE)]) == rig.adu("03 02 0000")

    served(rig, act)


def test_sessions_are_numbered_in_order_of_connection(rig: Any) -> None:
    async def act(server: ModbusServer) -> None:
        for value, source in enumerate(["127.0.0.1", "127.0.1.10", "127.0.0.1"]):
            await talk(server, [rig.adu(f"06 000a {value:04x}")], source=source)

    served(rig, act)
    assert [(peer.session, peer.address) for _, peer in rig.requests] == [
        (1, "127.0.0.1"),
        (2, "127.0.1.10"),
        (3, "127.0.0.1"),
    ]


def test_connections_are_capped_per_address_and_places_are_given_back(rig: Any) -> None:
    async def act(server: ModbusServer) -> None:
        async with contextlib.AsyncExitStack() as held:
            for n in (1, 2):
                await held.enter_async_context(opened(server, "127.0.0.1"))
                await until(lambda n=n: server.stats.accepted == n)  # type: ignore[misc]
            assert await talk(server, [rig.adu(READ_MODE)], source="127.0.0.1") == b"", "one address may hold two"
            assert await talk(server, [rig.adu(READ_MODE)], source="127.0.0.2") != b""
            assert (server.stats.refused, server.stats.evicted) == (1, 0)
        await until(lambda: server.connections == 0)
        assert await talk(server, [rig.adu(READ_MODE)], source="127.0.0.1") != b"", "places are given back"

    served(rig, act, connections=3, connections_per_address=2)


def test_two_addresses_that_take_every_place_keep_nobody_out(rig: Any) -> None:
    async def act(server: ModbusServer) -> None:
        async with contextlib.AsyncExitStack() as held:
            hoarded = []
            for n, source in enumerate(["127.0.0.1", "127.0.0.2"] * 2, 1):
                hoarded.append(await held.enter_async_context(opened(server, source)))
                await until(lambda n=n: server.stats.accepted == n)  # type: ignore[misc]
            hoarded[0][1].write(rig.adu(READ_MODE))
            await hoarded[0][0].readexactly(11)  # the first is not the quietest any more
            reader, writer = await held.enter_async_context(opened(server, "127.0.0.3"))
            writer.write(rig.adu(READ_MODE))
            assert await reader.readexactly(11)
            assert await all_of(hoarded[1][0]) == b"", "the quietest of the two that hold most makes room"
            assert server.connections == 4
            assert await talk(server, [rig.adu(READ_MODE)], source="127.0.0.1") == b"", "and no hoarder gets it back"
            assert (server.stats.refused, server.stats.evicted) == (1, 1)

    served(rig, act, connections=4, connections_per_address=2)


def test_a_known_address_always_finds_a_place_and_keeps_it(rig: Any) -> None:
    async def act(server: ModbusServer) -> None:
        async with contextlib.AsyncExitStack() as held:
            for n in (1, 2, 3):
                await held.enter_async_context(opened(server, f"127.0.0.{n}"))
                await until(lambda n=n: server.stats.accepted == n)  # type: ignore[misc]
            assert await talk(server, [rig.adu(READ_MODE)], source="127.0.0.4") == b"", (
                "nobody holds more than it would"
            )
            reader, writer = await held.enter_async_context(opened(server, "127.0.0.9"))
            writer.write(rig.adu(READ_MODE))
            assert await reader.readexactly(11)
            assert server.stats.evicted == 1
            await held.enter_async_context(opened(server, "127.0.0.9"))
            await held.enter_async_context(opened(server, "127.0.0.9"))
            await until(lambda: server.stats.evicted == 3)
            assert await talk(server, [rig.adu(READ_MODE)], source="127.0.0.1") == b"", "it makes no room"

    served(rig, act, connections=3, known=frozenset({"127.0.0.9"}))


def test_an_idle_connection_is_dropped_even_when_it_dribbles(rig: Any) -> None:
    async def act(server: ModbusServer) -> None:
        async with opened(server) as (reader, writer):
            writer.write(rig.adu(READ_MODE))
            assert await reader.readexactly(11)
            with contextlib.suppress(ConnectionError):
                for byte in rig.adu(READ_MODE):
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.05)
            await until(lambda: server.connections == 0)
        assert server.stats.idle_closed == 1
        assert server.stats.requests == 1

    served(rig, act, idle_s=0.2)


def test_a_flood_does_not_starve_others(rig: Any) -> None:
    """Between two answers to one client, every other client with a request waiting gets one."""
    order: list[int] = []
    station_read = rig.station.read

    def read(*asked: Any) -> Any:
        order.append(asked[-1].session)
        return station_read(*asked)

    rig.station.read = read

    async def act(server: ModbusServer) -> None:
        async with opened(server) as (flood_reader, flood):
            flood.write(rig.adu(READ_MODE) * 20_000)
            drain = asyncio.create_task(all_of(flood_reader))
            await until(lambda: len(order) > 100)
            async with opened(server) as (reader, writer):
                for _ in range(50):
                    asked_at = len(order)
                    writer.write(rig.adu(READ_MODE))
                    await reader.readexactly(11)
                    assert order[asked_at:].count(1) < 20, "it waits for a few turns, not for the flood"
                assert server.connections == 2
            assert order.count(1) < 20_000, "the flood was still under way"
            await until(lambda: order.count(1) == 20_000)
            flood.write_eof()
            assert len(await drain) == 20_000 * 11

    served(rig, act)


def test_a_flood_whose_answers_nobody_takes_is_held_back(rig: Any) -> None:
    async def act(server: ModbusServer) -> int:
        async with opened(server) as (_, writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(rig.adu("03 0000 000b") * 400_000)
            served_before = -1
            while served_before != server.stats.requests:
                served_before = server.stats.requests
                await asyncio.sleep(0.5)
        return served_before

    assert 0 < served(rig, act) < 400_000


def test_a_rate_limit_slows_one_connection_down(rig: Any) -> None:
    async def act(server: ModbusServer) -> float:
        started_s = time.monotonic()
        received = await talk(server, [rig.adu(READ_MODE) * 8])
        assert len(received) == 8 * 11
        return time.monotonic() - started_s

    assert served(rig, act, requests_per_s=50.0, burst=3) >= 0.099  # five of eight wait 20 ms each
