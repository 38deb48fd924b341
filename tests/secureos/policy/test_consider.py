"""A trial verdict: what `decide` would say, and nothing changes by asking."""

from random import Random

import pytest

from secureos.policy import Engine, Event, PolicyError, compile_policy
from secureos.xdl.source import source_from_text
from tests.secureos.policy.reference.differential import make_events, world
from tests.secureos.policy.reference.policies import PolicyMaker

TOKENS = """policy object tokens : Rate { config = { count : 1, per_ms : 1000, burst : 1, subjects : 4 } }
request src=lab.Client method=Read { tokens.take {sid : src_sid, n : 1} }
"""


def read(at_ns=0):
    return Event("request", at_ns, 2, 9, "lab.Client", "lab.Driver", "outputs", "Read", {})


@pytest.mark.parametrize("seed", range(40))
def test_a_trial_says_what_decide_says_and_leaves_no_trace(tmp_path, seed):
    source = Random(seed)
    maker = PolicyMaker(source, None)
    try:
        text = source_from_text(maker.text(), name="random.psl")
        policy = compile_policy(text, world(tmp_path), definitions=maker.definitions)
    except PolicyError:
        return  # the random policy is refused
    engine, untouched = Engine(policy), Engine(policy)
    for number, event in enumerate(make_events(seed, 150)):
        before = engine.snapshot() if number % 5 == 0 else None
        trial = engine.consider(event)
        if before is not None:
            assert engine.snapshot() == before
        assert trial == engine.decide(event) == untouched.decide(event)
    assert engine.snapshot() == untouched.snapshot()


def test_time_does_not_move_by_a_trial(engine):
    module = engine("request method=Read { grant () }")
    assert module.consider(read(at_ns=5)).granted
    assert module.decide(read(at_ns=3)).granted
    assert module.consider(read(at_ns=2)).reason.startswith("time ran backwards")


def test_what_goes_wrong_in_a_trial_is_a_denial(engine, monkeypatch):
    module = engine("request method=Read { grant () }")
    monkeypatch.setattr(module, "_find", lambda event: 1 / 0)
    verdict = module.consider(read())
    assert (verdict.granted, verdict.rule) == (False, "engine")
    assert "ZeroDivisionError" in verdict.reason


def test_a_trial_uses_up_nothing(engine):
    module = engine(TOKENS)
    assert all(module.consider(read()).granted for _ in range(3))
    assert module.decide(read()).granted
    assert not module.consider(read()).granted
