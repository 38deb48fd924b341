"""The model `Envelope`: how far commands may go, alone, in time, and together with what is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from secureos.policy import syntax as psl
from secureos.policy.models.arguments import COMMAND, REPORT
from secureos.policy.models.changes import put
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.measured import MAX_MS, NS_PER_MS, Measurements
from secureos.policy.models.model import Model, Operation, Undo

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

_MOST: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Range:
    """The values that a point may be commanded to; both ends included."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Slope:
    """How much a commanded point may rise and fall in a period (ns)."""

    rise: int
    fall: int
    per_ns: int


@dataclass(frozen=True, slots=True)
class Joint:
    """Bounds on a weighted sum of points; both ends included."""

    weights: Mapping[str, int]
    low: int | None
    high: int | None


class Admitted(NamedTuple):
    """What a point was last commanded to, and when that value was new."""

    at_ns: int
    value: int


class Envelope(Model):
    """Keeps commands within ranges, rates of change, and linear conditions over commands and measured state.

    Parameters (`config = { … }`, all integers):
        max_age_ms: A measurement older than that is unknown, 1 ms to 30 days.
        ranges: Optionally, for each commanded point `{ low, high }`.
        slopes: Optionally, for each commanded point `{ rise, fall, per_ms }`: how much the value may grow and shrink.
        joint: Optionally, for each condition a name, and `{ weights : { "point" : weight, … } }` with `at_least`,
            `at_most` or both: bounds on the weighted sum of points.
        feedback: Optionally, for commanded points the point that measures their true value, if not their own tag.

    Rules:
        observe {points, values, quality}: Takes over measurements. Quality 0 is good, any other makes the point
            unknown. Denied only if the lists differ in length.
        admit {points, values}: Granted if each point is in its range and changes no faster than its slope, and each
            joint condition in which one of them stands would hold; then the values count as commanded.

    Expressions:
        None.

    Semantics:
        Slope: against the value last admitted, or, before the first, against the measured one (which must be known).
        After that value became new `t` ago, it may rise by rise · min(t, per_ms) / per_ms, rounded down; before the
        first command by `rise`. The same value again is no change.
        Joint: a point in the command counts with the commanded value. Every other counts with its measured value
        and, if it was ever commanded, with the value last admitted too, whichever is worse: it may still be on its
        way. It must be measured; what is unknown denies. So a command is judged by where it leads, and one that
        leads back into the envelope is admitted from outside of it.
        Points without entry are not judged. The same point twice in one command is denied. All numbers are integers
        in the unit of the points.

    Errors:
        Refused at load: nothing to judge; bounds in the wrong order or missing; no weights, a weight of 0; a joint
        condition or feedback without a point that is commanded.

    Example::

        policy object tank : Envelope { config = {
            max_age_ms : 1000,
            ranges : { "inlet" : { low : 0, high : 100 } },
            joint : { "no overflow" : { weights : { "inlet" : 1, "level" : 2 }, at_most : 200 } }
        } }
        security src=Sensor method=Report {
            tank.observe {points : message.tags, values : message.values, quality : message.quality}
        }
        request dst=Pump method=Write { tank.admit {points : message.tags, values : message.values} }
        assert {
            sequence {
                deny  request src=Panel dst=Pump method=Write { tags : ["inlet"], values : [10] }
                grant security src=Sensor method=Report { tags : ["level"], values : [70], quality : [0] }
                grant request src=Panel dst=Pump method=Write { tags : ["inlet"], values : [60] }
                deny  request src=Panel dst=Pump method=Write { tags : ["inlet"], values : [61] }
                deny  request src=Panel dst=Pump method=Write { tags : ["inlet"], values : [-1] }
                grant security src=Sensor method=Report { tags : ["level"], values : [70], quality : [1] }
                deny  request src=Panel dst=Pump method=Write { tags : ["inlet"], values : [0] }
            }
        }

    Source:
        Our own; after C2, McLaughlin, ACSAC 2013 (a command is judged between controller and actuator).
    """

    kind = "Envelope"

    def __init__(
        self,
        name: str,
        *,
        max_age_ms: int,
        ranges: Mapping[str, Range],
        slopes: Mapping[str, Slope],
        joint: Mapping[str, Joint],
        feedback: Mapping[str, str],
    ) -> None:
        super().__init__(name)
        self.ranges = ranges
        self.slopes = slopes
        self._feedback = feedback
        self._joint: dict[str, list[tuple[str, Joint]]] = {}  # by point: the conditions in which it stands
        for title, condition in joint.items():
            for point in condition.weights:
                self._joint.setdefault(point, []).append((title, condition))
        self._kept = frozenset({*slopes, *self._joint})
        measured = (feedback.get(point, point) for point in sorted(self._kept))
        self._measured = Measurements(name, measured, max_age_ms)
        self.admitted: dict[str, Admitted] = {}
        self.rules = {
            "observe": Operation(self._measured.observe, REPORT),
            "admit": Operation(self._admit, COMMAND),
        }

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check bounds and names."""
        configuration.types()
        config = configuration.config()
        keys = configuration.keys(config, ("max_age_ms",), ("ranges", "slopes", "joint", "feedback"))
        ranges = _read(configuration, keys.get("ranges"), _range)
        slopes = _read(configuration, keys.get("slopes"), _slope)
        joint = _read(configuration, keys.get("joint"), _sum)
        feedback = _read(configuration, keys.get("feedback"), Configuration.text)
        if config is not None and not (ranges or slopes or joint):
            configuration.say(config.span, "an envelope has `ranges`, `slopes` or `joint`; this one judges nothing")
        weighed = {point for condition in joint.values() for point in condition.weights}
        for point, row in configuration.entries(keys.get("feedback")).items():
            configuration.known(row.span, "point", point, {*slopes, *weighed})
        return partial(
            cls,
            configuration.name,
            max_age_ms=configuration.integer(keys.get("max_age_ms"), 1, MAX_MS),
            ranges=ranges,
            slopes=slopes,
            joint=joint,
            feedback=feedback,
        )

    def snapshot(self) -> Any:  # noqa: ANN401
        """Measurements, and what was admitted."""
        return {
            "readings": self._measured.snapshot(),
            "admitted": {point: list(self.admitted[point]) for point in sorted(self.admitted)},
        }

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self._measured.restore(state["readings"])
        self.admitted.clear()
        self.admitted.update((point, Admitted(*row)) for point, row in state["admitted"].items())

    def _admit(self, event: Event, undo: Undo, points: Sequence[str], values: Sequence[int]) -> str | None:
        if len(points) != len(values):
            return f"`{self.name}`: points and values have {len(points)} and {len(values)} items"
        command = dict(zip(points, values, strict=True))
        if len(command) < len(points):
            twice = next(point for point in points if list(points).count(point) > 1)
            return f"`{self.name}`: `{twice}` is commanded twice in one message"
        for point, value in command.items():
            why = self._alone(point, value, event.at_ns)
            if why is not None:
                return f"`{self.name}`: {why}"
        conditions = {title: each for point in command for title, each in self._joint.get(point, ())}
        for title, condition in conditions.items():
            why = self._together(condition, command, event.at_ns)
            if why is not None:
                return f"`{self.name}`: `{title}`: {why}"
        for point in command.keys() & self._kept:
            before = self.admitted.get(point)
            if before is None or before.value != command[point]:
                put(undo, self.admitted, point, Admitted(event.at_ns, command[point]))
        return None

    def _alone(self, point: str, value: int, at_ns: int) -> str | None:
        """Why a point must not have that value, whatever the others have."""
        within = self.ranges.get(point)
        if within is not None and not within.low <= value <= within.high:
            return f"`{point}` to {value} is outside {within.low} to {within.high}"
        slope = self.slopes.get(point)
        if slope is None:
            return None
        before, elapsed_ns = self._before(point, at_ns, slope)
        if isinstance(before, str):
            return f"how `{point}` changes cannot be judged, because {before}"
        rise, fall = (each * elapsed_ns // slope.per_ns for each in (slope.rise, slope.fall))
        if before - fall <= value <= before + rise:
            return None
        return f"`{point}` from {before} to {value} is too fast; {before - fall} to {before + rise} can be had now"

    def _before(self, point: str, at_ns: int, slope: Slope) -> tuple[int | str, int]:
        admitted = self.admitted.get(point)
        if admitted is None:
            return self._measured.read(self._feedback.get(point, point), at_ns), slope.per_ns
        return admitted.value, min(at_ns - admitted.at_ns, slope.per_ns)

    def _together(self, condition: Joint, command: Mapping[str, int], at_ns: int) -> str | None:
        """Why a condition would not hold, with the worst of what each point may be."""
        low = high = 0
        for point, weight in condition.weights.items():
            bounds = self._bounds(point, command, at_ns)
            if isinstance(bounds, str):
                return bounds
            terms = sorted(weight * bound for bound in bounds)
            low, high = low + terms[0], high + terms[-1]
        if condition.high is not None and high > condition.high:
            return f"the sum would be up to {high}, at most {condition.high} is allowed"
        if condition.low is not None and low < condition.low:
            return f"the sum would be down to {low}, at least {condition.low} is needed"
        return None

    def _bounds(self, point: str, command: Mapping[str, int], at_ns: int) -> tuple[int, ...] | str:
        """The values that a point may have after the command."""
        if point in command:
            return (command[point],)
        value = self._measured.read(self._feedback.get(point, point), at_ns)
        if isinstance(value, str):
            return value
        admitted = self.admitted.get(point)
        return (value,) if admitted is None else (value, admitted.value)


def _read(
    configuration: Configuration, value: psl.Expression | None, row: Callable[[Configuration, psl.Expression], Any]
) -> dict[str, Any]:
    return {name: row(configuration, each) for name, each in configuration.entries(value).items()}


def _range(configuration: Configuration, row: psl.Expression) -> Range:
    keys = configuration.keys(row, ("low", "high"))
    low, high = (configuration.integer(keys.get(key), -_MOST, _MOST) for key in ("low", "high"))
    if low > high:
        configuration.say(row.span, f"`low` {low} is above `high` {high}")
    return Range(low, high)


def _slope(configuration: Configuration, row: psl.Expression) -> Slope:
    keys = configuration.keys(row, ("rise", "fall", "per_ms"))
    rise, fall = (configuration.integer(keys.get(key), 0, _MOST) for key in ("rise", "fall"))
    return Slope(rise, fall, configuration.integer(keys.get("per_ms"), 1, MAX_MS) * NS_PER_MS)


def _sum(configuration: Configuration, row: psl.Expression) -> Joint:
    keys = configuration.keys(row, ("weights",), ("at_least", "at_most"))
    weights = _read(configuration, keys.get("weights"), _weight)
    low, high = (
        configuration.integer(keys[key], -(2**62), 2**62) if key in keys else None for key in ("at_least", "at_most")
    )
    if "weights" in keys and not weights:
        configuration.say(keys["weights"].span, "a sum needs at least one point")
    if low is None and high is None:
        configuration.say(row.span, "a sum needs `at_least`, `at_most` or both")
    if low is not None and high is not None and low > high:
        configuration.say(row.span, f"no sum is at least {low} and at most {high}")
    return Joint(weights, low, high)


def _weight(configuration: Configuration, value: psl.Expression) -> int:
    weight = configuration.integer(value, -_MOST, _MOST)
    if isinstance(value, psl.Constant) and value.value == 0:
        configuration.say(value.span, "a weight of 0 has no effect")
    return weight
