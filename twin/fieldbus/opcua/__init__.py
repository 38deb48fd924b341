"""OPC UA: the points of a plant as an address space that any client of the field can work with."""

from twin.fieldbus.opcua.access import AccessError, AccessRules, Identity
from twin.fieldbus.opcua.host_time import HostTime
from twin.fieldbus.opcua.limits import OpcUaLimits, OpcUaStats
from twin.fieldbus.opcua.server import OpcUaServer, Security, ServerIdentity
from twin.fieldbus.opcua.station import (
    AlarmAct,
    AlarmDesk,
    AlarmEvent,
    FileEntry,
    FileProvider,
    OpcUaStation,
)
from twin.fieldbus.opcua.users import Users, UsersError

__all__ = [
    "AccessError",
    "AccessRules",
    "AlarmAct",
    "AlarmDesk",
    "AlarmEvent",
    "FileEntry",
    "FileProvider",
    "HostTime",
    "Identity",
    "OpcUaLimits",
    "OpcUaServer",
    "OpcUaStation",
    "OpcUaStats",
    "Security",
    "ServerIdentity",
    "Users",
    "UsersError",
]
