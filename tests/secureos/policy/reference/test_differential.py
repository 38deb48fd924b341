"""The engine against the reference, a few seconds' worth; `make fuzz` goes on for as long as one likes."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random

import pytest

from secureos.policy import Engine, compile_policy
from secureos.policy.models import MODELS as REGISTERED
from secureos.policy.values import BooleanType
from secureos.xdl.source import source_from_text
from tests.secureos.policy.reference import differential
from tests.secureos.policy.reference.differential import Tally, backends, compare, differ, make_events, smaller, world
from tests.secureos.policy.reference.models import MODELS
from tests.secureos.policy.reference.policies import PolicyMaker
from tests.secureos.policy.reference.themes import THEMES
from tests.secureos.policy.reference.world import HEAD

SECONDS = 5.0
LEAST_POLICIES = 10
POLICIES = 60
MESSAGES = 300
LEAST = 2

# What has a value in every event, and the rules that are always granted.
TOTAL = {
    ("Base", "grant"), ("Base", "set_level"), ("Budget", "spent"), ("Capability", "holds"), ("Interlock", "trip"),
    ("Interlock", "tripped"), ("PointSet", "covers"), ("PointSet", "meets"), ("Rate", "left"), ("Rbac", "active"),
    ("Rbac", "may"), ("Regex", "match"), ("Regex", "select"), ("Temporal", "step"), ("Window", "close"),
    ("Window", "is_open"),
}  # fmt: skip


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return world(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("backend", backends())
def test_the_engine_decides_as_the_reference_does(catalogue, backend):
    tally, seed, began = Tally(), 0, time.monotonic()
    while time.monotonic() - began < SECONDS / len(backends()) or tally.policies < LEAST_POLICIES:
        tally.add(compare(catalogue, seed, backend=backend))
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
            Engine, "snapshot", lambda engine: {"at_ns": 0, "objects": {**snapshot(engine)["objects"], "base": 77}}
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


def test_every_model_has_a_plain_form_and_a_theme():
    assert {*MODELS} == {*REGISTERED}
    assert {theme.model for theme in THEMES} == {*REGISTERED} - {"Base"}


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.model)
def test_every_rule_and_expression_is_granted_and_denied_often_enough(catalogue, known, theme):
    # Else the comparison would tell little of what lies behind.
    tally, seeds = Tally(), iter(range(POLICIES))
    wanted = {name: is_rule for name, is_rule in known.items() if name[0] == theme.model}
    while missing := lacking(tally, wanted):
        seed = next(seeds, None)
        assert seed is not None, missing
        tally.add(compare(catalogue, seed, MESSAGES, about=[theme]))
        assert not tally.mismatches, tally.mismatches[0]
    rules = [row for name, row in tally.shares().items() if wanted.get(name)]
    granted, denied = (sum(row[outcome] for row in rules) for outcome in ("granted", "denied"))
    assert not rules or 0.05 < granted / (granted + denied) < 0.98


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.model)
def test_a_model_that_errs_is_found(catalogue, monkeypatch, theme):
    model = REGISTERED[theme.model]
    configure = model.configure
    monkeypatch.setattr(model, "configure", lambda configuration: lenient(configure(configuration)))
    monkeypatch.setattr(differential, "shrink", lambda *found: found[-1])
    tallies = (compare(catalogue, seed, MESSAGES, about=[theme]) for seed in range(POLICIES))
    assert any(tally.mismatches for tally in tallies)


def lenient(make):
    """A model whose rules always grant without effect, or, where it has none, whose expressions say the opposite."""

    def made():
        model = make()
        for name, rule in model.rules.items():
            model.rules[name] = replace(rule, run=lambda *_: None)
        for name, expression in () if model.rules else model.expressions.items():
            if isinstance(expression.value, BooleanType):
                model.expressions[name] = replace(expression, run=opposite(expression.run))
        return model

    return made


def opposite(run):
    return lambda *given: not run(*given)


def lacking(tally, wanted):
    """What was not yet granted, denied, or (a rule) part of a granted event."""
    shares, nothing = tally.shares(), {"granted": 0, "denied": 0, "kept": 0}
    due = [(name, "granted") for name in wanted]
    due += [(name, "kept") for name, is_rule in wanted.items() if is_rule]
    due += [(name, "denied") for name in wanted if name not in TOTAL]
    return [(*name, outcome) for name, outcome in due if shares.get(name, nothing)[outcome] < LEAST]


@pytest.fixture(scope="module")
def known(catalogue):
    return operations(catalogue)


def operations(catalogue):
    """Every rule and expression of every model, and whether it is a rule."""
    maker = PolicyMaker(Random(1))
    text = HEAD + "\n".join(theme(maker).declaration() for theme in THEMES)
    made = [make() for make in compile_policy(source_from_text(text, name="all.psl"), catalogue).objects.values()]
    models = [model for model in made if model.kind in REGISTERED]
    rules = {(model.kind, name): True for model in models for name in model.rules}
    return rules | {(model.kind, name): False for model in models for name in model.expressions}


def test_shrinking_keeps_what_matters():
    assert smaller(range(20), lambda some: {3, 11} <= set(some)) == [3, 11]


def test_the_same_answers_are_no_difference(catalogue):
    text = HEAD + "request { grant () }"
    assert differ(catalogue, text, make_events(1, 60)) is None
    assert compile_policy(source_from_text(text, name="random.psl"), catalogue).classes
