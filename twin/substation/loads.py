"""Demand through the day: shapes by the hour, a day factor, slow noise on each load, and the sun.

The shapes are this station's own, made to look like such customers, not measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from twin.substation.columns import Floats
from twin.substation.network import LOAD_POINTS, PV_PEAK_W, Shape
from twin.substation.settings import SECONDS_PER_DAY

# Share of the peak at each full hour, from midnight.
SHAPES: Final[Mapping[Shape, tuple[float, ...]]] = {
    "residential": (
        *(0.45, 0.40, 0.38, 0.37, 0.38, 0.45, 0.60, 0.75, 0.72, 0.65, 0.62, 0.62),
        *(0.65, 0.63, 0.60, 0.62, 0.70, 0.85, 0.97, 1.00, 0.95, 0.85, 0.70, 0.55),
    ),
    "commercial": (
        *(0.30, 0.28, 0.28, 0.28, 0.30, 0.38, 0.55, 0.78, 0.92, 1.00, 1.00, 0.98),
        *(0.95, 0.97, 0.98, 0.95, 0.90, 0.80, 0.65, 0.55, 0.48, 0.42, 0.36, 0.32),
    ),
    "industrial": (
        *(0.62, 0.60, 0.60, 0.60, 0.62, 0.70, 0.85, 0.97, 1.00, 1.00, 1.00, 0.98),
        *(0.92, 0.97, 1.00, 0.98, 0.92, 0.85, 0.80, 0.76, 0.72, 0.70, 0.67, 0.64),
    ),
    "hospital": (
        *(0.70, 0.68, 0.66, 0.66, 0.68, 0.74, 0.85, 0.95, 1.00, 1.00, 1.00, 0.98),
        *(0.97, 0.97, 0.96, 0.95, 0.93, 0.90, 0.87, 0.85, 0.82, 0.79, 0.75, 0.72),
    ),
    "flat": (1.0,) * 24,
}

NOISE_SHARE: Final = 0.015
"""Standard deviation of a load about its shape, as a share of it."""

NOISE_TIME_S: Final = 300.0
"""Correlation time of that deviation (s)."""

# One row per hour and one more, so that the hour before midnight runs into the first.
_HOURS: Final = np.array([[SHAPES[point.shape][hour % 24] for point in LOAD_POINTS] for hour in range(25)])
_PEAK_W: Final = np.array([point.peak_w for point in LOAD_POINTS])
_Q_PER_P: Final = np.array([point.q_per_p for point in LOAD_POINTS])


def demand_w(day_s: float) -> Floats:
    """Demand of each load point (W, at rated voltage, day factor 1, no noise) at a time of day (s after midnight)."""
    hours = (day_s % SECONDS_PER_DAY) / 3600.0
    hour = int(hours)
    share = hours - hour
    shaped: Floats = _PEAK_W * (_HOURS[hour] + (_HOURS[hour + 1] - _HOURS[hour]) * share)
    return shaped


def reactive_var(demand: Floats) -> Floats:
    """Reactive demand (var) that belongs to an active demand (W) of each load point."""
    product: Floats = demand * _Q_PER_P
    return product


def sun_w(day_s: float) -> float:
    """Output of the solar plant (W) under a clear sky at a time of day (s after midnight): up at 6 h, down at 18 h."""
    height = math.sin(math.pi * ((day_s % SECONDS_PER_DAY) / 3600.0 - 6.0) / 12.0)
    return PV_PEAK_W * height**1.3 if height > 0 else 0.0


class Noise:
    """An Ornstein-Uhlenbeck deviation on each load point, stepped exactly.

    x' = a x + s sqrt(1 - a^2) n with a = exp(-dt / tau) has the variance of the continuous process at any step
    (Gillespie, Phys. Rev. E 54, 1996, p. 2084).

    Attributes:
        share: The deviation now, as a share of each point's demand.
    """

    def __init__(self) -> None:
        self.share: Floats = np.zeros(len(LOAD_POINTS))

    def begin(self, stream: np.random.Generator) -> None:
        """Draw from the stationary distribution, so that the first minute is like any other."""
        self.share = NOISE_SHARE * stream.standard_normal(len(LOAD_POINTS))

    def step(self, step_s: float, stream: np.random.Generator) -> None:
        """Go on by `step_s` (s)."""
        keep = math.exp(-step_s / NOISE_TIME_S)
        kick = NOISE_SHARE * math.sqrt(1.0 - keep * keep)
        self.share = keep * self.share + kick * stream.standard_normal(len(LOAD_POINTS))
