"""The engine against the reference, a few seconds' worth; `make fuzz` goes on for as long as one likes."""

from __future__ import annotations

import time
from random import Random

import pytest

from secureos.policy import Engine, compile_policy
from secureos.xdl.source import source_from_text
from tests.secureos.policy.reference import differential
from tests.secureos.policy.reference.differential import Tally, compare, differ, make_events, smaller, world
from tests.secureos.policy.reference.world import HEAD, PolicyMaker

SECONDS = 5.0
LEAST_POLICIES = 10


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return world(tmp_path_factory.mktemp("world"))


def test_the_engine_decides_as_the_reference_does(catalogue):
    tally, seed, began = Tally(), 0, time.monotonic()
    while time.monotonic() - began < SECONDS or tally.policies < LEAST_POLICIES:
        tally.add(compare(catalogue, seed))
        assert not tally.mismatches, tally.mismatches[0]
        seed += 1
    # Every kind of answer must have been seen, else this proves little.
    assert min(tally.granted, tally.denied, tally.by_default, tally.by_error) > 0
    assert tally.rejected < tally.policies / 4


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("state", "the engine as"),
        ("reason", "the reference says"),
        ("number", "the connection"),
        ("tried", "the last rule tried did not decide"),
    ],
)
def test_a_difference_is_found_and_shrunk(catalogue, monkeypatch, wrong, text):
    break_engine(monkeypatch, wrong)
    told = next(
        tally.mismatches[0]
        for tally in (compare(catalogue, seed, messages=40) for seed in range(40))
        if tally.mismatches
    )
    assert text in told
    assert "-- small:" in told
    small = told.split("-- small:\n")[1]
    assert small.count("Event(") <= 8


def break_engine(monkeypatch, wrong):
    decide, snapshot = Engine.decide, Engine.snapshot
    if wrong == "state":
        monkeypatch.setattr(
            Engine, "snapshot", lambda engine: {"objects": {**snapshot(engine)["objects"], "life": "lost"}}
        )
    elif wrong == "number":
        monkeypatch.setattr(differential, "ask_directly", lambda engine, event: 77)
    elif wrong == "tried":
        monkeypatch.setattr(Engine, "decide", lambda engine, event: change(decide(engine, event), tried=("elsewhere",)))
    else:
        monkeypatch.setattr(Engine, "decide", lambda engine, event: change(decide(engine, event), granted=True))


def change(verdict, **fields):
    return type(verdict)(**{name: getattr(verdict, name) for name in verdict.__slots__} | fields)


def test_random_policies_and_messages_come_from_the_seed_alone():
    assert PolicyMaker(Random(5)).text() == PolicyMaker(Random(5)).text()
    assert PolicyMaker(Random(5)).text() != PolicyMaker(Random(6)).text()
    assert make_events(3, 20) == make_events(3, 20)


def test_shrinking_keeps_what_matters():
    assert smaller(range(20), lambda some: {3, 11} <= set(some)) == [3, 11]


def test_the_same_answers_are_no_difference(catalogue):
    text = HEAD + "request { grant () }"
    assert differ(catalogue, text, make_events(1, 60)) is None
    assert compile_policy(source_from_text(text, name="random.psl"), catalogue).classes
