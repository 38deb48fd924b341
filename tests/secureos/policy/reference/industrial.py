"""The models for industry in their plainest form, each from its own page of documentation.

As in `models.py` a model is asked with a state and answers with a new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tests.secureos.policy.reference.outcomes import Incorrect, look, need, without

MS = 1_000_000


class Capability:
    """Rights to objects, passed on in trees. Its state: (object, holder) to (mask, giver)."""

    start: Mapping[tuple, tuple] = {}

    def __init__(self, types, config):
        self.names, self.capacity = config["rights"], config["capacity"]

    def mask(self, rights):
        return rights if isinstance(rights, int) else sum({1 << self.names.index(name) for name in rights})

    def has(self, state, holder, thing, rights):
        mask = self.mask(rights)
        return (thing, holder) in state and mask >= 0 and state[thing, holder][0] | mask == state[thing, holder][0]

    def rule(self, name, given, state, now):
        thing, rights = given["object"], given.get("rights")
        holder = given["giver"] if "giver" in given else given["holder"]
        if name == "create":
            need(all(key[0] != thing for key in state) and len(state) < self.capacity)
            return {**state, (thing, holder): ((1 << len(self.names)) - 1, None)}
        need((thing, holder) in state)
        if name == "require":
            need(self.has(state, holder, thing, rights))
        if name == "grant":
            need(self.has(state, holder, thing, rights))
            before = state.get((thing, given["taker"]), (0, holder))
            need(before[1] == holder and ((thing, given["taker"]) in state or len(state) < self.capacity))
            return {**state, (thing, given["taker"]): (before[0] | self.mask(rights), holder)}
        if name in ("revoke", "drop"):
            state = self.without_taken(state, holder, thing)
        return without(state, (thing, holder)) if name == "drop" else state

    def without_taken(self, state, giver, thing):
        for key in [key for key, held in state.items() if key[0] == thing and held[1] == giver]:
            state = without(self.without_taken(state, key[1], thing), key)
        return state

    def value(self, name, given, state, now):
        return self.has(state, given["holder"], given["object"], given["rights"])

    def shown(self, state):
        return [[*key, *state[key]] for key in sorted(state)]


class Dual:
    """Two persons at two stations. Its state: the operation to (person, station, proposed, approved or None)."""

    start: Mapping[str, tuple] = {}

    def __init__(self, types, config):
        self.ttl, self.pending = config["ttl_ms"] * MS, config["pending"]

    def alive(self, row, now):
        return now - (row[2] if row[3] is None else row[3]) <= self.ttl

    def rule(self, name, given, state, now):
        operation = hashlib.sha256(canonical(given["operation"]).encode()).hexdigest()
        before = state.get(operation)
        if before is not None and not self.alive(before, now):
            before = None
        if name == "check":
            need(before is not None and before[3] is not None)
            return without(state, operation)
        who = (given["person"], given["station"])
        if name == "approve":
            need(before is not None and before[0] != who[0] and before[1] != who[1])
            return state if before[3] is not None else {**state, operation: (*before[:3], now)}
        need(before is None or before[:2] == who)
        if operation not in state and len(state) >= self.pending:
            state = {key: row for key, row in state.items() if self.alive(row, now)}
            need(len(state) < self.pending)
        return {**state, operation: (*who, now, None)}

    def shown(self, state):
        return {key: list(state[key]) for key in sorted(state)}


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


class Readings:
    """What was measured last of some points: point to (time, value or None)."""

    def __init__(self, points, max_age_ms):
        self.points, self.max_age = set(points), max_age_ms * MS

    def after(self, readings, given, now):
        need(len(given["points"]) == len(given["values"]) == len(given["quality"]))
        rows = zip(given["points"], given["values"], given["quality"], strict=True)
        return {**readings, **{p: (now, v if q == 0 else None) for p, v, q in rows if p in self.points}}

    def read(self, readings, point, now):
        """The value; None where it is unknown."""
        at, value = readings.get(point, (now, None))
        return None if now - at > self.max_age else value


class Envelope:
    """Ranges, slopes, joint conditions. Its state: readings, and what was admitted: point to (since when, value)."""

    start: Mapping[str, Any] = {"readings": {}, "admitted": {}}

    def __init__(self, types, config):
        self.ranges, self.slopes, self.joint = (config.get(key, {}) for key in ("ranges", "slopes", "joint"))
        self.feedback = config.get("feedback", {})
        weighed = {point for row in self.joint.values() for point in row["weights"]}
        self.judged = weighed | {*self.slopes}
        self.readings = Readings({self.feedback.get(point, point) for point in weighed | {*self.slopes}},
                                 config["max_age_ms"])  # fmt: skip

    def rule(self, name, given, state, now):
        if name == "observe":
            return {**state, "readings": self.readings.after(state["readings"], given, now)}
        points, values = given["points"], given["values"]
        need(len(points) == len(values) and len(set(points)) == len(points))
        command = dict(zip(points, values, strict=True))
        for point, value in command.items():
            if point in self.ranges:
                need(self.ranges[point]["low"] <= value <= self.ranges[point]["high"])
            if point in self.slopes:
                self.slope(state, point, value, now)
        for row in self.joint.values():
            if any(point in row["weights"] for point in command):
                self.condition(state, row, command, now)
        admitted = dict(state["admitted"])
        for point, value in command.items():
            if point in self.judged and (point not in admitted or admitted[point][1] != value):
                admitted[point] = (now, value)
        return {**state, "admitted": admitted}

    def measured(self, state, point, now):
        value = self.readings.read(state["readings"], self.feedback.get(point, point), now)
        need(value is not None)
        return value

    def slope(self, state, point, value, now):
        row = self.slopes[point]
        if point in state["admitted"]:
            since, before = state["admitted"][point]
            passed, whole = min(now - since, row["per_ms"] * MS), row["per_ms"] * MS
        else:
            before, passed, whole = self.measured(state, point, now), 1, 1
        need(before - row["fall"] * passed // whole <= value <= before + row["rise"] * passed // whole)

    def condition(self, state, row, command, now):
        lowest = highest = 0
        for point, weight in row["weights"].items():
            if point in command:
                possible = [command[point]]
            else:
                possible = [self.measured(state, point, now)]
                possible += [state["admitted"][point][1]] if point in state["admitted"] else []
            lowest += min(weight * value for value in possible)
            highest += max(weight * value for value in possible)
        need("at_most" not in row or highest <= row["at_most"])
        need("at_least" not in row or lowest >= row["at_least"])

    def shown(self, state):
        return state


class Interlock:
    """Causes and effects. Its state: readings, and the trips that are latched."""

    start: Mapping[str, Any] = {"readings": {}, "latched": frozenset()}

    def __init__(self, types, config):
        self.conditions, self.trips, self.actions = config["conditions"], config.get("trips", {}), config["actions"]
        self.readings = Readings((row["point"] for row in self.conditions.values()), config["max_age_ms"])

    def known(self, state, name, now):
        """Whether the condition holds; None where that is unknown."""
        row = self.conditions[name]
        value = self.readings.read(state["readings"], row["point"], now)
        if value is None:
            return None
        if "equals" in row:
            return value == row["equals"]
        return row.get("at_least", value) <= value <= row.get("at_most", value)

    def rule(self, name, given, state, now):
        latched = state["latched"]
        if name == "observe":
            state = {**state, "readings": self.readings.after(state["readings"], given, now)}
            due = {name for name, row in self.trips.items() if self.known(state, row["when"], now) is True}
            return {**state, "latched": latched | due}
        if name == "trip":
            return {**state, "latched": latched | {given["name"]}}
        if name == "reset":
            row = self.trips[given["name"]]
            need(given["role"] in row["reset_by"] and self.known(state, row["when"], now) is False)
            return {**state, "latched": latched - {given["name"]}}
        row = self.actions[given["action"]]
        need(all(self.known(state, condition, now) is True for condition in row.get("needs", ())))
        for trip in row.get("blocked_by", ()):
            need(trip not in latched and self.known(state, self.trips[trip]["when"], now) is not None)
        return state

    def value(self, name, given, state, now):
        if name == "tripped":
            return given["name"] in state["latched"]
        holds = self.known(state, given["condition"], now)
        if holds is None:
            raise Incorrect
        return holds

    def shown(self, state):
        return {"readings": state["readings"], "latched": sorted(state["latched"])}


class Launch:
    """Signed programs. Its state: program to the highest version admitted."""

    start: Mapping[str, int] = {}

    def __init__(self, types, config):
        self.programs = config

    def floor(self, state, program):
        return max(self.programs[program]["floor"], state.get(program, 0))

    def rule(self, name, given, state, now):
        program, row = given["program"], self.programs.get(given["program"])
        need(row is not None and given["verified"] is True and given["signer"] in row["signers"])
        need("images" not in row or given["image"] in row["images"])
        need(given["version"] >= self.floor(state, program))
        return {**state, program: given["version"]}

    def value(self, name, given, state, now):
        look(self.programs, given["program"])
        return self.floor(state, given["program"])

    def shown(self, state):
        return state


class Rbac:
    """Users, roles, sessions. Its state: session to (user, active roles)."""

    start: Mapping[int, tuple] = {}

    def __init__(self, types, config):
        self.roles, self.users, self.sessions = config["roles"], config["users"], config["sessions"]
        self.apart = config.get("apart", {}).get("sessions", [])

    def united(self, roles):
        """The roles and all that they inherit."""
        found = set(roles)
        for role in roles:
            found |= self.united(self.roles[role].get("inherits", []))
        return found

    def rule(self, name, given, state, now):
        session = given["session"]
        if name == "open":
            need(session not in state and given["user"] in self.users and len(state) < self.sessions)
            return {**state, session: (given["user"], frozenset())}
        need(session in state)
        user, active = state[session]
        if name == "close":
            return without(state, session)
        if name == "check":
            need(self.value("may", given, state, now))
            return state
        if name == "deactivate":
            return {**state, session: (user, active - {given["role"]})}
        need(given["role"] in self.united(self.users[user]))
        after = active | {given["role"]}
        need(all(len(self.united(after) & set(several)) <= 1 for several in self.apart))
        return {**state, session: (user, after)}

    def value(self, name, given, state, now):
        _, active = state.get(given["session"], (None, frozenset()))
        if name == "active":
            return given["role"] in active
        return any(given["permission"] in self.roles[role]["may"] for role in self.united(active))

    def shown(self, state):
        return [[session, state[session][0], sorted(state[session][1])] for session in sorted(state)]


class TypeEnforcement:
    """Types and what they may do to one another. Its state: sid to type."""

    start: Mapping[int, str] = {}

    def __init__(self, types, config):
        self.allow, self.transitions = config["allow"], config.get("transitions", {})

    def rule(self, name, given, state, now):
        if name == "check":
            need(given["source"] in state and given["target"] in state and self.value("allows", given, state, now))
            return state
        sid = given["sid"]
        if name == "label":
            need(sid not in state)
            return {**state, sid: given["type"]}
        need(sid in state)
        if name == "unlabel":
            return without(state, sid)
        need(given["type"] in self.transitions.get(state[sid], ()))
        return {**state, sid: given["type"]}

    def value(self, name, given, state, now):
        if name == "type_of":
            return look(state, given["sid"])
        source, target = look(state, given["source"]), look(state, given["target"])
        return given["permission"] in self.allow.get(source, {}).get(target, ())

    def chosen(self, case, value):
        return case == value

    def shown(self, state):
        return [[sid, state[sid]] for sid in sorted(state)]


class Window:
    """Maintenance windows. Its state: window to the time at which it ends."""

    start: Mapping[str, int] = {}

    def __init__(self, types, config):
        self.windows = config

    def rule(self, name, given, state, now):
        window = given["window"]
        if name == "close":
            return without(state, window)
        is_open = self.value("is_open", given, state, now)
        if name == "require":
            need(is_open)
            return state
        row = self.windows[window]
        need(not is_open and 1 <= given["duration_ms"] <= row["max_ms"])
        end = now + given["duration_ms"] * MS
        if "during" in row:
            spans = [span for span in row["during"] if span["from_ms"] * MS <= now < span["until_ms"] * MS]
            need(spans)
            end = min(end, max(span["until_ms"] for span in spans) * MS)
        return {**state, window: end}

    def value(self, name, given, state, now):
        return given["window"] in state and now < state[given["window"]]

    def shown(self, state):
        return state
