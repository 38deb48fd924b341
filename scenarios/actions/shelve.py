"""`shelve`: alarms are taken off the operator's list for a time, for a reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from scenarios.actions.step import Act, By, Stage, StepBase
from twin.scada import LONGEST_SHELVED_S


class Step(StepBase):
    """Some alarms, all at once.

    Attributes:
        alarm: Their names, e.g. `F1.closed.off`.
        for_s: For how long (s), at most 12 hours.
        reason: Why; it stands in the journal.
    """

    kind: Literal["shelve"] = "shelve"
    over_wire: ClassVar[bool] = False
    alarm: list[str] = Field(min_length=1, max_length=1000)
    for_s: float = Field(gt=0, le=LONGEST_SHELVED_S)
    reason: str = Field(pattern=r"\S")

    def acts(self, parameters: Mapping[str, float], chance: np.random.Generator) -> list[Act]:  # noqa: ARG002
        """One act per alarm, at the step's beginning."""
        return [Act(0.0, {"alarm": name, "for_s": self.for_s, "reason": self.reason}) for name in self.alarm]

    def tags(self) -> list[str]:
        """None: it writes nothing."""
        return []

    def alarms(self) -> list[str]:
        """All of them."""
        return list(self.alarm)

    @staticmethod
    async def perform(what: Mapping[str, Any], by: By, stage: Stage, *, label: str, safety: bool) -> None:  # noqa: ARG004
        """Shelve one of them."""
        stage.shelve(by, what["alarm"], for_s=what["for_s"], reason=what["reason"])
