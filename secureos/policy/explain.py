"""Why one event is granted or denied: the verdict, the deciding rule, and what every rule for it says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from secureos.policy.candidates import Candidate
from secureos.policy.coverage import first_line
from secureos.policy.engine import Engine
from secureos.policy.following import Answer, Follower, Said
from secureos.policy.load import Policy
from secureos.policy.questions import Question, resolve
from secureos.policy.verdict import Event, Verdict

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class Step:
    """One rule for the event: where it stands, its text, and what it said.

    A rule behind the first denial is not asked: its answer could depend on effects that never happen. What was asked
    in the cases of a `choice` stands behind it. A rule that `failed` has no answer for this event.
    """

    place: str
    text: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict with all that led to it.

    Attributes:
        candidate: The event, for people.
        event: The event with its message.
        verdict: What the policy says; the rule is `structure` if the message does not fit its description.
        trace: Every rule for the event in text order.
        earlier: The verdicts on the events before.
    """

    candidate: Candidate
    event: Event
    verdict: Verdict
    trace: tuple[Step, ...]
    earlier: tuple[tuple[str, Verdict], ...]


def explain(policy: Policy, question: Question, earlier: Iterable[Question] = ()) -> Explanation:
    """Decide an event, after some earlier ones from a fresh state.

    Raises:
        UnknownNames: An event names what the policy does not know.
    """
    engine = Engine(policy)
    before = [resolve(one, policy.classes) for one in earlier]
    candidate, event = resolve(question, policy.classes)
    verdicts = tuple((str(one), _decide(engine, one, what)) for one, what in before)
    said = Follower(policy).follow(engine, candidate, event)
    verdict = _decide(engine, candidate, event)
    if not verdict.tried and all(one.answer != "failed" for one in said):
        # Refused before any rule was asked.
        said = [Said(one.rule, "not asked") for one in said]
    return Explanation(candidate, event, verdict, _trace(policy, said), verdicts)


def _decide(engine: Engine, candidate: Candidate, event: Event) -> Verdict:
    wrong = candidate.check(event.message)
    if wrong is not None:
        # The kernel refuses such a message before it asks any rule.
        return Verdict(False, "structure", f"malformed message: {wrong}")
    return engine.decide(event)


def _trace(policy: Policy, said: Iterable[Said]) -> tuple[Step, ...]:
    lines = {source.name: source for source in policy.sources}
    steps = []
    for one in said:
        name, _, line = one.rule.place.rpartition(":")
        call = one.rule.call
        text = first_line(call.span.text) if call is not None else lines[name].line(int(line)).strip()
        steps.append(Step(one.rule.place, text, one.answer))
    return tuple(steps)


def as_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation as plain values; keys are added in later versions, never changed."""
    candidate, verdict = explanation.candidate, explanation.verdict
    return {
        "schema": SCHEMA,
        "event": {"kind": candidate.kind, **candidate.attributes, "at_s": explanation.event.at_ns / 1e9},
        "message": _plain(dict(explanation.event.message)),
        "granted": verdict.granted,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "trace": [{"place": step.place, "text": step.text, "answer": step.answer} for step in explanation.trace],
        "earlier": [
            {"event": name, "granted": one.granted, "rule": one.rule, "reason": one.reason}
            for name, one in explanation.earlier
        ],
    }


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
