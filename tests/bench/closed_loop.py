"""The whole closed loop: plant, field wire, controller with the engine on, gateway, operator's polls; 100 ms scan."""

from __future__ import annotations

import asyncio
import time

from scenarios import RunSettings, find_scenario
from scenarios.player import Run

SECONDS = {"memory": 120.0, "tcp": 60.0}
ROUNDS = 3


def run() -> None:
    """Print simulated seconds per wall second over both wires and under both policies."""
    scenario = find_scenario("substation/mass-open").scenario
    best: dict[tuple[str, str], float] = {}
    for _ in range(ROUNDS):  # interleaved, so that a noisy moment hits all alike
        for wire in ("memory", "tcp"):
            for policy in ("permissive", "enforcing"):
                speed = asyncio.run(_speed(scenario, RunSettings(policy=policy, wire=wire)))
                best[wire, policy] = max(best.get((wire, policy), 0.0), speed)
    for (wire, policy), speed in best.items():
        print(f"{wire:7} {policy:11} {speed:8.0f} simulated s per wall s (best of {ROUNDS})")
    for wire in ("memory", "tcp"):
        print(f"{wire:7} enforcing takes {best[wire, 'permissive'] / best[wire, 'enforcing'] - 1:+.1%} over permissive")


async def _speed(scenario, settings) -> float:
    played = Run(scenario, settings)
    try:
        await played.open()
        await played.advance(5.0)
        started = time.perf_counter()
        await played.advance(5.0 + SECONDS[settings.wire])
        return SECONDS[settings.wire] / (time.perf_counter() - started)
    finally:
        await played.close()
