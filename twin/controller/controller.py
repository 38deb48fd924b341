"""The assembly of one controller: an image booted under a policy, its programs, and the order within a scan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from secureos.audit import AuditLog
from secureos.kernel import Clock, ExchangeRefused, Image, Kernel, Program, TaskFault
from secureos.policy import Policy
from twin.controller.control_logic import ControlLogic
from twin.controller.field_io import FieldIo
from twin.controller.gateway import ModbusGateway
from twin.controller.isolated import IsolatedTasks
from twin.core.points import PointTable, Table
from twin.fieldbus import ExceptionCode, FieldbusError, ModbusClient, ModbusRefusal, Peer, Station

# The interface descriptions of the programs in this room; an image's own descriptions stand beside its init.yaml.
INTERFACES = Path(__file__).parent / "xdl"

Result = TypeVar("Result")


# Read, report, execute, hand out, write: the tasks of one scan and their phases, in order.
SCAN = (("field_io", "read"), ("control_logic", "scan"), ("gateway", "refresh"), ("field_io", "write"))


class StationPort:
    """The device by which a gateway answers clients: the host opens the socket, the gateway provides the station.

    For the host it is the station, whichever run of the gateway provides it; while none does, clients are answered
    with 04 SERVER DEVICE FAILURE. What a client's request makes the gateway do happens under the kernel's eyes.

    Args:
        kernel: Of the controller.
        task: The name of the gateway's task.
    """

    def __init__(self, kernel: Kernel, task: str) -> None:
        self._kernel = kernel
        self._task = task
        self._station: Station

    def attach(self, station: Station) -> None:
        """Let `station` answer whoever comes."""
        self._station = station

    @property
    def units(self) -> frozenset[int]:
        """The units of the gateway's station."""
        return self._station.units

    def read(self, unit: int, table: Table, address: int, count: int, peer: Peer) -> Sequence[int]:
        """What the gateway answers.

        Raises:
            ModbusRefusal: Its own, or 04 while it is stopped.
        """
        return self._enter(lambda: self._station.read(unit, table, address, count, peer))

    def write(self, unit: int, table: Table, address: int, cells: Sequence[int], peer: Peer) -> None:
        """What the gateway makes of it.

        Raises:
            ModbusRefusal: Its own, or 04 while it is stopped.
        """
        self._enter(lambda: self._station.write(unit, table, address, cells, peer))

    def _enter(self, ask: Callable[[], Result]) -> Result:
        try:
            return self._kernel.enter(self._task, ask)
        except TaskFault as fault:
            raise ModbusRefusal(ExceptionCode.SERVER_DEVICE_FAILURE) from fault


class Controller:
    """One controller, booted and ready to scan.

    Args:
        image: What was loaded from the plant's image folder.
        policy: What is granted; the same programs run under every policy.
        policy_version: Which version of it this is.
        points: The plant's table of points.
        clock: The host's time.
        field: The wire to the plant, granted to field I/O alone.
        isolated: Instead of `field`: what hosts the tasks in processes of their own.

    Attributes:
        station: What the gateway task answers with; the host serves it on the SCADA side. Isolated, the gateway serves
            its clients itself, and there is none.
    """

    def __init__(
        self,
        image: Image,
        policy: Policy,
        *,
        points: PointTable,
        clock: Clock,
        policy_version: int = 0,
        field: ModbusClient | None = None,
        isolated: IsolatedTasks | None = None,
    ) -> None:
        # A wire that breaks is the host's trouble, and a refusal an answer to its client; neither is a task's crash.
        self.kernel = Kernel(
            image, policy, clock, AuditLog(), host_errors=(FieldbusError,), policy_version=policy_version
        )
        self.station: Station | None = None
        self._isolated = isolated
        self._offered: list[tuple[Policy, int, asyncio.Future[None]]] = []
        if isolated is not None:
            isolated.port.tell_own(self.in_force)
            self.kernel.boot(isolated.programs(self.kernel, image, points))
            return
        programs: Mapping[str, Callable[[], Program]] = {
            "field_io": lambda: FieldIo(points),
            "control_logic": ControlLogic,
            "gateway": lambda: ModbusGateway(points),
        }
        port = StationPort(self.kernel, "gateway")
        devices: Mapping[str, Mapping[str, Any]] = {"field_io": {"plant": field}, "gateway": {"modbus": port}}
        self.kernel.boot(programs, devices)
        self.station = port

    @property
    def in_force(self) -> tuple[str, ...]:
        """What anybody may read of it: the hashes of image and policy, and the policy's version."""
        now = self.kernel.in_force
        return (now.image_sha256, now.policy_sha256, str(now.policy_version))

    def exchange_policy(self, policy: Policy, *, version: int = 0) -> asyncio.Future[None]:
        """Put another policy in force at the beginning of the next scan; what is awaited is done then.

        What is awaited raises `ExchangeRefused` if it cannot be; the old policy stays.
        """
        done = asyncio.get_running_loop().create_future()
        self._offered.append((policy, version, done))
        return done

    def _put_in_force(self, policy: Policy, version: int, done: asyncio.Future[None]) -> None:
        if done.cancelled():  # nobody wants it any more
            return
        try:
            self.kernel.exchange_policy(policy, version=version)
        except ExchangeRefused as refusal:
            done.set_exception(refusal)
            return
        if self._isolated is not None:
            self._isolated.port.tell_own(self.in_force)
        done.set_result(None)

    async def scan(self) -> None:
        """One scan: read, report, execute, hand out, write. Nothing else happens in the instant it takes.

        Before it, a policy that was offered is put in force.

        A task that is stopped is left out, and started again at the beginning of a scan when its wait is over.

        Raises:
            FieldbusError: The wire to the plant broke.
        """
        while self._offered:
            self._put_in_force(*self._offered.pop(0))
        self.kernel.tick()
        for task, phase in SCAN:
            await self.kernel.activate(task, phase)
