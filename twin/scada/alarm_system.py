"""All alarms of a plant: from readings to what stands on the operator's list."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from twin.core import ns
from twin.fieldbus import Reading
from twin.scada.alarm import Alarm, Cover, What
from twin.scada.definitions import PRIORITIES, AlarmDefinition
from twin.scada.journal import AlarmEvent

# Longer than a shift nobody may hide an alarm without taking the decision anew.
LONGEST_SHELVED_S: Final = 12 * 3600.0


class AlarmError(Exception):
    """An alarm was asked for what cannot be done with it; the message says why."""


class AlarmSystem:
    """The alarms of one plant. It moves only when readings or an operator come, at the instants they name.

    Args:
        definitions: What alarms there are.
        tell: Is told of everything that happens, in order.
    """

    def __init__(self, definitions: Iterable[AlarmDefinition], tell: Callable[[AlarmEvent], None]) -> None:
        self.alarms: dict[str, Alarm] = {one.name: Alarm(one) for one in definitions}
        self._tell = tell
        self._taken_ns: dict[str, int] = {}
        self._order = {name: number for number, name in enumerate(self.alarms)}
        self._by_tag: dict[str, list[Alarm]] = {}
        self._groups: dict[str, list[Alarm]] = {}
        for alarm in self.alarms.values():
            self._by_tag.setdefault(alarm.definition.tag, []).append(alarm)
            if alarm.definition.group:
                self._groups.setdefault(alarm.definition.group, []).append(alarm)
        self._suppressible = [alarm for alarm in self.alarms.values() if alarm.definition.suppressed_by]

    def __getitem__(self, name: str) -> Alarm:
        """The alarm of that name.

        Raises:
            AlarmError: There is none; the message names a near one.
        """
        if name not in self.alarms:
            near = difflib.get_close_matches(name, self.alarms, n=1)
            raise AlarmError(f"there is no alarm `{name}`" + (f"; did you mean `{near[0]}`?" if near else ""))
        return self.alarms[name]

    def listed(self) -> list[Alarm]:
        """What the operator's list shows: the most urgent first, unacknowledged before acknowledged, newest first."""
        standing = [alarm for alarm in self.alarms.values() if alarm.state != "normal"]
        return sorted(
            standing,
            key=lambda a: (PRIORITIES.index(a.definition.priority), not a.unacknowledged, -(a.raised_ns or 0)),
        )

    def observe(self, at_ns: int, readings: Mapping[str, Reading]) -> None:
        """Take readings in, by tag, and let alarms come and go.

        A reading that was taken before says nothing new; of a bad one nothing is known, so its alarms stay as they
        are. Time never runs back.
        """
        self._unshelve_due(at_ns)
        self._suppress(at_ns, readings)
        touched = [alarm for tag in self._by_tag if tag in readings for alarm in self._weigh(tag, readings[tag])]
        self._follow(touched, at_ns)

    def acknowledge(self, name: str, *, by: str, at_ns: int) -> bool:
        """Acknowledge an alarm; whether there was anything to acknowledge. Raises `AlarmError`: there is none."""
        alarm = self[name]
        if not alarm.acknowledge():
            return False
        self._note(alarm, "acknowledged", at_ns, by=by)
        self._quieten(alarm)
        return True

    def reset(self, name: str, *, by: str, at_ns: int) -> bool:
        """Let an acknowledged latched alarm go; whether it was one. Raises `AlarmError`: there is none."""
        alarm = self[name]
        if not alarm.reset():
            return False
        self._note(alarm, "reset", at_ns, by=by)
        self._quieten(alarm)
        return True

    def shelve(self, name: str, *, by: str, reason: str, for_s: float, at_ns: int) -> None:
        """Take an alarm off the list for a time.

        Args:
            name: Which.
            by: Who takes it off.
            reason: Why; never empty.
            for_s: For how long (s), more than 0 and at most 12 hours.
            at_ns: When.

        Raises:
            AlarmError: There is no such alarm, no reason, or the time is out of its range.
        """
        alarm = self[name]
        if not by.strip() or not reason.strip():
            raise AlarmError(f"`{name}` is shelved by somebody and for a reason; say both")
        if not 0 < for_s <= LONGEST_SHELVED_S:
            raise AlarmError(f"`{name}` cannot be shelved for {for_s:g} s; it takes up to {LONGEST_SHELVED_S:g} s")
        cover = Cover(by, reason, at_ns + ns(for_s))
        alarm.cover("shelved", cover)
        self._note(alarm, "shelved", at_ns, by=by, reason=reason, until_ns=cover.until_ns)
        self._quieten(alarm)

    def unshelve(self, name: str, *, by: str, at_ns: int) -> bool:
        """Put a shelved alarm back on the list; whether it was shelved. Raises `AlarmError`: there is none."""
        alarm = self[name]
        if not alarm.uncover("shelved"):
            return False
        self._note(alarm, "unshelved", at_ns, by=by)
        self._follow([alarm], at_ns)
        return True

    def take_out_of_service(self, name: str, *, by: str, reason: str, at_ns: int) -> None:
        """Take an alarm out for maintenance, until it is put back. Raises `AlarmError`: none such, or no reason."""
        alarm = self[name]
        if not by.strip() or not reason.strip():
            raise AlarmError(f"`{name}` is taken out of service by somebody and for a reason; say both")
        alarm.cover("out_of_service", Cover(by, reason))
        self._note(alarm, "out_of_service", at_ns, by=by, reason=reason)
        self._quieten(alarm)

    def put_in_service(self, name: str, *, by: str, at_ns: int) -> bool:
        """Put an alarm back into service; whether it was out. Raises `AlarmError`: there is none."""
        alarm = self[name]
        if not alarm.uncover("out_of_service"):
            return False
        self._note(alarm, "in_service", at_ns, by=by)
        self._follow([alarm], at_ns)
        return True

    def snapshot(self) -> dict[str, Any]:
        """How every alarm stands, as plain values."""
        return {
            "alarms": {name: alarm.as_values() for name, alarm in self.alarms.items()},
            "taken_ns": dict(self._taken_ns),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave, of the same definitions."""
        for name, values in state["alarms"].items():
            self.alarms[name].take(values)
        self._taken_ns = dict(state["taken_ns"])

    def _unshelve_due(self, at_ns: int) -> None:
        for alarm in self.alarms.values():
            shelf = alarm.covers.get("shelved") if alarm.covers else None
            if shelf is not None and shelf.until_ns is not None and shelf.until_ns <= at_ns:
                alarm.uncover("shelved")
                self._note(alarm, "unshelved", at_ns, reason="its time is over")
                self._follow([alarm], at_ns)

    def _suppress(self, at_ns: int, readings: Mapping[str, Reading]) -> None:
        for alarm in self._suppressible:
            tag = alarm.definition.suppressed_by
            reading = readings.get(tag)
            if reading is None or reading.quality == "bad" or bool(reading.value) == ("suppressed" in alarm.covers):
                continue
            if reading.value:
                alarm.cover("suppressed", Cover(reason=tag))
                self._note(alarm, "suppressed", at_ns, reason=tag)
                self._quieten(alarm)
            else:
                alarm.uncover("suppressed")
                self._note(alarm, "unsuppressed", at_ns, reason=tag)
                self._follow([alarm], at_ns)

    def _weigh(self, tag: str, reading: Reading) -> Iterator[Alarm]:
        if self._taken_ns.get(tag, -1) >= reading.at_ns:
            return
        self._taken_ns[tag] = reading.at_ns
        known = reading.quality != "bad" and not math.isnan(reading.value)
        for alarm in self._by_tag[tag]:
            if not known:
                alarm.condition.hold()
                continue
            if alarm.condition.settled and alarm.value == reading.value:
                continue  # the same value says the same
            alarm.value = reading.value
            was = alarm.condition.active
            alarm.condition.take(alarm.definition, reading.value, reading.at_ns)
            if alarm.condition.active != was:
                yield alarm

    def _follow(self, alarms: list[Alarm], at_ns: int) -> None:
        """Raise and return alarms; among those of one instant, the one whose condition began first comes first."""
        ordered = sorted(alarms, key=self._precedence) if len(alarms) > 1 else alarms
        for alarm in ordered:
            first = self._is_quiet(alarm.definition.group)
            happened = alarm.follow(at_ns)
            if happened is None:
                continue
            if happened == "raised" and first:
                alarm.first_out = True
            self._note(alarm, happened, at_ns)
            self._quieten(alarm)

    def _precedence(self, alarm: Alarm) -> tuple[int, int, int]:
        began_ns = alarm.condition.began_ns
        order = self._order[alarm.definition.name]
        return (-1 if began_ns is None else began_ns, PRIORITIES.index(alarm.definition.priority), order)

    def _is_quiet(self, group: str) -> bool:
        return bool(group) and all(alarm.state == "normal" for alarm in self._groups[group])

    def _quieten(self, alarm: Alarm) -> None:
        """Forget who was first in the alarm's group once all of it is normal."""
        if alarm.state == "normal" and self._is_quiet(alarm.definition.group):
            for other in self._groups[alarm.definition.group]:
                other.first_out = False

    def _note(self, alarm: Alarm, event: What, at_ns: int, **who: Any) -> None:  # noqa: ANN401
        what = alarm.definition
        self._tell(
            AlarmEvent(
                at_ns, what.name, event, alarm.state, what.priority, alarm.value, what.limit, what.unit,
                first_out=alarm.first_out, **who,
            )
        )  # fmt: skip
