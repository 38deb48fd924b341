"""The reference monitor: one event in, one verdict out. The only place that decides."""

from __future__ import annotations

from typing import Any, Final

from secureos.policy import Engine, Event, Policy, Verdict

_NO_VERDICT: Final = "answered with something that is no verdict"


class SecurityModule:
    """The policy in force, and nothing that could be asked around it."""

    def __init__(self, policy: Policy) -> None:
        self._engine = Engine(policy)

    def decide(self, event: Event) -> Verdict:
        """The verdict on one event; whatever goes wrong while deciding is a refusal."""
        try:
            verdict = self._engine.decide(event)
        except Exception as failure:  # INVARIANT: an error while deciding never grants
            return _failed(f"failed while deciding: {failure}")
        return verdict if type(verdict) is Verdict and type(verdict.granted) is bool else _failed(_NO_VERDICT)

    def consider(self, event: Event) -> bool:
        """Whether the verdict would be to grant; nothing changes by asking."""
        try:
            verdict = self._engine.consider(event)
        except Exception:
            return False
        return type(verdict) is Verdict and verdict.granted is True

    @property
    def policy(self) -> Policy:
        """What is in force."""
        return self._engine.policy

    def swap(self, policy: Policy) -> None:
        """Put another policy in force; what both declare alike keeps its state."""
        self._engine.swap(policy)

    def snapshot(self) -> dict[str, Any]:
        """The state of all policy objects as plain values."""
        return self._engine.snapshot()

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self._engine.restore(state)


def _failed(how: str) -> Verdict:
    return Verdict(False, "engine", f"the security module {how}")
