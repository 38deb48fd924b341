"""Alarms as conditions of the standard types (part 9): their nodes, their events, and what clients do about them.

A point with alarm limits has the condition `ns=2;s=<tag>#Alarm`: an ExclusiveLimitAlarmType, or an OffNormalAlarmType
for a point of two states. The state comes from the host, event by event; nothing is decided here.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from asyncua import ua

from twin.core import Point
from twin.fieldbus.opcua.datatypes import ValueType
from twin.fieldbus.opcua.host_time import HostTime
from twin.fieldbus.opcua.nodes import Nodes, plant_node
from twin.fieldbus.opcua.station import Act, AlarmEvent

_T = ua.VariantType
_ConditionMethod = tuple[str, tuple[int, ...], tuple[tuple[str, int], ...]]
# A client may answer an event that is not the very last one of its condition any more.
_EVENTS_ANSWERABLE: Final = 8
_MAX_TEXT: Final = 500

_LIMIT_STATES: Final = {
    "low_low": ("LowLow", ua.ObjectIds.ExclusiveLimitStateMachineType_LowLow),
    "low": ("Low", ua.ObjectIds.ExclusiveLimitStateMachineType_Low),
    "high": ("High", ua.ObjectIds.ExclusiveLimitStateMachineType_High),
    "high_high": ("HighHigh", ua.ObjectIds.ExclusiveLimitStateMachineType_HighHigh),
}
_SHELVING: Final = {
    "unshelved": ("Unshelved", ua.ObjectIds.ShelvedStateMachineType_Unshelved),
    "timed": ("TimedShelved", ua.ObjectIds.ShelvedStateMachineType_TimedShelved),
    "one_shot": ("OneShotShelved", ua.ObjectIds.ShelvedStateMachineType_OneShotShelved),
}
_COMMENTED: Final = (("EventId", int(_T.ByteString.value)), ("Comment", int(_T.LocalizedText.value)))
# Browse names, the types' own methods that mean the same, and arguments.
METHODS: Final[dict[Act, _ConditionMethod]] = {
    "acknowledge": ("Acknowledge", (ua.ObjectIds.AcknowledgeableConditionType_Acknowledge,), _COMMENTED),
    "confirm": ("Confirm", (ua.ObjectIds.AcknowledgeableConditionType_Confirm,), _COMMENTED),
    "comment": ("AddComment", (ua.ObjectIds.ConditionType_AddComment,), _COMMENTED),
    "enable": ("Enable", (ua.ObjectIds.ConditionType_Enable,), ()),
    "disable": ("Disable", (ua.ObjectIds.ConditionType_Disable,), ()),
}
SHELVING_METHODS: Final[dict[Act, _ConditionMethod]] = {
    "shelve_timed": (
        "TimedShelve",
        (
            ua.ObjectIds.ShelvedStateMachineType_TimedShelve,
            ua.ObjectIds.AlarmConditionType_ShelvingState_TimedShelve,
        ),
        (("ShelvingTime", int(ua.ObjectIds.Duration)),),
    ),
    "shelve_once": (
        "OneShotShelve",
        (
            ua.ObjectIds.ShelvedStateMachineType_OneShotShelve,
            ua.ObjectIds.AlarmConditionType_ShelvingState_OneShotShelve,
        ),
        (),
    ),
    "unshelve": (
        "Unshelve",
        (ua.ObjectIds.ShelvedStateMachineType_Unshelve, ua.ObjectIds.AlarmConditionType_ShelvingState_Unshelve),
        (),
    ),
}
Fields = Mapping[str, ua.Variant]


def has_alarm(point: Point) -> bool:
    """Whether a point has an alarm."""
    return bool(point.alarm_limits) or point.alarm_when is not None


class Condition:
    """One point's alarm as clients see it.

    Attributes:
        node: Of the condition.
        point: Whose alarm it is.
        notifiers: The nodes that give notice of its events.
        methods: What a client can ask for, by the nodes of an object and a method of it.
    """

    def __init__(self, nodes: Nodes, value: ValueType, folders: tuple[ua.NodeId, ...], time: HostTime) -> None:
        self.point = value.point
        self._time = time
        self._binary = value.type is _T.Boolean
        self._sequence = 0
        self._answerable: deque[bytes] = deque(maxlen=_EVENTS_ANSWERABLE)
        self._severity_before = 0
        self._nodes = nodes
        self._children: dict[str, ua.NodeId] = {}
        self.methods: dict[tuple[ua.NodeId, ua.NodeId], Act] = {}
        self.notifiers = frozenset((*folders, ua.NodeId(ua.ObjectIds.Server)))
        parent = folders[0] if folders else ua.NodeId(ua.ObjectIds.ObjectsFolder)
        self.node = self._place(parent)
        self.event = AlarmEvent(
            self.point.tag, 0, active=False, acknowledged=True, confirmed=True, severity=1, message=""
        )
        self.fields: Fields = self._fields()
        self._place_fields()
        self._place_methods()

    @property
    def _type(self) -> int:
        kind: int = ua.ObjectIds.OffNormalAlarmType if self._binary else ua.ObjectIds.ExclusiveLimitAlarmType
        return kind

    def take(self, event: AlarmEvent) -> Fields:
        """The fields of the event that tells of a new state; also what its nodes show from now on."""
        self._severity_before = self.event.severity
        self.event = replace(event, comment=event.comment[:_MAX_TEXT], message=event.message[:_MAX_TEXT])
        self._sequence += 1
        self.fields = self._fields()
        self._answerable.append(self.fields["EventId"].Value)
        for path, node in self._children.items():
            self._nodes.node(node).attributes[ua.AttributeIds.Value].value = ua.DataValue(
                self.fields[path], SourceTimestamp=self._time.date(event.at_ns)
            )
        return self.fields

    def answers(self, event_id: object) -> bool:
        """Whether that is one of the latest events of this condition."""
        return event_id in self._answerable

    def _fields(self) -> Fields:
        event, tag = self.event, self.point.tag
        at = self._time.date(event.at_ns)
        event_id = hashlib.sha256(f"{tag}#{self._sequence}#{event.at_ns}".encode()).digest()[:16]
        fields = {
            "EventId": ua.Variant(event_id, _T.ByteString),
            "EventType": ua.Variant(ua.NodeId(self._type), _T.NodeId),
            "SourceNode": ua.Variant(plant_node(tag), _T.NodeId),
            "SourceName": ua.Variant(tag, _T.String),
            "Time": ua.Variant(at, _T.DateTime),
            "ReceiveTime": ua.Variant(at, _T.DateTime),
            "Message": _text(event.message),
            "Severity": ua.Variant(min(max(event.severity, 1), 1000), _T.UInt16),
            "ConditionClassId": ua.Variant(ua.NodeId(ua.ObjectIds.ProcessConditionClassType), _T.NodeId),
            "ConditionClassName": _text("ProcessConditionClass"),
            "ConditionName": ua.Variant(f"{tag} alarm", _T.String),
            "BranchId": ua.Variant(ua.NodeId(), _T.NodeId),
            "Retain": ua.Variant(event.retain, _T.Boolean),
            "Quality": ua.Variant(ua.StatusCode(ua.StatusCodes.Good), _T.StatusCode),
            "LastSeverity": ua.Variant(self._severity_before, _T.UInt16),
            "Comment": _text(event.comment),
            "ClientUserId": ua.Variant(event.user, _T.String),
            "InputNode": ua.Variant(plant_node(tag), _T.NodeId),
            "SuppressedOrShelved": ua.Variant(event.suppressed or event.shelving != "unshelved", _T.Boolean),
            f"#{int(ua.AttributeIds.NodeId)}": ua.Variant(plant_node(f"{tag}#Alarm"), _T.NodeId),
        }
        fields |= _two_states("EnabledState", event.enabled, "Enabled", "Disabled")
        fields |= _two_states("AckedState", event.acknowledged, "Acknowledged", "Unacknowledged")
        fields |= _two_states("ConfirmedState", event.confirmed, "Confirmed", "Unconfirmed")
        fields |= _two_states("ActiveState", event.active, "Active", "Inactive")
        fields |= _two_states("SuppressedState", event.suppressed, "Suppressed", "Unsuppressed")
        fields |= _state("ShelvingState/CurrentState", *_SHELVING[event.shelving])
        return fields | self._limits()

    def _limits(self) -> dict[str, ua.Variant]:
        point = self.point
        if self._binary:
            return {"NormalState": ua.Variant(ua.NodeId(), _T.NodeId)}
        limit = self.event.limit
        state = _state("LimitState/CurrentState", *_LIMIT_STATES[limit]) if limit else _no_state()
        limits = {
            "HighHighLimit": point.alarm_hihi,
            "HighLimit": point.alarm_hi,
            "LowLimit": point.alarm_lo,
            "LowLowLimit": point.alarm_lolo,
        }
        return state | {name: ua.Variant(at, _T.Double) for name, at in limits.items() if at is not None}

    def _place(self, parent: ua.NodeId) -> ua.NodeId:
        leaf = self.point.opcua_path.rpartition("/")[2]
        node = self._nodes.place(
            f"{self.point.tag}#Alarm",
            parent,
            f"{leaf}.Alarm",
            type_definition=self._type,
            description=f"Alarm of {self.point.description}",
        )
        self._nodes.refer(plant_node(self.point.tag), ua.ObjectIds.HasCondition, node)
        return node

    def _place_fields(self) -> None:
        for path, value in self.fields.items():
            if path.startswith("#"):
                continue
            above, _, leaf = path.rpartition("/")
            if above in ("ShelvingState", "LimitState"):
                self._place_machine(above)
            parent = self._child(above) if above else self.node
            is_state = leaf.endswith("State") and value.VariantType is _T.LocalizedText
            machine = leaf == "CurrentState"
            state_type = ua.ObjectIds.FiniteStateVariableType if machine else ua.ObjectIds.TwoStateVariableType
            self._children[path] = self._nodes.variable(
                f"{self.node.Identifier}/{path}",
                parent,
                leaf,
                value,
                type_definition=state_type if is_state else ua.ObjectIds.PropertyType,
                reference=ua.ObjectIds.HasComponent if is_state else ua.ObjectIds.HasProperty,
                namespace=0,
            )

    def _place_machine(self, name: str) -> None:
        shelving = name == "ShelvingState"
        kind = ua.ObjectIds.ShelvedStateMachineType if shelving else ua.ObjectIds.ExclusiveLimitStateMachineType
        self._nodes.place(f"{self.node.Identifier}/{name}", self.node, name, type_definition=kind, namespace=0)

    def _child(self, path: str) -> ua.NodeId:
        return plant_node(f"{self.node.Identifier}/{path}")

    def _place_methods(self) -> None:
        shelving = self._child("ShelvingState")
        for parent, methods in ((self.node, METHODS), (shelving, SHELVING_METHODS)):
            for act, (name, standard, inputs) in methods.items():
                own = self._nodes.method(f"{parent.Identifier}/{name}", parent, name, inputs=inputs, namespace=0)
                for method in (own, *(ua.NodeId(identifier) for identifier in standard)):
                    # Part 9 calls shelving methods on the condition, too.
                    self.methods[parent, method] = act
                    self.methods[self.node, method] = act


def refresh_event(kind: int, time: HostTime) -> Fields:
    """The event that begins or ends a refresh (part 9, clause 5.5.7)."""
    now = time.now()
    return {
        "EventId": ua.Variant(hashlib.sha256(f"{kind}#{now}".encode()).digest()[:16], _T.ByteString),
        "EventType": ua.Variant(ua.NodeId(kind), _T.NodeId),
        "SourceNode": ua.Variant(ua.NodeId(ua.ObjectIds.Server), _T.NodeId),
        "SourceName": ua.Variant("Server", _T.String),
        "Time": ua.Variant(now, _T.DateTime),
        "ReceiveTime": ua.Variant(now, _T.DateTime),
        "Message": _text("refresh"),
        "Severity": ua.Variant(1, _T.UInt16),
    }


def _text(text: str) -> ua.Variant:
    return ua.Variant(ua.LocalizedText(text), _T.LocalizedText)


def _two_states(name: str, state: bool, true: str, false: str) -> dict[str, ua.Variant]:
    return {name: _text(true if state else false), f"{name}/Id": ua.Variant(state, _T.Boolean)}


def _state(name: str, text: str, identifier: int) -> dict[str, ua.Variant]:
    return {name: _text(text), f"{name}/Id": ua.Variant(ua.NodeId(identifier), _T.NodeId)}


def _no_state() -> dict[str, ua.Variant]:
    return {
        "LimitState/CurrentState": _text(""),
        "LimitState/CurrentState/Id": ua.Variant(ua.NodeId(), _T.NodeId),
    }
