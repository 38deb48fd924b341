"""`write`: one write of one point, over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from scenarios.actions.step import Act, By, Stage, StepBase


class Step(StepBase):
    """One write.

    Attributes:
        tag: The point.
        value: In engineering units; 1 for a command.
    """

    kind: Literal["write"] = "write"
    tag: str
    value: float = 1

    def acts(self, parameters: Mapping[str, float], chance: np.random.Generator) -> list[Act]:  # noqa: ARG002
        """One act, at the step's beginning."""
        return [Act(0.0, {"tag": self.tag, "value": self.value})]

    def tags(self) -> list[str]:
        """The one point."""
        return [self.tag]

    @staticmethod
    async def perform(what: Mapping[str, Any], by: By, stage: Stage, *, label: str, safety: bool) -> None:
        """Carry it out."""
        await stage.write(by, what["tag"], what["value"], label=label, safety=safety)
