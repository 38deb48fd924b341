"""The scenario's acts of one run, with the attack held back until the presenter starts it."""

from __future__ import annotations

from typing import Literal

from scenarios.player import Run
from twin.core import ns

Stage = Literal["none", "armed", "started"]


class Script:
    """Enters the acts of a run that was opened unarmed.

    The acts before the attacker's first one happen at their planned instants. That first act and everything after
    it wait for `start_attack`, and keep their distances from each other.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        first = next((number for number, act in enumerate(run.plan) if act.by == "attacker"), len(run.plan))
        self._before, self._held = run.plan[:first], run.plan[first:]
        self._orders: list[int] = []
        self.stage: Stage = "armed" if self._held else "none"
        self.end_ns: int | None = None if self._held else ns(run.duration_s)

    def enter(self) -> None:
        """Enter the acts before the attack; the run must be open."""
        self._orders = [self._run.enter(act, act.at_ns) for act in self._before]

    def start_attack(self, at_ns: int) -> None:
        """Let the attacker's first act happen at `at_ns`; earlier acts that have not happened yet are left out."""
        for order in self._orders:
            self._run.twin.clock.cancel(order)
        later_ns = at_ns - self._held[0].at_ns
        for act in self._held:
            self._run.enter(act, act.at_ns + later_ns)
        self.stage = "started"
        self.end_ns = self._held[-1].at_ns + later_ns + ns(self._run.scenario.settle_s)
