"""The safety envelope, watched on the true state, and what the run has cost.

Every quantity holds from one change to the next, so times of violation are integrated exactly: `pass_time` is called
before the state changes, and the new values are entered after.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from twin.core.clock import NS_PER_S
from twin.core.plant import EnvelopeLimit

DISCONNECTION_LIMIT_MW: Final = 12.0
DISCONNECTION_WINDOW_NS: Final = 60 * NS_PER_S
VOLTAGE_HIGH_PU: Final = 1.10
VOLTAGE_LOW_PU: Final = 0.90
NOTABLE_LOSS_MW: Final = 1.0


@dataclass
class Limit:
    """One bound and how the run has kept to it; a value of None means that there is nothing to measure."""

    name: str
    limit: float
    unit: str
    side: Literal["above", "below"]
    worst: float | None = None
    first_violation_ns: int | None = None
    violated_ns: int = 0
    violated_now: bool = False

    def enter(self, now_ns: int, value: float | None) -> None:
        """The quantity is `value` from now on."""
        beyond = value is not None and (value > self.limit if self.side == "above" else value < self.limit)
        if value is not None:
            worse = max if self.side == "above" else min
            self.worst = value if self.worst is None else worse(self.worst, value)
        if beyond and self.first_violation_ns is None:
            self.first_violation_ns = now_ns
        self.violated_now = beyond

    def pass_time(self, elapsed_ns: int) -> None:
        """So much time has gone by with the value last entered."""
        if self.violated_now:
            self.violated_ns += elapsed_ns

    def result(self) -> EnvelopeLimit:
        """The line for the report; `worst` is the limit itself when there never was anything to measure."""
        first = self.first_violation_ns
        return EnvelopeLimit(
            name=self.name,
            limit=self.limit,
            unit=self.unit,
            worst=round(self.limit if self.worst is None else self.worst, 6),
            first_violation_s=None if first is None else first / NS_PER_S,
            violated_s=self.violated_ns / NS_PER_S,
        )


@dataclass(frozen=True)
class Supply:
    """What the customers have: demand (MW), the part of it whose node is live (MW), customers without supply.

    `hospital_live` says whether the hospital feeder's node is live.
    """

    demand_mw: float
    live_mw: float
    customers_off: int
    hospital_live: bool

    @property
    def lost_mw(self) -> float:
        """Demand whose node is dead (MW)."""
        return self.demand_mw - self.live_mw


@dataclass
class Impact:
    """What the run has cost so far.

    Energy not supplied counts the demand of points whose node is dead. The voltage dependence of live loads is not
    counted, as a customer at 0.97 per unit is supplied.
    """

    not_supplied_mw_ns: float = 0.0
    load_start_mw: float | None = None
    load_before_mw: float | None = None
    load_last_mw: float = 0.0
    lost_max_mw: float = 0.0
    lost_max_percent: float = 0.0
    customers_off_max: int = 0
    hospital_dead_ns: int = 0

    def enter(self, supply: Supply, served_mw: float) -> None:
        """Supply is so from now on, and the network gives `served_mw` (MW)."""
        if self.load_start_mw is None:
            self.load_start_mw = served_mw
        if self.load_before_mw is None and supply.lost_mw > NOTABLE_LOSS_MW:
            self.load_before_mw = self.load_last_mw
        self.load_last_mw = served_mw
        self.lost_max_mw = max(self.lost_max_mw, supply.lost_mw)
        if supply.demand_mw > 0:
            self.lost_max_percent = max(self.lost_max_percent, 100.0 * supply.lost_mw / supply.demand_mw)
        self.customers_off_max = max(self.customers_off_max, supply.customers_off)

    def pass_time(self, elapsed_ns: int, supply: Supply) -> None:
        """So much time has gone by with that supply."""
        self.not_supplied_mw_ns += supply.lost_mw * elapsed_ns
        if not supply.hospital_live:
            self.hospital_dead_ns += elapsed_ns

    def result(self) -> dict[str, float]:
        """The figures for the report, by name with unit."""
        before = self.load_before_mw if self.load_before_mw is not None else self.load_start_mw
        return {
            "energy_not_supplied_mwh": round(self.not_supplied_mw_ns / NS_PER_S / 3600.0, 6),
            "load_before_mw": round(before or 0.0, 6),
            "load_lost_max_mw": round(self.lost_max_mw, 6),
            "load_lost_max_percent": round(self.lost_max_percent, 6),
            "customers_off_max": float(self.customers_off_max),
            "f6_dead_s": self.hospital_dead_ns / NS_PER_S,
        }


def _limits() -> dict[str, Limit]:
    rows = (
        Limit("remote_disconnection", DISCONNECTION_LIMIT_MW, "MW", "above"),
        Limit("bus_voltage_high", VOLTAGE_HIGH_PU, "pu", "above"),
        Limit("bus_voltage_low", VOLTAGE_LOW_PU, "pu", "below"),
        Limit("f6_live", 1.0, "live", "below"),
    )
    return {row.name: row for row in rows}


@dataclass
class Watch:
    """The envelope of one run.

    Attributes:
        at_ns: Up to when time has been counted.
        supply: What holds since then.
        openings: Instant (ns) and loss (MW) of each remotely commanded opening of the last 60 s.
    """

    at_ns: int = 0
    supply: Supply | None = None
    openings: list[tuple[int, float]] = field(default_factory=list)
    limits: dict[str, Limit] = field(default_factory=_limits)
    impact: Impact = field(default_factory=Impact)

    def disconnected_mw(self, now_ns: int) -> float:
        """Demand that remote openings of the last 60 s took supply from (MW)."""
        return sum(lost_mw for at_ns, lost_mw in self.openings if now_ns < at_ns + DISCONNECTION_WINDOW_NS)

    def pass_time(self, now_ns: int) -> None:
        """Count the time up to now with the state as it was; openings leave the window at their own instants."""
        while self.openings and self.openings[0][0] + DISCONNECTION_WINDOW_NS <= now_ns:
            leaves_ns = self.openings[0][0] + DISCONNECTION_WINDOW_NS
            self._count(leaves_ns)
            del self.openings[0]
            self.limits["remote_disconnection"].enter(leaves_ns, self.disconnected_mw(leaves_ns))
        self._count(now_ns)

    def opened_remotely(self, now_ns: int, lost_mw: float) -> None:
        """A remotely commanded opening has just taken supply from so much demand (MW)."""
        if lost_mw > 0:
            self.openings.append((now_ns, lost_mw))

    def enter(self, supply: Supply, served_mw: float, bus_voltages_pu: list[float]) -> None:
        """The state from `at_ns` on; `bus_voltages_pu` are those of live 20 kV busbars only."""
        self.supply = supply
        self.impact.enter(supply, served_mw)
        values = {
            "remote_disconnection": self.disconnected_mw(self.at_ns),
            "bus_voltage_high": max(bus_voltages_pu, default=None),
            "bus_voltage_low": min(bus_voltages_pu, default=None),
            "f6_live": 1.0 if supply.hospital_live else 0.0,
        }
        for name, value in values.items():
            self.limits[name].enter(self.at_ns, value)

    def until(self, now_ns: int) -> Watch:
        """A copy counted up to now, so that looking at a run does not touch it."""
        copy = deepcopy(self)
        copy.pass_time(now_ns)
        return copy

    def results(self) -> list[EnvelopeLimit]:
        """One line per limit, counted up to `at_ns`."""
        return [limit.result() for limit in self.limits.values()]

    def snapshot(self) -> dict[str, Any]:
        """The state as plain values."""
        return asdict(self) | {"openings": [list(opening) for opening in self.openings]}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Watch:
        """The watch that `snapshot` described."""
        return cls(
            at_ns=state["at_ns"],
            supply=None if state["supply"] is None else Supply(**state["supply"]),
            openings=[(at_ns, lost_mw) for at_ns, lost_mw in state["openings"]],
            limits={name: Limit(**row) for name, row in state["limits"].items()},
            impact=Impact(**state["impact"]),
        )

    def _count(self, until_ns: int) -> None:
        elapsed_ns = until_ns - self.at_ns
        if elapsed_ns > 0:
            for limit in self.limits.values():
                limit.pass_time(elapsed_ns)
            if self.supply is not None:
                self.impact.pass_time(elapsed_ns, self.supply)
        self.at_ns = until_ns
