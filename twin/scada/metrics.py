"""How heavy the alarm load was: rate, floods, and the alarms that make it heavy (ISA-18.2-2016, clause 16).

Target figures there, for one operator position: about one alarm in 10 minutes, at most two; under 1 % of the time in
flood; no chattering alarms; fewer than five stale ones; about 80 % low, 15 % medium, 5 % high.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twin.core import NS_PER_S, ns
from twin.core.alarm_columns import Priority
from twin.scada.definitions import PRIORITIES
from twin.scada.journal import AlarmEvent

WINDOW_NS: Final = ns(600)
FLOOD_BEGINS_ABOVE: Final = 10
FLOOD_ENDS_BELOW: Final = 5
CHATTERING_TIMES: Final = 3
CHATTERING_NS: Final = ns(60)
FLEETING_NS: Final = ns(10)
STALE_NS: Final = ns(24 * 3600)
_TOP: Final = 10


@dataclass(frozen=True)
class AlarmMetrics:
    """The alarm load of a time from 0 to `until_s`.

    Attributes:
        raised: How many alarms were raised.
        per_10_min: How many in 10 minutes on average; None for no time at all.
        worst_10_min: How many in the worst 10 minutes.
        floods: Begin and end of each flood (s): it begins with the 11th alarm in 10 minutes, and ends when fewer
            than 5 came in the last 10.
        in_flood_percent: Share of the time spent in them (%).
        top: The ten that came most often, with how often.
        top_percent: Their share of all alarms (%).
        chattering: Alarms that were raised three times within a minute or more often.
        fleeting: How many alarms were gone within 10 s.
        stale: Alarms that have stood for more than 24 h.
        by_priority: How many were raised of each priority.
        shelved: How many times an alarm was shelved.
    """

    raised: int
    per_10_min: float | None
    worst_10_min: int
    floods: list[tuple[float, float]]
    in_flood_percent: float
    top: list[tuple[str, int]]
    top_percent: float
    chattering: list[str]
    fleeting: int
    stale: list[str]
    by_priority: dict[Priority, int]
    shelved: int


def alarm_metrics(events: Iterable[AlarmEvent], *, until_ns: int) -> AlarmMetrics:
    """The alarm load of a journal, from the start of time to `until_ns`."""
    rows = [event for event in events if event.at_ns <= until_ns]
    raised = [event for event in rows if event.event == "raised"]
    floods, worst = _floods([event.at_ns for event in raised], until_ns)
    counts = Counter(event.alarm for event in raised)
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_TOP]
    by_priority = Counter(event.priority for event in raised)
    return AlarmMetrics(
        raised=len(raised),
        per_10_min=len(raised) * WINDOW_NS / until_ns if until_ns else None,
        worst_10_min=worst,
        floods=[(begin / NS_PER_S, end / NS_PER_S) for begin, end in floods],
        in_flood_percent=100 * sum(end - begin for begin, end in floods) / until_ns if until_ns else 0.0,
        top=top,
        top_percent=100 * sum(count for _, count in top) / len(raised) if raised else 0.0,
        chattering=_chattering(raised),
        **_standing(rows, until_ns),
        by_priority={priority: by_priority[priority] for priority in PRIORITIES},
        shelved=sum(event.event == "shelved" for event in rows),
    )


def _floods(raised_ns: Sequence[int], until_ns: int) -> tuple[list[tuple[int, int]], int]:
    """Begin and end of each flood, and the most alarms that any 10 minutes held."""
    window: deque[int] = deque()
    floods: list[tuple[int, int]] = []
    begin_ns: int | None = None
    worst = 0

    def leave(at_ns: int) -> None:
        nonlocal begin_ns
        while window and window[0] + WINDOW_NS <= at_ns:
            gone_ns = window.popleft() + WINDOW_NS
            if begin_ns is not None and len(window) < FLOOD_ENDS_BELOW:
                floods.append((begin_ns, gone_ns))
                begin_ns = None

    for at_ns in raised_ns:
        leave(at_ns)
        window.append(at_ns)
        worst = max(worst, len(window))
        if begin_ns is None and len(window) > FLOOD_BEGINS_ABOVE:
            begin_ns = at_ns
    leave(until_ns)
    if begin_ns is not None:
        floods.append((begin_ns, until_ns))
    return floods, worst


def _chattering(raised: Sequence[AlarmEvent]) -> list[str]:
    """Alarms with three raises within a minute, in the order of their names."""
    last: dict[str, deque[int]] = {}
    found: set[str] = set()
    for event in raised:
        times = last.setdefault(event.alarm, deque(maxlen=CHATTERING_TIMES))
        times.append(event.at_ns)
        if len(times) == CHATTERING_TIMES and times[-1] - times[0] <= CHATTERING_NS:
            found.add(event.alarm)
    return sorted(found)


def _standing(rows: Sequence[AlarmEvent], until_ns: int) -> Mapping[str, Any]:
    """How many alarms were gone at once, and which stand too long: an alarm stands from its raise to its return."""
    since: dict[str, int] = {}
    fleeting, stale = 0, set()
    for event in rows:
        if event.event == "raised":
            since[event.alarm] = event.at_ns
        elif event.event in ("returned", "shelved", "suppressed", "out_of_service") and event.alarm in since:
            stood_ns = event.at_ns - since.pop(event.alarm)
            fleeting += event.event == "returned" and stood_ns < FLEETING_NS
            if stood_ns > STALE_NS:
                stale.add(event.alarm)
    stale.update(alarm for alarm, raised_ns in since.items() if until_ns - raised_ns > STALE_NS)
    return {"fleeting": fleeting, "stale": sorted(stale)}
