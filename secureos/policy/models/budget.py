"""The model `Budget`: what is spent within a sliding window never exceeds a limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from secureos.policy import syntax as psl
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.model import Model, Operation, Undo
from secureos.policy.values import COMPUTED, INTEGERS, TEXTS

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

MAX_ENTRIES: Final = 64
"""How often one point can be spent within one window; the next time is denied. Bounds memory and time."""

_MAX_MS: Final = 30 * 24 * 3600 * 1000
_MAX_WEIGHT: Final = 2**31 - 1
_NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Weigh:
    """How a point is weighed: by which measurement, at least how much, until which contact closes again."""

    by: str
    at_least: int
    until: str | None = None


class Entry(NamedTuple):
    """Something spent."""

    at_ns: int
    point: str
    weight: int


class Reading(NamedTuple):
    """The last report on a measurement; the value None is unknown."""

    at_ns: int
    value: int | None


class Budget(Model):
    """A sum over a sliding window, e.g. how much load may be switched off within a minute.

    Parameters (`config = { … }`, all integers):
        limit: The sum within the window never exceeds it; 0 to 2^31 - 1, in the unit of the measurements.
        window_ms, max_age_ms: 1 ms to 30 days.
        weighs: For each point that costs something `{ by, at_least, until }`: the measurement that weighs it, the
            least weight, and optionally a contact that reads 1 while nothing is spent (a closed breaker).

    Rules:
        observe {points, values, quality}: Takes over reports of the points named in `by` and `until`, in their
            order; others are ignored. Quality 0 is good, any other makes the point unknown. Denied only if the
            lists differ in length. When `until` has been reported 0 after a spending and then 1, what is still
            outstanding for its points is given back: 0, then 1. A mere 1 gives nothing back, because right after
            an opening was granted the contact still reads closed.
        spend {points, values}: Weighs each listed point that is in `weighs` and whose value is not 0, at the
            greater of `at_least` and the magnitude of `by`. Denied if a measurement is unknown or older than
            `max_age_ms`, if the sum would exceed `limit`, or if a point was spent 64 times within the window. Points
            that are not in `weighs` weigh nothing. A point listed several times in one message is weighed once:
            one message operates it once.

    Expressions:
        spent (): The sum of what was spent less than `window_ms` ago and not given back.

    Example::

        policy object minute : Budget {
            config = { limit : 12000, window_ms : 60000, max_age_ms : 1000,
                       weighs : { "Q3.open" : { by : "Q3.P", at_least : 2000, until : "Q3.closed" } } }
        }
        security src=Driver method=Report {
            minute.observe {points : message.tags, values : message.values, quality : message.quality}
        }
        request dst=Driver method=Write { minute.spend {points : message.tags, values : message.values} }
    """

    kind = "Budget"

    def __init__(self, name: str, *, limit: int, window_ms: int, max_age_ms: int, weighs: Mapping[str, Weigh]) -> None:
        super().__init__(name)
        self._limit = limit
        self._window_ns = window_ms * _NS_PER_MS
        self._max_age_ns = max_age_ms * _NS_PER_MS
        self._weighs = weighs
        self._measured = frozenset(weigh.by for weigh in weighs.values())
        self._contacts = {
            contact: frozenset(point for point, weigh in weighs.items() if weigh.until == contact)
            for contact in sorted({weigh.until for weigh in weighs.values() if weigh.until is not None})
        }
        # The state is replaced, never changed in place: taking an effect back is putting the old value back.
        self._readings: Mapping[str, Reading] = {}
        self._opened: frozenset[str] = frozenset()  # contacts that read 0 since their points were spent
        self._entries: tuple[Entry, ...] = ()
        self.rules = {
            "observe": Operation(self._observe, {"points": TEXTS, "values": INTEGERS, "quality": INTEGERS}),
            "spend": Operation(self._spend, {"points": TEXTS, "values": INTEGERS}),
        }
        self.expressions = {"spent": Operation(self._spent, unit=True, value=COMPUTED)}

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check ranges and names."""
        configuration.types()
        keys = configuration.keys(configuration.config(), ("limit", "window_ms", "max_age_ms", "weighs"))
        rows = configuration.entries(keys.get("weighs"))
        return partial(
            cls,
            configuration.name,
            limit=configuration.integer(keys.get("limit"), 0, _MAX_WEIGHT),
            window_ms=configuration.integer(keys.get("window_ms"), 1, _MAX_MS),
            max_age_ms=configuration.integer(keys.get("max_age_ms"), 1, _MAX_MS),
            weighs={point: _weigh(configuration, row) for point, row in rows.items()},
        )

    def snapshot(self) -> Any:  # noqa: ANN401
        """Readings, contacts seen open, and entries."""
        return {
            "readings": {name: list(self._readings[name]) for name in sorted(self._readings)},
            "opened": sorted(self._opened),
            "entries": [list(entry) for entry in self._entries],
        }

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self._readings = {name: Reading(*row) for name, row in state["readings"].items()}
        self._opened = frozenset(state["opened"])
        self._entries = tuple(Entry(*row) for row in state["entries"])

    def _observe(
        self, event: Event, undo: Undo, points: Sequence[str], values: Sequence[int], quality: Sequence[int]
    ) -> str | None:
        if not len(points) == len(values) == len(quality):
            lengths = f"{len(points)}, {len(values)} and {len(quality)}"
            return f"`{self.name}`: points, values and quality have {lengths} items"
        readings, opened, entries = dict(self._readings), self._opened, self._entries
        for point, value, bad in zip(points, values, quality, strict=True):
            if point in self._measured:
                readings[point] = Reading(event.at_ns, None if bad else value)
            if point in self._contacts:
                if value and not bad and point in opened:
                    entries = tuple(entry for entry in entries if entry.point not in self._contacts[point])
                opened = opened | {point} if not value and not bad else opened - {point}
        self._replace(undo, readings, opened, entries)
        return None

    def _spend(self, event: Event, undo: Undo, points: Sequence[str], values: Sequence[int]) -> str | None:
        if len(points) != len(values):
            return f"`{self.name}`: points and values have {len(points)} and {len(values)} items"
        asked = [point for point, value in zip(points, values, strict=True) if value and point in self._weighs]
        if not asked:
            return None
        kept = self._within(event.at_ns)
        new = []
        for point in dict.fromkeys(asked):
            weight = self._weight(point, event.at_ns)
            if isinstance(weight, str):
                return weight
            if sum(entry.point == point for entry in kept) >= MAX_ENTRIES:
                return f"`{self.name}`: `{point}` was operated {MAX_ENTRIES} times within {self._window}"
            new.append(Entry(event.at_ns, point, weight))
        spent, more = _sum(kept), _sum(new)
        if spent + more > self._limit:
            return (
                f"`{self.name}`: {spent} already spent in the last {self._window}, {more} asked,"
                f" {spent + more} would exceed the limit of {self._limit}"
            )
        closing = {weigh.until for weigh in map(self._weighs.__getitem__, asked)}
        self._replace(undo, self._readings, self._opened - closing, (*kept, *new))
        return None

    def _spent(self, event: Event) -> int:
        return _sum(self._within(event.at_ns))

    def _within(self, at_ns: int) -> list[Entry]:
        return [entry for entry in self._entries if at_ns - entry.at_ns < self._window_ns]

    def _weight(self, point: str, at_ns: int) -> int | str:
        weigh = self._weighs[point]
        reading = self._readings.get(weigh.by)
        why = f"`{self.name}`: `{point}` cannot be weighed, because `{weigh.by}`"
        if reading is None:
            return f"{why} has not been measured yet"
        if reading.value is None:
            return f"{why} is marked bad"
        age_ns = at_ns - reading.at_ns
        if age_ns > self._max_age_ns:
            most = self._max_age_ns // _NS_PER_MS
            return f"{why} was measured {age_ns // _NS_PER_MS} ms ago, at most {most} ms are allowed"
        return max(weigh.at_least, abs(reading.value))

    @property
    def _window(self) -> str:
        milliseconds = self._window_ns // _NS_PER_MS
        return f"{milliseconds // 1000} s" if milliseconds % 1000 == 0 else f"{milliseconds} ms"

    def _replace(
        self, undo: Undo, readings: Mapping[str, Reading], opened: frozenset[str], entries: tuple[Entry, ...]
    ) -> None:
        undo.append(partial(self._put, self._readings, self._opened, self._entries))
        self._put(readings, opened, entries)

    def _put(self, readings: Mapping[str, Reading], opened: frozenset[str], entries: tuple[Entry, ...]) -> None:
        self._readings, self._opened, self._entries = readings, opened, entries


def _sum(entries: Sequence[Entry]) -> int:
    return sum(entry.weight for entry in entries)


def _weigh(configuration: Configuration, row: psl.Expression) -> Weigh:
    keys = configuration.keys(row, ("by", "at_least"), ("until",))
    return Weigh(
        by=configuration.text(keys.get("by")),
        at_least=configuration.integer(keys.get("at_least"), 0, _MAX_WEIGHT),
        until=configuration.text(keys["until"]) if "until" in keys else None,
    )
