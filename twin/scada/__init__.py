"""Supervision: what sees the plant only over the wire."""

from twin.scada.alarm import Alarm, State
from twin.scada.alarm_system import LONGEST_SHELVED_S, AlarmError, AlarmSystem
from twin.scada.board import Board
from twin.scada.definitions import PRIORITIES, AlarmDefinition, alarm_definitions
from twin.scada.historian import QUALITIES, Historian, Series
from twin.scada.journal import AlarmEvent, Journal
from twin.scada.metrics import AlarmMetrics, alarm_metrics
from twin.scada.operator import Operator
from twin.scada.orders import Order, Orders
from twin.scada.station import CommandRefused, NotSelected, OperatorStation
from twin.scada.supervision import Supervision, good, supervised_alarms

__all__ = [
    "LONGEST_SHELVED_S",
    "PRIORITIES",
    "QUALITIES",
    "Alarm",
    "AlarmDefinition",
    "AlarmError",
    "AlarmEvent",
    "AlarmMetrics",
    "AlarmSystem",
    "Board",
    "CommandRefused",
    "Historian",
    "Journal",
    "NotSelected",
    "Operator",
    "OperatorStation",
    "Order",
    "Orders",
    "Series",
    "State",
    "Supervision",
    "alarm_definitions",
    "alarm_metrics",
    "good",
    "supervised_alarms",
]
