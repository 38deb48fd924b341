"""What may be done how often and how much, in its plainest form: Rate and Budget, from their pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.secureos.policy.reference.industrial import MS, Readings
from tests.secureos.policy.reference.outcomes import need


class Budget:
    """A sum over a sliding window.

    Its state: readings, contacts seen open, entries (at, point, weight); of the contacts that tell a position the
    reports, since when each reads what it reads, and when it was last commanded to close.
    """

    start: Mapping[str, Any] = {
        "readings": {}, "opened": frozenset(), "entries": (), "reports": {}, "since": {}, "commanded": {}
    }  # fmt: skip

    def __init__(self, types, config):
        self.limit, self.window, self.weighs = config["limit"], config["window_ms"] * MS, config["weighs"]
        rows = self.weighs.values()
        self.measured = Readings((row["by"] for row in rows), config["max_age_ms"])
        self.contacts = Readings((row["contact"] for row in rows if "contact" in row), config["max_age_ms"])
        self.settle = config.get("settle_ms", 0) * MS

    def rule(self, name, given, state, now):
        return self.observe(given, state, now) if name == "observe" else self.spend(given, state, now)

    def observe(self, given, state, now):
        readings = self.measured.after(state["readings"], given, now)
        reports = self.contacts.after(state["reports"], given, now)
        since = dict(state["since"])
        for contact, (_, value) in reports.items():
            if contact not in since or since[contact][1] != value:
                since[contact] = (now, value)
        opened, entries = set(state["opened"]), state["entries"]
        for point, value, quality in zip(given["points"], given["values"], given["quality"], strict=True):
            of_contact = [name for name, row in self.weighs.items() if row.get("until") == point]
            if of_contact and quality == 0 and value == 0:
                opened.add(point)
            elif of_contact:
                if quality == 0 and point in opened:
                    entries = tuple(entry for entry in entries if entry[1] not in of_contact)
                opened.discard(point)
        return {
            **state, "readings": readings, "reports": reports, "since": since, "opened": frozenset(opened),
            "entries": entries,
        }  # fmt: skip

    def spend(self, given, state, now):
        need(len(given["points"]) == len(given["values"]))
        commanded = [point for point, value in zip(given["points"], given["values"], strict=True) if value != 0]
        closing = {row["contact"]: now for row in self.weighs.values() if row.get("closes") in commanded}
        state = {**state, "commanded": {**state["commanded"], **closing}}
        asked = [point for point in commanded if point in self.weighs]
        if not asked:
            return state
        kept = self.within(state, now)
        new = []
        for point in sorted(set(asked), key=asked.index):
            weight = self.weight(state, point, now)
            need([entry[1] for entry in kept].count(point) < 64)
            if weight or "contact" not in self.weighs[point]:
                new.append((now, point, weight))
        need(sum(entry[2] for entry in (*kept, *new)) <= self.limit)
        opened = state["opened"] - {self.weighs[point].get("until") for point in asked}
        return {**state, "opened": opened, "entries": (*kept, *new)}

    def weight(self, state, point, now):
        row = self.weighs[point]
        load = self.measured.read(state["readings"], row["by"], now)
        need(load is not None)
        full = max(row["at_least"], abs(load))
        if "contact" not in row:
            return full
        closed = self.contacts.read(state["reports"], row["contact"], now)
        need(closed is not None)
        settled = state["since"][row["contact"]][0] + self.settle <= now
        if not settled or now - state["commanded"].get(row["contact"], -self.settle) < self.settle:
            return row["moving"]
        return full if closed else 0

    def value(self, name, given, state, now):
        return sum(entry[2] for entry in self.within(state, now))

    def within(self, state, now):
        return [entry for entry in state["entries"] if now - entry[0] < self.window]

    def shown(self, state):
        return {
            "readings": state["readings"],
            "opened": sorted(state["opened"]),
            "entries": state["entries"],
            "positions": {key: state[key] for key in ("reports", "since", "commanded")},
        }


class Rate:
    """Requests at a steady pace with bursts (GCRA). Its state: sid to the time at which all that it took is due."""

    start: Mapping[int, int] = {}

    def __init__(self, types, config):
        self.interval = -(-config["per_ms"] * 1_000_000 // config["count"])
        self.tolerance = config["burst"] * self.interval
        self.subjects = config["subjects"]

    def rule(self, name, given, state, now):
        due = max(now, state.get(given["sid"], 0)) + given["n"] * self.interval
        need(given["n"] >= 0 and due <= now + self.tolerance)
        if given["sid"] not in state and len(state) >= self.subjects:
            state = {sid: at for sid, at in state.items() if at > now}
            need(len(state) < self.subjects)
        return {**state, given["sid"]: due}

    def value(self, name, given, state, now):
        return (now + self.tolerance - max(now, state.get(given["sid"], 0))) // self.interval

    def shown(self, state):
        return [[sid, state[sid]] for sid in sorted(state)]
