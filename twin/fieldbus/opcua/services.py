"""The services of an activated session: what each request is, what answers it, and by which call (part 4, clause 5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from asyncua import ua

from twin.fieldbus.opcua.seam import service
from twin.fieldbus.opcua.session import Session

Answer = Callable[[Session, Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Service:
    """One service.

    Attributes:
        parameters: Their class.
        response: Class of the response.
        items: Name of the list in the parameters that may not be empty nor too long; empty where there is none.
        answer: Fills in the response.
    """

    parameters: Any
    response: Any
    items: str
    answer: Answer


async def _read(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Results = await session.read(params)


async def _write(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Results = await session.write(params)


async def _call(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Results = await session.call(params.MethodsToCall)


async def _history(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Results = await session.history_read(params)


async def _browse(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Results = session.browser.browse(params)


async def _browse_next(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Parameters.Results = session.browser.browse_next(params)


async def _translate(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Results = session.browser.translate(params.BrowsePaths)


async def _register(_session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    # Names stay what they are: nothing here is quicker under another.
    response.Parameters.RegisteredNodeIds = params.NodesToRegister


async def _unregister(_session: Session, _params: Any, _response: Any) -> None:  # noqa: ANN401
    """Nothing was registered, so nothing is let go of."""


async def _subscribe(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Parameters = await session.subscriptions.create(params)


async def _modify_subscription(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Parameters = await session.subscriptions.modify(params)


async def _delete_subscriptions(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Results = await session.subscriptions.delete(params.SubscriptionIds)


async def _set_publishing(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    enabled = params.PublishingEnabled
    response.Parameters.Results = await session.subscriptions.set_publishing(params.SubscriptionIds, enabled=enabled)


async def _transfer(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Parameters.Results = session.subscriptions.transfer(params.SubscriptionIds)


async def _republish(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.NotificationMessage = session.subscriptions.republish(params)


async def _watch(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Results = await session.subscriptions.watch(params)


async def _rewatch(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Results = session.subscriptions.rewatch(params)


async def _unwatch(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    response.Results = session.subscriptions.items(params.SubscriptionId).delete_monitored_items(
        params.MonitoredItemIds
    )


async def _set_monitoring(session: Session, params: Any, response: Any) -> None:  # noqa: ANN401
    items = session.subscriptions.items(params.SubscriptionId)
    results = await items.set_monitoring_mode(params.MonitoringMode, params.MonitoredItemIds)
    response.Parameters.Results = results


SERVICES: Final[dict[ua.NodeId, Service]] = {
    service("Read"): Service(ua.ReadParameters, ua.ReadResponse, "NodesToRead", _read),
    service("Write"): Service(ua.WriteParameters, ua.WriteResponse, "NodesToWrite", _write),
    service("Call"): Service(ua.CallParameters, ua.CallResponse, "MethodsToCall", _call),
    service("HistoryRead"): Service(ua.HistoryReadParameters, ua.HistoryReadResponse, "NodesToRead", _history),
    service("Browse"): Service(ua.BrowseParameters, ua.BrowseResponse, "NodesToBrowse", _browse),
    service("BrowseNext"): Service(ua.BrowseNextParameters, ua.BrowseNextResponse, "ContinuationPoints", _browse_next),
    service("TranslateBrowsePathsToNodeIds"): Service(
        ua.TranslateBrowsePathsToNodeIdsParameters, ua.TranslateBrowsePathsToNodeIdsResponse, "BrowsePaths", _translate
    ),
    service("RegisterNodes"): Service(
        ua.RegisterNodesParameters, ua.RegisterNodesResponse, "NodesToRegister", _register
    ),
    service("UnregisterNodes"): Service(
        ua.UnregisterNodesParameters, ua.UnregisterNodesResponse, "NodesToUnregister", _unregister
    ),
    service("CreateSubscription"): Service(
        ua.CreateSubscriptionParameters, ua.CreateSubscriptionResponse, "", _subscribe
    ),
    service("ModifySubscription"): Service(
        ua.ModifySubscriptionParameters, ua.ModifySubscriptionResponse, "", _modify_subscription
    ),
    service("DeleteSubscriptions"): Service(
        ua.DeleteSubscriptionsParameters, ua.DeleteSubscriptionsResponse, "SubscriptionIds", _delete_subscriptions
    ),
    service("SetPublishingMode"): Service(
        ua.SetPublishingModeParameters, ua.SetPublishingModeResponse, "SubscriptionIds", _set_publishing
    ),
    service("TransferSubscriptions"): Service(
        ua.TransferSubscriptionsParameters, ua.TransferSubscriptionsResponse, "SubscriptionIds", _transfer
    ),
    service("Republish"): Service(ua.RepublishParameters, ua.RepublishResponse, "", _republish),
    service("CreateMonitoredItems"): Service(
        ua.CreateMonitoredItemsParameters, ua.CreateMonitoredItemsResponse, "ItemsToCreate", _watch
    ),
    service("ModifyMonitoredItems"): Service(
        ua.ModifyMonitoredItemsParameters, ua.ModifyMonitoredItemsResponse, "ItemsToModify", _rewatch
    ),
    service("DeleteMonitoredItems"): Service(
        ua.DeleteMonitoredItemsParameters, ua.DeleteMonitoredItemsResponse, "MonitoredItemIds", _unwatch
    ),
    service("SetMonitoringMode"): Service(
        ua.SetMonitoringModeParameters, ua.SetMonitoringModeResponse, "MonitoredItemIds", _set_monitoring
    ),
}
