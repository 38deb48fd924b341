"""A mediated call between two tasks beside a plain method call, and what the engine adds to a controller's scan.

`Unchecked` is a kernel without copies, structure checks and verdicts. It is here to be measured against, and nowhere
else.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import statistics
import tempfile
import time
from array import array
from pathlib import Path

from secureos.kernel import Answer, Kernel, Reply, Request, ReturnCode, load_image
from secureos.policy import load_policy
from tests.bench.policy_decisions import pin

CALLS, ROUNDS, SINGLES = 2_000, 15, 4_000
SCANS, SCAN_ROUNDS = 100, 40
FILES = {
    "init.yaml": "entities:\n  - {name: Server}\n  - {name: Client, connections: [{target: Server, id: server}]}\n",
    "Server.edl": "entity Server\nendpoints { door : Door }\n",
    "Client.edl": "entity Client\n",
    "Door.idl": "package Door\ninterface {\n  Set(in UInt8 number, in SInt32 value, out UInt32 count);\n"
    "  Image(out sequence<UInt16, 4096> cells);\n}\n",
    "door.psl": "execute: kl.core.Execute\nuse EDL kl.core.Core\nuse EDL Einit\nuse EDL Server\nuse EDL Client\n"
    "execute { grant () }\nrequest src=Client dst=Server { grant () }\nresponse src=Server dst=Client { grant () }\n",
}


class Clock:
    now_ns = 0


class Server:
    def __init__(self):
        self.count, self.cells = 0, array("H", bytes(400))

    def start(self, system):
        self.system = system

    def serve(self, request):
        if request.method == "Image":
            return Reply({"cells": self.cells})
        self.count += 1
        return Reply({"count": self.count})


class Client(Server):
    pass


class Unchecked(Kernel):
    """The same way through the kernel: nothing is copied, checked, asked or counted."""

    def _exchange(self, caller, server, endpoint, method, fields):
        work = self._work(server, self._chain)
        reply = self.within(server, work, server.program.serve, Request(endpoint, method, fields))
        return Answer(ReturnCode.OK, reply.fields, reply.error)


def run():
    """Print what one call takes, and what a scan takes more under the enforcing policy."""
    pin()
    calls()
    scans()


def calls():
    """One call, by several ways, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        whole, bare = booted(Kernel, Path(folder)), booted(Unchecked, Path(folder))
    server, asked = Server(), {"number": 3, "value": 4711}
    request = Request("door", "Set", asked)
    ways = {
        "plain Python method": lambda: server.serve(request),
        "kernel without checks": lambda: bare("server", "door", "Set", asked),
        "mediated call": lambda: whole("server", "door", "Set", asked),
        "mediated call, 400 bytes back": lambda: whole("server", "door", "Image"),
    }
    times = {name: [] for name in ways}
    with quiet():
        for _ in range(ROUNDS):  # in turn, so that a noisy moment hits all alike
            for name, way in ways.items():
                times[name].append(timed(way))
        singles = {name: single(way) for name, way in ways.items()}
    floor, middle = (statistics.median(times[name]) for name in ("plain Python method", "kernel without checks"))
    for name, rounds in times.items():
        one, (half, most) = statistics.median(rounds), singles[name]
        ratios = f"{one / floor:6.1f} times the method,{one / middle:6.2f} times without checks"
        print(
            f"{name:30}{one:8.0f} ns (best {min(rounds):.0f}), {ratios}; p50 {half:.0f}, p99 {most:.0f} ns with timer"
        )


def booted(kind, folder):
    for name, text in FILES.items():
        (folder / name).write_text(text)
    image, client = load_image(folder), Client()
    kernel = kind(image, load_policy(folder / "door.psl", image.catalogue), Clock())
    kernel.boot({"Server": Server, "Client": lambda: client})
    assert client.system.call("server", "door", "Set", {"number": 1, "value": 2}).fields == {"count": 1}
    return client.system.call


def timed(way):
    began = time.thread_time_ns()
    for _ in range(CALLS):
        way()
    return (time.thread_time_ns() - began) / CALLS


def single(way):
    found = []
    for _ in range(SINGLES):
        began = time.perf_counter_ns()
        way()
        found.append(time.perf_counter_ns() - began)
    cuts = statistics.quantiles(found, n=100)
    return cuts[49], cuts[98]


@contextlib.contextmanager
def quiet():
    """No collection of garbage meanwhile."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def scans():
    """A scan of the substation's controller under both policies, in turn."""
    asyncio.run(_scans())


async def _scans():
    from scenarios import RunSettings, find_scenario
    from scenarios.player import Run

    scenario = find_scenario("substation/mass-open").scenario
    runs = {policy: Run(scenario, RunSettings(policy=policy, wire="memory")) for policy in ("permissive", "enforcing")}
    for run in runs.values():
        await run.open(armed=False)
        await run.advance(5.0)
    times = {policy: [] for policy in runs}
    now = next(iter(runs.values())).twin.clock.now_ns
    with quiet():
        for number in range(SCAN_ROUNDS):
            for policy in sorted(runs, reverse=number % 2 == 1):
                times[policy].append(await scanned(runs[policy].twin.controller))
    for run in runs.values():
        assert run.twin.clock.now_ns == now
        assert run.twin.controller.kernel.restarts == 0
        await run.close()
    each = {policy: statistics.median(rounds) / 1000 for policy, rounds in times.items()}
    pairs = [one / other for one, other in zip(times["enforcing"], times["permissive"], strict=True)]
    print(f"a scan: permissive {each['permissive']:.0f} µs, enforcing {each['enforcing']:.0f} µs, in the middle")
    best = min(times["enforcing"]) / min(times["permissive"])
    print(f"enforcing takes {statistics.median(pairs) - 1:+.1%} (middle of the pairs), {best - 1:+.1%} (best of each)")


async def scanned(controller):
    began = time.thread_time_ns()
    for _ in range(SCANS):
        await controller.scan()
    return (time.thread_time_ns() - began) / SCANS


if __name__ == "__main__":
    run()
