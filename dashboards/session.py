"""The live session: the same scenario under both policies, side by side on one pacer."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, Literal

from dashboards.orders import Order
from dashboards.side import Point, Side, SideName
from dashboards.substation import start_of_day_s
from scenarios.player import Run, RunSettings, WireName
from scenarios.schema import Scenario
from twin.core import NS_PER_S, Pacer, PlantError, ns

POLICIES: Final[dict[SideName, str]] = {"left": "permissive", "right": "enforcing"}

STEP_NS: Final = NS_PER_S
"""One step: long enough that the operator station polls once."""

ATTACK_DELAY_S: Final = 3
_READ_EVERY_WALL_S: Final = 0.1
_PACE_WINDOW_WALL_S: Final = 2.0
_FOREVER_NS: Final = 10 * 366 * 86_400 * NS_PER_S

Stage = Literal["running", "frozen", "ended"]


@dataclass(frozen=True)
class SessionBrief:
    """What is played and how it begins.

    Attributes:
        scenario: What is played on both sides.
        seed: For every random stream of both sides.
        speed: Simulated seconds per wall second at the start (0.1 to 100).
        wire: Real TCP sockets, or the same PDUs in memory.
    """

    scenario: Scenario
    seed: int = 1
    speed: float = 4.0
    wire: WireName = "tcp"


@dataclass(frozen=True)
class State:
    """What a page is to show at one instant.

    Attributes:
        run: Counts restarts, so that no page mixes two runs.
        at_s: Simulated time (s).
        values: Everything by name; names of one side begin with `left.` or `right.`.
        trend: New points of the load trend, by side.
        obeyed: How many orders were carried out so far.
    """

    run: int
    at_s: float
    values: dict[str, Any]
    trend: dict[SideName, list[Point]]
    obeyed: int


class Session:
    """Both twins, stepped to the same instants; obeys orders and tells its state.

    Raises:
        PlantError: There is no live page for the scenario's plant.
    """

    def __init__(self, brief: SessionBrief) -> None:
        if brief.scenario.plant != "substation":
            raise PlantError(f"there is no live page for the plant `{brief.scenario.plant}` yet; there is: substation")
        self.brief = brief
        self.run_number = 0
        self.sides: dict[SideName, Side]
        self.pacer: Pacer
        self._start_of_day_s = start_of_day_s(brief.scenario.settings)
        self._speed: float | None = brief.speed
        self._obeyed = 0
        self._still_frozen = False
        self._going_on = True

    async def open(self) -> None:
        """Build and connect both twins at the start of the scenario.

        Raises:
            PolicyError, ImageError: The plant's image or a policy is wrong.
            FieldbusError: A twin could not be connected.
        """
        brief = self.brief
        sides: dict[SideName, Side] = {
            side: Side(Run(brief.scenario, RunSettings(policy=policy, wire=brief.wire, seed=brief.seed)))
            for side, policy in POLICIES.items()
        }
        for side in sides.values():
            await side.open()
        self._take(sides)

    async def close(self) -> None:
        """Close both twins."""
        for side in self.sides.values():
            await side.run.close()

    async def run(self) -> None:
        """Go on until `stop`, again from the start after each `restart`; the session must be open."""
        while True:
            await self.pacer.run(_FOREVER_NS)
            if not self._going_on:
                return
            await self.close()
            await self.open()

    def stop(self) -> None:
        """Make `run` return after the instant under way."""
        self._going_on = False
        self.pacer.stop()

    def obey(self, order: Order) -> None:
        """Carry an order out; one that makes no sense now (a second attack) changes nothing."""
        self._obeyed += 1
        if order.verb == "run":
            self.pacer.run_on()
        elif order.verb == "freeze":
            self.pacer.freeze()
        elif order.verb == "step":
            self.pacer.step(STEP_NS)
        elif order.verb == "speed":
            self._speed = order.speed
            self.pacer.set_speed(order.speed)
        elif order.verb == "restart":
            self.pacer.stop()
        else:
            self._start_attack()

    def state(self) -> State:
        """What a page is to show now."""
        # Frozen for two calls in a row, the instant that was under way is over, and what it left can be read.
        if self.pacer.frozen and self._still_frozen and self._unread:
            self._read()
        self._still_frozen = self.pacer.frozen
        at_s = self.pacer.now_ns / NS_PER_S
        values = self._run_values(at_s)
        for name, side in self.sides.items():
            values |= {f"{name}.{key}": value for key, value in side.values.items()}
        trend = {name: side.take_trend() for name, side in self.sides.items()}
        return State(self.run_number, at_s, values, trend, self._obeyed)

    def _take(self, sides: dict[SideName, Side]) -> None:
        """Make these the sides of the session, all at once: `state` may be asked for between any two awaits."""
        self.run_number += 1
        self.sides = sides
        self._clocks = [side.run.twin.clock for side in sides.values()]
        self.pacer = Pacer(self._clocks, speed=self._speed, on_instant=self._after_instant)
        self._ended = False
        self._identical_until_s: float | None = None
        self._differ = False
        self._still_frozen = False
        self._pace: deque[tuple[float, float]] = deque()
        self._read()

    def _start_attack(self) -> None:
        if any(side.script.stage != "armed" for side in self.sides.values()):
            return
        # One of the clocks may be an instant ahead: both sides are attacked at the same whole second.
        latest_s = max(clock.now_ns for clock in self._clocks) // NS_PER_S
        for side in self.sides.values():
            side.script.start_attack(ns(latest_s + 1 + ATTACK_DELAY_S))

    def _after_instant(self, at_ns: int) -> None:
        """Both clocks stand at the same instant: compare, read, and stop at the scenario's end."""
        self._compare(at_ns)
        self._unread = True
        if time.monotonic() - self._read_at_wall_s >= _READ_EVERY_WALL_S:
            self._read()
        end_ns = self.sides["left"].script.end_ns
        if end_ns is not None and at_ns >= end_ns and not self._ended:
            self._ended = True
            self.pacer.freeze()

    def _compare(self, at_ns: int) -> None:
        if self._differ:
            return
        one, other = (side.run.twin.recorder for side in self.sides.values())
        if (one.count, one.sha256) == (other.count, other.sha256):
            self._identical_until_s = at_ns / NS_PER_S
        else:
            self._differ = True

    def _read(self) -> None:
        for side in self.sides.values():
            side.read()
        self._unread = False
        self._read_at_wall_s = time.monotonic()

    def _run_values(self, at_s: float) -> dict[str, Any]:
        stage: Stage = "running" if not self.pacer.frozen else "ended" if self._ended else "frozen"
        script = self.sides["left"].script
        return {
            "run.stage": stage,
            "run.speed": self.pacer.speed,
            "run.pace": self._measured_pace(at_s),
            "run.start_of_day_s": self._start_of_day_s,
            "run.attack": script.stage,
            "run.title": self.brief.scenario.title,
            "run.seed": self.brief.seed,
            "run.wire": self.brief.wire,
            "run.identical_until_s": self._identical_until_s,
            "run.differ": self._differ,
        }

    def _measured_pace(self, at_s: float) -> float | None:
        """Simulated seconds per wall second over the last two wall seconds (0.1 steps); None while frozen."""
        if self.pacer.frozen:
            self._pace.clear()
            return None
        now_s = time.monotonic()
        self._pace.append((now_s, at_s))
        while now_s - self._pace[0][0] > _PACE_WINDOW_WALL_S:
            self._pace.popleft()
        (first_wall_s, first_s) = self._pace[0]
        span_s = now_s - first_wall_s
        return round((at_s - first_s) / span_s, 1) if span_s > _PACE_WINDOW_WALL_S / 2 else None
