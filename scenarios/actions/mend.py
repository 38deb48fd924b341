"""`mend`: what was impaired before is mended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from scenarios.actions.step import Act, By, Stage, StepBase


class Step(StepBase):
    """The end of a malfunction.

    Attributes:
        name: The name under which an `impair` began it; where it is over already, nothing happens.
    """

    kind: Literal["mend"] = "mend"
    over_wire: ClassVar[bool] = False
    name: str

    def acts(self, parameters: Mapping[str, float], chance: np.random.Generator) -> list[Act]:  # noqa: ARG002
        """One act, at the step's beginning."""
        return [Act(0.0, {"name": self.name})]

    def tags(self) -> list[str]:
        """None: it writes nothing."""
        return []

    @staticmethod
    async def perform(what: Mapping[str, Any], by: By, stage: Stage, *, label: str, safety: bool) -> None:  # noqa: ARG004
        """End it."""
        stage.mend(what["name"])
