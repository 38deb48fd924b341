"""The pacer: the same simulated time against the wall clock, or as fast as the machine allows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from twin.core.clock import NS_PER_S, Clock

MIN_SPEED: Final = 0.1
MAX_SPEED: Final = 100.0

_SLICE_WALL_S: Final = 0.05  # longest nap: how soon a freeze, a step or a new speed is noticed


class Pacer:
    """Steps several clocks to the same instant; freeze, run, step, speed.

    Attributes:
        speed: Simulated seconds per wall second (0.1 to 100), or None for as fast as possible.
        behind_s: By how many wall seconds the machine lags behind the speed asked for; 0 when it keeps up.
    """

    def __init__(
        self,
        clocks: Sequence[Clock],
        *,
        speed: float | None = None,
        frozen: bool = False,
        on_instant: Callable[[int], None] | None = None,
    ) -> None:
        if not clocks:
            raise ValueError("a pacer needs at least one clock")
        self._clocks = tuple(clocks)
        self._on_instant = on_instant
        self._frozen = frozen
        self._stopping = False
        self._step_to_ns: int | None = None
        self.behind_s = 0.0
        self.speed: float | None = None
        self.set_speed(speed)

    @property
    def now_ns(self) -> int:
        """The instant that all clocks have reached."""
        return min(clock.now_ns for clock in self._clocks)

    @property
    def frozen(self) -> bool:
        """Whether simulated time stands still."""
        return self._frozen

    def freeze(self) -> None:
        """Let simulated time stand still from the next instant on."""
        self._frozen = True

    def run_on(self) -> None:
        """Let simulated time go on after a freeze."""
        self._frozen = False
        self._rebase()

    def step(self, step_ns: int) -> None:
        """Do `step_ns` of simulated time, then freeze."""
        if step_ns <= 0:
            raise ValueError(f"a step must be positive, not {step_ns} ns")
        self._step_to_ns = self.now_ns + step_ns
        self._frozen = True

    def set_speed(self, speed: float | None) -> None:
        """Change the speed (simulated s per wall s); None is as fast as possible.

        Raises:
            ValueError: The speed is outside 0.1 to 100.
        """
        if speed is not None and not MIN_SPEED <= speed <= MAX_SPEED:
            raise ValueError(f"speed {speed:g} is outside {MIN_SPEED:g} to {MAX_SPEED:g}; leave it out for full speed")
        self.speed = speed
        self._rebase()

    def stop(self) -> None:
        """Make `run` return after the instant under way."""
        self._stopping = True

    async def run(self, until_ns: int) -> None:
        """Advance every clock to `until_ns`, instant by instant, at the speed asked for."""
        self._stopping = False
        self._rebase()
        while not self._stopping:
            if self._frozen and self._step_to_ns is None:
                await asyncio.sleep(_SLICE_WALL_S)
                continue
            due_ns = self._next_instant(until_ns)
            if self._step_to_ns is not None and due_ns >= self._step_to_ns:
                await self._advance(self._step_to_ns)
                self._step_to_ns = None
                if self.now_ns >= until_ns:
                    return
                continue
            if self._step_to_ns is None and not await self._nap_until(due_ns):
                continue
            await self._advance(due_ns)
            if due_ns >= until_ns:
                return

    def _next_instant(self, until_ns: int) -> int:
        due = [at for clock in self._clocks if (at := clock.peek_ns()) is not None]
        return min([*due, until_ns])

    async def _advance(self, due_ns: int) -> None:
        for clock in self._clocks:
            await clock.advance(due_ns)
        if self._on_instant is not None:
            self._on_instant(due_ns)
        await asyncio.sleep(0)  # foreign clients and the pages are served between two instants

    def _rebase(self) -> None:
        self._wall0 = time.monotonic()
        self._sim0_ns = self.now_ns
        self.behind_s = 0.0

    async def _nap_until(self, due_ns: int) -> bool:
        """Sleep towards `due_ns`; False when something may have changed before it is time."""
        if self.speed is None:
            return True
        wait_s = self._wall0 + (due_ns - self._sim0_ns) / NS_PER_S / self.speed - time.monotonic()
        self.behind_s = max(0.0, -wait_s)
        if wait_s <= 0:
            return True
        await asyncio.sleep(min(wait_s, _SLICE_WALL_S))
        return wait_s <= _SLICE_WALL_S
