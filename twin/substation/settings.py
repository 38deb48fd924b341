"""What a scenario may set of this plant at the start, parsed once at the border."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from twin.core.plant import PlantError

SECONDS_PER_DAY: Final = 86_400
_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_KNOWN: Final = ("start", "day_factor")
_MAX_DAY_FACTOR: Final = 5.0


@dataclass(frozen=True)
class Settings:
    """The initial condition.

    Attributes:
        start_s: Time of day at which the run begins (s after midnight, 0 up to 86,400).
        day_factor: By what all demand is multiplied: 1.0 on a mild day, 1.15 on a cold one.
    """

    start_s: float = 18 * 3600.0
    day_factor: float = 1.0

    @classmethod
    def parse(cls, settings: Mapping[str, Any]) -> Settings:
        """Read a scenario's settings: `start` as "18:00" or seconds of the day, `day_factor` from 0 to 5.

        Raises:
            PlantError: A setting is unknown or out of range.
        """
        for name in settings:
            if name not in _KNOWN:
                raise PlantError(f"substation: setting `{name}` is unknown; there are {', '.join(_KNOWN)}")
        return cls(
            start_s=_start_s(settings.get("start", cls.start_s)),
            day_factor=_number("day_factor", settings.get("day_factor", cls.day_factor), _MAX_DAY_FACTOR),
        )


def _start_s(value: object) -> float:
    if isinstance(value, str):
        found = _TIME.fullmatch(value.strip())
        if not found:
            raise PlantError(f'substation: start `{value}` is no time of day; write it as "18:00" or in seconds')
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return hours * 3600.0 + minutes * 60.0 + seconds
    return _number("start", value, SECONDS_PER_DAY) % SECONDS_PER_DAY


def _number(name: str, value: object, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise PlantError(f"substation: {name} `{value}` is not a number from 0 to {most:g}")
    return float(value)
