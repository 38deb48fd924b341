"""The security models in their plainest form.

A model is asked with a state and answers with a new one; it never changes what it was given. So an event that is
denied leaves no effect simply because nobody keeps the new states. Nothing here comes from the engine's models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from secureos.policy import syntax as psl
from tests.secureos.policy.reference import industrial, past, spending
from tests.secureos.policy.reference.outcomes import Incorrect, look, need, without


class Base:
    """grant, assert, deny, set_level. Its state is the audit level."""

    def __init__(self, types, config, level=0):
        self.start = level

    def rule(self, name, given, state, now):
        value = given.get("")
        if name == "set_level":
            need(0 <= value <= 255)
            return value
        need(name == "grant" or (name == "assert" and value is True) or (name == "deny" and value is False))
        return state


class Flow:
    """One automaton per subject. Its state: sid to state."""

    start: Mapping[int, str] = {}

    def __init__(self, types, config):
        self.initial, self.transitions = config["initial"], config["transitions"]

    def rule(self, name, given, state, now):
        sid = given["sid"]
        if name == "init":
            need(sid not in state)
            return {**state, sid: self.initial}
        need(sid in state)
        if name == "fini":
            return without(state, sid)
        if name == "allow":
            need(state[sid] in given["states"])
            return state
        need(given["state"] in self.transitions.get(state[sid], ()))
        return {**state, sid: given["state"]}

    def value(self, name, given, state, now):
        return look(state, given["sid"])

    def chosen(self, case, value):
        return case == value

    def shown(self, state):
        return sorted([sid, now] for sid, now in state.items())


class HashSet:
    """A set per subject. Its state: sid to a set of entries, each as JSON so that 1 and true differ."""

    start: Mapping[int, frozenset] = {}

    def __init__(self, types, config):
        self.kind = types["Entry"]
        self.set_size, self.pool_size = config["set_size"], config["pool_size"]

    def rule(self, name, given, state, now):
        sid = given["sid"]
        if name == "init":
            need(sid not in state and len(state) < self.pool_size)
            return {**state, sid: frozenset()}
        need(sid in state)
        if name == "fini":
            return without(state, sid)
        need(belongs(given["entry"], self.kind))
        entry = key(given["entry"])
        if name == "remove":
            return {**state, sid: state[sid] - {entry}}
        need(entry in state[sid] or len(state[sid]) < self.set_size)
        return {**state, sid: state[sid] | {entry}}

    def value(self, name, given, state, now):
        if not belongs(given["entry"], self.kind):
            raise Incorrect
        return key(given["entry"]) in look(state, given["sid"])

    def comparable(self, found):
        return [[sid, sorted(map(key, entries))] for sid, entries in found]

    def shown(self, state):
        return [[sid, sorted(state[sid])] for sid in sorted(state)]


def key(entry):
    """An entry as a text; one that is a text already stands for itself."""
    return entry if isinstance(entry, str) else json.dumps(entry, sort_keys=True)


def belongs(value, kind):
    """Whether a value is of a type as the policy spells it."""
    match kind:
        case psl.Constant():
            return type(value) is int and value == kind.value
        case psl.NamedType(name="Boolean"):
            return isinstance(value, bool)
        case psl.NamedType():
            low, high = BOUNDS[kind.name]
            return type(value) is int and low <= value <= high
        case psl.VariantType():
            return any(belongs(value, option) for option in kind.options)
        case psl.TupleType():
            return len(value) == len(kind.items) and all(map(belongs, value, kind.items))
    return value.keys() == dict(kind.fields).keys() and all(belongs(value[name], of) for name, of in kind.fields)


class StaticMap:
    """A table of fixed keys per subject, in two copies. Its state: sid to (base, working)."""

    start: Mapping[int, tuple] = {}

    def __init__(self, types, config):
        self.low, self.high = BOUNDS[types["Value"].name]
        self.keys, self.pool_size = config["keys"], config["pool_size"]

    def rule(self, name, given, state, now):
        sid = given["sid"]
        if name == "init":
            need(sid not in state and len(state) < self.pool_size)
            return {**state, sid: (self.keys, self.keys)}
        need(sid in state)
        base, working = state[sid]
        if name == "fini":
            return without(state, sid)
        if name == "commit":
            return {**state, sid: (working, working)}
        if name == "rollback":
            return {**state, sid: (base, base)}
        need(given["key"] in self.keys and self.low <= given["value"] <= self.high)
        return {**state, sid: (base, {**working, given["key"]: given["value"]})}

    def value(self, name, given, state, now):
        base, working = look(state, given["sid"])
        return look(base if name == "get" else working, given["key"])

    def shown(self, state):
        return [
            [sid, dict(sorted(state[sid][0].items())), dict(sorted(state[sid][1].items()))] for sid in sorted(state)
        ]


class Mic:
    """Integrity levels. Its state: (sid to level, sid to levelR); a level is (degree, set of categories)."""

    start: tuple[dict, dict] = ({}, {})

    def __init__(self, types, config):
        linear = isinstance(config, list)
        self.degrees = config if linear else config["degrees"]
        self.categories = [] if linear else config["categories"]

    def level(self, given):
        degree, categories = (given, []) if isinstance(given, str) else (given["degree"], given["categories"])
        return self.degrees.index(degree), frozenset(categories or ())

    def rule(self, name, given, state, now):
        levels, receives = state
        if name in ("call", "read", "invoke", "write"):
            need(given["source"] in levels and given["target"] in levels)
            source, target = levels[given["source"]], levels[given["target"]]
            if name in ("invoke", "write"):
                need(within(target, source))
            else:
                need(within(source, target) or within(receives.get(given["source"], source), target))
            return state
        target = given["target"]
        if name == "execute":
            need(given["image"] is None or given["image"] in levels)
            need(given["image"] is not None or given["level"] is not None)
            image = levels.get(given["image"])
            own = image if given["level"] is None else self.level(given["level"])
            need(image is None or within(own, image))
            lowest = own if given["levelR"] is None else self.level(given["levelR"])
            need(within(lowest, own) and target not in levels)
            return {**levels, target: own}, {**receives, target: lowest}
        around = [given["source"], given["driver"], *([] if given["container"] is None else [given["container"]])]
        need(all(sid in levels for sid in around))
        if name == "delete":
            need(target in levels and all(within(levels[target], levels[sid]) for sid in around))
            return without(levels, target), without(receives, target)
        own = levels[given["source"]] if given["level"] is None else self.level(given["level"])
        need(all(within(own, levels[sid]) for sid in around))
        need(target not in levels if name == "create" else target in levels and within(levels[target], own))
        return {**levels, target: own}, receives

    def value(self, name, given, state, now):
        return look(state[0], given["source"])

    def chosen(self, case, value):
        return self.level(case) == value

    def shown(self, state):
        def rows(table):
            return [
                [sid, table[sid][0], sum(1 << self.categories.index(name) for name in table[sid][1])]
                for sid in sorted(table)
            ]

        return {"level": rows(state[0]), "levelR": rows(state[1])}


class Regex:
    """Texts against patterns: the whole text, or a piece of it."""

    start = None

    def __init__(self, types, config):
        self.holds = re.search if (config or {}).get("mode") == "search" else re.fullmatch

    def value(self, name, given, state, now):
        return given["text"] if name == "select" else self.chosen(given["pattern"], given["text"])

    def chosen(self, case, value):
        return self.holds(case, value) is not None


class PointSet:
    """A fixed set of points."""

    start = None

    def __init__(self, types, config):
        self.members = config

    def value(self, name, given, state, now):
        points = given["points"] if isinstance(given["points"], list) else [given["points"]]
        return (any if name == "meets" else all)(point in self.members for point in points)


def within(lower, upper):
    return lower[0] <= upper[0] and lower[1] <= upper[1]


BOUNDS = {
    **{f"UInt{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    **{f"SInt{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
}

CLASSIC = (Base, Flow, HashSet, Mic, PointSet, Regex, StaticMap)
INDUSTRIAL = (
    industrial.Capability, industrial.Dual, industrial.Envelope, industrial.Interlock, industrial.Launch,
    industrial.Rbac, industrial.TypeEnforcement, industrial.Window, past.Temporal, spending.Budget, spending.Rate,
)  # fmt: skip
MODELS = {model.__name__: model for model in (*CLASSIC, *INDUSTRIAL)}


def shown(model, state):
    """A state as the engine's snapshot shows it, through JSON so that keys and tuples compare."""
    return json.loads(json.dumps(model.shown(state) if hasattr(model, "shown") else state))
