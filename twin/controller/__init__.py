"""The programs a controller is made of, each a task on the secure OS, and their assembly."""

from twin.controller.control_logic import ControlLogic
from twin.controller.controller import INTERFACES, Controller
from twin.controller.field_io import FieldIo
from twin.controller.gateway import ModbusGateway
from twin.controller.image_layout import ImageLayout
from twin.controller.isolated import IsolatedTasks
from twin.controller.isolated_devices import ClientPort, FieldWire

__all__ = [
    "INTERFACES",
    "ClientPort",
    "ControlLogic",
    "Controller",
    "FieldIo",
    "FieldWire",
    "ImageLayout",
    "IsolatedTasks",
    "ModbusGateway",
]
