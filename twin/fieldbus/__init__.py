"""The fieldbus of a twin: Modbus, server and client sides, over TCP and in memory."""

from twin.fieldbus.errors import ExceptionCode, FieldbusError, ModbusRefusal, NoAnswer
from twin.fieldbus.exchanges import Exchanges
from twin.fieldbus.impairments import Impairment, Link, WireSide
from twin.fieldbus.linked_client import LinkedClient
from twin.fieldbus.modbus.bank import RegisterBank
from twin.fieldbus.modbus.client import ModbusClient
from twin.fieldbus.modbus.codec import Value
from twin.fieldbus.modbus.identity import DeviceIdentity
from twin.fieldbus.modbus.memory_client import MemoryModbusClient
from twin.fieldbus.modbus.outputs import Outcome, Outputs
from twin.fieldbus.modbus.register_list import register_csv, register_markdown
from twin.fieldbus.modbus.registers import Block, RegisterMap
from twin.fieldbus.modbus.responder import Responder
from twin.fieldbus.modbus.roster import ServerLimits, ServerStats
from twin.fieldbus.modbus.server import ModbusServer
from twin.fieldbus.modbus.station import BankStation, Station, Write
from twin.fieldbus.modbus.steady_client import Backoff, SteadyClient
from twin.fieldbus.modbus.tcp_client import TcpModbusClient
from twin.fieldbus.modbus.told_station import Answered, ToldStation
from twin.fieldbus.peer import Peer
from twin.fieldbus.reading import Quality, Reading
from twin.fieldbus.refusal import ReasonKind, Refusal
from twin.fieldbus.taps import Capture, Tap, TappedResponder
from twin.fieldbus.wire import Endpoint, MemoryWire, TcpWire, Wire

__all__ = [
    "Answered",
    "Backoff",
    "BankStation",
    "Block",
    "Capture",
    "DeviceIdentity",
    "Endpoint",
    "ExceptionCode",
    "Exchanges",
    "FieldbusError",
    "Impairment",
    "Link",
    "LinkedClient",
    "MemoryModbusClient",
    "MemoryWire",
    "ModbusClient",
    "ModbusRefusal",
    "ModbusServer",
    "NoAnswer",
    "Outcome",
    "Outputs",
    "Peer",
    "Quality",
    "Reading",
    "ReasonKind",
    "Refusal",
    "RegisterBank",
    "RegisterMap",
    "Responder",
    "ServerLimits",
    "ServerStats",
    "Station",
    "SteadyClient",
    "Tap",
    "TappedResponder",
    "TcpModbusClient",
    "TcpWire",
    "ToldStation",
    "Value",
    "Wire",
    "WireSide",
    "Write",
    "register_csv",
    "register_markdown",
]
