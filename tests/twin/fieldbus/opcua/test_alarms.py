"""Alarms as conditions: events to subscribers, refresh, and what people do about them."""

from __future__ import annotations

import asyncio

import pytest
from asyncua import ua

from tests.twin.fieldbus.opcua.conftest import tag
from twin.fieldbus.opcua import AlarmEvent
from twin.fieldbus.opcua.where_clause import WhereClause

FIELDS = ["EventId", "EventType", "SourceName", "Severity", "Message", "ActiveState/Id", "AckedState/Id", "Retain"]
FIELDS += ["LimitState/CurrentState", "ShelvingState/CurrentState", "Time"]


def event(name="T1.L", **how):
    settings = {"active": True, "acknowledged": False, "confirmed": True, "severity": 700, "message": "high", **how}
    return AlarmEvent(name, settings.pop("at_ns", 6_000_000_000), **settings)


def clause(path: str) -> ua.SimpleAttributeOperand:
    operand = ua.SimpleAttributeOperand()
    operand.TypeDefinitionId = ua.NodeId(ua.ObjectIds.BaseEventType)
    operand.AttributeId = ua.AttributeIds.Value
    operand.BrowsePath = [ua.QualifiedName(name, 0) for name in path.split("/")]
    return operand


def condition_id() -> ua.SimpleAttributeOperand:
    operand = ua.SimpleAttributeOperand()
    operand.TypeDefinitionId = ua.NodeId(ua.ObjectIds.ConditionType)
    operand.AttributeId, operand.BrowsePath = ua.AttributeIds.NodeId, []
    return operand


def of_type(kind: int) -> ua.ContentFilter:
    literal = ua.LiteralOperand(Value=ua.Variant(ua.NodeId(kind)))
    return ua.ContentFilter(Elements=[ua.ContentFilterElement(ua.FilterOperator.OfType, [literal])])


class Ear:
    """Subscribes to events and collects their fields by name."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue = asyncio.Queue()

    def event_notification(self, told):
        self.heard.put_nowait(told)

    async def listen(self, client, node, where=None):
        wanted = ua.EventFilter()
        wanted.SelectClauses = [clause(path) for path in FIELDS] + [condition_id()]
        wanted.WhereClause = where or ua.ContentFilter()
        self.subscription = await client.create_subscription(50, self)
        await self.subscription._subscribe(node, ua.AttributeIds.EventNotifier, wanted)
        return self

    async def next(self):
        told = await asyncio.wait_for(self.heard.get(), 10)
        return dict(zip([*FIELDS, "ConditionId"], (field.Value for field in told.event_fields), strict=True))


async def publish(rig, *events):
    for one in events:
        await asyncio.to_thread(rig.run, rig.server.publish_alarm(one))


async def call(client, owner, method, *arguments):
    request = ua.CallMethodRequest()
    request.ObjectId, request.MethodId, request.InputArguments = owner, method, list(arguments)
    (result,) = await client.uaclient.call([request])
    return result.StatusCode.name


def as_user(rig, test, user="maria"):
    async def run():
        async with await rig.secured(user) as client:
            return await test(client)

    return asyncio.run(run())


@pytest.mark.parametrize("where", ["Server", "/P", "/P/T1"])
def test_an_event_reaches_whoever_listens_above_its_point(rig, where):
    async def test(client):
        node = client.nodes.server if where == "Server" else client.get_node(tag(where))
        ear = await Ear().listen(client, node)
        await publish(rig, event(limit="high"))
        return await ear.next()

    told = as_user(rig, test)
    assert (told["SourceName"], told["Severity"], told["Message"].Text) == ("T1.L", 700, "high")
    assert (told["ActiveState/Id"], told["AckedState/Id"], told["Retain"]) == (True, False, True)
    assert told["EventType"] == ua.NodeId(ua.ObjectIds.ExclusiveLimitAlarmType)
    assert told["LimitState/CurrentState"].Text == "High"
    assert told["ConditionId"] == tag("T1.L#Alarm")


def test_an_event_does_not_reach_who_listens_elsewhere_or_to_other_types(rig):
    async def test(client):
        elsewhere = await Ear().listen(client, client.get_node(tag("/P/K1")))
        other_type = await Ear().listen(client, client.nodes.server, of_type(ua.ObjectIds.OffNormalAlarmType))
        any_alarm = await Ear().listen(client, client.nodes.server, of_type(ua.ObjectIds.AlarmConditionType))
        await publish(rig, event(limit="high"))
        await any_alarm.next()
        await publish(rig, event("K1.TRIP", message="tripped"))
        return await elsewhere.next(), await other_type.next()

    told = as_user(rig, test)
    assert [one["SourceName"] for one in told] == ["K1.TRIP", "K1.TRIP"]
    assert told[0]["EventType"] == ua.NodeId(ua.ObjectIds.OffNormalAlarmType)


def test_the_condition_shows_its_state(rig):
    async def test(client):
        await publish(rig, event(limit="low_low", active=True))
        node = client.get_node(tag("T1.L#Alarm/LimitState/CurrentState"))
        return (await node.read_value()).Text, await client.get_node(tag("T1.L#Alarm/HighLimit")).read_value()

    assert as_user(rig, test) == ("LowLow", 90.0)


def test_a_late_comer_is_told_what_still_stands(rig):
    async def test(client):
        await publish(
            rig,
            event(limit="high"),
            event("T1.T", active=False, acknowledged=True),
            event("K1.TRIP", active=False, acknowledged=False),
        )
        ear = await Ear().listen(client, client.nodes.server)
        number = ua.Variant(ear.subscription.subscription_id, ua.VariantType.UInt32)
        owner, method = (
            ua.NodeId(ua.ObjectIds.ConditionType),
            ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh),
        )
        assert await call(client, owner, method, number) == "Good"
        return [await ear.next() for _ in range(4)]

    told = as_user(rig, test)
    assert told[0]["EventType"] == ua.NodeId(ua.ObjectIds.RefreshStartEventType)
    assert {one["SourceName"] for one in told[1:3]} == {"T1.L", "K1.TRIP"}
    assert told[3]["EventType"] == ua.NodeId(ua.ObjectIds.RefreshEndEventType)


def test_nobody_refreshes_the_subscription_of_another(rig):
    async def test(client):
        subscription = await client.create_subscription(1000, None)
        number = ua.Variant(subscription.subscription_id, ua.VariantType.UInt32)
        async with rig.plain() as other:
            return await call(
                other,
                ua.NodeId(ua.ObjectIds.ConditionType),
                ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh),
                number,
            )

    assert as_user(rig, test) == "BadSubscriptionIdInvalid"


@pytest.mark.parametrize("standard", [False, True])
def test_acknowledging_goes_through_the_desk_with_who_and_what(rig, standard):
    async def test(client):
        ear = await Ear().listen(client, client.nodes.server)
        await publish(rig, event(limit="high"))
        told = await ear.next()
        method = ua.NodeId(ua.ObjectIds.AcknowledgeableConditionType_Acknowledge)
        return await call(
            client,
            told["ConditionId"],
            method if standard else tag("T1.L#Alarm/Acknowledge"),
            ua.Variant(told["EventId"], ua.VariantType.ByteString),
            ua.Variant(ua.LocalizedText("seen"), ua.VariantType.LocalizedText),
        )

    assert as_user(rig, test) == "Good"
    ((act, peer),) = rig.plant.acts
    assert (act.tag, act.act, act.comment) == ("T1.L", "acknowledge", "seen")
    assert (peer.user, peer.role) == ("maria", "operator")


def test_an_event_that_never_was_cannot_be_acknowledged(rig):
    async def test(client):
        return await call(
            client,
            tag("T1.L#Alarm"),
            tag("T1.L#Alarm/Acknowledge"),
            ua.Variant(b"x" * 16, ua.VariantType.ByteString),
            ua.Variant(ua.LocalizedText(""), ua.VariantType.LocalizedText),
        )

    assert as_user(rig, test) == "BadEventIdUnknown"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [([60_000.0], "Good"), ([-1.0], "BadShelvingTimeOutOfRange"), ([], "BadArgumentsMissing")],
)
def test_shelving_for_a_time(rig, arguments, expected):
    async def test(client):
        method = tag("T1.L#Alarm/ShelvingState/TimedShelve")
        return await call(client, tag("T1.L#Alarm/ShelvingState"), method, *map(ua.Variant, arguments))

    assert as_user(rig, test) == expected
    assert [(act.act, act.duration_s) for act, _ in rig.plant.acts] == [("shelve_timed", 60.0)] * (expected == "Good")


def test_who_may_not_is_refused_by_the_desk(rig):
    async def test(client):
        return await call(client, tag("T1.L#Alarm"), tag("T1.L#Alarm/Disable"))

    assert as_user(rig, test, "olga") == "BadUserAccessDenied"


def literal(value):
    return ua.LiteralOperand(Value=ua.Variant(value))


@pytest.mark.parametrize(
    ("operator", "operands", "expected"),
    [
        ("GreaterThan", [clause("Severity"), literal(500)], True),
        ("LessThan", [clause("Severity"), literal(500)], False),
        ("Between", [clause("Severity"), literal(600), literal(800)], True),
        ("InList", [clause("SourceName"), literal("A"), literal("T1.L")], True),
        ("Like", [clause("SourceName"), literal("T_.%")], True),
        ("Like", [clause("SourceName"), literal("[^T]%")], False),
        ("IsNull", [clause("Nothing")], True),
        ("Not", [clause("Flag")], False),
        ("GreaterThan", [clause("SourceName"), literal(500)], False),
    ],
)
def test_a_filter_decides_by_fields(operator, operands, expected):
    fields = {
        "Severity": ua.Variant(700),
        "SourceName": ua.Variant("T1.L"),
        "Flag": ua.Variant(True),
        "EventType": ua.Variant(ua.NodeId(1)),
    }
    element = ua.ContentFilterElement(getattr(ua.FilterOperator, operator), operands)
    where = WhereClause(ua.ContentFilter(Elements=[element]), lambda kind, wanted: kind == wanted)
    assert where.admits(fields) is expected


@pytest.mark.parametrize(
    "elements",
    [
        [ua.ContentFilterElement(ua.FilterOperator.Not, [ua.ElementOperand(Index=0)])],
        [ua.ContentFilterElement(ua.FilterOperator.Not, [ua.ElementOperand(Index=9)])],
        [ua.ContentFilterElement(ua.FilterOperator.Not, [])],
        [ua.ContentFilterElement(ua.FilterOperator.InView, [literal(1)])],
        [ua.ContentFilterElement(ua.FilterOperator.Not, [literal(1)])] * 51,
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(elements):
    with pytest.raises(Exception, match="Service Error") as raised:
        WhereClause(ua.ContentFilter(Elements=elements), lambda kind, wanted: False)
    assert raised.value.code == ua.StatusCodes.BadEventFilterInvalid
