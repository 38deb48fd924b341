"""One alarm and the states it goes through (ISA-18.2-2016, clause 5.4 and figure 3; OPC UA part 9 has the same).

Three overlays take an alarm off the list whatever the process does: shelved (by an operator, for a time, with a
reason), suppressed by design (by the plant's logic) and out of service (for maintenance). An alarm under an overlay
is normal as far as anyone has to answer it; when the last overlay goes and the condition still holds, it is raised
anew.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from twin.fieldbus import Value
from twin.scada.condition import Condition
from twin.scada.definitions import AlarmDefinition

State = Literal[
    "normal",
    "unacknowledged",
    "acknowledged",
    "returned_unacknowledged",
    "latched_unacknowledged",
    "latched_acknowledged",
]
Overlay = Literal["shelved", "suppressed", "out_of_service"]
What = Literal[
    "raised",
    "returned",
    "acknowledged",
    "reset",
    "shelved",
    "unshelved",
    "suppressed",
    "unsuppressed",
    "out_of_service",
    "in_service",
]

# What each happening makes of each state; a state that is missing stays as it is.
_RAISED: Final[dict[State, State]] = {
    "normal": "unacknowledged",
    "returned_unacknowledged": "unacknowledged",
    "latched_unacknowledged": "unacknowledged",
    "latched_acknowledged": "unacknowledged",
}
_RETURNED: Final[dict[State, State]] = {"unacknowledged": "returned_unacknowledged", "acknowledged": "normal"}
_RETURNED_LATCHED: Final[dict[State, State]] = {
    "unacknowledged": "latched_unacknowledged",
    "acknowledged": "latched_acknowledged",
}
_ACKNOWLEDGED: Final[dict[State, State]] = {
    "unacknowledged": "acknowledged",
    "returned_unacknowledged": "normal",
    "latched_unacknowledged": "latched_acknowledged",
}
_RESET: Final[dict[State, State]] = {"latched_acknowledged": "normal"}


@dataclass(frozen=True)
class Cover:
    """An overlay that lies on an alarm: who put it there (empty for the plant's logic), why, and until when."""

    by: str = ""
    reason: str = ""
    until_ns: int | None = None


@dataclass(slots=True)
class Alarm:
    """One alarm as it stands.

    Attributes:
        definition: What it is.
        condition: Whether the process is beyond its limit.
        state: What is asked of the operator.
        covers: The overlays that lie on it.
        first_out: Whether it was the first of its group to come, as long as the group is not all normal.
        raised_ns: When it was raised last; None before that.
        value: What its point showed last.
    """

    definition: AlarmDefinition
    condition: Condition = field(default_factory=Condition)
    state: State = "normal"
    covers: dict[Overlay, Cover] = field(default_factory=dict)
    first_out: bool = False
    raised_ns: int | None = None
    value: Value | None = None

    @property
    def unacknowledged(self) -> bool:
        """Whether it waits to be acknowledged."""
        return self.state in _ACKNOWLEDGED

    def follow(self, at_ns: int) -> What | None:
        """Follow the condition; what has come of it, or None when nothing has."""
        if self.covers:
            return None
        if self.condition.active:
            if not self._go(_RAISED):
                return None
            self.raised_ns = at_ns
            return "raised"
        return "returned" if self._go(_RETURNED_LATCHED if self.definition.latched else _RETURNED) else None

    def acknowledge(self) -> bool:
        """Acknowledge it; whether there was anything to acknowledge."""
        return self._go(_ACKNOWLEDGED)

    def reset(self) -> bool:
        """Let a latched alarm go that is acknowledged and whose condition is gone; whether it was one."""
        return self._go(_RESET)

    def cover(self, overlay: Overlay, cover: Cover) -> None:
        """Lay an overlay on it, or renew it."""
        self.covers[overlay] = cover
        self.state = "normal"

    def uncover(self, overlay: Overlay) -> bool:
        """Take an overlay away; whether it was there."""
        return self.covers.pop(overlay, None) is not None

    def as_values(self) -> dict[str, Any]:
        """All but the definition, as plain values."""
        return {
            "condition": asdict(self.condition),
            "state": self.state,
            "covers": {name: [cover.by, cover.reason, cover.until_ns] for name, cover in self.covers.items()},
            "first_out": self.first_out,
            "raised_ns": self.raised_ns,
            "value": self.value,
        }

    def take(self, values: dict[str, Any]) -> None:
        """Take over what `as_values` gave."""
        self.condition = Condition(**values["condition"])
        self.state = values["state"]
        self.covers = {name: Cover(*cover) for name, cover in values["covers"].items()}
        self.first_out, self.raised_ns, self.value = values["first_out"], values["raised_ns"], values["value"]

    def _go(self, table: dict[State, State]) -> bool:
        if self.state not in table:
            return False
        self.state = table[self.state]
        return True
