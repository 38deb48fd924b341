"""From the rules asked for one event to a program: tests in text order, and behind the last one what changes state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from secureos.policy import syntax as psl
from secureos.policy.codegen_expressions import LeftToClosures
from secureos.policy.compile import Rule
from secureos.policy.models import Base, Model
from secureos.policy.models.envelope import Envelope
from secureos.policy.models.flow import Flow
from secureos.policy.models.mic import Mic
from secureos.policy.models.rate import Rate
from secureos.policy.native.asked import Asked
from secureos.policy.native.writer import GRANTED, Shape, StepWriter, number


@dataclass
class RuleWriter:
    """Writes one program; every method raises `LeftToClosures` for what no program can say."""

    asked: Asked
    steps: StepWriter = field(init=False)
    _writes: list[Callable[[int], int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps = StepWriter(self.asked.fields, self.asked.objects)

    def shape(self) -> Shape:
        """The program of all rules; its constants and objects are in `steps`."""
        tests = [self._test(position, rule) for position, rule in enumerate(self.asked.rules)]
        label = GRANTED
        for write in reversed(self._writes):
            label = write(label)
        for position, test in reversed(list(enumerate(tests))):
            label = test(label, GRANTED - (position + 1))
        return self.steps.shape(label)

    def _test(self, position: int, rule: Rule) -> _Test:
        model = self.asked.objects.get(rule.object)
        template = RULES.get((type(model), rule.operation)) if model is not None else None
        if template is None or model is None or rule.call is None:
            raise LeftToClosures
        before = len(self._writes)
        test = template(self, model, rule.call.argument)
        if len(self._writes) > before and self.asked.kept(position):
            raise LeftToClosures
        return test

    def later(self, operation: str, slot: int, *, into: int, held: int) -> None:
        """A change of state, behind the last test."""
        self._writes.append(lambda label: self.steps.emit(operation, (slot, slot), yes=label, into=into, held=held))


_Test = Callable[[int, int], int]
"""Writes a rule: from the labels of where to go on when it grants and when it denies to the label of its beginning."""


def _grant(_writer: RuleWriter, _model: Model, _argument: psl.Expression) -> _Test:
    return lambda yes, _no: yes


def _assert(writer: RuleWriter, _model: Model, argument: psl.Expression) -> _Test:
    return lambda yes, no: writer.steps.test(argument, yes=yes, no=no)


def _deny(writer: RuleWriter, _model: Model, argument: psl.Expression) -> _Test:
    if isinstance(argument, psl.Constant) and argument.value is None:
        return lambda _yes, no: no
    return lambda yes, no: writer.steps.test(argument, yes=no, no=yes)


def _flow_allow(writer: RuleWriter, model: Model, argument: psl.Expression) -> _Test:
    given, steps = _entries(argument), writer.steps
    states = frozenset(map(_text, _items(given["states"])))
    return _in_state(steps, model, steps.argument(given["sid"]), states)


def _flow_enter(writer: RuleWriter, model: Model, argument: psl.Expression) -> _Test:
    assert isinstance(model, Flow)
    given, steps = _entries(argument), writer.steps
    slot, state = steps.argument(given["sid"]), _text(given["state"])
    before = frozenset(one for one, following in model._transitions.items() if state in following)
    if before != {state}:  # else who is in that state stays in it
        writer.later("put object", slot, into=steps.hold(state), held=steps.hold(model._state))
    return _in_state(steps, model, slot, before)


def _in_state(steps: StepWriter, model: Model, slot: int, states: frozenset[str]) -> _Test:
    assert isinstance(model, Flow)
    into, held = steps.hold(states), steps.hold(model._state)
    return lambda yes, no: steps.emit("in state", (slot, slot), yes=yes, no=no, into=into, held=held)


def _rate_take(writer: RuleWriter, model: Model, argument: psl.Expression) -> _Test:
    assert isinstance(model, Rate)
    given, steps = _entries(argument), writer.steps
    slot, count = steps.argument(given["sid"]), number(given["n"])
    if count is None or count < 0:
        raise LeftToClosures
    right, _ = steps.constant(count * model.interval_ns), steps.constant(model.tolerance_ns)
    held, _ = steps.hold(model.arrival_ns), steps.hold(writer.asked.moment)
    into = steps.temporary()
    writer.later("put number", slot, into=into, held=held)
    return lambda yes, no: steps.emit("take", (slot, right), yes=yes, no=no, constant=True, into=into, held=held)


def _mic_invoke(writer: RuleWriter, model: Model, argument: psl.Expression) -> _Test:
    assert isinstance(model, Mic)
    source, target = (writer.steps.argument(_entries(argument)[name]) for name in ("source", "target"))
    level = writer.steps.hold(model.level)
    return lambda yes, no: _within(writer.steps, (level, target), (level, source), yes=yes, no=no)


def _mic_call(writer: RuleWriter, model: Model, argument: psl.Expression) -> _Test:
    assert isinstance(model, Mic)
    source, target = (writer.steps.argument(_entries(argument)[name]) for name in ("source", "target"))
    level, lowest = writer.steps.hold(model.level), writer.steps.hold(model.level_r)

    def write(yes: int, no: int) -> int:
        # Who has no level, whatever else it may have, is not within its own.
        known = _within(writer.steps, (level, source), (level, source), yes=yes, no=no)
        no = _within(writer.steps, (lowest, source), (level, target), yes=known, no=no)
        return _within(writer.steps, (level, source), (level, target), yes=yes, no=no)

    return write


def _within(steps: StepWriter, lower: tuple[int, int], upper: tuple[int, int], *, yes: int, no: int) -> int:
    """Whether one level is within another; each is a container and the slot of whose level it is."""
    return steps.emit("within", (lower[1], upper[1]), yes=yes, no=no, into=upper[0], held=lower[0])


def _envelope_admit(writer: RuleWriter, model: Model, argument: psl.Expression) -> _Test:
    """Points that stand in the policy and have a range alone; what is measured is left to the model."""
    assert isinstance(model, Envelope)
    given = _entries(argument)
    points, values = [_text(item) for item in _items(given["points"])], _items(given["values"])
    if not len(points) == len(set(points)) == len(values) or not model._kept.isdisjoint(points):
        raise LeftToClosures
    ranges = [(value, model.ranges.get(point)) for point, value in zip(points, values, strict=True)]

    def write(yes: int, no: int) -> int:
        for value, one in reversed(ranges):
            if one is not None:
                for sign, limit in (("<=", one.high), (">=", one.low)):
                    yes = writer.steps.compare(sign, value, psl.Constant(limit, value.span), yes=yes, no=no)
        return yes

    return write


def _entries(argument: psl.Expression) -> Mapping[str | int, psl.Expression]:
    assert isinstance(argument, psl.DictionaryLiteral)  # as was checked
    return {entry.key: entry.value for entry in argument.entries}


def _items(part: psl.Expression) -> tuple[psl.Expression, ...]:
    if not isinstance(part, psl.ListLiteral):
        raise LeftToClosures
    return part.items


def _text(part: psl.Expression) -> str:
    if not isinstance(part, psl.Constant) or not isinstance(part.value, str):
        raise LeftToClosures
    return part.value


RULES: Final[Mapping[tuple[type[Model], str], Callable[[RuleWriter, Model, psl.Expression], _Test]]] = {
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
"""By model and rule, as those that are written in place."""
