"""How fast a policy decides: random well-formed messages, by kind of event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from time import perf_counter_ns
from typing import Final

from secureos.policy.candidates import Candidate, candidates, sids_of
from secureos.policy.engine import Engine
from secureos.policy.load import Policy
from secureos.policy.questions import KINDS
from secureos.policy.rule_index import RuleIndex
from secureos.policy.samples import random_message
from secureos.policy.syntax import EventKind
from secureos.policy.verdict import Event

_EVENTS: Final = 2000
_STEP_NS: Final = 1_000_000
_TIMED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Throughput:
    """The figures of one kind of event.

    Attributes:
        kind: Of the events.
        forms: How many combinations of classes and methods the events were drawn from.
        decisions: How many were decided in the measured time.
        per_second: Decisions per second, one after the other.
        p50_us, p99_us: Time of a single decision, in microseconds; what the clock itself takes is in it.
        granted: Share of granted ones, from 0 to 1.
    """

    kind: EventKind
    forms: int
    decisions: int
    per_second: float
    p50_us: float
    p99_us: float
    granted: float


def measure(policy: Policy, *, seconds: float, seed: int = 1) -> tuple[Throughput, ...]:
    """Measure each kind of event of which some rule speaks; `seconds` are for all of them together.

    Events of which no rule speaks are left out: a denial by default would flatter the figures.
    """
    index = RuleIndex(policy.bindings)
    forms = {
        kind: [one for one in candidates(kind, (), policy.classes) if not one.is_open and index.rules_for(one)]
        for kind in KINDS
    }
    known = {kind: found for kind, found in forms.items() if found}
    return tuple(
        _measure(policy, found, seconds / len(known), Random(f"{seed} {kind}")) for kind, found in known.items()
    )


def _measure(policy: Policy, forms: Sequence[Candidate], seconds: float, source: Random) -> Throughput:
    engine, events = Engine(policy), _events(policy, forms, source)
    granted = sum(engine.decide(event).granted for event in events)
    single_ns = _single(engine, events)
    decisions, spent_ns = 0, 0
    while spent_ns < seconds * 1e9:
        # The policy sees time go on, not jump back where the events begin anew.
        for event in events:
            event.at_ns += _STEP_NS * len(events)
        before = perf_counter_ns()
        for event in events:
            engine.decide(event)
        spent_ns += perf_counter_ns() - before
        decisions += len(events)
    return Throughput(
        kind=forms[0].kind,
        forms=len(forms),
        decisions=decisions,
        per_second=decisions * 1e9 / spent_ns,
        p50_us=single_ns[len(single_ns) // 2] / 1000,
        p99_us=single_ns[len(single_ns) * 99 // 100] / 1000,
        granted=granted / len(events),
    )


def _events(policy: Policy, forms: Sequence[Candidate], source: Random) -> list[Event]:
    sids = sids_of(policy.classes)
    drawn = []
    for number in range(_EVENTS):
        form = source.choice(forms)
        dst_sid = None if form.dst is None else sids[form.dst]
        message = random_message(form.parameters, source)
        drawn.append(form.event(number * _STEP_NS, (sids[form.src], dst_sid), message))
    return drawn


def _single(engine: Engine, events: Sequence[Event]) -> list[int]:
    """The time of single decisions in ns, sorted."""
    taken = []
    for _ in range(_TIMED // len(events)):
        for event in events:
            event.at_ns += _STEP_NS * len(events)
            before = perf_counter_ns()
            engine.decide(event)
            taken.append(perf_counter_ns() - before)
    return sorted(taken)
