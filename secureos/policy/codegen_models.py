"""Rules and expressions of the models that are written in place, because commands to actuators meet them often.

A template reads the model's containers themselves; they keep their identity for the life of the object. It never
changes what a rule means: the closures of the checked policy decide the same, and tests hold both together. A model
without a template is called like any other; a new one needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from secureos.policy.models import Base, Model
from secureos.policy.models.envelope import Envelope
from secureos.policy.models.flow import Flow
from secureos.policy.models.mic import Mic
from secureos.policy.models.point_set import PointSet
from secureos.policy.models.rate import Rate


@dataclass(frozen=True, slots=True)
class Operand:
    """An expression in Python's words.

    Attributes:
        text: The words; brackets stand around all but names.
        run: Whether it is a list of values.
        literal: Its value if it stands in the policy itself.
        items: Of a list that is written out, the words for its items.
    """

    text: str
    run: bool = False
    literal: object = None
    items: tuple[str, ...] = ()


@dataclass
class Parameters:
    """What is bound to a function, under names that follow from the order alone: equal shapes give equal text."""

    values: list[object] = field(default_factory=list)
    locals: int = 0

    def add(self, value: object) -> str:
        """The name under which a value is bound."""
        self.values.append(value)
        return f"p{len(self.values) - 1}"

    def local(self) -> str:
        """A name for something computed on the way."""
        self.locals += 1
        return f"v{self.locals}"


@dataclass(frozen=True, slots=True)
class Step:
    """A rule in place.

    Attributes:
        prepare: Lines before the test.
        denied: The condition under which the rule denies; empty if it never does.
        commit: Lines that change state; run after every rule of the event has granted, and unable to fail.
        undoes: Whether it changes state at once, with the undo list.
    """

    prepare: tuple[str, ...] = ()
    denied: str = ""
    commit: tuple[str, ...] = ()
    undoes: bool = False


Operands = Mapping[str, Operand]


def _kept(parameters: Parameters, operand: Operand) -> tuple[tuple[str, ...], str]:
    """A line that keeps a value, and its name: when changes are made, the value might be another one."""
    if operand.text.isidentifier():
        return (), operand.text
    name = parameters.local()
    return (f"{name} = {operand.text}",), name


def _grant(_parameters: Parameters, _model: Model, _given: Operands) -> Step:
    return Step()


def _assert(_parameters: Parameters, _model: Model, given: Operands) -> Step:
    return Step(denied=f"not {given[''].text}")


def _deny(_parameters: Parameters, _model: Model, given: Operands) -> Step:
    return Step(denied=given[""].text if "" in given else "True")


def _flow_allow(parameters: Parameters, model: Model, given: Operands) -> Step:
    assert isinstance(model, Flow)
    states = given["states"].literal
    allowed = frozenset(states if isinstance(states, tuple) else ())
    return Step(denied=_in_none_of(parameters, f"{parameters.add(model._state.get)}({given['sid'].text})", allowed))


def _flow_enter(parameters: Parameters, model: Model, given: Operands) -> Step:
    assert isinstance(model, Flow)
    prepare, sid = _kept(parameters, given["sid"])
    state = given["state"]
    # From which states the transition is listed: an automaton that is not there is in none of them.
    before = frozenset(one for one, following in model._transitions.items() if state.literal in following)
    return Step(
        prepare,
        denied=_in_none_of(parameters, f"{parameters.add(model._state.get)}({sid})", before),
        # Who is in that state already and can come from nowhere else stays in it; nothing is written.
        commit=() if before == {state.literal} else (f"{parameters.add(model._state)}[{sid}] = {state.text}",),
    )


def _in_none_of(parameters: Parameters, state: str, states: frozenset[str]) -> str:
    """Whether a state is none of these; a single one is compared, which is faster than looking into a set."""
    if len(states) == 1:
        return f"{state} != {parameters.add(next(iter(states)))}"
    return f"{state} not in {parameters.add(states)}"


def _rate_take(parameters: Parameters, model: Model, given: Operands) -> Step | None:
    assert isinstance(model, Rate)
    number = given["n"].literal
    if not isinstance(number, int) or number < 0:
        return None
    prepare, sid = _kept(parameters, given["sid"])
    before, after, now = (parameters.local() for _ in range(3))
    cost, tolerance = parameters.add(number * model.interval_ns), parameters.add(model.tolerance_ns)
    first, room = parameters.add(partial(_first_arrival, model)), parameters.add(partial(_make_room, model))
    return Step(
        prepare=(
            *prepare,
            f"{now} = moment.at_ns",
            f"{after} = {before} = {parameters.add(model.arrival_ns.get)}({sid})",
            f"if {before} is None: {after} = {first}({now})",
            f"if {after} < {now}: {after} = {now}",
            f"{after} = {after} + {cost}",
        ),
        denied=f"{after} > {now} + {tolerance}",
        commit=(f"if {before} is None: {room}({now})", f"{parameters.add(model.arrival_ns)}[{sid}] = {after}"),
    )


def _first_arrival(model: Rate, now_ns: int) -> int:
    """What a new subject begins with; a time that is never reached where there is no room, even after forgetting."""
    full = len(model.arrival_ns) >= model.subjects and all(at_ns > now_ns for at_ns in model.arrival_ns.values())
    return now_ns + model.tolerance_ns + 1 if full else 0


def _make_room(model: Rate, now_ns: int) -> None:
    if len(model.arrival_ns) >= model.subjects:
        model._forget(now_ns, [])


def _mic_invoke(parameters: Parameters, model: Model, given: Operands) -> Step:
    assert isinstance(model, Mic)
    prepare, own, other = _levels(parameters, model, given)
    return Step(prepare, f"{own} is None or {other} is None or {_beyond(model, other, own)}")


def _mic_call(parameters: Parameters, model: Model, given: Operands) -> Step:
    assert isinstance(model, Mic)
    prepare, own, other = _levels(parameters, model, given)
    least, lowest = parameters.local(), parameters.add(model.level_r.get)
    return Step(
        (*prepare, f"{least} = {lowest}({given['source'].text}, {own})"),
        f"{own} is None or {other} is None or {_beyond(model, own, other)} and {_beyond(model, least, other)}",
    )


def _levels(parameters: Parameters, model: Mic, given: Operands) -> tuple[tuple[str, ...], str, str]:
    levels, own, other = parameters.add(model.level.get), parameters.local(), parameters.local()
    lines = (f"{own} = {levels}({given['source'].text})", f"{other} = {levels}({given['target'].text})")
    return lines, own, other


def _beyond(model: Mic, lower: str, upper: str) -> str:
    """Whether a level is not within another: by degree, or by the categories, if there are any."""
    if not model._categories:
        return f"{lower} > {upper}"
    return f"({lower}[0] > {upper}[0] or {lower}[1] & ~{upper}[1])"


def _envelope_admit(parameters: Parameters, model: Model, given: Operands) -> Step | None:
    """Points that stand in the policy and have a range alone; what is measured is left to the model."""
    assert isinstance(model, Envelope)
    points, values = given["points"].literal, given["values"].items
    if not isinstance(points, tuple) or len(set(points)) != len(values) or len(points) != len(values):
        return None
    if any(point in model._kept for point in points):
        return None
    ranges = ((value, model.ranges.get(point)) for point, value in zip(points, values, strict=True))
    outside = (
        f"not {parameters.add(one.low)} <= {value} <= {parameters.add(one.high)}" for value, one in ranges if one
    )
    return Step(denied=" or ".join(outside))


def _meets(parameters: Parameters, model: Model, given: Operands) -> Operand:
    assert isinstance(model, PointSet)
    points, members = given["points"], parameters.add(model._members)
    return Operand(f"(not {members}.isdisjoint({points.text}))" if points.run else f"({points.text} in {members})")


def _covers(parameters: Parameters, model: Model, given: Operands) -> Operand:
    assert isinstance(model, PointSet)
    points, members = given["points"], parameters.add(model._members)
    return Operand(f"{members}.issuperset({points.text})" if points.run else f"({points.text} in {members})")


RULES: Final[Mapping[tuple[type[Model], str], Callable[[Parameters, Model, Operands], Step | None]]] = {
    (Base, "grant"): _grant,
    (Base, "assert"): _assert,
    (Base, "deny"): _deny,
    (Flow, "allow"): _flow_allow,
    (Flow, "enter"): _flow_enter,
    (Rate, "take"): _rate_take,
    (Mic, "call"): _mic_call,
    (Mic, "read"): _mic_call,
    (Mic, "invoke"): _mic_invoke,
    (Mic, "write"): _mic_invoke,
    (Envelope, "admit"): _envelope_admit,
}
"""By model and rule; the operands by parameter, that of `(…)` under the empty name. None: it is called after all."""

EXPRESSIONS: Final[Mapping[tuple[type[Model], str], Callable[[Parameters, Model, Operands], Operand]]] = {
    (PointSet, "meets"): _meets,
    (PointSet, "covers"): _covers,
}
"""The same for expressions."""
