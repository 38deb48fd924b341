"""The scenario's acts of one run, with the attack held back until the presenter starts it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from scenarios.player import Planned, Run
from twin.core import Phase, ns

Stage = Literal["none", "armed", "started"]


class Script:
    """Takes the plan out of a run that is not open yet, and enters the acts into its clock itself.

    The acts before the attacker's first one happen at their planned instants. That first act and everything after
    it wait for `start_attack`, and keep their distances from each other.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        whole_ns = ns(run.duration_s)
        acts, run.plan = run.plan, []
        first = next((number for number, act in enumerate(acts) if act.by == "attacker"), len(acts))
        self._before, self._held = acts[:first], acts[first:]
        self._orders: list[int] = []
        self.stage: Stage = "armed" if self._held else "none"
        self.end_ns: int | None = None if self._held else whole_ns

    def enter(self) -> None:
        """Enter the acts before the attack; the run must be open."""
        self._orders = [self._enter(act, act.at_ns) for act in self._before]

    def start_attack(self, at_ns: int) -> None:
        """Let the attacker's first act happen at `at_ns`; earlier acts that have not happened yet are left out."""
        for order in self._orders:
            self._run.twin.clock.cancel(order)
        later_ns = at_ns - self._held[0].at_ns
        for act in self._held:
            self._enter(act, act.at_ns + later_ns)
        self.stage = "started"
        self.end_ns = self._held[-1].at_ns + later_ns + ns(self._run.scenario.settle_s)

    def _enter(self, act: Planned, at_ns: int) -> int:
        return self._run.twin.clock.at(at_ns, "scenario.act", asdict(act), phase=Phase.CLIENT)
