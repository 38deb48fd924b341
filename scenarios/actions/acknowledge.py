"""`acknowledge`: alarms are acknowledged in the control room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from scenarios.actions.step import Act, By, Stage, StepBase


class Step(StepBase):
    """Some alarms, all at once; one that does not wait for it is passed over.

    Attributes:
        alarm: Their names, e.g. `F1.closed.off`.
    """

    kind: Literal["acknowledge"] = "acknowledge"
    over_wire: ClassVar[bool] = False
    alarm: list[str] = Field(min_length=1, max_length=1000)

    def acts(self, parameters: Mapping[str, float], chance: np.random.Generator) -> list[Act]:  # noqa: ARG002
        """One act per alarm, at the step's beginning."""
        return [Act(0.0, {"alarm": name}) for name in self.alarm]

    def tags(self) -> list[str]:
        """None: it writes nothing."""
        return []

    def alarms(self) -> list[str]:
        """All of them."""
        return list(self.alarm)

    @staticmethod
    async def perform(what: Mapping[str, Any], by: By, stage: Stage, *, label: str, safety: bool) -> None:  # noqa: ARG004
        """Acknowledge one of them."""
        stage.acknowledge(by, what["alarm"])
