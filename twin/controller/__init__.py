"""The programs a controller is made of, each a task on the secure OS, and their assembly."""

from twin.controller.control_logic import ControlLogic
from twin.controller.controller import INTERFACES, Controller
from twin.controller.field_io import FieldIo
from twin.controller.gateway import ModbusGateway
from twin.controller.image_layout import ImageLayout

__all__ = ["INTERFACES", "ControlLogic", "Controller", "FieldIo", "ImageLayout", "ModbusGateway"]
