"""What a reader gets of a point: its value, whether to trust it, and of when it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from twin.fieldbus.modbus.codec import Value

Quality = Literal["good", "uncertain", "bad"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One value as its source gave it.

    OPC UA carries all three on the wire (part 4, clause 7.11); Modbus the value alone.

    Attributes:
        value: In the engineering unit of its point; the last one known where the quality is not good.
        quality: Whether it may be relied upon: good, uncertain (old, substituted or out of its range), or bad (nothing
            is known).
        at_ns: When it was taken, in simulated nanoseconds.
    """

    value: Value
    quality: Quality
    at_ns: int
