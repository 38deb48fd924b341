"""Judges a run: the result as the command line prints it, and whether the scenario's expectations were met."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from scenarios.player import Run
from scenarios.schema import Expectation

SCHEMA = 1


def result_of(run: Run) -> dict[str, Any]:
    """The result of a finished run, as plain values (`schema: 1`)."""
    plant, audit = run.twin.plant, run.twin.controller.kernel.audit
    envelope = [asdict(limit) for limit in plant.envelope()]
    damage = plant.damage()
    violated = any(limit["first_violation_s"] is not None for limit in envelope)
    duration_s = run.twin.clock.now_s
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "scenario": run.scenario.id,
        "plant": run.scenario.plant,
        "policy": run.settings.policy,
        "policy_sha256": run.twin.policy.sha256,
        "image_sha256": run.twin.image.sha256,
        "seed": run.settings.seed,
        "parameters": dict(run.parameters),
        "wire": run.settings.wire,
        "isolation": run.twin.isolation,
        "duration_s": duration_s,
        "wall_s": round(run.wall_s, 3),
        "speed": round(duration_s / run.wall_s, 1) if run.wall_s else None,
        "record_sha256": run.twin.recorder.sha256,
        "reproducible": True,
        "outcome": "damaged" if damage else "violated" if violated else "safe",
        "envelope": envelope,
        "damage": damage,
        "impact": plant.impact(),
        "commands": _commands(run),
        "verdicts": {
            "total": audit.granted + audit.denied,
            "denied": audit.denied,
            "by_rule": dict(sorted(audit.denied_by_rule.items())),
        },
        "alarms": run.control_room.load(),
        "tasks": {"restarts": run.twin.controller.kernel.restarts},
        "techniques": run.scenario.techniques.all(),
        "timeline": [asdict(one) for one in run.answered],
    }
    result["expectations"] = [{"text": e.text, "met": _met(e, result)} for e in _expected(run)]
    return result


def _commands(run: Run) -> dict[str, Any]:
    safety = run.tallies["safety"]
    return {
        "attacker": asdict(run.tallies["attacker"]),
        "legitimate": asdict(run.tallies["legitimate"]),
        "safety": {"demanded": safety.sent, "served": safety.granted, "denied": safety.denied},
    }


def _expected(run: Run) -> list[Expectation]:
    """What the scenario expects under the policy that was in force; it expects nothing of another file.

    What is expected holds for the scenario as it stands, so a run with other parameters is told and not judged.
    """
    policy = run.settings.policy
    if policy not in ("permissive", "enforcing") or run.parameters != run.scenario.chosen({}):
        return []
    return run.scenario.expect.get(policy, [])  # type: ignore[call-overload, no-any-return]


def _met(expectation: Expectation, result: dict[str, Any]) -> bool:
    value = _at(expectation.value, result)
    if expectation.one_of is not None:
        return value in expectation.one_of
    if not isinstance(value, int | float):
        return False
    return (expectation.at_least is None or value >= expectation.at_least) and (
        expectation.at_most is None or value <= expectation.at_most
    )


def _at(path: str, result: dict[str, Any]) -> Any:  # noqa: ANN401
    """The value at a dotted path; a list of named rows is entered by name."""
    value: Any = result
    for part in path.split("."):
        if isinstance(value, list):
            value = next((row for row in value if row.get("name") == part), None)
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value
