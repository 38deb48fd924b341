"""What every kind of action has in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from twin.fieldbus import Impairment, WireSide

By = Literal["operator", "attacker", "instructor"]


@dataclass(frozen=True)
class Act:
    """One thing done at one instant: seconds after the step began, and what `perform` needs (JSON-serialisable)."""

    after_s: float
    what: dict[str, Any]


class Stage(Protocol):
    """What an act may touch."""

    async def write(self, by: By, tag: str, value: float, *, label: str, safety: bool) -> None:
        """Write one point from the actor's own address, and note the answer."""

    def impair(self, name: str, wire: WireSide, impairment: Impairment) -> None:
        """Let something go wrong with a wire."""

    def mend(self, name: str) -> None:
        """End what goes wrong under a name."""

    def acknowledge(self, by: By, alarm: str) -> None:
        """Acknowledge an alarm in the control room."""

    def shelve(self, by: By, alarm: str, *, for_s: float, reason: str) -> None:
        """Take an alarm off the list in the control room for a time (s)."""


class StepBase(BaseModel):
    """One step of a scenario.

    Attributes:
        id: Name by which other steps refer to this one.
        by: Who does it; the instructor works no station, but makes things fail. No rule of a policy can know this.
        at_s: When it begins (s from the start); or with `after`, how long after that step's last act.
        after: The id of an earlier step.
        label: What is told about it, in a few words.
        safety: Whether it is a safety action, which is counted apart.
        technique: ATT&CK for ICS technique that it carries out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    perform: ClassVar[Any]
    over_wire: ClassVar[bool] = True
    """Whether it is done through a station on the SCADA side, and so feels what is wrong with that wire."""

    id: str = ""
    by: By
    at_s: float = Field(ge=0, le=31_536_000)
    after: str | None = None
    label: str = ""
    safety: bool = False
    technique: str | None = Field(default=None, pattern=r"^T\d{4}$")

    @abstractmethod
    def acts(self, parameters: Mapping[str, float], chance: np.random.Generator) -> list[Act]:
        """The step laid out in time; `chance` is the step's own random stream."""

    @abstractmethod
    def tags(self) -> list[str]:
        """The points that it writes, for checking against the plant's table."""

    def alarms(self) -> list[str]:
        """The alarms that it names, for checking against the plant's."""
        return []

    def parameters(self) -> list[str]:
        """The scenario parameters that it reads."""
        return []

    @model_validator(mode="after")
    def _attacker_is_no_safety(self) -> StepBase:
        if self.safety and self.by != "operator":
            raise ValueError(f"a safety action is the operator's, not the {self.by}'s")
        return self
