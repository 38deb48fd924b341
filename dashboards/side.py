"""One half of the page: what is shown of one run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from dashboards.script import Script
from dashboards.substation import LIMIT_WORDS, figures, states
from dashboards.verdicts import VerdictFeed
from scenarios.player import Run, Tally
from twin.core import EnvelopeLimit, Row

SideName = Literal["left", "right"]
Point = tuple[float, float, float]


class Side:
    """Reads one run between two instants and keeps what the page shows of it.

    Attributes:
        values: What is shown, by name, as JSON values. Names with `measured` were read over Modbus by the twin's own
            operator station; names with `truth` are the simulation's own.
        trend: Points not fetched yet: instant (s), load served and demand (MW, truth).
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.script = Script(run)
        self.values: dict[str, Any] = {}
        self.trend: list[Point] = []
        self._measured: dict[str, Any] = {}
        self._verdicts: VerdictFeed

    async def open(self) -> None:
        """Connect the twin and enter the acts before the attack."""
        await self.run.open(armed=False)
        self.script.enter()
        self._verdicts = VerdictFeed(self.run.twin.controller.kernel.audit)

    def read(self) -> None:
        """Bring `values` and `trend` up to date."""
        # A live page may run for days: rows are let go once they were read. Their hash goes on.
        rows = self.run.twin.recorder.rows
        for row in rows:
            self._take(row)
        rows.clear()
        self._verdicts.read()
        audit, plant = self.run.twin.controller.kernel.audit, self.run.twin.plant
        self.values |= {
            "envelope": [_line(limit) for limit in plant.envelope()],
            "impact": plant.impact(),
            "verdicts": self._verdicts.rows(self.run.answered),
            "denied": audit.denied,
            "commands": {name: _counts(tally) for name, tally in self.run.tallies.items()},
            "attacks": [[one.at_s, one.granted] for one in self.run.answered if one.by == "attacker"],
            "last": _told(self.run),
        }

    def take_trend(self) -> list[Point]:
        """The points of the trend since the last time."""
        points, self.trend = self.trend, []
        return points

    def _take(self, row: Row) -> None:
        if row.kind == "truth":
            truth = row.values
            self.trend.append((row.at_s, truth["load_served_mw"], truth["load_demand_mw"]))
            self.values |= {
                "truth.served_mw": f"{truth['load_served_mw']:.1f}",
                "truth.demand_mw": f"{truth['load_demand_mw']:.1f}",
            }
            self.values |= {f"truth.{name}": _per_unit(truth[name]) for name in ("u_a_pu", "u_b_pu")}
        elif row.kind == "measured":
            self.values |= {f"measured.{tag}": text for tag, text in figures(row.values).items()}
            self.values |= {f"state.{element}": state for element, state in states(row.values).items()}


def _per_unit(value: float | None) -> str:
    return "dead" if value is None else f"{value:.3f}"


def _line(limit: EnvelopeLimit) -> dict[str, Any]:
    return asdict(limit) | {"words": LIMIT_WORDS.get(limit.name, limit.name)}


def _counts(tally: Tally) -> dict[str, int]:
    return {"sent": tally.sent, "granted": tally.granted, "denied": tally.denied}


def _told(run: Run) -> dict[str, Any] | None:
    """The last command of the run, for one line of text."""
    if not run.answered:
        return None
    last = run.answered[-1]
    return {"at_s": last.at_s, "by": last.by, "tag": last.tag, "label": last.label, "granted": last.granted}
