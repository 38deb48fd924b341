"""The reference monitor: one event in, one verdict out. The only place that decides."""

from __future__ import annotations

from typing import Any

from secureos.policy import Engine, Event, Policy, Verdict


class SecurityModule:
    """The policy in force, and nothing that could be asked around it."""

    def __init__(self, policy: Policy) -> None:
        self._engine = Engine(policy)

    def decide(self, event: Event) -> Verdict:
        """The verdict on one event; whatever goes wrong while deciding is a refusal."""
        try:
            return self._engine.decide(event)
        except Exception as failure:  # INVARIANT: an error while deciding never grants
            return Verdict(False, "engine", f"the security module failed while deciding: {failure}", ())

    def swap(self, policy: Policy) -> None:
        """Put another policy in force; what both declare alike keeps its state."""
        self._engine.swap(policy)

    def snapshot(self) -> dict[str, Any]:
        """The state of all policy objects as plain values."""
        return self._engine.snapshot()

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self._engine.restore(state)
