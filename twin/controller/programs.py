"""Which programs the host has for the tasks of a controller, and the checks before any of them starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from secureos.kernel.boot_checks import Checked, Trust, boot_checks
from secureos.kernel.inspection import Device, Hosted
from twin.controller.control_logic import ControlLogic
from twin.controller.controller import INTERFACES
from twin.controller.field_io import FieldIo
from twin.controller.gateway import ModbusGateway

HOSTED: Final[Mapping[str, Hosted]] = {
    "field_io": Hosted(FieldIo, (Device("plant", acts=True),)),
    "control_logic": Hosted(ControlLogic),
    "gateway": Hosted(ModbusGateway, (Device("modbus", acts=False),)),
}
"""By task: the class of its program, and the devices that it is granted."""

PROGRAMS: Final[Mapping[str, type]] = {task: hosted.program for task, hosted in HOSTED.items()}


def check_start(folder: Path, policy: Path, *, plant: str, trust: Trust) -> Checked:
    """Read and verify an image of a plant and a policy for it; nothing is started.

    Raises:
        TrustError: Something is not as it was signed, or not signed.
        ImageError: The image is wrong.
        PolicyError: The policy is wrong; each mistake with file, line and column.
        StateUnavailable, KeyUnusable: This machine's own key cannot be used.
    """
    return boot_checks(folder, policy, name=plant, programs=PROGRAMS, trust=trust, include=(INTERFACES,))
