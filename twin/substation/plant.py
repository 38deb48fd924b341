"""The substation as a plant: it moves on the clock, shows what it measures, obeys its terminals, tells the truth."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from twin.core.clock import NS_PER_S, Clock, Phase
from twin.core.plant import EnvelopeLimit, PlantError, Value
from twin.core.points import PointTable
from twin.core.recorder import Recorder
from twin.core.streams import Streams
from twin.substation.breakers import Breakers, Kind
from twin.substation.envelope import Watch
from twin.substation.flow import StationFlow
from twin.substation.loads import Noise, demand_w, sun_w
from twin.substation.network import BREAKERS, FEEDERS
from twin.substation.settings import Settings
from twin.substation.transmitters import Transmitters

TICK_NS: Final = NS_PER_S
HEARTBEAT_NS: Final = 3 * NS_PER_S
"""How long the heartbeat register may stand still before the station reports its controller as lost (ns)."""

_STREAM: Final = "substation.demand"
_NUMBER: Final = {breaker.name: number for number, breaker in enumerate(BREAKERS)}
_GENERATOR_BREAKER: Final = _NUMBER["G1"]


@cache
def points() -> PointTable:
    """The station's table of points."""
    return PointTable.load(Path(__file__).parent / "points.csv")


class Substation:
    """The station Auriga on a clock; see `twin.core.plant.Plant` for what each method is for.

    Work in the agenda: `substation.tick` each second (demand, power flow, truth), `breaker.travel` at the end of each
    breaker's travel (power flow at once), `station.heartbeat` when the heartbeat may have stood still for too long.
    """

    def __init__(self, clock: Clock, streams: Streams, recorder: Recorder, settings: Settings) -> None:
        self.points = points()
        self._clock, self._streams, self._recorder, self._settings = clock, streams, recorder, settings
        kinds = [Kind(b.name, b.high_voltage, b.closed) for b in BREAKERS]
        self._breakers = Breakers(clock, kinds, self._breaker_moved)
        self._flow = StationFlow()
        self._transmitters = Transmitters(self.points, self._flow)
        self._noise = Noise()
        self._watch = Watch()
        self._heartbeat, self._heartbeat_ns, self._heartbeat_watched, self._comm_fail = 0, 0, False, False
        self._version = 0
        self._shown: tuple[int, dict[str, Value]] = (-1, {})
        self._set_demand()
        self._solve()
        clock.on("substation.tick", self._tick)
        clock.on("station.heartbeat", self._check_heartbeat)

    def start(self) -> None:
        """Enter the plant's work into the clock's agenda and bring the state to its initial condition."""
        now_ns = self._clock.now_ns
        self._noise.begin(self._streams[_STREAM])
        self._set_demand()
        self._watch.at_ns = now_ns
        self._settle()
        self._recorder.truth(now_ns, self.truth())
        self._clock.every(TICK_NS, "substation.tick", phase=Phase.PLANT, first_ns=now_ns + TICK_NS)
        self._heartbeat_ns = now_ns
        self._watch_heartbeat()

    def measured(self) -> Mapping[str, Value]:
        """What transducers and contacts show now, in engineering units, by tag; dead busbars read 0 V."""
        if self._shown[0] != self._version:
            shown = self._transmitters.show(self._solution, self._breakers)
            shown["STATION.comm_fail"] = self._comm_fail
            self._shown = (self._version, shown)
        return self._shown[1]

    def version(self) -> int:
        """A number that rises whenever `measured` may have changed."""
        return self._version

    def command(self, tag: str, value: Value) -> None:
        """A write that reached the terminals: a pulse on a coil (True), or the heartbeat register.

        Raises:
            PlantError: The station has no such terminal.
        """
        name, _, act = tag.partition(".")
        if tag == "STATION.heartbeat":
            self._beat(int(value))
        elif tag == "G1.estop":
            if value:
                self._breakers.open(_GENERATOR_BREAKER, "emergency_stop")
        elif name in _NUMBER and act in ("open", "close"):
            if value:
                move = self._breakers.open if act == "open" else self._breakers.close
                move(_NUMBER[name], "command")
        else:
            raise PlantError(f"substation: `{tag}` is no terminal that can be written; see points.csv")

    def truth(self) -> dict[str, Any]:
        """What really is: MW and per unit rounded to six decimals, None where nothing is live."""
        solution, supply = self._solution, self._supply
        _, power, _ = self._transmitters.bays(solution)
        return {
            "load_demand_mw": _rounded(supply.demand_mw),
            "load_served_mw": _rounded(self._served_mw()),
            **{f"u_{bus.lower()}_pu": self._voltage(bus) for bus in ("A", "B", "H1", "H2")},
            **{f"p_{feeder.lower()}_mw": _rounded(power[_NUMBER[feeder]] / 1e6) for feeder in FEEDERS},
            "p_pv_mw": _rounded(solution.generator_p_w[1] / 1e6),
            "p_g1_mw": _rounded(solution.generator_p_w[0] / 1e6),
            "breakers": self._breakers.positions(),
            "remote_disconnected_60s_mw": _rounded(self._watch.disconnected_mw(self._clock.now_ns)),
            "quality": solution.quality,
        }

    def envelope(self) -> list[EnvelopeLimit]:
        """The safety envelope of the run so far."""
        return self._watch.until(self._clock.now_ns).results()

    def damage(self) -> list[dict[str, Any]]:
        """No equipment can break yet: there is no model of ageing, overload or out-of-phase closing."""
        return []

    def impact(self) -> dict[str, float]:
        """What the run has cost so far."""
        return self._watch.until(self._clock.now_ns).impact.result()

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain values; agenda and random streams are their owners'."""
        return {
            "breakers": self._breakers.snapshot(),
            "noise": self._noise.share.tolist(),
            "demand_w": self._demand_w.tolist(),
            "sun_w": self._sun_w,
            "watch": self._watch.snapshot(),
            "heartbeat": [self._heartbeat, self._heartbeat_ns, self._heartbeat_watched],
            "comm_fail": self._comm_fail,
            "version": self._version,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave; the network is solved anew, which gives the same figures bit for bit."""
        self._breakers.restore(state["breakers"])
        self._noise.share = np.array(state["noise"])
        self._demand_w, self._sun_w = np.array(state["demand_w"]), state["sun_w"]
        self._watch = Watch.restored(state["watch"])
        self._heartbeat, self._heartbeat_ns, self._heartbeat_watched = state["heartbeat"]
        self._comm_fail = state["comm_fail"]
        self._version = state["version"]
        self._shown = (-1, {})
        self._solve()

    def _tick(self, _: None) -> None:
        now_ns = self._clock.now_ns
        self._watch.pass_time(now_ns)
        self._noise.step(TICK_NS / NS_PER_S, self._streams[_STREAM])
        self._set_demand()
        self._settle()
        self._recorder.truth(now_ns, self.truth())

    def _breaker_moved(self, number: int) -> None:
        now_ns, mechanism = self._clock.now_ns, self._breakers.mechanisms[number]
        live_mw = self._supply.live_mw
        self._watch.pass_time(now_ns)
        if mechanism.moving:
            self._version += 1  # its contacts show nothing now; the network is as before
        else:
            remote = mechanism.cause == "command" and not mechanism.conducting
            self._settle(remote_opening=remote)
        self._recorder.event(
            now_ns,
            "breaker",
            breaker=BREAKERS[number].name,
            position=mechanism.position,
            cause=mechanism.cause,
            lost_mw=_rounded(live_mw - self._supply.live_mw),
        )
        self._recorder.truth(now_ns, self.truth())

    def _settle(self, *, remote_opening: bool = False) -> None:
        """Solve, and tell the watch what holds from now on."""
        before = self._supply
        self._solve()
        if remote_opening:
            self._watch.opened_remotely(self._clock.now_ns, before.live_mw - self._supply.live_mw)
        voltages = [u for bus in ("A", "B") if (u := self._voltage(bus)) is not None]
        self._watch.enter(self._supply, self._served_mw(), voltages)
        self._version += 1

    def _solve(self) -> None:
        conducting = [mechanism.conducting for mechanism in self._breakers.mechanisms]
        self._solution = self._flow.solve(conducting, self._demand_w, self._sun_w)
        self._supply = self._flow.supply(self._solution, self._demand_w)

    def _set_demand(self) -> None:
        day_s = self._settings.start_s + self._clock.now_s
        self._demand_w = demand_w(day_s) * (self._settings.day_factor * (1.0 + self._noise.share))
        self._sun_w = sun_w(day_s)

    def _served_mw(self) -> float:
        return float(self._solution.load_p_w.sum()) / 1e6

    def _voltage(self, bus: str) -> float | None:
        node = self._flow.node[bus]
        return _rounded(self._solution.u_pu[node]) if self._solution.energized[node] else None

    def _beat(self, value: int) -> None:
        if value == self._heartbeat:
            return
        self._heartbeat, self._heartbeat_ns = value, self._clock.now_ns
        if self._comm_fail:
            self._set_comm_fail(failed=False)
        self._watch_heartbeat()

    def _watch_heartbeat(self) -> None:
        # One row at a time: a beat moves only the instant it is compared with, and the row goes on from there.
        if not self._heartbeat_watched:
            self._heartbeat_watched = True
            self._clock.at(self._heartbeat_ns + HEARTBEAT_NS, "station.heartbeat", phase=Phase.PLANT)

    def _check_heartbeat(self, _: None) -> None:
        self._heartbeat_watched = False
        if self._clock.now_ns - self._heartbeat_ns >= HEARTBEAT_NS:
            self._set_comm_fail(failed=True)
        else:
            self._watch_heartbeat()

    def _set_comm_fail(self, *, failed: bool) -> None:
        self._comm_fail = failed
        self._version += 1
        self._recorder.event(self._clock.now_ns, "comm_fail", active=failed)


def _rounded(value: float) -> float:
    return round(float(value), 6) + 0.0  # no minus zero in the record
