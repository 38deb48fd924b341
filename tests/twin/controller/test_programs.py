"""What the host declares to have for the tasks is what it registers when a controller boots."""

from datetime import date

import pytest

from secureos.kernel import Kernel
from secureos.kernel.boot_checks import Trust
from twin.controller import Controller
from twin.controller.programs import HOSTED, check_start
from twin.core import Clock, find_plant


class Booted(Exception):
    """Instead of a start."""


def test_what_is_declared_is_what_is_registered(monkeypatch):
    plant = find_plant("substation")
    checked = check_start(plant.image, plant.image / "security.psl", plant="substation", trust=Trust(date(2030, 1, 1)))
    seen = {}

    def boot(kernel, programs, devices):
        seen.update(programs=programs, devices=devices)
        raise Booted

    monkeypatch.setattr(Kernel, "boot", boot)
    with pytest.raises(Booted):
        Controller(checked.image, checked.policy, points=plant.points(), clock=Clock(), field=object())
    assert {task: type(make()) for task, make in seen["programs"].items()} == {
        task: hosted.program for task, hosted in HOSTED.items()
    }
    assert {task: set(granted) for task, granted in seen["devices"].items()} == {
        task: {device.name for device in hosted.devices} for task, hosted in HOSTED.items() if hosted.devices
    }


def test_the_devices_that_are_declared_not_to_act_do_not():
    """The plant's wire is the only device through which something moves."""
    acting = [(task, device.name) for task, hosted in HOSTED.items() for device in hosted.devices if device.acts]
    assert acting == [("field_io", "plant")]
