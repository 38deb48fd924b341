"""Whether what an alarm watches for is the case: limit, dead-band and delays (ISA-18.2-2016, clause 11)."""

from __future__ import annotations

from dataclasses import dataclass

from twin.fieldbus import Value
from twin.scada.definitions import AlarmDefinition


@dataclass(slots=True)
class Condition:
    """The condition of one alarm, from the values of its point as they come.

    Attributes:
        active: Whether the condition holds, delays counted.
        since_ns: Since when the values have said otherwise, while a delay runs; else None.
        began_ns: When the values first said so, before any delay; None while not active.
        settled: Whether the last value agreed with `active`, so that the same again would change nothing.
    """

    active: bool = False
    since_ns: int | None = None
    began_ns: int | None = None
    settled: bool = False

    def take(self, definition: AlarmDefinition, value: Value, at_ns: int) -> None:
        """Weigh one value; time never runs back."""
        wanted = is_beyond(definition, value, was_active=self.active)
        self.settled = wanted == self.active
        if self.settled:
            self.since_ns = None
            return
        if self.since_ns is None:
            self.since_ns = at_ns
        delay_ns = definition.on_delay_ns if wanted else definition.off_delay_ns
        if at_ns - self.since_ns >= delay_ns:
            self.began_ns = self.since_ns if wanted else None
            self.active, self.since_ns, self.settled = wanted, None, True

    def hold(self) -> None:
        """Nothing is known for now: the condition stays as it was, and a delay that runs begins anew."""
        self.since_ns, self.settled = None, False


def is_beyond(definition: AlarmDefinition, value: Value, *, was_active: bool) -> bool:
    """Whether a value is on the alarm's side of its limit, the dead-band counted once the alarm is active."""
    band = definition.deadband if was_active else 0.0
    match definition.kind:
        case "hi" | "hihi":
            return value > definition.limit - band
        case "lo" | "lolo":
            return value < definition.limit + band
        case "on" | "off":
            return bool(value) == (definition.kind == "on")
