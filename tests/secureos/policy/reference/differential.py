"""Holding the engine against the reference: random policies, random messages, every answer and state compared."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from secureos.policy import Engine, PolicyError, compile_policy, native, parse
from secureos.xdl import Catalogue
from secureos.xdl.source import source_from_text
from tests.secureos.policy.reference.interpreter import Reference
from tests.secureos.policy.reference.policies import PolicyMaker
from tests.secureos.policy.reference.templates import expand
from tests.secureos.policy.reference.world import FILES, HEAD, MessageMaker

MESSAGES = 200
"""Per policy."""

STATE_EVERY = 25
"""States are compared after every so many messages, and after the last: what was lost before shows there too."""


def backends():
    """The back ends of decisions that can be held against the reference: those that are built, or the one asked for."""
    asked = os.environ.get(native.VARIABLE)
    if asked:
        return (asked,)
    return ("native", "python") if native.backend() == "native" else ("python",)


@contextmanager
def in_force(backend):
    """Decision functions are made by that back end here."""
    before = native.backend()
    native.use(backend)
    try:
        yield
    finally:
        native.use(before)


@dataclass
class Tally:
    """What was compared."""

    pairs: int = 0
    policies: int = 0
    rejected: int = 0
    granted: int = 0
    denied: int = 0
    by_default: int = 0
    by_error: int = 0
    backends: Counter[str] = field(default_factory=Counter)
    mismatches: list[str] = field(default_factory=list)
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, other):
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def shares(self):
        """Of each rule and expression by its model and name: how often it was asked, granted, and in granted events."""
        found = {}
        for (model, name, outcome), count in self.outcomes.items():
            row = found.setdefault((model, name), {"granted": 0, "denied": 0, "kept": 0})
            row[outcome] += count
        return found

    def count(self, answer):
        self.pairs += 1
        kind = {0: "granted", -1: "by_default", -2: "by_error"}.get(answer.number, "denied")
        setattr(self, kind, getattr(self, kind) + 1)


def world(folder: Path) -> Catalogue:
    """The descriptions, written into an empty folder."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return Catalogue([folder])


def compare(catalogue, seed, messages=MESSAGES, *, about=None, backend=None) -> Tally:
    """One random policy against many random messages; a mismatch is shrunk and told.

    Each seed takes another back end, if none is given.
    """
    backend = backend or backends()[seed % len(backends())]
    with in_force(backend):
        tally = _compare(catalogue, seed, messages, about)
    tally.backends[backend] = tally.pairs
    for number, found in enumerate(tally.mismatches):
        tally.mismatches[number] = f"{backend}: {found}"
    return tally


def _compare(catalogue, seed, messages, about):
    source, tally = Random(seed), Tally(policies=1)
    policy = PolicyMaker(source, about)
    events = make_events(source.getrandbits(64), messages)
    try:
        wrong = differ(catalogue, policy.text(), events, tally=tally, definitions=policy.definitions)
    except PolicyError:
        tally.rejected += 1
        return tally
    if wrong is not None:
        tally.mismatches.append(shrink(catalogue, policy, events, f"seed {seed}: {wrong}"))
    return tally


def make_events(seed, count):
    maker = MessageMaker(Random(seed))
    return [maker.event() for _ in range(count)]


def differ(catalogue, text, events, *, definitions=None, tally=None):
    """The first difference in words, None if there is none.

    Raises:
        PolicyError: The policy is refused.
    """
    source = source_from_text(text, name="random.psl")
    policy = compile_policy(source, catalogue, definitions=definitions or {})
    plain = source_from_text(expand(text, definitions or {}), name="random.psl")
    reference = Reference(parse(plain).declarations, policy.classes)
    whole, direct = Engine(policy), Engine(policy)
    for number, event in enumerate(events):
        if number == len(events) // 2:
            direct = restored(whole)
        answer = reference.decide(event)
        if tally is not None:
            tally.count(answer)
        wrong = difference(answer, whole.decide(event), ask_directly(direct, event))
        if wrong is None and (number % STATE_EVERY == 0 or number == len(events) - 1):
            wrong = states(reference, whole) or states(reference, direct)
        if wrong is not None:
            return f"{wrong}\n  at event {number}: {event}"
    if tally is not None:
        tally.outcomes.update(reference.outcomes)
    return None


def restored(engine):
    """Another engine that goes on from what the first one wrote down."""
    other = Engine(engine.policy)
    other.restore(json.loads(json.dumps(engine.snapshot())))
    return other


def difference(answer, verdict, number):
    if (verdict.granted, verdict.rule, verdict.audited) != (answer.granted, answer.rule, answer.audited):
        return f"the reference says {answer}, the engine {verdict}"
    if verdict.tried and verdict.tried[-1] != verdict.rule:
        return f"the last rule tried did not decide: {verdict}"
    if number is not None and number != answer.number:
        return f"the reference says {answer}, the connection {number}"
    return None


def ask_directly(engine, event):
    """The answer by the connection's functions; None, and a verdict is asked for, where there is no connection."""
    names = (event.src, event.dst)
    server = event.dst if event.kind == "request" else event.src
    number = 0 if event.kind == "execute" else engine.method_id(server, event.endpoint, event.method)
    known = all(name is None or name in engine.policy.classes for name in names)
    formed = (event.dst is None) == (event.kind == "security") and (event.endpoint == "") == (event.kind == "security")
    if not (known and number and formed and fits(engine.policy.classes[server], event)):
        engine.decide(event)
        return None
    if not engine.advance(event.at_ns):
        return -2
    client = event.src if event.kind in ("request", "security") else event.dst
    other = event.dst if event.kind in ("request", "security") else event.src
    decisions = getattr(engine.connect(client, other), event.kind)
    return decisions[number](event.src_sid, event.dst_sid, *event.message.values())


def fits(server, event):
    """Whether the structure of the message was checked, as the kernel does before it asks."""
    interface = server.security if event.kind == "security" else server.endpoints[event.endpoint].interface
    method = interface.methods[event.method]
    check = {"response": method.check_outputs, "error": method.check_errors}.get(event.kind, method.check_inputs)
    return check(event.message) is None


def states(reference, engine):
    found = engine.snapshot()["objects"]
    for name, state in reference.snapshot().items():
        comparable = getattr(reference.models[name], "comparable", lambda same: same)
        if comparable(found[name]) != state:
            return f"the reference leaves `{name}` as {state}, the engine as {found[name]}"
    return None


# ---- shrinking -----------------------------------------------------------------------------------------------------


def shrink(catalogue, policy, events, why):
    """A small policy and few messages that still differ, as a text to be read."""

    def differs(lines, some):
        try:
            return differ(catalogue, policy.text(lines), some, definitions=policy.definitions) is not None
        except PolicyError:
            return False

    lines, events = smaller(policy.lines, lambda some: differs(some, events)), list(events)
    events = smaller(events, lambda some: differs(lines, some))
    lines = smaller(lines, lambda some: differs(some, events))
    shown = "\n".join(f"  {event}" for event in events)
    last = differ(catalogue, policy.text(lines), events, definitions=policy.definitions)
    return (
        f"{why}\n-- with {policy.definitions}\n-- small:\n{policy.text(lines).removeprefix(HEAD)}\n{shown}\n-- {last}"
    )


def smaller(items, differs):
    """Leave out halves, quarters and single items as long as the difference stays."""
    items, size = list(items), len(items)
    while size:
        start = 0
        while start < len(items):
            fewer = items[:start] + items[start + size :]
            if differs(fewer):
                items = fewer
            else:
                start += size
        size //= 2
    return items
