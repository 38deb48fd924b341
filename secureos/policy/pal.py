"""Running policy tests: every sequence from a fresh state, every verdict held against what was expected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from secureos.policy import syntax as psl
from secureos.policy.candidates import Candidate
from secureos.policy.coverage import Coverage, RuleUse, share
from secureos.policy.engine import Engine
from secureos.policy.following import Follower
from secureos.policy.load import Policy
from secureos.policy.pal_cases import PalCase, PalSequence, prepare
from secureos.policy.verdict import Event, Verdict

SCHEMA: Final = 1
"""Version of the JSON form."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A verdict that was not the expected one.

    Attributes:
        case: Where it was expected.
        event: Which event, for people.
        verdict: What the policy said.
    """

    case: PalCase
    event: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class SequenceResult:
    """What became of one sequence.

    Attributes:
        sequence: Which.
        verdicts: How many events were decided.
        failures: Every case that was not met; after one in `setup` the sequence itself is not run.
    """

    sequence: PalSequence
    verdicts: int
    failures: tuple[Failure, ...]

    @property
    def passed(self) -> bool:
        """Whether every case was met."""
        return not self.failures


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """The results of all sequences, and how often each rule was asked by them."""

    policy: str
    sequences: tuple[SequenceResult, ...]
    rules: tuple[RuleUse, ...]

    @property
    def passed(self) -> bool:
        """Whether every sequence passed."""
        return all(result.passed for result in self.sequences)


def run_tests(policy: Policy, tests: Iterable[psl.TestSet], *, only: str = "") -> SuiteResult:
    """Run test sets against a policy.

    Args:
        policy: The policy.
        tests: Its own tests or those of another file.
        only: Run just the sequences that have this text in the name of set or sequence; case does not matter.

    Raises:
        PolicyError: A test names what does not exist; all mistakes are listed, nothing was run.
    """
    chosen = [one for one in prepare(tests, policy.classes) if only.lower() in one.full_name.lower()]
    engine, follower, coverage = Engine(policy), Follower(policy), Coverage(policy)
    fresh = engine.snapshot()
    results = []
    for sequence in chosen:
        engine.restore(fresh)
        results.append(_run(sequence, engine, lambda *asked: coverage.add(follower.follow(engine, *asked))))
    return SuiteResult(policy.name, tuple(results), coverage.rules())


def _run(sequence: PalSequence, engine: Engine, watch: Callable[[Candidate, Event], None]) -> SequenceResult:
    failures: list[Failure] = []
    verdicts = 0
    for case in sequence.cases:
        if case.part == "sequence" and any(failure.case.part == "setup" for failure in failures):
            # Nothing that is asked of a state that was not reached would say anything.
            continue
        failed: list[Failure] = []
        for candidate, event in case.events:
            watch(candidate, event)
            verdict = engine.decide(event)
            verdicts += 1
            if case.expected not in ("any", "grant" if verdict.granted else "deny"):
                failed.append(Failure(case, str(candidate), verdict))
            elif case.one_is_enough:
                failed = []
                break
        failures += failed[:1] if case.one_is_enough else failed
    return SequenceResult(sequence, verdicts, tuple(failures))


def as_json(results: Sequence[SuiteResult]) -> dict[str, Any]:
    """The results as plain values; keys are added in later versions, never changed."""
    return {
        "schema": SCHEMA,
        "passed": all(result.passed for result in results),
        "policies": [_suite(result) for result in results],
    }


def _suite(result: SuiteResult) -> dict[str, Any]:
    return {
        "policy": result.policy,
        "passed": result.passed,
        "sequences": [
            {
                "set": one.sequence.test_set,
                "name": one.sequence.name,
                "place": one.sequence.place,
                "verdicts": one.verdicts,
                "passed": one.passed,
                "failures": [_failure(failure) for failure in one.failures],
            }
            for one in result.sequences
        ],
        "coverage": {
            "share": round(share(result.rules), 4),
            "rules": [
                {"place": rule.place, "text": rule.text, "granted": rule.granted, "denied": rule.denied}
                for rule in result.rules
            ],
        },
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "place": failure.case.place,
        "part": failure.case.part,
        "label": failure.case.label,
        "event": failure.event,
        "expected": failure.case.expected,
        "got": "grant" if failure.verdict.granted else "deny",
        "rule": failure.verdict.rule,
        "reason": failure.verdict.reason,
    }
