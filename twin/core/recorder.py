"""The record of a run: what truly happened, what was measured, and the events between, hashed row by row.

Only what belongs to simulated time is in the hash: no verdicts, no hashes of policies or programs, no ports, no
paths, no wall times. So two runs have the same hash exactly when the same things happened at the same instants.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from twin.core.clock import NS_PER_S

Kind = Literal["truth", "measured", "event"]

_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Row:
    """One row of the record: its kind, its instant (ns), and its named values."""

    kind: Kind
    at_ns: int
    values: dict[str, Any]

    @property
    def at_s(self) -> float:
        """The instant in seconds from the start of the run."""
        return self.at_ns / NS_PER_S

    def canonical(self) -> bytes:
        """The bytes that are hashed: compact JSON, keys sorted, numbers in their shortest exact form."""
        return _CANONICAL.encode([self.kind, self.at_ns, self.values]).encode()


class Recorder:
    """Collects the rows of one run and chains their hashes: h' = SHA-256(h, row).

    Args:
        keep: Whether rows are kept in memory (a run with an end), or only hashed (a twin that serves for days).
    """

    def __init__(self, *, keep: bool = True) -> None:
        self.rows: list[Row] = []
        self.count = 0
        self._keep = keep
        self._head = bytes(32)

    @property
    def sha256(self) -> str:
        """The hash over all rows so far, as 64 hexadecimal digits."""
        return self._head.hex()

    def truth(self, at_ns: int, values: dict[str, Any]) -> None:
        """Record what really is: values by name, numbers or None where there is nothing to measure."""
        self._add(Row("truth", at_ns, values))

    def measured(self, at_ns: int, values: dict[str, Any]) -> None:
        """Record what supervision read over the wire: values by tag."""
        self._add(Row("measured", at_ns, values))

    def event(self, at_ns: int, name: str, **details: Any) -> None:  # noqa: ANN401
        """Record that something happened at an instant."""
        self._add(Row("event", at_ns, {"event": name, **details}))

    def of(self, kind: Kind) -> list[Row]:
        """The rows of one kind, in the order in which they came."""
        return [row for row in self.rows if row.kind == kind]

    def snapshot(self) -> dict[str, Any]:
        """The rows and the hash so far, as plain values."""
        return {
            "head": self._head.hex(),
            "count": self.count,
            "rows": [[row.kind, row.at_ns, row.values] for row in self.rows],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self._head = bytes.fromhex(state["head"])
        self.count = state["count"]
        self.rows = [Row(kind, at_ns, values) for kind, at_ns, values in state["rows"]]

    def _add(self, row: Row) -> None:
        self._head = hashlib.sha256(self._head + row.canonical()).digest()
        self.count += 1
        if self._keep:
            self.rows.append(row)
