"""The model `Budget`: what is spent within a sliding window never exceeds a limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from secureos.policy import syntax as psl
from secureos.policy.models.arguments import COMMAND, REPORT
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.measured import MAX_MS, NS_PER_MS, Measurements, Watch
from secureos.policy.models.model import Model, Operation, Undo
from secureos.policy.models.positions import Positions
from secureos.policy.values import COMPUTED

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

MAX_ENTRIES: Final = 64
"""How often one point can be spent within one window; the next time is denied. Bounds memory and time."""

_MAX_WEIGHT: Final = 2**31 - 1
_KEYS: Final = ("limit", "window_ms", "max_age_ms", "weighs")
_POSITION: Final = ("contact", "closes", "moving")


@dataclass(frozen=True, slots=True)
class Weigh:
    """How a point is weighed: by which measurement, at least how much, until which contact closes again.

    With a `contact` the measurement counts only while that has settled; see `Budget`.
    """

    by: str
    at_least: int
    until: str | None = None
    contact: str | None = None
    closes: str | None = None
    moving: int = 0


class Entry(NamedTuple):
    """Something spent."""

    at_ns: int
    point: str
    weight: int


class Budget(Model):
    """What is spent within a sliding window never exceeds a limit, e.g. how much load is switched off in a minute.

    Parameters (`config = { … }`, numbers are integers):
        limit: The sum within the window never exceeds it; 0 to 2^31 - 1, in the unit of the measurements.
        window_ms, max_age_ms: 1 ms to 30 days.
        weighs: For each point that costs something `{ by, at_least, until }`: the measurement that weighs it, the
            least weight, and optionally a contact that reads 1 while nothing is spent (a closed breaker). Optionally
            also `{ contact, closes, moving }`, all three: the contact that reads 1 while the equipment is closed, the
            point that closes it, and the weight while neither position has settled.
        settle_ms: How long a position must have been reported, and how long ago the last command that closes it
            must be, for it to have settled; 1 ms to 30 days, needed where a `contact` is named.
        unit: Optionally the unit of the measurements as a text, for the sentences.

    Rules:
        observe {points, values, quality}: Takes over reports of the points named in `by`, `until` and `contact`,
            in their order; others are passed over. Quality 0 is good, any other makes the point unknown. Denied
            only if the lists differ in length.
        spend {points, values}: Weighs each listed point that is in `weighs` and whose value is not 0, at the greater
            of `at_least` and the magnitude of `by`. Denied if a measurement is unknown or older than `max_age_ms`,
            if the sum would exceed `limit`, or if a point was spent 64 times within the window.

    Expressions:
        spent (): The sum of what was spent less than `window_ms` ago and not given back.

    Semantics:
        When `until` has been reported 0 after a spending and then 1, what is still outstanding for its points is
        given back: 0, then 1. A mere 1 gives nothing back, because right after an opening was granted the contact
        still reads closed. Points that are not in `weighs` weigh nothing. A point listed several times in one
        message is weighed once: one message operates it once.
        What is measured is always a little old: equipment that was just commanded to close still reads open and
        carries nothing, and would be opened again for nothing. So with a `contact` a point weighs what is measured
        only where the contact has settled closed; it weighs nothing where it has settled open, because it is open
        already; and it weighs `moving` in between.

    Errors:
        Refused at load: missing or unknown settings, numbers outside their bounds; some but not all of `contact`,
        `closes` and `moving`; a `contact` without `settle_ms`.

    Example::

        policy object minute : Budget {
            config = { limit : 100, window_ms : 60000, max_age_ms : 1000, unit : "kW",
                       weighs : { "Q3.open" : { by : "Q3.P", at_least : 20, until : "Q3.closed" } } }
        }
        security src=Sensor method=Report {
            minute.observe {points : message.tags, values : message.values, quality : message.quality}
        }
        request dst=Pump method=Write { minute.spend {points : message.tags, values : message.values} }
        assert {
            sequence {
                deny  request src=Panel dst=Pump method=Write { tags : ["Q3.open"], values : [1] }
                grant security src=Sensor method=Report { tags : ["Q3.P"], values : [60], quality : [0] }
                grant request src=Panel dst=Pump method=Write { tags : ["Q3.open"], values : [1] }
                deny  request src=Panel dst=Pump method=Write { tags : ["Q3.open"], values : [1] }
                grant security src=Sensor method=Report { tags : ["Q3.closed"], values : [0], quality : [0] }
                grant security src=Sensor method=Report { tags : ["Q3.closed"], values : [1], quality : [0] }
                grant request src=Panel dst=Pump method=Write { tags : ["Q3.open"], values : [1] }
            }
        }

    Source:
        Our own.
    """

    kind = "Budget"

    def __init__(
        self,
        name: str,
        *,
        limit: int,
        window_ms: int,
        max_age_ms: int,
        weighs: Mapping[str, Weigh],
        unit: str = "",
        settle_ms: int = 1,
    ) -> None:
        super().__init__(name)
        self._limit = limit
        self._window_ns = window_ms * NS_PER_MS
        self._unit = f" {unit}" if unit else ""
        self._weighs = weighs
        moves = [(weigh.closes, weigh.contact) for weigh in weighs.values() if weigh.closes and weigh.contact]
        self._by = frozenset(weigh.by for weigh in weighs.values())
        self._measured = Measurements(name, self._by.union(contact for _, contact in moves), max_age_ms)
        self._positions = Positions(self._measured, (contact for _, contact in moves), settle_ms=settle_ms)
        self._closes = {each: {contact for closes, contact in moves if closes == each} for each, _ in moves}
        self._contacts = {
            contact: frozenset(point for point, weigh in weighs.items() if weigh.until == contact)
            for contact in sorted({weigh.until for weigh in weighs.values() if weigh.until is not None})
        }
        self._watch = Watch(self._contacts)
        self._calm: tuple[object, ...] | None = None  # with which report and state nothing came of the report
        # The state is replaced, never changed in place: taking an effect back is putting the old value back.
        self._opened: frozenset[str] = frozenset()  # contacts that read 0 since their points were spent
        self._entries: tuple[Entry, ...] = ()
        self.rules = {
            "observe": Operation(self._observe, REPORT),
            "spend": Operation(self._spend, COMMAND),
        }
        self.expressions = {"spent": Operation(self._spent, unit=True, value=COMPUTED)}

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check ranges and names."""
        configuration.types()
        keys = configuration.keys(configuration.config(), _KEYS, ("unit", "settle_ms"))
        rows = configuration.entries(keys.get("weighs"))
        weighs = {point: _weigh(configuration, row) for point, row in rows.items()}
        if "settle_ms" not in keys and any(weigh.contact for weigh in weighs.values()):
            configuration.say(keys["weighs"].span, "`settle_ms` is needed where a `contact` is named")
        return partial(
            cls,
            configuration.name,
            limit=configuration.integer(keys.get("limit"), 0, _MAX_WEIGHT),
            window_ms=configuration.integer(keys.get("window_ms"), 1, MAX_MS),
            max_age_ms=configuration.integer(keys.get("max_age_ms"), 1, MAX_MS),
            weighs=weighs,
            unit=configuration.text(keys.get("unit")),
            settle_ms=configuration.integer(keys.get("settle_ms"), 1, MAX_MS),
        )

    def snapshot(self) -> Any:  # noqa: ANN401
        """Readings, contacts seen open, and entries."""
        return {
            "readings": self._measured.snapshot(self._by),
            "opened": sorted(self._opened),
            "entries": [list(entry) for entry in self._entries],
            "positions": self._positions.snapshot(),
        }

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self._measured.restore({**state["readings"], **state["positions"]["reports"]})
        self._opened = frozenset(state["opened"])
        self._entries = tuple(Entry(*row) for row in state["entries"])
        self._positions.restore(state["positions"])

    def _observe(
        self, event: Event, undo: Undo, points: Sequence[str], values: Sequence[int], quality: Sequence[int]
    ) -> str | None:
        measured, positions = self._measured, self._positions
        why = measured.observe(event, undo, points, values, quality)
        # At most scans the plant says the same again, and if nothing came of it before, nothing does now.
        if why is None and (measured.latest, positions.since, self._opened) != self._calm:
            news = (positions.follow(undo), self._give_back(undo))
            self._calm = None if any(news) else (measured.latest, positions.since, self._opened)
        return why

    def _give_back(self, undo: Undo) -> bool:
        """What is still outstanding for points whose contact was reported 0 after a spending, and now 1.

        Whether there is news of any contact.
        """
        new = self._watch.rows(self._measured.latest, self._opened)
        if not new:
            return False
        opened, entries = self._opened, self._entries
        for point, value in new:
            if value and point in opened:
                entries = tuple(entry for entry in entries if entry.point not in self._contacts[point])
            opened = opened | {point} if value == 0 else opened - {point}
        self._replace(undo, opened, entries)
        self._watch.left(self._opened)
        return True

    def _spend(self, event: Event, undo: Undo, points: Sequence[str], values: Sequence[int]) -> str | None:
        if len(points) != len(values):
            return f"`{self.name}`: points and values have {len(points)} and {len(values)} items"
        commanded = [point for point, value in zip(points, values, strict=True) if value]
        for point in commanded:
            for contact in self._closes.get(point, ()):
                self._positions.command(event, undo, contact)
        asked = [point for point in commanded if point in self._weighs]
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
            if weight or self._weighs[point].contact is None:
                new.append(Entry(event.at_ns, point, weight))
        spent, more = _sum(kept), _sum(new)
        if spent + more > self._limit:
            shown, asked_for, sum_, limit = (f"{sum_}{self._unit}" for sum_ in (spent, more, spent + more, self._limit))
            why = f"{shown} already spent in the last {self._window}, {asked_for} asked"
            return f"`{self.name}`: {why}, {sum_} would exceed the limit of {limit}"
        closing = {weigh.until for weigh in map(self._weighs.__getitem__, asked)}
        self._replace(undo, self._opened - closing, (*kept, *new))
        return None

    def _spent(self, event: Event) -> int:
        return _sum(self._within(event.at_ns))

    def _within(self, at_ns: int) -> list[Entry]:
        return [entry for entry in self._entries if at_ns - entry.at_ns < self._window_ns]

    def _weight(self, point: str, at_ns: int) -> int | str:
        weigh = self._weighs[point]
        measured = self._measured.read(weigh.by, at_ns)
        if isinstance(measured, str):
            return f"`{self.name}`: `{point}` cannot be weighed, because {measured}"
        if weigh.contact is None:
            return max(weigh.at_least, abs(measured))
        position, unknown = self._positions.read(weigh.contact, at_ns)
        if unknown:
            return f"`{self.name}`: `{point}` cannot be weighed, because {unknown}"
        return {"closed": max(weigh.at_least, abs(measured)), "open": 0, "moving": weigh.moving}[position]

    @property
    def _window(self) -> str:
        milliseconds = self._window_ns // NS_PER_MS
        return f"{milliseconds // 1000} s" if milliseconds % 1000 == 0 else f"{milliseconds} ms"

    def _replace(self, undo: Undo, opened: frozenset[str], entries: tuple[Entry, ...]) -> None:
        undo.append(partial(self._put, self._opened, self._entries))
        self._put(opened, entries)

    def _put(self, opened: frozenset[str], entries: tuple[Entry, ...]) -> None:
        self._opened, self._entries = opened, entries


def _sum(entries: Sequence[Entry]) -> int:
    return sum(entry.weight for entry in entries)


def _weigh(configuration: Configuration, row: psl.Expression) -> Weigh:
    keys = configuration.keys(row, ("by", "at_least"), ("until", *_POSITION))
    given = [key for key in _POSITION if key in keys]
    if 0 < len(given) < len(_POSITION):
        configuration.say(row.span, "`contact`, `closes` and `moving` go together")
    return Weigh(
        by=configuration.text(keys.get("by")),
        at_least=configuration.integer(keys.get("at_least"), 0, _MAX_WEIGHT),
        until=configuration.text(keys["until"]) if "until" in keys else None,
        contact=configuration.text(keys["contact"]) if "contact" in keys else None,
        closes=configuration.text(keys["closes"]) if "closes" in keys else None,
        moving=configuration.integer(keys.get("moving"), 0, _MAX_WEIGHT),
    )
