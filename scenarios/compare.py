"""The same scenario with the same seed under both policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from scenarios.judge import SCHEMA, result_of
from scenarios.player import Progress, Run, RunSettings, play
from scenarios.schema import Scenario
from twin.core import Row

POLICIES = ("permissive", "enforcing")


@dataclass(frozen=True)
class Comparison:
    """Both runs and what was found on comparing them.

    Attributes:
        runs: The finished runs, by policy.
        result: What `holdfast compare --json` prints (`schema: 1`).
    """

    runs: dict[str, Run]
    result: dict[str, Any]


async def compare(
    scenario: Scenario, settings: RunSettings, progress: Callable[[str], Progress] | None = None
) -> Comparison:
    """Play the scenario under the permissive and then under the enforcing policy.

    Args:
        scenario: What is played.
        settings: Seed, wire and parameters for both; the policy is not used.
        progress: Makes a progress listener for a run, given the policy's name.
    """
    runs: dict[str, Run] = {}
    for policy in POLICIES:
        listener = progress(policy) if progress is not None else None
        runs[policy] = await play(scenario, replace(settings, policy=policy), listener)
    results = {policy: result_of(run) for policy, run in runs.items()}
    permissive, enforcing = (runs[policy].twin.recorder.rows for policy in POLICIES)
    differ_s = identical_until_s(permissive, enforcing)
    result = {
        "schema": SCHEMA,
        "scenario": scenario.id,
        "seed": settings.seed,
        "identical_until_s": results["enforcing"]["duration_s"] if differ_s is None else differ_s,
        "first_attack_s": runs["enforcing"].first_attack_s,
        "runs": results,
    }
    return Comparison(runs, result)


def identical_until_s(one: Sequence[Row], other: Sequence[Row]) -> float | None:
    """Up to when two records are the same, bit for bit (s): the instant of the first row that differs.

    None when they are the same from beginning to end.
    """
    for mine, theirs in zip_longest(one, other):
        if mine is None or theirs is None:
            last: Row = mine or theirs
            return last.at_s
        if mine.at_ns != theirs.at_ns or mine.canonical() != theirs.canonical():
            return min(mine.at_s, theirs.at_s)
    return None


def is_fair(result: Mapping[str, Any]) -> bool:
    """Whether both runs were the same until the attack began; without an attack, until the end."""
    begins_s = result["first_attack_s"]
    if begins_s is None:
        begins_s = result["runs"]["enforcing"]["duration_s"]
    return bool(result["identical_until_s"] >= begins_s)


def identity_sentence(result: Mapping[str, Any]) -> str:
    """Up to when both runs are the same, for people."""
    until_s, end_s = result["identical_until_s"], result["runs"]["enforcing"]["duration_s"]
    if until_s >= end_s:
        return "Both runs are identical, bit for bit, from beginning to end."
    return f"Both runs are identical, bit for bit, until {until_s:g} s."
