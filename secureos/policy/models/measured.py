"""Measured state as the policy knows it: the last report on each point, with its time and quality.

A report comes with every scan, and what it says is asked for only when a command is to be judged. So a report is kept
as it came, and looked into when somebody asks; who must act on a report at once looks only at what is new in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from secureos.policy.models.model import Undo

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

NS_PER_MS: Final = 1_000_000
MAX_MS: Final = 30 * 24 * 3600 * 1000
"""No time in a configuration is longer than 30 days."""

_MOST_KEPT: Final = 8  # reports kept as they came, each on another list of points; a scan makes a few


class Reading(NamedTuple):
    """The last report on a point; the value None is unknown."""

    at_ns: int
    value: int | None


class Layout:
    """A list of points, shared by all reports on it.

    Attributes:
        points: In the order in which reports list them.
        columns: Where each stands; of two rows on one point, the later.
    """

    __slots__ = ("columns", "points")

    def __init__(self, points: tuple[str, ...]) -> None:
        self.points = points
        self.columns = {point: column for column, point in enumerate(points)}


class Report:
    """What was measured; the same over again is the same object.

    Attributes:
        layout: Of which points.
        values, quality: One per point, quality 0 being good; copies that nobody else holds.
    """

    __slots__ = ("layout", "quality", "values")

    def __init__(self, layout: Layout, values: Sequence[int], quality: Sequence[int]) -> None:
        self.layout = layout
        self.values = values[:]
        self.quality = quality[:]

    def value(self, column: int) -> int | None:
        """What stands in a column; None if it is unknown."""
        return None if self.quality[column] else self.values[column]


class Watch:
    """Tells whether reports say anything new of some points to who follows them.

    Whoever follows reports keeps a state that is replaced, never changed in place, and that the same report over
    again would leave as it is. So a report need not be looked into if the one before said the same and left this
    very state; if effects were taken back since, the state is another one.

    Args:
        points: Which; the others are passed over.
    """

    def __init__(self, points: Iterable[str]) -> None:
        self._points = frozenset(points)
        self._layout: Layout | None = None
        self._columns: tuple[int, ...] = ()
        self._pick: Callable[[Sequence[int]], object] = tuple
        self._report: Report | None = None
        self._cells: tuple[object, object] | None = None
        self._repeats = False
        self._state: object = None  # that was left after these cells; None if that is not known

    def rows(self, report: Report | None, state: object) -> Iterable[tuple[str, int | None]]:
        """The points with their values, row by row in the order of the report; none if there is nothing new.

        Args:
            report: What was reported, if anything.
            state: Of the one who asks, before the report; never None.
        """
        if report is None or (report is self._report and state is self._state):
            return ()
        if report.layout is not self._layout:
            self._read(report.layout)
        if not self._columns:
            return ()
        cells = (self._pick(report.values), self._pick(report.quality))
        if state is self._state and cells == self._cells:
            self._report = report
            return ()
        self._report, self._cells, self._state = report, cells, None
        return [(report.layout.points[column], report.value(column)) for column in self._columns]

    def left(self, state: object) -> None:
        """Say which state is left after the report that `rows` was last asked about."""
        # Of two rows on one point the first can say something new each time.
        self._state = None if self._repeats else state

    def _read(self, layout: Layout) -> None:
        self._layout, self._state = layout, None
        self._columns = tuple(column for column, point in enumerate(layout.points) if point in self._points)
        self._repeats = len(set(map(layout.points.__getitem__, self._columns))) < len(self._columns)
        self._pick = itemgetter(*self._columns) if self._columns else tuple


class Measurements:
    """The readings of a fixed set of points. Memory is bounded by the configuration and by the longest messages.

    Args:
        name: Of the policy object, for its sentences.
        points: Which ones can be read; reports on others are passed over.
        max_age_ms: A reading older than that is as good as none.

    Attributes:
        latest, latest_ns: The report that was taken over last, and when; None before the first, and after `restore`.
    """

    def __init__(self, name: str, points: Iterable[str], max_age_ms: int) -> None:
        self.name = name
        self.points = frozenset(points)
        self.max_age_ns = max_age_ms * NS_PER_MS
        # The state is replaced, never changed in place: taking an effect back is putting the old value back.
        self.latest: Report | None = None
        self.latest_ns = 0
        self._others: tuple[tuple[int, Report], ...] = ()  # with their times, newest first, each on another list
        self._older: Mapping[str, Reading] = {}  # what reports said that are no longer kept as they came

    def observe(
        self, event: Event, undo: Undo, points: Sequence[str], values: Sequence[int], quality: Sequence[int]
    ) -> str | None:
        """Take over a report; the later of two rows on one point counts. None, or why it cannot be read."""
        last = self.latest
        undo.append(partial(self._put, last, self.latest_ns, self._others, self._older))
        if last is None or points != last.layout.points or values != last.values or quality != last.quality:
            if not len(points) == len(values) == len(quality):
                lengths = f"{len(points)}, {len(values)} and {len(quality)}"
                return f"`{self.name}`: points, values and quality have {lengths} items"
            self._take(tuple(points), values, quality)
        self.latest_ns = event.at_ns
        return None

    def read(self, point: str, at_ns: int) -> int | str:
        """The value of a point, or why it is not known, as a sentence without its full stop."""
        reading = self._reading(point)
        if reading is None:
            return f"`{point}` has not been measured yet"
        if reading.value is None:
            return f"`{point}` is marked bad"
        age_ns = at_ns - reading.at_ns
        if age_ns > self.max_age_ns:
            most = self.max_age_ns // NS_PER_MS
            return f"`{point}` was measured {age_ns // NS_PER_MS} ms ago, at most {most} ms are allowed"
        return reading.value

    def snapshot(self, points: Iterable[str] | None = None) -> dict[str, Any]:
        """Each reading as `[at_ns, value]`; of all points, or of these."""
        readings = ((point, self._reading(point)) for point in sorted(self.points if points is None else points))
        return {point: list(reading) for point, reading in readings if reading is not None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self._put(None, 0, (), {point: Reading(*row) for point, row in state.items()})

    def _take(self, points: tuple[str, ...], values: Sequence[int], quality: Sequence[int]) -> None:
        """Make this the latest report, and keep the one before."""
        last = self.latest
        if last is None:
            self.latest = Report(Layout(points), values, quality)
        elif last.layout.points == points:
            self.latest = Report(last.layout, values, quality)
        else:
            others = [(self.latest_ns, last), *self._others]
            same = next((each for each in others if each[1].layout.points == points), None)
            if same is not None:
                others.remove(same)
            elif len(others) == _MOST_KEPT:
                self._older = {**self._older, **self._readings(*others.pop())}
            self._others = tuple(others)
            self.latest = Report(Layout(points) if same is None else same[1].layout, values, quality)

    def _reading(self, point: str) -> Reading | None:
        last = self.latest
        for at_ns, report in ((self.latest_ns, last), *self._others) if last is not None else ():
            column = report.layout.columns.get(point)
            if column is not None:
                return Reading(at_ns, report.value(column))
        return self._older.get(point)

    def _readings(self, at_ns: int, report: Report) -> dict[str, Reading]:
        columns = report.layout.columns
        return {point: Reading(at_ns, report.value(columns[point])) for point in self.points & columns.keys()}

    def _put(
        self,
        latest: Report | None,
        latest_ns: int,
        others: tuple[tuple[int, Report], ...],
        older: Mapping[str, Reading],
    ) -> None:
        self.latest, self.latest_ns, self._others, self._older = latest, latest_ns, others, older
