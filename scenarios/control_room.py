"""The control room of a run: what its operator sees and answers, from what was read over the wire and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from scenarios.actions.step import By
from twin.assembly import POLL_NS, Twin
from twin.core import Phase
from twin.scada import Orders, Supervision, good


class ControlRoom:
    """Supervision of one twin. It changes nothing: neither the plant nor the record knows whether it is there.

    Args:
        twin: Its recorder says what supervision read, and which commands were answered.

    Attributes:
        supervision: Readings, alarms and their journal.
    """

    def __init__(self, twin: Twin) -> None:
        points = twin.plant.points
        self._twin = twin
        self._seen = 0
        self.supervision = Supervision(points)
        self._points = points
        self._orders = Orders("operator", points, self.supervision)
        twin.clock.on("supervision.observe", lambda _: self._observe())

    def start(self) -> None:
        """Enter its work into the agenda; after the twin's own, so that it comes behind the poll of its instant."""
        self._twin.clock.every(POLL_NS, "supervision.observe", phase=Phase.RECORD)

    def acknowledge(self, by: By, alarm: str) -> None:
        """Acknowledge an alarm; where there is nothing to acknowledge, nothing happens."""
        self.supervision.alarms.acknowledge(alarm, by=by, at_ns=self._twin.clock.now_ns)

    def shelve(self, by: By, alarm: str, *, for_s: float, reason: str) -> None:
        """Take an alarm off the list for a time."""
        self.supervision.alarms.shelve(alarm, by=by, reason=reason, for_s=for_s, at_ns=self._twin.clock.now_ns)

    def lines(self) -> Iterator[str]:
        """The journal as it is written to `alarms.jsonl`."""
        return (json.dumps(event.as_row()) for event in self.supervision.journal)

    def load(self) -> dict[str, Any]:
        """The alarm load of the run so far, as plain values."""
        metrics = asdict(self.supervision.metrics(self._twin.clock.now_ns))
        metrics["top"] = [list(row) for row in metrics["top"]]
        metrics["floods"] = [list(flood) for flood in metrics["floods"]]
        return metrics

    def snapshot(self) -> dict[str, Any]:
        """Its state as plain values."""
        return {
            "seen": self._seen,
            "supervision": self.supervision.snapshot(),
            "orders": self._orders.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave; the twin is restored first."""
        self._seen = state["seen"]
        self.supervision.restore(state["supervision"])
        self._orders.restore(state["orders"])

    def _observe(self) -> None:
        now_ns = self._twin.clock.now_ns
        rows = self._twin.recorder.rows
        readings = {}
        for row in rows[self._seen :]:
            if row.kind == "measured":
                readings.update(good(row.values, row.at_ns))
            elif row.values.get("event") == "command":
                self._order(row.values, row.at_ns)
        self._seen = len(rows)
        self.supervision.observe(now_ns, readings)
        self._orders.watch(now_ns, {})

    def _order(self, command: dict[str, Any], at_ns: int) -> None:
        """Await the contact that tells of a command; only the operator looks whether what was ordered happens."""
        if command["by"] == "operator" and command["answer"] == "ok" and self._points[command["tag"]].feedback:
            self._orders.place(command["tag"], command["value"], at_ns)
