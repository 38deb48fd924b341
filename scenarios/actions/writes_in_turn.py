"""`writes_in_turn`: one write after another, with pauses drawn at random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from scenarios.actions.step import Act, By, Stage, StepBase


class Step(StepBase):
    """Several writes, spaced.

    Attributes:
        points: The points, in order.
        value: Written to each, in engineering units.
        every_s: Shortest and longest pause between two writes (s), drawn uniformly.
        stretch: A scenario parameter (s); where it is above 0, it is the pause instead.
    """

    kind: Literal["writes_in_turn"] = "writes_in_turn"
    points: list[str] = Field(min_length=1, max_length=1000)
    value: float = 1
    every_s: tuple[float, float]
    stretch: str | None = None

    def acts(self, parameters: Mapping[str, float], chance: np.random.Generator) -> list[Act]:
        """One act per point."""
        fixed_s = parameters[self.stretch] if self.stretch else 0.0
        at_s, acts = 0.0, []
        for tag in self.points:
            acts.append(Act(at_s, {"tag": tag, "value": self.value}))
            pause_s = float(chance.uniform(*self.every_s))
            at_s += fixed_s if fixed_s > 0 else round(pause_s, 3)
        return acts

    def tags(self) -> list[str]:
        """All points, in order."""
        return list(self.points)

    def parameters(self) -> list[str]:
        """The parameter that stretches the pauses, if any."""
        return [self.stretch] if self.stretch else []

    @staticmethod
    async def perform(what: Mapping[str, Any], by: By, stage: Stage, *, label: str, safety: bool) -> None:
        """Carry one of the writes out."""
        await stage.write(by, what["tag"], what["value"], label=label, safety=safety)

    @model_validator(mode="after")
    def _pauses_are_a_range(self) -> Step:
        if not 0 <= self.every_s[0] <= self.every_s[1] <= 31_536_000:
            raise ValueError(f"every_s must be two rising seconds of at most a year, not {list(self.every_s)}")
        return self
