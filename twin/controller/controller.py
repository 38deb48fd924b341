"""The assembly of one controller: an image booted under a policy, its programs, and the order within a scan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from secureos.audit import AuditLog
from secureos.kernel import Clock, Image, Kernel, Program, load_image
from secureos.policy import Policy, load_policy
from twin.controller.control_logic import ControlLogic
from twin.controller.field_io import FieldIo
from twin.controller.gateway import ModbusGateway
from twin.core.points import PointTable
from twin.fieldbus import ModbusClient, Station

# The interface descriptions of the programs in this room; an image's own descriptions stand beside its init.yaml.
INTERFACES = Path(__file__).parent / "xdl"


class StationPort:
    """The device by which a gateway answers clients: the host opens the socket, the gateway provides the station."""

    station: Station

    def attach(self, station: Station) -> None:
        """Let `station` answer whoever comes."""
        self.station = station


class Controller:
    """One controller, booted and ready to scan.

    Args:
        image: What was loaded from the plant's image folder.
        policy: What is granted; the same programs run under every policy.
        points: The plant's table of points.
        clock: The host's time.
        field: The wire to the plant, granted to field I/O alone.

    Attributes:
        station: What the gateway task answers with; the host serves it on the SCADA side.
    """

    def __init__(
        self,
        image: Image,
        policy: Policy,
        *,
        points: PointTable,
        clock: Clock,
        field: ModbusClient,
    ) -> None:
        self._field_io = FieldIo(points)
        self._logic = ControlLogic()
        self._gateway = ModbusGateway(points)
        self.kernel = Kernel(image, policy, clock, AuditLog())
        programs: Mapping[str, Program] = {
            "field_io": self._field_io,
            "control_logic": self._logic,
            "gateway": self._gateway,
        }
        port = StationPort()
        devices: Mapping[str, Mapping[str, Any]] = {"field_io": {"plant": field}, "gateway": {"modbus": port}}
        self.kernel.boot(programs, devices)
        self.station = port.station

    @staticmethod
    def load(folder: Path, policy: Path) -> tuple[Image, Policy]:
        """Read and check the image in `folder` and a policy for it; nothing is started.

        Raises:
            ImageError: The image is wrong.
            PolicyError: The policy is wrong; each mistake with file, line and column.
        """
        image = load_image(folder, include=(INTERFACES,))
        return image, load_policy(policy, image.catalogue, include=(folder,))

    async def scan(self) -> None:
        """One scan: read, report, execute, hand out, write. Nothing else happens in the instant it takes."""
        await self._field_io.read_inputs()
        self._logic.scan()
        self._gateway.refresh()
        await self._field_io.write_outputs()
