"""Demand through the day: its extremes, its joints, its noise, the sun; and the settings that begin it."""

import numpy as np
import pytest

from twin.core import PlantError, Streams
from twin.substation.loads import NOISE_SHARE, NOISE_TIME_S, SHAPES, Noise, demand_w, sun_w
from twin.substation.network import LOAD_POINTS
from twin.substation.settings import Settings


def test_the_day_has_its_peak_at_18_h_and_its_trough_at_03_h() -> None:
    day = np.array([demand_w(minute * 60.0).sum() for minute in range(24 * 60)]) / 1e6
    assert day.max() == pytest.approx(39.8, rel=0.01)
    assert day.min() == pytest.approx(20.7, rel=0.01)
    assert day.argmax() == 18 * 60
    assert day.argmin() == 3 * 60


def test_hours_are_joined_by_straight_lines_even_across_midnight() -> None:
    for hour in (7, 23):
        middle = demand_w(hour * 3600 + 1800)
        ends = demand_w(hour * 3600.0) + demand_w((hour + 1) * 3600.0)
        assert middle == pytest.approx(ends / 2)
    assert demand_w(86_400.0) == pytest.approx(demand_w(0.0))
    assert demand_w(86_399.999) == pytest.approx(demand_w(0.0), rel=1e-5)


def test_every_shape_has_24_hours_and_a_peak_of_one() -> None:
    assert {len(shape) for shape in SHAPES.values()} == {24}
    assert {max(shape) for shape in SHAPES.values()} == {1.0}
    assert sum(point.peak_w for point in LOAD_POINTS) == pytest.approx(46.12e6)


def test_the_sun_is_up_from_6_to_18() -> None:
    assert sun_w(12 * 3600.0) == pytest.approx(4e6)
    assert sun_w(9 * 3600.0) == pytest.approx(4e6 * np.sin(np.pi / 4) ** 1.3)
    assert [sun_w(hour * 3600.0) for hour in (0, 5, 19, 23)] == [0.0] * 4
    assert sun_w(18 * 3600.0) == pytest.approx(0.0, abs=1e-6)


def test_the_noise_has_the_size_and_memory_it_should_have_at_any_step() -> None:
    for step_s in (1.0, 120.0):
        noise, stream = Noise(), Streams(7)["noise"]
        noise.begin(stream)
        path = []
        for _ in range(6000):
            noise.step(step_s * 10, stream)
            path.append(noise.share)
        rows = np.array(path)
        assert rows.std() == pytest.approx(NOISE_SHARE, rel=0.1)
        kept = (rows[1:] * rows[:-1]).mean() / (rows**2).mean()
        assert kept == pytest.approx(np.exp(-step_s * 10 / NOISE_TIME_S), abs=0.03)


@pytest.mark.parametrize(
    ("start", "seconds"),
    [("18:00", 64800), ("06:30:15", 23415), ("0:00", 0), (3600, 3600), (86_400, 0), ("23:59", 86340)],
)
def test_start_is_a_time_of_day_or_seconds(start: object, seconds: float) -> None:
    assert Settings.parse({"start": start}).start_s == seconds


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": "24:00"}, "start `24:00` is no time of day"),
        ({"start": "six"}, "start `six` is no time of day"),
        ({"start": -1}, "start `-1` is not a number from 0 to 86400"),
        ({"start": None}, "start `None` is not a number"),
        ({"day_factor": float("nan")}, "day_factor `nan` is not a number from 0 to 5"),
        ({"day_factor": True}, "day_factor `True` is not a number"),
        ({"daily": 1}, "setting `daily` is unknown; there are start, day_factor"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(PlantError) as failure:
        Settings.parse(settings)
    assert message in str(failure.value)
