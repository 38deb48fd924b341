"""All that a server has to show and to ask: the nodes of one side's points, and who stands behind them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncua import ua

from twin.core import PointTable
from twin.fieldbus.opcua.address_space import PointNodes
from twin.fieldbus.opcua.codes import bad_value, native, status
from twin.fieldbus.opcua.conditions import Condition, has_alarm
from twin.fieldbus.opcua.datatypes import ValueType, status_of
from twin.fieldbus.opcua.files import Files
from twin.fieldbus.opcua.history import History
from twin.fieldbus.opcua.host_time import HostTime
from twin.fieldbus.opcua.limits import OpcUaLimits, OpcUaStats
from twin.fieldbus.opcua.nodes import Nodes
from twin.fieldbus.opcua.station import AlarmDesk, FileProvider, OpcUaStation
from twin.fieldbus.peer import Peer
from twin.fieldbus.reading import Reading
from twin.fieldbus.refusal import Refusal

if TYPE_CHECKING:
    from twin.fieldbus.opcua.session import Session

MethodCall = Callable[["Session", Sequence[Any]], Awaitable[Sequence[ua.Variant]]]


@dataclass(frozen=True)
class Method:
    """What a method takes, and what it does.

    Attributes:
        takes: The types of its arguments.
        run: Does it, for a session, with the values of the arguments; raises `Refusal` or `ServiceError`.
        changes: Whether it does anything but show.
    """

    takes: tuple[ua.VariantType, ...]
    run: MethodCall
    changes: bool = True


class Served:
    """One side of a plant, as a server shows it.

    Attributes:
        points: The nodes of the points.
        conditions: The alarms, by the tags of their points.
        methods: What clients may call, by the nodes of an object and a method of it.
    """

    def __init__(
        self,
        nodes: Nodes,
        table: PointTable,
        station: OpcUaStation,
        *,
        time: HostTime,
        limits: OpcUaLimits,
        stats: OpcUaStats,
        desk: AlarmDesk | None,
        provider: FileProvider | None,
    ) -> None:
        self.time, self.limits, self.stats = time, limits, stats
        self.desk = desk
        self.station = station
        self.history = History(limits.history)
        self.points = PointNodes(nodes, table)
        self.conditions: dict[str, Condition] = {}
        self._kept: dict[str, tuple[int, Reading | Refusal, ua.DataValue]] = {}
        if desk is not None:
            self._add_conditions(nodes)
        self.files = Files(nodes, provider) if provider is not None else None
        self.methods: dict[tuple[ua.NodeId, ua.NodeId], Method] = {}

    def _add_conditions(self, nodes: Nodes) -> None:
        for value in self.points.types.values():
            if has_alarm(value.point):
                folders = self.points.folders[value.point.tag]
                self.conditions[value.point.tag] = Condition(nodes, value, folders, self.time)

    def read(self, values: Sequence[ValueType], peer: Peer) -> list[ua.DataValue]:
        """What points show to a peer, each or why not."""
        try:
            answers = self.station.read([value.point for value in values], peer)
            return self._shown(values, answers)
        except Refusal as refusal:
            return [bad_value(native(refusal)) for _ in values]
        except Exception as failure:
            self.failed(failure)
            return [bad_value(status("BadDeviceFailure")) for _ in values]

    def _shown(self, values: Sequence[ValueType], answers: Sequence[Reading | Refusal]) -> list[ua.DataValue]:
        """Readings as they travel; the same one for all who read it within the same instant."""
        now_ns, kept, shown = self.time.now_ns(), self._kept, []
        for value, answer in zip(values, answers, strict=True):
            last = kept.get(value.point.tag)
            if last is None or last[0] != now_ns or last[1] != answer:
                last = (now_ns, answer, self.shown(value, answer, self.time.now()))
                kept[value.point.tag] = last
            shown.append(last[2])
        return shown

    def shown(self, value: ValueType, answer: Reading | Refusal, now: Any = None) -> ua.DataValue:  # noqa: ANN401
        """A reading as it travels; without a value where it is bad."""
        if isinstance(answer, Refusal):
            return bad_value(native(answer))
        at = self.time.date(answer.at_ns)
        if answer.quality == "bad":
            return ua.DataValue(None, status_of(answer), at, now)
        return ua.DataValue(value.carry(answer.value), status_of(answer), at, now)

    def may_read(self, node: ua.NodeId, peer: Peer) -> ua.StatusCode:
        """Good, or why this peer does not get what the point of this node shows."""
        point = self.points.types[node].point
        try:
            (answer,) = self.station.read([point], peer)
        except Refusal as refusal:
            return native(refusal)
        except Exception as failure:
            self.failed(failure)
            return status("BadDeviceFailure")
        return native(answer) if isinstance(answer, Refusal) else status("Good")

    def range_of(self, node: ua.NodeId) -> float | None:
        """How wide the range of a point's number is; None for other nodes."""
        value = self.points.types.get(node)
        numeric = value is not None and value.type not in (ua.VariantType.Boolean, ua.VariantType.String)
        return value.point.high - value.point.low if value is not None and numeric else None

    def failed(self, failure: Exception) -> None:
        """Keep what went wrong on our own side."""
        self.stats.failures += 1
        self.stats.last_failure = failure

    @property
    def retained(self) -> Mapping[str, Condition]:
        """The conditions that a client which comes later must still be told of."""
        return {tag: condition for tag, condition in self.conditions.items() if condition.event.retain}
