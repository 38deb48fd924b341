from __future__ import annotations

import json

import pytest

from secureos.policy import Event
from secureos.policy.models import MODELS, Configuration, Incorrect
from secureos.policy.parse import parse
from secureos.xdl.source import source_from_text

__all__ = ["Incorrect"]


class Lab:
    """One policy object, asked directly. Every step shows that it can be taken back and that snapshots are whole."""

    def __init__(self, make):
        self._make = make
        self.model = make()

    def ask(self, rule, at_ns=0, /, *single, **arguments):
        """None if the rule grants, else its reason; a denial leaves no trace, as an engine would have it."""
        operation = self.model.rules[rule]
        given = [*single, *(arguments[name] for name in operation.parameters if name in arguments)]
        assert len(arguments) == len(given) - len(single), arguments
        before, undo = self.snapshot(), []
        why = operation.run(event(at_ns), undo, *given)
        after = self.snapshot()
        while undo:
            undo.pop()()
        assert self.snapshot() == before
        if why is None:
            assert operation.run(event(at_ns), [], *given) is None
            assert self.snapshot() == after
        return why

    def value(self, expression, at_ns=0, /, **arguments):
        operation = self.model.expressions[expression]
        before = self.snapshot()
        try:
            return operation.run(event(at_ns), *(arguments[name] for name in operation.parameters))
        finally:
            assert self.snapshot() == before

    def snapshot(self):
        state = self.model.snapshot()
        assert json.loads(json.dumps(state)) == state
        fresh = self._make()
        fresh.restore(json.loads(json.dumps(state)))
        assert fresh.snapshot() == state
        return state


def event(at_ns=0):
    return Event("request", at_ns, 5, 6, "lab.Client", "lab.Driver", "outputs", "Write", {})


def configure(text, **more):
    (declaration,) = parse(source_from_text(text, name="p.psl")).declarations
    configuration = Configuration(declaration, **more)
    return MODELS[declaration.model.text].configure(configuration), configuration


@pytest.fixture(scope="session")
def lab():
    def make(text, **more):
        factory, configuration = configure(text, **more)
        assert not configuration.mistakes, list(map(str, configuration.mistakes))
        return Lab(factory)

    return make


@pytest.fixture(scope="session")
def configured():
    """An object made from a declaration, also from a wrong one: the rest of the policy is still checked with it."""
    return lambda text: configure(text)[0]()


@pytest.fixture(scope="session")
def mistakes():
    """The mistakes in a declaration, as `column: message`."""

    def find(text, **more):
        return [f"{wrong.span.column}: {wrong.message}" for wrong in configure(text, **more)[1].mistakes]

    return find


@pytest.fixture(scope="session")
def refuses():
    """What a rule or an expression says at load to an argument of some type; None if it fits."""

    def ask(lab, operation, parameter, kind):
        found = lab.model.rules.get(operation) or lab.model.expressions[operation]
        shape = found.single if parameter is None else found.parameters[parameter]
        return shape.refuse(kind)

    return ask
