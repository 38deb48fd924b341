"""The substation with its control system over real sockets, as the stories see it: nothing to await, little to know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from secureos.audit import Record
from secureos.kernel import Program
from secureos.kernel.boot_checks import Checked, Trust
from secureos.kernel.exchange import offered
from secureos.kernel.system import TaskSystem
from secureos.kernel.task import Task
from twin.assembly import Twin
from twin.controller.programs import check_start
from twin.core import PlantKind, find_plant, ns
from twin.fieldbus import TcpWire
from twin.scada import CommandRefused

TODAY = date(2030, 1, 1)
PLANT: PlantKind = find_plant("substation")
IMAGE: Path = PLANT.image

FEEDERS = ("F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8")
HOSPITAL = "F6"

Answer = TypeVar("Answer")


def checked(policy: str | Path = "security.psl", *, image: Path = IMAGE, require_signed: bool = False) -> Checked:
    """What may start, as every start finds out; raises what speaks against it."""
    trust = Trust(TODAY, require_signed=require_signed)
    return check_start(image, image / policy, plant=PLANT.name, trust=trust)


class Substation:
    """A substation that runs under a policy; time passes only when a story lets it."""

    def __init__(self, policy: str | Path = "security.psl") -> None:
        self._runner = asyncio.Runner()
        self.started = checked(policy)
        self.twin = Twin(PLANT, self.started.image, self.started.policy, wire=TcpWire(), settings={"start": "18:00"})
        self._now(self.twin.connect())
        self.twin.start()
        self.passes(2)

    def close(self) -> None:
        """Switch everything off."""
        self._now(self.twin.close())
        self._runner.close()

    def passes(self, seconds: float) -> None:
        """Let simulated time pass."""
        self._now(self.twin.clock.advance(self.twin.clock.now_ns + ns(seconds)))

    # ---- the control room ------------------------------------------------------------------------------------------

    def operator_writes(self, tag: str) -> str:
        """A command from the operator's station, over Modbus: `done`, or the exception that came back."""
        try:
            self._now(self.twin.operator.write(tag, 1))
        except CommandRefused as refusal:
            return f"exception {refusal.code:02d}"
        return "done"

    def operator_sees(self, tag: str) -> Any:
        """What the gateway shows the operator."""
        return self._now(self.twin.operator.poll())[tag]

    # ---- the plant itself ------------------------------------------------------------------------------------------

    def closed(self, breaker: str) -> bool:
        """Whether a breaker truly is."""
        return bool(self.twin.plant.measured()[f"{breaker}.closed"])

    def all_closed(self) -> bool:
        """Whether every feeder of the town is."""
        return all(map(self.closed, FEEDERS))

    @property
    def controller_is_missed(self) -> bool:
        """Whether the plant's own devices have noticed that the controller's heart does not beat."""
        return bool(self.twin.plant.measured()["STATION.comm_fail"])

    @property
    def lost_mw(self) -> float:
        """The most that the town was ever without."""
        return self.twin.plant.impact()["load_lost_max_mw"]

    # ---- the controller --------------------------------------------------------------------------------------------

    def task(self, name: str) -> Task:
        """One of the controller's tasks."""
        return self.twin.controller.kernel.tasks[name]

    def puts_in_place(self, name: str, program: Program, *, for_good: bool = False) -> None:
        """Another program takes a task's place: same class, same handles, same channels, same policy."""
        task = self.task(name)
        task.program = program
        if for_good:
            task.make = lambda: program
        program.start(TaskSystem(self.twin.controller.kernel, task))

    def exchanges_policy(self, policy: Path) -> None:
        """Another policy is checked and tested, and put in force at the next scan."""
        offer = offered(policy, self.started, trust=Trust(TODAY))

        async def at_the_next_scan() -> None:
            done = self.twin.controller.exchange_policy(offer.policy)
            await self.twin.clock.advance(self.twin.clock.now_ns + ns(0.2))
            await done

        self._now(at_the_next_scan())

    # ---- the record ------------------------------------------------------------------------------------------------

    def records(self, event: str) -> list[Record]:
        """What the audit holds of one kind of event."""
        return [record for record in self.twin.controller.kernel.audit.records if record.event == event]

    @property
    def last_denial(self) -> Record:
        """The latest refusal of all."""
        return next(r for r in reversed(self.twin.controller.kernel.audit.records) if r.decision == "denied")

    def _now(self, work: Awaitable[Answer]) -> Answer:
        async def done() -> Answer:
            return await work

        return self._runner.run(done())
