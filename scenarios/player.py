"""Plays one scenario on one twin under one policy."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import simpy

from scenarios.actions import KINDS
from scenarios.actions.step import By
from scenarios.control_room import ControlRoom
from scenarios.schema import Scenario
from secureos.kernel.boot_checks import Checked, Trust
from secureos.kernel.dispositions import told_of
from secureos.kernel.isolation import Nursery
from twin.assembly import SCADA_TIMEOUT_NS, Twin
from twin.controller.programs import check_start
from twin.core import NS_PER_S, Phase, PlantKind, Streams, find_plant, ns
from twin.fieldbus import Capture, Exchanges, Impairment, MemoryWire, NoAnswer, TcpWire, Wire, WireSide
from twin.scada import CommandRefused, OperatorStation

WireName = Literal["tcp", "memory"]
Isolation = Literal["none", "process"]
SLICE_NS = ns(1.0)
NO_ANSWER = "no answer"

# A progress listener is told how far the run is: simulated seconds done, and in all.
Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class RunSettings:
    """How a scenario is played.

    Attributes:
        policy: `enforcing`, `permissive`, or the path of a policy file.
        wire: Real TCP sockets, or the same PDUs in memory.
        isolation: Tasks in this process, or each confined in one of its own; the latter over TCP only.
        seed: For every random stream.
        parameters: Values for the scenario's parameters.
        image: A signed image of the plant in place of its own.
        require_signed: Whether image and policy must have been signed before.
        capture: Whether the traffic of both wires is kept for `network.pcapng`.
    """

    policy: str = "enforcing"
    wire: WireName = "tcp"
    isolation: Isolation = "none"
    seed: int = 1
    parameters: Mapping[str, float] = field(default_factory=dict)
    image: Path | None = None
    require_signed: bool = False
    capture: bool = False


@dataclass
class Tally:
    """How commands of one kind of sender were answered; those that were sent and are in no other count were not."""

    sent: int = 0
    granted: int = 0
    denied: int = 0
    altered: int = 0
    deferred: int = 0


@dataclass(frozen=True)
class Answered:
    """One command and its answer.

    Attributes:
        at_s: When it was carried out or refused, or given up where it never arrived (s).
        by: Who sent it.
        tag, value: What was written.
        label: What it was for.
        granted: Whether the sender was told that it was carried out.
        answer: `ok`, the protocol's own error, or `no answer`, which leaves open whether it was carried out.
        rule, reason: Of the verdict that refused it; empty if none did.
        disposition: `altered` if something else was carried out in its place, `deferred` if it waits; else empty.
    """

    at_s: float
    by: By
    tag: str
    value: float
    label: str
    granted: bool
    answer: str
    rule: str = ""
    reason: str = ""
    disposition: str = ""


@dataclass(frozen=True)
class Planned:
    """One act of the scenario, placed in time."""

    at_ns: int
    kind: str
    by: By
    label: str
    safety: bool
    what: dict[str, Any]


def plan(scenario: Scenario, seed: int, parameters: Mapping[str, float]) -> list[Planned]:
    """The scenario laid out in time: every act, in order; the same for the same seed and parameters."""
    streams = Streams(seed)
    ends: dict[str, float] = {}
    planned: list[Planned] = []
    for number, step in enumerate(scenario.steps):
        start_s = step.at_s + (ends[step.after] if step.after else 0.0)
        acts = step.acts(parameters, streams[f"scenario.{step.id or number}"])
        planned += [
            Planned(ns(start_s + act.after_s), step.kind, step.by, step.label, step.safety, act.what) for act in acts
        ]
        if step.id:
            ends[step.id] = start_s + max(act.after_s for act in acts)
    return sorted(planned, key=lambda act: act.at_ns)


def policy_file(image: Path, name: str) -> Path:
    """The policy file that a run's `policy` setting means."""
    return {"enforcing": image / "security.psl", "permissive": image / "permissive.psl"}.get(name) or Path(name)


def checked_start(plant: PlantKind, policy: str, *, image: Path | None, require_signed: bool) -> Checked:
    """The image and the policy of a run, verified.

    Raises:
        TrustError: They are not as they were signed, or not signed.
        ImageError, PolicyError: Image or policy is wrong.
        StateUnavailable, KeyUnusable: This machine's own key cannot be used.
    """
    folder = image or plant.image
    trust = Trust(datetime.now(UTC).date(), require_signed=require_signed)
    return check_start(folder, policy_file(folder, policy), plant=plant.name, trust=trust)


def new_wire(name: WireName) -> Wire:
    """A new wire by its name."""
    return TcpWire() if name == "tcp" else MemoryWire()


def new_nursery(isolation: Isolation) -> Nursery | None:
    """Where the processes of isolated tasks come from; None where they need none.

    Raises:
        IsolationUnavailable: Tasks cannot be isolated on this machine.
    """
    return Nursery() if isolation == "process" else None


def _heed_interrupt() -> None:
    """Raise the cancellation that was asked for, even where a library's own time-out has swallowed it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Run:
    """One scenario on one twin. Build it, `open` it, `advance` it to its end, `close` it.

    Raises:
        PlantError: The scenario's plant is not installed.
        ImageError, PolicyError: The plant's image or the policy is wrong, or not as it was signed.
        StateUnavailable, KeyUnusable: This machine's own key cannot be used.
        ScenarioError: A parameter is unknown or out of range.
        IsolationUnavailable: Tasks shall be isolated, and cannot be on this machine.

    Attributes:
        capture: The traffic of both wires, if it is kept.
        control_room: What supervision makes of what it reads.
    """

    def __init__(self, scenario: Scenario, settings: RunSettings) -> None:
        self.scenario = scenario
        self.settings = settings
        self.parameters = scenario.chosen(settings.parameters)
        self.plan = plan(scenario, settings.seed, self.parameters)
        kind = find_plant(scenario.plant)
        self.checked = checked_start(
            kind, settings.policy, image=settings.image, require_signed=settings.require_signed
        )
        image, policy = self.checked.image, self.checked.policy
        self._nursery = new_nursery(settings.isolation)
        self.capture = Capture() if settings.capture else None
        self.twin = Twin(
            kind,
            image,
            policy,
            wire=new_wire(settings.wire),
            seed=settings.seed,
            settings=scenario.settings,
            nursery=self._nursery,
            capture=self.capture,
            policy_version=self.checked.statement.version,
        )
        self.control_room = ControlRoom(self.twin)
        self.answered: list[Answered] = []
        self.tallies: dict[str, Tally] = {"attacker": Tally(), "legitimate": Tally(), "safety": Tally()}
        self.wall_s = 0.0
        self._stations: dict[By, OperatorStation] = {}
        self._heard: list[Answered] = []
        self._exchanges = Exchanges(
            self.twin.clock,
            self.twin.links["scada"],
            "scenario.act",
            phase=Phase.CLIENT,
            timeout_ns=SCADA_TIMEOUT_NS,
            carry_out=self._carry_out,
            take=self._take,
        )
        self.twin.clock.on("scenario.act", self._act)

    @property
    def duration_s(self) -> float:
        """How long the run lasts (s): the scenario's duration, or its last act and what follows it."""
        last_s = self.plan[-1].at_ns / NS_PER_S if self.plan else 0.0
        return max(self.scenario.duration_s, last_s + self.scenario.settle_s)

    @property
    def first_attack_s(self) -> float | None:
        """When the attacker acts first (s), or None if never."""
        return next((act.at_ns / NS_PER_S for act in self.plan if act.by == "attacker"), None)

    async def open(self, *, armed: bool = True) -> None:
        """Connect the twin and its actors and start it; unless `armed`, no act is entered into the agenda yet."""
        await self._connect()
        self.twin.start()
        self.control_room.start()
        for act in self.plan if armed else ():
            self.enter(act, act.at_ns)

    def enter(self, act: Planned, at_ns: int) -> int:
        """Enter one act into the agenda, for `at_ns`; the answer is the order by which the clock cancels it."""
        return self.twin.clock.at(at_ns, "scenario.act", asdict(act), phase=Phase.CLIENT)

    async def advance(self, until_s: float, progress: Progress | None = None) -> None:
        """Go on to `until_s`, as fast as possible."""
        started = time.perf_counter()
        until_ns = ns(until_s)
        while self.twin.clock.now_ns < until_ns:
            await self.twin.clock.advance(min(until_ns, self.twin.clock.now_ns + SLICE_NS))
            _heed_interrupt()
            if progress is not None:
                progress(self.twin.clock.now_s, self.duration_s)
        self.wall_s += time.perf_counter() - started

    async def close(self) -> None:
        """Close every connection and server."""
        for station in self._stations.values():
            await station.close()
        await self.twin.close()
        if self._nursery is not None:
            self._nursery.close()

    def snapshot(self) -> dict[str, Any]:
        """The whole state of the run as plain values; between instants, on the memory wire."""
        return {
            "schema": 1,
            "of": self._identity(),
            "twin": self.twin.snapshot(),
            "answered": [asdict(one) for one in self.answered],
            "tallies": {name: asdict(tally) for name, tally in self.tallies.items()},
            "exchanges": self._exchanges.snapshot(),
            "control_room": self.control_room.snapshot(),
        }

    async def resume(self, state: dict[str, Any]) -> None:
        """Instead of `open`: go on from what `snapshot` gave.

        Raises:
            ValueError: It is of another scenario, seed, parameters, policy or image.
        """
        taken = state.get("of", {}) if state.get("schema") == 1 else {}
        for name, value in self._identity().items():
            if taken.get(name) != value:
                raise ValueError(f"the snapshot was taken with {name} `{taken.get(name)}`, this run has `{value}`")
        await self._connect()
        self.twin.restore(state["twin"])
        self.answered = [Answered(**row) for row in state["answered"]]
        self.tallies = {name: Tally(**row) for name, row in state["tallies"].items()}
        self._exchanges.restore(state["exchanges"])
        self.control_room.restore(state["control_room"])

    async def write(self, by: By, tag: str, value: float, *, label: str, safety: bool) -> None:  # noqa: ARG002
        """Write one point from the actor's own address, and note the answer, which counts once it is back."""
        clock, kernel = self.twin.clock, self.twin.controller.kernel
        audit, before, counts = kernel.audit, kernel.audit.next_number, Counter(kernel.dispositions.counts)
        answer, granted = "ok", True
        try:
            await self._stations[by].write(tag, value)
        except CommandRefused as refusal:
            answer, granted = f"exception {refusal.code:02d}", False
        except NoAnswer:
            if not self.twin.links["scada"].cut:
                raise
            answer, granted = NO_ANSWER, False
        new = takewhile(lambda record: record.number >= before, reversed(audit.records))
        denial = next((record for record in new if record.decision == "denied"), None)
        rule, reason = (denial.rule, denial.reason) if denial is not None and not granted else ("", "")
        done = told_of(kernel.dispositions.counts - counts)
        self._heard.append(Answered(clock.now_s, by, tag, value, label, granted, answer, rule, reason, done))

    def impair(self, name: str, wire: WireSide, impairment: Impairment) -> None:
        """Let something go wrong with a wire of the twin."""
        self.twin.impair(wire, name, impairment)

    def mend(self, name: str) -> None:
        """End what goes wrong under a name."""
        self.twin.mend(name)

    def acknowledge(self, by: By, alarm: str) -> None:
        """Acknowledge an alarm in the control room."""
        self.control_room.acknowledge(by, alarm)

    def shelve(self, by: By, alarm: str, *, for_s: float, reason: str) -> None:
        """Take an alarm off the list in the control room for a time (s)."""
        self.control_room.shelve(by, alarm, for_s=for_s, reason=reason)

    def _identity(self) -> dict[str, Any]:
        """What a snapshot and the run that takes it up must have in common."""
        return {
            "scenario": self.scenario.id,
            "steps": [asdict(act) for act in self.plan],
            "settings": self.scenario.settings,
            "seed": self.settings.seed,
            "parameters": self.parameters,
            "policy_sha256": self.twin.policy.sha256,
            "image_sha256": self.twin.image.sha256,
        }

    async def _connect(self) -> None:
        await self.twin.connect()
        self.checked.started()
        for by, address in self.scenario.actors.items():
            self._stations[by] = await self.twin.station(address)

    def _act(self, planned: dict[str, Any]) -> Generator[simpy.Event, Any, None] | None:
        return self._exchanges.begin(planned) if KINDS[planned["kind"]].over_wire else self._here(planned)

    def _here(self, planned: dict[str, Any]) -> Generator[simpy.Event, Any, None]:
        """What passes no wire is done at once."""
        yield self.twin.clock.io(self._carry_out(planned))

    async def _carry_out(self, planned: dict[str, Any]) -> list[dict[str, Any]]:
        self._heard = []
        perform = KINDS[planned["kind"]].perform
        await perform(planned["what"], planned["by"], self, label=planned["label"], safety=planned["safety"])
        return [asdict(one) for one in self._heard]

    def _take(self, planned: dict[str, Any], heard: list[dict[str, Any]], answered: bool) -> None:
        """The answers are back, or were waited for in vain."""
        unknown = {} if answered else {"granted": False, "answer": NO_ANSWER, "rule": "", "reason": ""}
        for row in heard:
            self._note(Answered(**row | unknown), safety=planned["safety"])

    def _note(self, one: Answered, *, safety: bool) -> None:
        self.answered.append(one)
        tally = self.tallies["safety" if safety else "attacker" if one.by == "attacker" else "legitimate"]
        tally.sent += 1
        tally.altered += one.disposition == "altered"
        tally.deferred += one.disposition == "deferred"
        if not one.disposition:
            tally.granted += one.granted
            tally.denied += not one.granted and one.answer != NO_ANSWER
        self.twin.recorder.event(
            self.twin.clock.now_ns, "command", by=one.by, tag=one.tag, value=one.value, answer=one.answer
        )


async def play(scenario: Scenario, settings: RunSettings, progress: Progress | None = None) -> Run:
    """Play a scenario from its beginning to its end; the run that comes back is closed and can be judged."""
    run = Run(scenario, settings)
    try:
        await run.open()
        await run.advance(run.duration_s, progress)
    except BaseException:
        if run.capture is not None:
            run.capture.close()
        raise
    finally:
        await run.close()
    return run
