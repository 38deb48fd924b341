"""The model `Interlock`: conditions over measured state, permissives, and trips that latch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from secureos.policy import syntax as psl
from secureos.policy.models.arguments import REPORT, name_out_of, one_of
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.measured import MAX_MS, Measurements, Watch
from secureos.policy.models.model import Incorrect, Model, Operation, Undo
from secureos.policy.values import BooleanType
from secureos.xdl.grammar import MAX_INTEGER, MIN_INTEGER

if TYPE_CHECKING:
    from secureos.policy.verdict import Event


@dataclass(frozen=True, slots=True)
class Condition:
    """A point whose value lies between two bounds, both included."""

    point: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Trip:
    """What latches while its condition holds, and the roles that may reset it afterwards."""

    when: str
    reset_by: frozenset[str]


@dataclass(frozen=True, slots=True)
class Action:
    """What is allowed only under conditions and without trips."""

    needs: tuple[str, ...]
    blocked_by: tuple[str, ...]


class Interlock(Model):
    """A matrix of causes and effects: what must be so before an action, and what forbids it until it is reset.

    Parameters (`config = { … }`):
        max_age_ms: A measurement older than that is unknown, 1 ms to 30 days.
        conditions: For each name `{ point }` with `equals`, or with `at_least`, `at_most` or both.
        trips: Optionally, for each name `{ when, reset_by }`: the condition that trips, and the roles that may reset.
        actions: For each name `{ needs, blocked_by }`, one or both: conditions that must hold, trips that must not be.

    Rules:
        observe {points, values, quality}: Takes over measurements, and latches each trip whose condition holds then.
            Quality 0 is good, any other makes the point unknown. Denied only if the lists differ in length.
        trip {name}: Latches a trip by hand. Always granted.
        reset {name, role}: Takes the latch off; denied if the role may not, or unless the condition is known to be
            over. To reset what is not latched changes nothing.
        require {action}: Granted if all that the action needs holds and nothing that blocks it is latched.

    Expressions:
        holds {condition}: Whether the condition holds; without value (the event is denied) if it is not known.
        tripped {name}: Whether the trip is latched.

    Semantics:
        What is unknown (never measured, marked bad, too old) is no permission: a condition that is needed must be
        known to hold. It is no cause either: a trip latches on a condition that is known to hold, but while the
        condition of a trip is unknown, the actions that it blocks are denied. A trip dominates: while its condition
        holds it cannot be reset.

    Errors:
        Refused at load: conditions, trips and actions that do not exist; a condition without bounds, with `equals`
        beside other bounds, or with `at_least` above `at_most`; an action that needs nothing and is not blocked.

    Example::

        policy object guard : Interlock { config = {
            max_age_ms : 1000,
            conditions : { "shut" : { point : "door", equals : 1 }, "hot" : { point : "temp", at_least : 900 } },
            trips : { "overheat" : { when : "hot", reset_by : ["chief"] } },
            actions : { "start" : { needs : ["shut"], blocked_by : ["overheat"] } }
        } }
        security src=Sensor method=Report {
            guard.observe {points : message.tags, values : message.values, quality : message.quality}
        }
        request dst=Pump method=Fire { guard.require {action : "start"} }
        request dst=Desk method=Reset { guard.reset {name : "overheat", role : message.role} }
        assert {
            sequence {
                deny  request src=Panel dst=Pump method=Fire
                grant security src=Sensor method=Report { tags : ["door", "temp"], values : [1, 20], quality : [0, 0] }
                grant request src=Panel dst=Pump method=Fire
                grant security src=Sensor method=Report { tags : ["temp"], values : [950], quality : [0] }
                deny  request src=Panel dst=Pump method=Fire
                deny  request src=Panel dst=Desk method=Reset { role : "chief" }
                grant security src=Sensor method=Report { tags : ["temp"], values : [800], quality : [0] }
                deny  request src=Panel dst=Pump method=Fire
                deny  request src=Panel dst=Desk method=Reset { role : "guest" }
                grant request src=Panel dst=Desk method=Reset { role : "chief" }
                grant request src=Panel dst=Pump method=Fire
            }
        }

    Source:
        Our own, after the cause and effect matrices of ISO 10418 and the reset and permissive functions of
        IEC 61511-1 clause 11.
    """

    kind = "Interlock"

    def __init__(
        self,
        name: str,
        *,
        max_age_ms: int,
        conditions: Mapping[str, Condition],
        trips: Mapping[str, Trip],
        actions: Mapping[str, Action],
    ) -> None:
        super().__init__(name)
        self._conditions = conditions
        self._trips = trips
        self._actions = actions
        self._measured = Measurements(name, (each.point for each in conditions.values()), max_age_ms)
        self._watch = Watch(conditions[trip.when].point for trip in trips.values())
        self._latched: frozenset[str] = frozenset()  # replaced, never changed in place
        trip = one_of("a trip", tuple(trips))
        roles = sorted({role for each in trips.values() for role in each.reset_by})
        self.rules = {
            "observe": Operation(self._observe, REPORT),
            "trip": Operation(self._trip, {"name": trip}),
            "reset": Operation(self._reset, {"name": trip, "role": name_out_of("a role", roles)}),
            "require": Operation(self._require, {"action": one_of("an action", tuple(actions))}),
        }
        condition = {"condition": one_of("a condition", tuple(conditions))}
        self.expressions = {
            "holds": Operation(self._holds, condition, value=BooleanType()),
            "tripped": Operation(self._tripped, {"name": trip}, value=BooleanType()),
        }

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check the names and the bounds."""
        configuration.types()
        keys = configuration.keys(configuration.config(), ("max_age_ms", "conditions", "actions"), ("trips",))
        rows = configuration.entries(keys.get("conditions"))
        conditions = {name: _condition(configuration, row) for name, row in rows.items()}
        trips = {
            name: _trip(configuration, row, conditions)
            for name, row in configuration.entries(keys.get("trips")).items()
        }
        return partial(
            cls,
            configuration.name,
            max_age_ms=configuration.integer(keys.get("max_age_ms"), 1, MAX_MS),
            conditions=conditions,
            trips=trips,
            actions={
                name: _action(configuration, row, conditions, trips)
                for name, row in configuration.entries(keys.get("actions")).items()
            },
        )

    def snapshot(self) -> Any:  # noqa: ANN401
        """Measurements and latches."""
        return {"readings": self._measured.snapshot(), "latched": sorted(self._latched)}

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self._measured.restore(state["readings"])
        self._put(frozenset(state["latched"]))

    def _observe(
        self, event: Event, undo: Undo, points: Sequence[str], values: Sequence[int], quality: Sequence[int]
    ) -> str | None:
        why = self._measured.observe(event, undo, points, values, quality)
        # What is not new trips nothing: a cause that holds has latched, and no latch comes off while it does.
        if why is None and self._watch.rows(self._measured.latest, self._latched):
            causes = ((name, self._known(trip.when, event.at_ns)) for name, trip in self._trips.items())
            self._replace(undo, self._latched.union(name for name, known in causes if known is True))
            self._watch.left(self._latched)
        return why

    def _trip(self, _event: Event, undo: Undo, name: str) -> None:
        self._replace(undo, self._latched | {name})

    def _reset(self, event: Event, undo: Undo, name: str, role: str) -> str | None:
        trip = self._trips[name]
        if role not in trip.reset_by:
            return f"`{self.name}`: role `{role}` may not reset `{name}`"
        cause = self._known(trip.when, event.at_ns)
        if isinstance(cause, str):
            return f"`{self.name}`: `{name}` cannot be reset, because {cause}"
        if cause:
            return f"`{self.name}`: `{name}` cannot be reset while `{trip.when}` holds"
        self._replace(undo, self._latched - {name})
        return None

    def _require(self, event: Event, _undo: Undo, action: str) -> str | None:
        row = self._actions[action]
        whys = (
            *(self._blocks(name, event.at_ns) for name in row.blocked_by),
            *(self._lacks(name, event.at_ns) for name in row.needs),
        )
        why = next((why for why in whys if why is not None), None)
        return None if why is None else f"`{self.name}`: `{action}` is not permitted: {why}"

    def _blocks(self, name: str, at_ns: int) -> str | None:
        if name in self._latched:
            return f"`{name}` has tripped and was not reset"
        cause = self._known(self._trips[name].when, at_ns)
        return cause if isinstance(cause, str) else None

    def _lacks(self, name: str, at_ns: int) -> str | None:
        known = self._known(name, at_ns)
        if isinstance(known, str):
            return known
        return None if known else f"`{name}` does not hold"

    def _holds(self, event: Event, condition: str) -> bool:
        known = self._known(condition, event.at_ns)
        if isinstance(known, str):
            raise Incorrect(f"`{self.name}`: {known}")
        return known

    def _tripped(self, _event: Event, name: str) -> bool:
        return name in self._latched

    def _replace(self, undo: Undo, latched: frozenset[str]) -> None:
        undo.append(partial(self._put, self._latched))
        self._put(latched)

    def _put(self, latched: frozenset[str]) -> None:
        self._latched = latched

    def _known(self, condition: str, at_ns: int) -> bool | str:
        """Whether a condition holds, or why that is not known."""
        row = self._conditions[condition]
        value = self._measured.read(row.point, at_ns)
        return value if isinstance(value, str) else row.low <= value <= row.high


def _condition(configuration: Configuration, row: psl.Expression) -> Condition:
    keys = configuration.keys(row, ("point",), ("equals", "at_least", "at_most"))
    given = [key for key in ("equals", "at_least", "at_most") if key in keys]
    if not given or ("equals" in given and len(given) > 1):
        configuration.say(row.span, "a condition has `equals`, or `at_least`, `at_most` or both")
    numbers = {key: configuration.integer(keys[key], MIN_INTEGER, MAX_INTEGER) for key in given}
    low = numbers.get("equals", numbers.get("at_least", MIN_INTEGER))
    high = numbers.get("equals", numbers.get("at_most", MAX_INTEGER))
    if low > high:
        configuration.say(row.span, f"no value is at least {low} and at most {high}")
    return Condition(configuration.text(keys.get("point")), low, high)


def _trip(configuration: Configuration, row: psl.Expression, conditions: Mapping[str, Condition]) -> Trip:
    keys = configuration.keys(row, ("when", "reset_by"))
    return Trip(
        configuration.name_of(keys.get("when"), "condition", conditions),
        frozenset(configuration.distinct_texts(keys.get("reset_by"))),
    )


def _action(
    configuration: Configuration,
    row: psl.Expression,
    conditions: Mapping[str, Condition],
    trips: Mapping[str, Trip],
) -> Action:
    keys = configuration.keys(row, (), ("needs", "blocked_by"))
    needs = configuration.names_of(keys.get("needs"), "condition", conditions)
    blocked_by = configuration.names_of(keys.get("blocked_by"), "trip", trips)
    if not needs and not blocked_by:
        configuration.say(row.span, "an action needs a condition or is blocked by a trip; else it needs no interlock")
    return Action(needs, blocked_by)
