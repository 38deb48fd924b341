"""`impair`: something goes wrong with a wire, for a while or until it is mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from scenarios.actions.step import Act, By, Stage, StepBase
from twin.fieldbus import Impairment, WireSide


class Step(StepBase):
    """One malfunction of a wire; its effects may be combined.

    Attributes:
        name: By which a later `mend` refers to it.
        wire: `scada`, between supervision and controller, or `field`, between controller and plant.
        for_s: How long it lasts (s); left out, until it is mended or the run ends.
        latency_s, jitter_s, loss, reorder, reorder_s, partition, bandwidth_bit_s: What goes wrong, as
            `twin.fieldbus.Impairment` has it.
    """

    kind: Literal["impair"] = "impair"
    over_wire: ClassVar[bool] = False
    name: str = Field(min_length=1, max_length=80)
    wire: WireSide
    for_s: float | None = Field(default=None, gt=0, le=31_536_000)
    latency_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.0
    partition: bool = False
    bandwidth_bit_s: float | None = None

    @property
    def impairment(self) -> Impairment:
        """What goes wrong.

        Raises:
            ValueError: A value is out of its range, or nothing goes wrong.
        """
        return Impairment(
            latency_s=self.latency_s,
            jitter_s=self.jitter_s,
            loss=self.loss,
            reorder=self.reorder,
            reorder_s=self.reorder_s,
            partition=self.partition,
            bandwidth_bit_s=self.bandwidth_bit_s,
        )

    def acts(self, parameters: Mapping[str, float], chance: np.random.Generator) -> list[Act]:  # noqa: ARG002
        """Its beginning, and its end if it has one of its own."""
        what = {"name": self.name, "wire": self.wire, "impairment": asdict(self.impairment)}
        ends = [] if self.for_s is None else [Act(self.for_s, {"name": self.name, "wire": self.wire})]
        return [Act(0.0, what), *ends]

    def tags(self) -> list[str]:
        """None: it writes nothing."""
        return []

    @staticmethod
    async def perform(what: Mapping[str, Any], by: By, stage: Stage, *, label: str, safety: bool) -> None:  # noqa: ARG004
        """Begin it, or end it."""
        if "impairment" in what:
            stage.impair(what["name"], what["wire"], Impairment(**what["impairment"]))
        else:
            stage.mend(what["name"])

    @model_validator(mode="after")
    def _something_goes_wrong(self) -> Step:
        _ = self.impairment
        return self
