"""What alarms a plant has: one definition per limit or alarm value in its table of points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from twin.core import Point, ns
from twin.core.alarm_columns import Priority

Kind = Literal["lolo", "lo", "hi", "hihi", "on", "off"]

# The most urgent first, as they are listed and as ties between alarms of one instant are broken.
PRIORITIES: Final[tuple[Priority, ...]] = ("urgent", "high", "medium", "low")


@dataclass(frozen=True)
class AlarmDefinition:
    """One alarm.

    Attributes:
        name: The point's tag and the kind, e.g. `F1.I.hi`.
        tag: The point that raises it.
        kind: Which limit is passed, or which value of a bool point is the alarm.
        limit: In `unit`; the alarm is above hi and hihi, below lo and lolo. 1 for on, 0 for off.
        unit: Unit of the point.
        description: Of the point.
        priority: How urgent a response is.
        deadband: How far behind the limit the value must come back, in `unit`.
        on_delay_ns, off_delay_ns: How long the value must stand beyond, or back, before that counts.
        latched: Whether the alarm, once gone, stays until it is acknowledged and reset.
        group: First-out group; empty for none.
        suppressed_by: Tag of the bool point that suppresses it by design; empty for none.
        cause, consequence, response: What the operator is told.
        respond_within_s: The time that there is to respond (s), or None.
    """

    name: str
    tag: str
    kind: Kind
    limit: float
    unit: str
    description: str
    priority: Priority
    deadband: float = 0.0
    on_delay_ns: int = 0
    off_delay_ns: int = 0
    latched: bool = False
    group: str = ""
    suppressed_by: str = ""
    cause: str = ""
    consequence: str = ""
    response: str = ""
    respond_within_s: float | None = None


def alarm_definitions(points: Iterable[Point]) -> tuple[AlarmDefinition, ...]:
    """Every alarm of a table of points, in its order; of one point from the lowest limit to the highest."""
    return tuple(definition for point in points for definition in _of(point))


def _of(point: Point) -> Iterator[AlarmDefinition]:
    for kind, limit in point.alarm_limits:
        yield _definition(point, kind, limit)
    if point.alarm_when is not None:
        yield _definition(point, "on" if point.alarm_when else "off", float(point.alarm_when))


def _definition(point: Point, kind: Kind, limit: float) -> AlarmDefinition:
    return AlarmDefinition(
        name=f"{point.tag}.{kind}",
        tag=point.tag,
        kind=kind,
        limit=limit,
        unit=point.unit,
        description=point.description,
        priority=point.alarm_outer_priority if kind in ("lolo", "hihi") else point.alarm_priority,
        deadband=point.alarm_deadband,
        on_delay_ns=ns(point.alarm_on_delay_s),
        off_delay_ns=ns(point.alarm_off_delay_s),
        latched=point.alarm_latched,
        group=point.alarm_group,
        suppressed_by=point.alarm_suppressed_by,
        cause=point.alarm_cause,
        consequence=point.alarm_consequence,
        response=point.alarm_response,
        respond_within_s=point.alarm_respond_within_s,
    )
