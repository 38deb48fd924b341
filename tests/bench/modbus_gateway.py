"""The Modbus gateway with the engine on beside a bare pymodbus server: the same requests on the same event loop.

Latencies are of the whole exchange, with the client in the same process. Rounds of the two alternate, and the ratio is
that of each one's best round, so that a noisy moment hits neither alone.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import logging
import socket
import statistics
import time
import tracemalloc
import warnings

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from secureos.kernel import load_image
from secureos.policy import load_policy
from twin.assembly import Twin
from twin.controller import INTERFACES
from twin.core import find_plant, ns
from twin.fieldbus import ModbusServer, ServerLimits, TcpWire
from twin.fieldbus.modbus.mbap import frame, frame_length

HOST = "127.0.0.1"
READ = bytes.fromhex("04 0000 003c")  # 60 input registers
WRITE = bytes.fromhex("05 0000 0000")  # a pulse that asks for nothing
COMMAND = bytes.fromhex("05 0000 ff00")
KINDS = {"read of 60 registers": READ, "write of 0 to a coil": WRITE, "a command, weighed by the engine": COMMAND}
REQUESTS = 2_000
ROUNDS = 3
LOOSE = ServerLimits(connections=2_000, connections_per_address=2_000, idle_s=None)


class Asker(asyncio.Protocol):
    """A client that does nothing but ask and wait."""

    def __init__(self):
        self.received = b""
        self.answer = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data
        if (length := frame_length(self.received)) and self.answer is not None:
            self.received = self.received[length:]
            answer, self.answer = self.answer, None
            answer.set_result(None)

    async def ask(self, adu):
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(adu)
        await self.answer


class Flood(asyncio.Protocol):
    """A client that sends requests as fast as they are taken, and throws the answers away."""

    def connection_made(self, transport):
        self.transport = transport
        self.go = True
        self.pour()

    def pour(self):
        if self.go and not self.transport.is_closing():
            self.transport.write(frame(1, 1, READ) * 50)
            asyncio.get_running_loop().call_later(0.001, self.pour) if self.go else None

    def pause_writing(self):
        self.go = False

    def resume_writing(self):
        self.go = True
        self.pour()


async def ask_many(port, clients, pdu):
    """Requests per second, and the latencies (s)."""
    loop = asyncio.get_running_loop()
    lines = [(await loop.create_connection(Asker, HOST, port))[1] for _ in range(clients)]
    adu, latencies = frame(1, 1, pdu), []

    async def one(line):
        for _ in range(REQUESTS // clients):
            began = time.perf_counter()
            await line.ask(adu)
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(one(line) for line in lines))
    latencies.clear()
    began = time.perf_counter()
    await asyncio.gather(*(one(line) for line in lines))
    elapsed = time.perf_counter() - began
    for line in lines:
        line.transport.abort()
    await asyncio.sleep(0.01)
    return len(latencies) / elapsed, latencies


async def under_flood(port):
    """The p50 (s) of a client that asks 200 times while four others flood with pipelined requests.

    The bare server drops nearly all of these unanswered; the gateway answers every one.
    """
    loop = asyncio.get_running_loop()
    floods = [(await loop.create_connection(Flood, HOST, port)) for _ in range(4)]
    await asyncio.sleep(0.3)
    _, line = await loop.create_connection(Asker, HOST, port)
    latencies = []
    for _ in range(200):
        began = time.perf_counter()
        try:
            await asyncio.wait_for(line.ask(frame(1, 1, READ)), 5)
        except TimeoutError:
            break
        latencies.append(time.perf_counter() - began)
    line.transport.abort()
    for transport, _ in floods:
        transport.abort()
    await asyncio.sleep(0.05)
    return statistics.median(latencies) if latencies else float("inf")


async def bare_server():
    """pymodbus' own server with as many cells."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    bits = [SimData(0, values=[False] * 64, datatype=DataType.BITS)]
    words = [SimData(0, values=[0] * 125, datatype=DataType.REGISTERS)]
    server = ModbusTcpServer(SimDevice(id=1, simdata=(bits, bits, words, words)), address=(HOST, port))
    await server.serve_forever(background=True)
    return server, port


async def gateway(limits=LOOSE):
    """A substation with its controller and the engine on, after a second of its time."""
    kind = find_plant("substation")
    image = load_image(kind.image, include=(INTERFACES,))
    policy = load_policy(kind.image / "security.psl", image.catalogue, include=(kind.image,))
    twin = Twin(kind, image, policy, wire=TcpWire(limits=limits), seed=1, live=True)
    await twin.connect()
    twin.start()
    await twin.clock.advance(ns(1.0))
    return twin


def shown(rate, latencies):
    cuts = statistics.quantiles(latencies, n=100)
    return f"{rate:7,.0f}/s  p50 {cuts[49] * 1e6:5.0f} us  p99 {cuts[98] * 1e6:6.0f} us"


async def measure():
    """Everything that one event loop is asked for."""
    bare, bare_port = await bare_server()
    twin = await gateway()
    ports = {"bare pymodbus": bare_port, "gateway": twin.scada_endpoint.port}
    kinds = [
        ("read of 60 registers", READ),
        ("write of 0 to a coil", WRITE),
        ("a command, weighed and refused", COMMAND),
    ]
    for name, pdu in kinds:
        for clients in (1, 10):
            best = {}
            for _ in range(ROUNDS):
                for server, port in ports.items():
                    gc.collect()
                    measured = await ask_many(port, clients, pdu)
                    best[server] = max(best.get(server, (0.0, [])), measured, key=lambda each: each[0])
            for server, measured in best.items():
                print(f"  {name}, {clients:2} clients: {server:13} {shown(*measured)}")
            print(f"  {name}, {clients:2} clients: {best['gateway'][0] / best['bare pymodbus'][0]:.2f} of bare")
    for server, port in ports.items():
        print(f"  while 4 others flood: {server:13} p50 {await under_flood(port) * 1e6:7.0f} us")
    await twin.close()
    await bare.shutdown()
    limited = await gateway(ServerLimits(requests_per_s=200.0, burst=100))
    p50 = await under_flood(limited.scada_endpoint.port)
    print(f"  while 4 others flood: gateway, 200 requests/s each, p50 {p50 * 1e6:7.0f} us")
    await limited.close()


async def memory(count=400):
    """What an idle connection takes of the process's memory."""
    twin = await gateway()
    server: ModbusServer = twin.wire._servers[-1]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    lines = []
    for n in range(1, count + 1):
        lines.append(socket.create_connection((HOST, server.port)))
        while server.connections < n:
            await asyncio.sleep(0)
    idle = tracemalloc.get_traced_memory()[0] - before
    print(f"  memory per connection: {idle / count / 1024:.1f} KiB (with the client's socket object)")
    tracemalloc.stop()
    for line in lines:
        line.close()
    await twin.close()


def run() -> None:
    """Print the figures for each event loop that is installed."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    loops = {"asyncio": asyncio.new_event_loop}
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop

        loops["uvloop"] = uvloop.new_event_loop
    for name, make in loops.items():
        print(f"{name}:")
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(measure())
    with asyncio.Runner() as runner:
        runner.run(memory())
