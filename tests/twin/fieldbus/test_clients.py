"""Both clients, and a client that is not ours, against one responder."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pyModbusTCP.client import ModbusClient as ForeignClient  # type: ignore[import-untyped]

from twin.fieldbus import (
    Endpoint,
    ExceptionCode,
    FieldbusError,
    MemoryWire,
    ModbusClient,
    ModbusRefusal,
    NoAnswer,
    TcpModbusClient,
    TcpWire,
    Wire,
)

WIRES: list[Callable[[], Wire]] = [TcpWire, MemoryWire]


def connected(rig: Any, make_wire: Callable[[], Wire], act: Callable[[ModbusClient], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        wire = make_wire()
        client = wire.client(await wire.serve(rig.responder), source_host="127.0.1.10")
        try:
            await client.connect()
            return await act(client)
        finally:
            await client.close()
            await wire.close()

    return asyncio.run(run())


async def everything(client: ModbusClient) -> list[Any]:
    """One of each request, and one of each refusal."""
    results: list[Any] = []
    for ask in [
        lambda: client.write_coil(0, True),
        lambda: client.write_coils(0, [False, True]),
        lambda: client.write_register(0, 0xFFFD),
        lambda: client.write_registers(1, [0, 500, 2, 0x41A0, 0]),
        lambda: client.read_bits("coil", 0, 5),
        lambda: client.read_bits("discrete", 10, 3),
        lambda: client.read_registers("holding", 0, 11),
        lambda: client.read_registers("input", 0, 8),
        lambda: client.read_registers("input", 0, 8, unit=255),
        lambda: client.read_registers("input", 0, 8, unit=9),
        lambda: client.read_registers("input", 9, 8),
        lambda: client.write_register(3, 9),
        lambda: client.write_coils(1, [True, True]),
    ]:
        try:
            results.append(await ask())  # type: ignore[no-untyped-call]
        except ModbusRefusal as refusal:
            results.append(refusal.code)
    return results


@pytest.mark.parametrize("make_wire", WIRES)
def test_every_request_over_either_wire(rig: Any, make_wire: Callable[[], Wire]) -> None:
    rig.bank.set("CB1.POS", True)
    rig.bank.set("TR.T", -40)
    assert connected(rig, make_wire, everything) == [
        None,
        None,
        None,
        None,
        [False, True, False, False, False],
        [True, False, False],
        [0xFFFD, 0, 500, 2, 0x41A0, 0, 0, 0, 0, 0, 0],
        [0, 0xFE70, 0, 0, 0, 0, 0, 0],
        [0, 0xFE70, 0, 0, 0, 0, 0, 0],
        ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND,
        ExceptionCode.ILLEGAL_DATA_ADDRESS,
        ExceptionCode.ILLEGAL_DATA_VALUE,
        ExceptionCode.ILLEGAL_DATA_ADDRESS,
    ]
    assert rig.written == [
        {"CB1.CLOSE": True},
        {"CB1.CLOSE": False, "CB1.OPEN": True},
        {"TAP.SP": -3},
        {"P.SP": 500, "COSPHI.SP": 0.2, "V.SP": 20.0},
    ]
    assert {(peer.address, peer.session) for _, peer in rig.requests} == {("127.0.1.10", 1)}


@pytest.mark.parametrize("make_wire", WIRES)
def test_what_could_never_be_sent_is_told_before(rig: Any, make_wire: Callable[[], Wire]) -> None:
    async def act(client: ModbusClient) -> None:
        with pytest.raises(ValueError, match="`holding` is not among coil, discrete"):
            await client.read_bits("holding", 0, 1)
        with pytest.raises(ValueError, match="126 cells cannot be asked for at once; it takes 1 to 125"):
            await client.read_registers("input", 0, 126)
        with pytest.raises(ValueError, match="0 cells"):
            await client.write_registers(0, [])
        with pytest.raises(ValueError, match="do not lie within 0 to 65535"):
            await client.read_bits("coil", 65535, 2)
        with pytest.raises(ValueError, match="65536 does not fit a register"):
            await client.write_register(0, 65536)

    connected(rig, make_wire, act)


@pytest.mark.parametrize("make_wire", WIRES)
def test_a_client_that_is_not_connected_says_so(rig: Any, make_wire: Callable[[], Wire]) -> None:
    async def run() -> None:
        wire = make_wire()
        endpoint = await wire.serve(rig.responder)
        client = wire.client(endpoint)
        await client.close()
        with pytest.raises(FieldbusError, match="not connected"):
            await client.read_bits("coil", 0, 1)
        await client.connect()
        await client.connect()
        assert await client.read_bits("coil", 0, 1) == [False]
        await client.close()
        with pytest.raises(FieldbusError, match="not connected"):
            await client.read_bits("coil", 0, 1)
        await client.connect()
        assert await client.read_bits("coil", 0, 1) == [False]
        await wire.close()
        await asyncio.sleep(0.05)
        with pytest.raises(FieldbusError, match="not connected"):
            await client.read_bits("coil", 0, 1)
        with pytest.raises(FieldbusError, match="cannot connect"):
            await client.connect()

    asyncio.run(run())


@pytest.mark.parametrize("make_wire", WIRES)
def test_two_on_one_port_are_refused(rig: Any, make_wire: Callable[[], Wire]) -> None:
    async def run() -> None:
        wire = make_wire()
        first = await wire.serve(rig.responder)
        second = await wire.serve(rig.responder)
        assert first.port != second.port
        with pytest.raises(FieldbusError, match=f"cannot listen on `127.0.0.1:{first.port}`.*choose another port"):
            await wire.serve(rig.responder, port=first.port)
        await wire.close()

    asyncio.run(run())


def test_endpoints_print_as_urls() -> None:
    assert str(Endpoint("127.0.0.1", 15020)) == "modbus://127.0.0.1:15020"
    assert str(Endpoint("::1", 502)) == "modbus://[::1]:502"
    assert str(Endpoint("plant", 1, "memory")) == "modbus+memory://plant:1"


def test_a_memory_client_of_nothing_is_refused() -> None:
    with pytest.raises(FieldbusError, match=r"nothing is served at `modbus://127.0.0.1:502`"):
        MemoryWire().client(Endpoint("127.0.0.1", 502))


def against(script: Callable[[bytes], bytes | None], act: Callable[[TcpModbusClient], Awaitable[Any]]) -> Any:
    """Run `act` against a server that answers as `script` says; None hangs up."""

    done = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(1024):
            reply = script(request)
            if reply is None:
                break
            writer.write(reply)
        writer.close()
        done.set()

    async def run() -> Any:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        client = TcpModbusClient("127.0.0.1", server.sockets[0].getsockname()[1], timeout_s=0.4)
        await client.connect()
        try:
            return await act(client)
        finally:
            await client.close()
            server.close()
            await done.wait()

    return asyncio.run(run())


def reply(body: str) -> Callable[[bytes], bytes]:
    return lambda request: request[:4] + (len(bytes.fromhex(body)) + 1).to_bytes(2) + b"\1" + bytes.fromhex(body)


async def read_two(client: TcpModbusClient) -> list[int]:
    return await client.read_registers("holding", 0, 2)


async def write_one(client: TcpModbusClient) -> None:
    await client.write_register(7, 1)


@pytest.mark.parametrize(
    ("script", "act", "message"),
    [
        (reply("03 02 0001"), read_two, "asked for 2 registers, got 4 bytes"),
        (reply("03 06 0001 0002 0003"), read_two, "asked for 2 registers, got 8 bytes"),
        (reply("03 ff 0001"), read_two, "asked for 2 registers, got 4 bytes"),
        (reply("04 04 0001 0002"), read_two, "makes no sense"),
        (reply("2b"), read_two, "makes no sense"),
        (reply("83"), read_two, "makes no sense"),
        (reply("86 02"), read_two, "makes no sense"),
        (reply("83 55"), read_two, "exception 55, which Modbus does not know"),
        (reply("06 0008 0001"), write_one, "as if something else had been written"),
        (lambda request: b"\0\0" + reply("03 04 0001 0002")(request)[2:], read_two, "makes no sense"),
        (lambda request: b"\xff\xff" + reply("03 04 0001 0002")(request)[2:], read_two, "makes no sense"),
        (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", read_two, "makes no sense"),
        (lambda _: b"\xff" * 4000, read_two, "makes no sense"),
        (lambda _: b"", read_two, "did not answer within 0.4 s"),
    ],
)
def test_a_server_that_answers_nonsense_is_an_error_and_no_crash(
    script: Any, act: Any, message: str, capfd: Any, caplog: Any
) -> None:
    async def run(client: TcpModbusClient) -> None:
        with pytest.raises(FieldbusError, match=message) as caught:
            await act(client)
        assert isinstance(caught.value, NoAnswer), "nobody knows what became of it"

    against(script, run)
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


def test_a_connection_that_goes_is_told_at_once() -> None:
    async def run(client: TcpModbusClient) -> None:
        started_s = time.monotonic()
        with pytest.raises(FieldbusError, match="was lost; connect again"):
            await read_two(client)
        assert time.monotonic() - started_s < 0.3, "not only after the time-out of 0.4 s"
        with pytest.raises(FieldbusError, match="not connected"):
            await read_two(client)

    against(lambda _: None, run)


def test_closing_ends_a_request_under_way() -> None:
    async def run(client: TcpModbusClient) -> None:
        request = asyncio.create_task(read_two(client))
        await asyncio.sleep(0.05)
        await client.close()
        with pytest.raises(FieldbusError, match="was lost"):
            await request

    against(lambda _: b"", run)


def test_nobody_there_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(FieldbusError, match=f"cannot connect to `127.0.0.1:{port}`.*is the server running"):
        asyncio.run(TcpModbusClient("127.0.0.1", port).connect())


def test_many_requests_at_once_take_turns(rig: Any) -> None:
    async def act(client: ModbusClient) -> list[Any]:
        return await asyncio.gather(*(client.read_registers("holding", n % 8, 1) for n in range(200)))

    rig.bank.load(rig.map.write_blocks[-2], list(range(8)))
    assert connected(rig, TcpWire, act) == [[n % 8] for n in range(200)]


def foreign(port: int) -> dict[str, Any]:
    client = ForeignClient(host="127.0.0.1", port=port, unit_id=1, timeout=5, auto_open=True)
    results = {
        "write coil": client.write_single_coil(0, True),
        "write coils": client.write_multiple_coils(0, [True, True]),
        "write register": client.write_single_register(10, 77),
        "write registers": client.write_multiple_registers(0, [1, 0, 60000]),
        "read and write": client.write_read_multiple_registers(10, [78], 10, 1),
        "coils": client.read_coils(0, 5),
        "discrete": client.read_discrete_inputs(10, 3),
        "holding": client.read_holding_registers(0, 11),
        "input": client.read_input_registers(0, 8),
        "identity": client.read_device_identification(1, 0).objects_by_id,
        "absent": client.read_holding_registers(100, 1),
        "why": client.last_except,
        "too high": client.write_single_register(0, 9),
        "why not": client.last_except,
    }
    client.close()
    return results


def test_a_client_that_is_not_pymodbus_reads_and_writes(rig: Any) -> None:
    async def run() -> dict[str, Any]:
        wire = TcpWire()
        endpoint = await wire.serve(rig.responder)
        try:
            return await asyncio.to_thread(foreign, endpoint.port)
        finally:
            await wire.close()

    rig.bank.set("CB1.LOCAL", True)
    assert asyncio.run(run()) == {
        "write coil": True,
        "write coils": True,
        "write register": True,
        "write registers": True,
        "read and write": [78],
        "coils": [True, True, False, False, False],
        "discrete": [False, False, True],
        "holding": [1, 0, 60000, 0, 0, 0, 0, 0, 0, 0, 78],
        "input": [0] * 8,
        "identity": {0: b"Holdfast", 1: b"HF-RTU", 2: b"1.2.3"},
        "absent": None,
        "why": 2,
        "too high": False,
        "why not": 3,
    }
