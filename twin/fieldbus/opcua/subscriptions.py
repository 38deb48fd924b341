"""The subscriptions of one session: nobody else's can be touched, and none is without bounds (part 4, clause 5.14)."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

from asyncua import ua

from twin.fieldbus.opcua.codes import fault, status
from twin.fieldbus.opcua.monitored import MonitoredItems
from twin.fieldbus.opcua.nodes import CAN_READ

if TYPE_CHECKING:
    from twin.fieldbus.opcua.internal import GuardedServer
    from twin.fieldbus.opcua.session import Session

_LONGEST_INTERVAL_MS: Final = 60_000.0
_LONGEST_LIFE_MS: Final = 3_600_000.0
_MOST_KEEP_ALIVES: Final = 1_000


class Subscriptions:
    """Those of one session.

    The library looks a subscription up by its number alone, and numbers are given in order: whoever counts would
    change, delete or take over the subscriptions of others.
    """

    def __init__(self, session: Session, server: GuardedServer) -> None:
        self._session, self._server = session, server
        self._all: dict[int, Any] = server.subscription_service.subscriptions

    @property
    def own(self) -> dict[int, Any]:
        """The session's own, by their numbers."""
        mine = self._session.session_id
        return {number: held for number, held in self._all.items() if held.session_id == mine}

    @property
    def _owner(self) -> tuple[object, ...]:
        """Whose they are beyond the session: a later session of the same can take them over."""
        return self._session.identity, self._session.certificate

    def _count(self) -> int:
        """The session's own, and those that earlier sessions of the same user left behind."""
        sessions = self._server.session_ids
        left = (s for s in self._all.values() if s.owner == self._owner and s.session_id not in sessions)
        return len(self.own) + sum(1 for _ in left)

    def items(self, number: int) -> MonitoredItems:
        """The monitored items of one of them.

        Raises:
            ServiceError: Bad_SubscriptionIdInvalid; it is none of the session's own.
        """
        found: MonitoredItems = self._get(number).monitored_item_srv
        return found

    def _get(self, number: int) -> Any:  # noqa: ANN401
        held = self._all.get(number)
        if held is None or held.session_id != self._session.session_id:
            raise fault("BadSubscriptionIdInvalid")
        return held

    async def create(self, params: ua.CreateSubscriptionParameters) -> ua.CreateSubscriptionResult:
        """Begin a subscription.

        Raises:
            ServiceError: Bad_TooManySubscriptions.
        """
        if self._count() >= self._session.served.limits.subscriptions:
            raise fault("BadTooManySubscriptions")
        self._revise(params)
        channel = self._session.channel
        result = await self._server.subscription_service.create_subscription(
            params, channel.forward_publish_response, self._session.session_id, channel.get_publish_request
        )
        held = self._all[result.SubscriptionId]
        held.owner = self._owner
        held.monitored_item_srv = MonitoredItems(
            held, self._server.aspace, self._session.served.range_of, self._server.is_subtype
        )
        return result

    def _revise(self, params: Any) -> None:  # noqa: ANN401
        """Bring what was asked within bounds; the life is at least three keep-alives (part 4, clause 5.14.2)."""
        least = self._session.served.limits.publishing_interval_ms
        asked = params.RequestedPublishingInterval
        interval = min(max(asked, least), _LONGEST_INTERVAL_MS) if math.isfinite(asked) else least
        keep_alive = min(max(params.RequestedMaxKeepAliveCount, 1), _MOST_KEEP_ALIVES)
        longest = max(int(_LONGEST_LIFE_MS / interval), 3)
        keep_alive = min(keep_alive, longest // 3)
        params.RequestedPublishingInterval = interval
        params.RequestedMaxKeepAliveCount = keep_alive
        params.RequestedLifetimeCount = min(max(params.RequestedLifetimeCount, 3 * keep_alive), longest)

    async def modify(self, params: ua.ModifySubscriptionParameters) -> ua.ModifySubscriptionResult:
        """Change the interval and the counts of one."""
        held = self._get(params.SubscriptionId)
        self._revise(params)
        revised = ua.ModifySubscriptionResult(
            RevisedPublishingInterval=params.RequestedPublishingInterval,
            RevisedLifetimeCount=params.RequestedLifetimeCount,
            RevisedMaxKeepAliveCount=params.RequestedMaxKeepAliveCount,
        )
        held.data.RevisedPublishingInterval = revised.RevisedPublishingInterval
        held.data.RevisedLifetimeCount = revised.RevisedLifetimeCount
        held.data.RevisedMaxKeepAliveCount = revised.RevisedMaxKeepAliveCount
        if held._task is not None:  # its loop took the interval over when it began
            held._task.cancel()
            await asyncio.gather(held._task, return_exceptions=True)
            await held.start()
        return revised

    async def delete(self, numbers: list[int]) -> list[ua.StatusCode]:
        """End some; each or why not."""
        return [await self._delete(number) for number in numbers]

    async def _delete(self, number: int) -> ua.StatusCode:
        if number not in self.own:
            return status("BadSubscriptionIdInvalid")
        (code,) = await self._server.subscription_service.delete_subscriptions([number])
        return code

    async def set_publishing(self, numbers: list[int], *, enabled: bool) -> list[ua.StatusCode]:
        """Let some tell, or not; each or why not."""
        own, codes = self.own, []
        for number in numbers:
            if number in own:
                await own[number].set_publishing_mode(enabled)
            codes.append(status("Good" if number in own else "BadSubscriptionIdInvalid"))
        return codes

    def acknowledge(self, acknowledged: list[ua.SubscriptionAcknowledgement]) -> list[ua.StatusCode]:
        """Forget messages that arrived.

        Raises:
            ServiceError: Bad_NoSubscription; there is nothing to be told of.
        """
        own = self.own
        if not own:
            raise fault("BadNoSubscription")
        codes = []
        for item in acknowledged:
            held = own.get(item.SubscriptionId)
            if held is None:
                codes.append(status("BadSubscriptionIdInvalid"))
            else:
                kept = held._not_acknowledged_results.pop(item.SequenceNumber, None)
                codes.append(status("Good" if kept is not None else "BadSequenceNumberUnknown"))
        return codes

    def republish(self, params: ua.RepublishParameters) -> ua.NotificationMessage:
        """A message once more.

        Raises:
            ServiceError: Bad_MessageNotAvailable.
        """
        kept = self._get(params.SubscriptionId)._not_acknowledged_results.get(params.RetransmitSequenceNumber)
        if kept is None:
            raise fault("BadMessageNotAvailable")
        return kept.NotificationMessage

    def transfer(self, numbers: list[int]) -> list[ua.TransferResult]:
        """Take over subscriptions of another session of the same user and application (part 4, clause 5.14.7)."""
        return [self._transfer(number) for number in numbers]

    def _transfer(self, number: int) -> ua.TransferResult:
        held = self._all.get(number)
        if held is None:
            return ua.TransferResult(StatusCode=status("BadSubscriptionIdInvalid"))
        if held.owner != self._owner:
            return ua.TransferResult(StatusCode=status("BadUserAccessDenied"))
        held.session_id = self._session.session_id
        self.bind(held)
        return ua.TransferResult(AvailableSequenceNumbers=sorted(held._not_acknowledged_results))

    def bind(self, held: Any) -> None:  # noqa: ANN401
        """Let one of them tell over the channel that the session is on now."""
        held.pub_result_callback = self._session.channel.forward_publish_response
        held.pub_request_callback = self._session.channel.get_publish_request

    def leave(self) -> None:
        """Let those that are to outlive the session wait for another to take them over."""
        for held in self.own.values():
            held.pub_request_callback = _nobody_asks

    async def watch(self, params: ua.CreateMonitoredItemsParameters) -> list[ua.MonitoredItemCreateResult]:
        """Begin to watch items; each or why not (part 4, clause 5.13.2)."""
        items = self.items(params.SubscriptionId)
        if params.TimestampsToReturn == ua.TimestampsToReturn.Invalid:
            raise fault("BadTimestampsToReturnInvalid")
        items.timestamps = params.TimestampsToReturn
        room = self._session.served.limits.monitored_items - sum(len(s.monitored_item_srv) for s in self.own.values())
        results = []
        for item in params.ItemsToCreate:
            code = self._may_watch(item.ItemToMonitor) if room > 0 else status("BadTooManyMonitoredItems")
            if code.is_good():
                result = await items.create(item)
                room -= result.StatusCode.is_good()
            else:
                result = ua.MonitoredItemCreateResult(StatusCode=code)
            results.append(result)
        return results

    def _may_watch(self, target: ua.ReadValueId) -> ua.StatusCode:
        held = self._session.aspace.read_attribute_value(target.NodeId, target.AttributeId)
        served = self._session.served
        if held.StatusCode.value in (ua.StatusCodes.BadNodeIdUnknown, ua.StatusCodes.BadAttributeIdInvalid):
            return held.StatusCode
        if target.IndexRange:
            return status("BadIndexRangeNoData")
        if target.DataEncoding is not None and target.DataEncoding.Name:
            return status("BadDataEncodingInvalid")
        if target.AttributeId != ua.AttributeIds.Value:
            return status("Good")
        if target.NodeId in served.points.types:
            return served.may_read(target.NodeId, self._session.peer)
        return status("Good" if self._session._level(target.NodeId) & CAN_READ else "BadNotReadable")

    def rewatch(self, params: ua.ModifyMonitoredItemsParameters) -> list[ua.MonitoredItemModifyResult]:
        """Watch items in another way; each or why not."""
        items = self.items(params.SubscriptionId)
        items.timestamps = params.TimestampsToReturn
        return [items.modify(item) for item in params.ItemsToModify]


def _nobody_asks(_number: int) -> None:
    """In place of a channel's queue of publish requests: there is none."""
