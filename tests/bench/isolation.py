"""One call into an isolated task beside one in process, and the closed loop with isolation on."""

from __future__ import annotations

import asyncio
import time

from scenarios import RunSettings, find_scenario
from scenarios.player import Run
from secureos.kernel import Request
from secureos.kernel.isolation import IsolatedProgram, Nursery, missing
from secureos.kernel.quota import Quota
from tests.secureos.kernel.isolation.conftest import NotingSystem
from tests.secureos.kernel.isolation.programs import Honest

CALLS = 5_000
SECONDS = 30.0
ROUNDS = 3
BUILDER = "tests.secureos.kernel.isolation.programs:honest"
REQUEST = Request("end", "Echo", {"cells": list(range(64))})


def run() -> None:
    """Print start-up time, round trips and simulated seconds per wall second."""
    lacking = missing()
    if lacking:
        print("isolation is missing:", *lacking, sep="\n  ")
        return
    _round_trips()
    _closed_loop()


def _round_trips() -> None:
    with Nursery() as nursery:
        began = time.perf_counter()
        far = _started(nursery)
        first_s = time.perf_counter() - began
        began = time.perf_counter()
        second = _started(nursery)
        further_s = time.perf_counter() - began
        print(f"start of the first task {first_s * 1e3:.0f} ms, of a further one {further_s * 1e3:.0f} ms")
        second.close()
        near = Honest(None)
        for name, program in (("in process", near), ("isolated", far)):
            p50, p99 = _quantiles(program)
            print(f"{name:11} serve, 64 numbers there and back: p50 {p50:8.1f} us, p99 {p99:8.1f} us")
        far.close()


def _started(nursery) -> IsolatedProgram:
    program = IsolatedProgram(nursery, BUILDER, quota=Quota())
    program.start(NotingSystem())
    return program


def _quantiles(program) -> tuple[float, float]:
    took = []
    for _ in range(CALLS):
        began = time.perf_counter()
        program.serve(REQUEST)
        took.append((time.perf_counter() - began) * 1e6)
    took.sort()
    return took[CALLS // 2], took[CALLS * 99 // 100]


def _closed_loop() -> None:
    scenario = find_scenario("substation/mass-open").scenario
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for isolation in ("none", "process"):
            speed = asyncio.run(_speed(scenario, RunSettings(isolation=isolation)))
            best[isolation] = max(best.get(isolation, 0.0), speed)
    for isolation, speed in best.items():
        print(f"closed loop over tcp, isolation {isolation:7} {speed:8.1f} simulated s per wall s (best of {ROUNDS})")
    print(f"isolation makes a run {best['none'] / best['process']:.1f} times as long")


async def _speed(scenario, settings) -> float:
    played = Run(scenario, settings)
    try:
        await played.open()
        await played.advance(5.0)
        began = time.perf_counter()
        await played.advance(5.0 + SECONDS)
        return SECONDS / (time.perf_counter() - began)
    finally:
        await played.close()
