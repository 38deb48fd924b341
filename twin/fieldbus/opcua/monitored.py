"""Monitored items of one subscription: values that changed, and events, for one client."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from asyncua import ua
from asyncua.server.monitored_item_service import MonitoredItemService

from twin.fieldbus.opcua.codes import status
from twin.fieldbus.opcua.where_clause import IsSubtype, WhereClause, path_of

_MAX_SELECT_CLAUSES: Final = 200

RangeOf = Callable[[ua.NodeId], float | None]


@dataclass
class _Watch:
    """How one item's value is watched.

    Attributes:
        trigger: What must change to be told.
        deadband: By how much a number must change to be told.
        timestamps: Which of them go along.
        told: What the client was told last.
    """

    trigger: ua.DataChangeTrigger
    deadband: float
    timestamps: ua.TimestampsToReturn
    told: ua.DataValue | None = None

    def takes(self, value: ua.DataValue) -> bool:
        """Whether the client must be told (part 4, clause 7.22.2); then it counts as told."""
        told = self.told
        if told is not None and not self._changed(told, value):
            return False
        self.told = value
        return True

    def _changed(self, told: ua.DataValue, value: ua.DataValue) -> bool:
        if told.StatusCode != value.StatusCode:
            return True
        if self.trigger == ua.DataChangeTrigger.Status:
            return False
        if self.trigger == ua.DataChangeTrigger.StatusValueTimestamp and told.SourceTimestamp != value.SourceTimestamp:
            return True
        before, now = told.Value.Value, value.Value.Value
        if self.deadband and isinstance(before, int | float) and isinstance(now, int | float):
            return abs(now - before) > self.deadband
        return bool(before != now)

    def shown(self, value: ua.DataValue) -> ua.DataValue:
        """The value with the timestamps asked for."""
        return with_timestamps(value, self.timestamps)


def with_timestamps(value: ua.DataValue, wanted: ua.TimestampsToReturn) -> ua.DataValue:
    """A value with only those of its timestamps that were asked for."""
    if wanted == ua.TimestampsToReturn.Both:
        return value
    source = value.SourceTimestamp if wanted == ua.TimestampsToReturn.Source else None
    server = value.ServerTimestamp if wanted == ua.TimestampsToReturn.Server else None
    return ua.DataValue(value.Value, value.StatusCode, source, server)


class MonitoredItems(MonitoredItemService):
    """The items of one subscription, in place of the library's own.

    The library's compares a dead band with the value before instead of the value told last, knows no dead band in
    per cent and no timestamps to return, matches event types without their subtypes, and fails on filters of the
    wrong kind.

    Args:
        subscription: Whose items they are.
        address_space: What is watched.
        range_of: The range of a point's value (for a dead band in per cent), by its node; None for other nodes.
        is_subtype: Whether one type of event is another or derives from it.
    """

    def __init__(self, subscription: Any, address_space: Any, range_of: RangeOf, is_subtype: IsSubtype) -> None:  # noqa: ANN401
        super().__init__(subscription, address_space)
        self._range_of, self._is_subtype = range_of, is_subtype
        self._watches: dict[int, _Watch] = {}
        self._wheres: dict[int, WhereClause] = {}
        self.timestamps = ua.TimestampsToReturn.Both

    def __len__(self) -> int:
        return len(self._monitored_items)

    @property
    def handles(self) -> list[tuple[int, int]]:
        """Numbers of the items and what the client calls them."""
        return [(mid, int(item.client_handle)) for mid, item in self._monitored_items.items()]

    async def create(self, item: ua.MonitoredItemCreateRequest) -> ua.MonitoredItemCreateResult:
        """Begin to watch one item; what is wrong with it stands in the result."""
        if item.ItemToMonitor.AttributeId == ua.AttributeIds.EventNotifier:
            return self._create_events(item)
        code, watch = self._watch(item)
        if watch is None:
            return ua.MonitoredItemCreateResult(StatusCode=code)
        result, held = self._make_monitored_item_common(item)
        target = item.ItemToMonitor
        result.StatusCode, handle = self.aspace.add_datachange_callback(
            target.NodeId, target.AttributeId, self.datachange_callback
        )
        if result.StatusCode.is_good():
            held.callback_handle = handle
            self._watches[held.monitored_item_id] = watch
            self._monitored_items[held.monitored_item_id] = held
            self._monitored_datachange[handle] = held.monitored_item_id
            await self.trigger_datachange(handle, target.NodeId, target.AttributeId)
        return result

    def _create_events(self, item: ua.MonitoredItemCreateRequest) -> ua.MonitoredItemCreateResult:
        wanted, node = item.RequestedParameters.Filter, item.ItemToMonitor.NodeId
        if not isinstance(wanted, ua.EventFilter) or len(wanted.SelectClauses or ()) > _MAX_SELECT_CLAUSES:
            return ua.MonitoredItemCreateResult(StatusCode=status("BadEventFilterInvalid"))
        notifier = self.aspace.read_attribute_value(node, ua.AttributeIds.EventNotifier).Value.Value
        if not notifier:
            return ua.MonitoredItemCreateResult(StatusCode=status("BadAttributeIdInvalid"))
        where = WhereClause(wanted.WhereClause, self._is_subtype)
        result, held = self._make_monitored_item_common(item)
        self._wheres[held.monitored_item_id] = where
        self._monitored_items[held.monitored_item_id] = held
        self._monitored_events.setdefault(node, []).append(held.monitored_item_id)
        result.FilterResult = ua.EventFilterResult(
            SelectClauseResults=[status("Good") for _ in wanted.SelectClauses or ()]
        )
        return result

    def modify(self, item: ua.MonitoredItemModifyRequest) -> ua.MonitoredItemModifyResult:
        """Watch one item in another way; what is wrong with that stands in the result."""
        held = self._monitored_items.get(item.MonitoredItemId)
        if held is None:
            return ua.MonitoredItemModifyResult(StatusCode=status("BadMonitoredItemIdInvalid"))
        wanted = item.RequestedParameters
        if held.monitored_item_id in self._wheres:
            code = self._modify_events(held.monitored_item_id, wanted.Filter)
        else:
            like = ua.MonitoredItemCreateRequest(ItemToMonitor=held.read_value_id, RequestedParameters=wanted)
            code, watch = self._watch(like)
            if watch is not None:
                watch.told = self._watches[held.monitored_item_id].told
                self._watches[held.monitored_item_id] = watch
        if not code.is_good():
            return ua.MonitoredItemModifyResult(StatusCode=code)
        held.filter = wanted.Filter or held.filter
        held.client_handle = wanted.ClientHandle
        held.queue_size = self._revise_queue_size(wanted.QueueSize)
        interval = self.isub.data.RevisedPublishingInterval
        return ua.MonitoredItemModifyResult(RevisedSamplingInterval=interval, RevisedQueueSize=held.queue_size)

    def _modify_events(self, number: int, wanted: object) -> ua.StatusCode:
        if not isinstance(wanted, ua.EventFilter) or len(wanted.SelectClauses or ()) > _MAX_SELECT_CLAUSES:
            return status("BadEventFilterInvalid")
        self._wheres[number] = WhereClause(wanted.WhereClause, self._is_subtype)
        return status("Good")

    def _watch(self, item: ua.MonitoredItemCreateRequest) -> tuple[ua.StatusCode, _Watch | None]:
        """How an item wants to be watched, or what is wrong with its filter."""
        wanted, target = item.RequestedParameters.Filter, item.ItemToMonitor
        if wanted is None or (isinstance(wanted, ua.ExtensionObject) and wanted.Body is None):
            return status("Good"), _Watch(ua.DataChangeTrigger.StatusValue, 0.0, self.timestamps)
        if not isinstance(wanted, ua.uaprotocol_auto.DataChangeFilter):
            return status("BadMonitoredItemFilterUnsupported"), None
        if target.AttributeId != ua.AttributeIds.Value:
            return status("BadFilterNotAllowed"), None
        band = wanted.DeadbandValue if wanted.DeadbandType != ua.DeadbandType.None_ else 0.0
        if wanted.DeadbandType not in (0, 1, 2) or not math.isfinite(band) or band < 0:
            return status("BadDeadbandFilterInvalid"), None
        if wanted.DeadbandType == ua.DeadbandType.Percent:
            span = self._range_of(target.NodeId)
            if span is None or band > 100:
                return status("BadDeadbandFilterInvalid"), None
            band = band / 100 * span
        return status("Good"), _Watch(wanted.Trigger, band, self.timestamps)

    async def datachange_callback(self, handle: int, value: ua.DataValue, error: ua.StatusCode | None = None) -> None:
        """Tell the client of a value, if it is to be told."""
        number = self._monitored_datachange.get(handle)
        held = self._monitored_items.get(number)
        if error is not None or number is None or held is None or held.mode == ua.MonitoringMode.Disabled:
            return
        watch = self._watches[number]
        if watch.takes(value) and held.mode == ua.MonitoringMode.Reporting:
            told = ua.MonitoredItemNotification(ClientHandle=held.client_handle, Value=watch.shown(value))
            await self.isub.enqueue_datachange_event(number, told, held.queue_size)

    async def tell(self, notifiers: frozenset[ua.NodeId], fields: Mapping[str, ua.Variant]) -> None:
        """Tell the client of an event that these nodes give notice of, once per item."""
        for node in notifiers & self._monitored_events.keys():
            for number in self._monitored_events[node]:
                await self._tell(number, fields)

    async def tell_item(self, number: int, fields: Mapping[str, ua.Variant]) -> None:
        """Tell one item of an event, whatever it watches."""
        if number in self._wheres:
            await self._tell(number, fields)

    @property
    def event_items(self) -> list[int]:
        """Numbers of the items that watch for events."""
        return list(self._wheres)

    async def _tell(self, number: int, fields: Mapping[str, ua.Variant]) -> None:
        held = self._monitored_items[number]
        if held.mode != ua.MonitoringMode.Reporting or not self._wheres[number].admits(fields):
            return
        nothing = ua.Variant(None)
        chosen = [fields.get(path_of(clause), nothing) for clause in held.filter.SelectClauses or ()]
        told = ua.EventFieldList(ClientHandle=held.client_handle, EventFields=chosen)
        await self.isub.enqueue_event(number, told, held.queue_size)

    def _delete_monitored_items(self, mid: int) -> ua.StatusCode:
        code = super()._delete_monitored_items(mid)
        self._watches.pop(mid, None)
        self._wheres.pop(mid, None)
        return code
