"""A tank that a valve drains: refusing and doing nothing empties it, refusing with a disposition never does.

`high` is the largest outflow after which the level is still above its least, as the drive's task reports it each step.
"""

import random

import pytest

from tests.secureos.kernel.drives import Plant, denial

LEAST, STATES, STEPS = 10, 150, 12
ACTS = {
    "deny": denial("deny"),
    "hold": denial("hold", "fallback = { rpm = 0 }"),
    "clamp": denial("clamp", 'field = "rpm"', "fallback = { rpm = 0 }"),
    "substitute": denial("substitute", "fallback = { rpm = 0 }"),
}


def lowest(plant, source):
    """The lowest level in some steps from a random state in which the outflow is admissible, whoever asks for what."""
    level = source.randint(LEAST, 100)
    plant.report(high=level - LEAST)
    assert plant.set(source.randint(0, level - LEAST)).ok
    found = level
    for _ in range(STEPS):
        level += source.randint(0, 4) - plant.programs["drive"].rpm
        found = min(found, level)
        plant.report(high=level - LEAST)
        plant.set(source.choice((0, 5, 40, 200, -3)))
    return found


@pytest.mark.parametrize("act", ACTS)
def test_a_denial_leads_below_the_least_level_only_if_it_does_nothing_else(tmp_path, act):
    plant, source = Plant(tmp_path, ACTS[act]), random.Random(7)
    levels = [lowest(plant, source) for _ in range(STATES)]
    assert (min(levels) >= LEAST) is (act != "deny")
    assert plant.kernel.audit.denied > STATES
