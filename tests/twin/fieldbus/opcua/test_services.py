"""Each service against the tables of part 4: what is answered, and by which code what is wrong is answered."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from asyncua import ua

from tests.twin.fieldbus.opcua.conftest import tag
from twin.fieldbus import Reading
from twin.fieldbus.refusal import Refusal

S = ua.StatusCodes
GOOD = ua.StatusCode(S.Good)


def code(name: str) -> ua.StatusCode:
    return ua.StatusCode(getattr(S, name))


def plainly(rig, test):
    """Run a test with a client that nobody vouches for."""

    async def run():
        async with rig.plain() as client:
            return await test(client)

    return asyncio.run(run())


def as_user(rig, test, user="erik"):
    """Run a test with the client of a user, over a secured channel."""

    async def run():
        async with await rig.secured(user) as client:
            return await test(client)

    return asyncio.run(run())


def write_value(name: str, value: object, kind: ua.VariantType, **more: object) -> ua.WriteValue:
    item = ua.WriteValue()
    item.NodeId, item.AttributeId = tag(name), ua.AttributeIds.Value
    item.Value = ua.DataValue(ua.Variant(value, kind))
    for key, said in more.items():
        setattr(item, key, said)
    return item


async def write(client, *items: ua.WriteValue) -> list[ua.StatusCode]:
    params = ua.WriteParameters()
    params.NodesToWrite = list(items)
    return await client.uaclient.write(params)


async def read(client, *items: tuple[ua.NodeId, int], **more: object) -> list[ua.DataValue]:
    params = ua.ReadParameters()
    params.TimestampsToReturn = more.get("timestamps", ua.TimestampsToReturn.Both)
    params.MaxAge = more.get("max_age", 0.0)
    for node, attribute in items:
        item = ua.ReadValueId()
        item.NodeId, item.AttributeId = node, attribute
        item.IndexRange = more.get("index_range")
        params.NodesToRead.append(item)
    return await client.uaclient.read(params)


class TestRead:
    @pytest.mark.parametrize(
        ("name", "value", "kind"),
        [
            ("K1.RUN", True, "Boolean"),
            ("T1.L", 42.42, "Double"),
            ("T1.T", -12.3, "Double"),
            ("T1.N", 65535, "UInt16"),
            ("T1.D", -30000, "Int16"),
            ("F1.P", -99999, "Int32"),
            ("F1.E", 4294967295, "UInt32"),
            ("F1.H", 50.25, "Float"),
            ("F1.C", -(2**33), "Int64"),
            ("F1.S", 2**33, "UInt64"),
            ("F1.X", 0.1, "Double"),
        ],
    )
    def test_every_datatype_travels_with_its_value_quality_and_time(self, rig, name, value, kind):
        rig.plant.values[name] = value

        async def test(client):
            return await client.get_node(tag(name)).read_data_value()

        seen = plainly(rig, test)
        assert (seen.Value.Value, seen.Value.VariantType.name) == (value, kind)
        assert seen.StatusCode.is_good()
        assert seen.SourceTimestamp == datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("quality", "name"), [("uncertain", "UncertainLastUsableValue"), ("bad", "BadNoCommunication")]
    )
    def test_a_quality_is_a_status(self, rig, quality, name):
        rig.plant.qualities["T1.L"] = quality
        rig.plant.values["T1.L"] = 3.0

        async def test(client):
            return await read(client, (tag("T1.L"), 13))

        (seen,) = plainly(rig, test)
        assert seen.StatusCode == code(name)
        assert seen.Value.Value == (None if quality == "bad" else 3.0)

    def test_each_item_is_answered_for_itself(self, rig):
        async def test(client):
            items = [(tag("T1.L"), 13), (tag("NONE"), 13), (tag("T1.L"), 99), (tag("SECRET"), 13), (tag("X.FIELD"), 13)]
            return [value.StatusCode.name for value in await read(client, *items)]

        expected = ["Good", "BadNodeIdUnknown", "BadAttributeIdInvalid", "BadUserAccessDenied", "BadNodeIdUnknown"]
        assert plainly(rig, test) == expected

    def test_a_role_may_see_more(self, rig):
        async def test(client):
            return await client.get_node(tag("SECRET")).read_value()

        assert as_user(rig, test) == 0.0

    @pytest.mark.parametrize(
        ("wanted", "source", "server"),
        [("Both", True, True), ("Source", True, False), ("Server", False, True), ("Neither", False, False)],
    )
    def test_timestamps_as_asked_for(self, rig, wanted, source, server):
        async def test(client):
            return await read(client, (tag("T1.L"), 13), timestamps=getattr(ua.TimestampsToReturn, wanted))

        (seen,) = plainly(rig, test)
        assert (seen.SourceTimestamp is not None, seen.ServerTimestamp is not None) == (source, server)

    @pytest.mark.parametrize(
        ("more", "name"),
        [
            ({"timestamps": ua.TimestampsToReturn.Invalid}, "BadTimestampsToReturnInvalid"),
            ({"max_age": -1.0}, "BadMaxAgeInvalid"),
            ({"max_age": float("nan")}, "BadMaxAgeInvalid"),
        ],
    )
    def test_what_makes_no_sense_is_a_fault(self, rig, more, name):
        async def test(client):
            with pytest.raises(ua.UaStatusCodeError) as raised:
                await read(client, (tag("T1.L"), 13), **more)
            return raised.value.code

        assert plainly(rig, test) == getattr(S, name)

    def test_nothing_and_too_much(self, rig):
        async def test(client):
            codes = []
            for count in (0, 1001):
                with pytest.raises(ua.UaStatusCodeError) as raised:
                    await read(client, *[(tag("T1.L"), 13)] * count)
                codes.append(raised.value.code)
            return codes

        assert plainly(rig, test) == [S.BadNothingToDo, S.BadTooManyOperations]

    @pytest.mark.parametrize(
        ("index_range", "name"),
        [("0", "BadIndexRangeNoData"), ("3:1", "BadIndexRangeInvalid"), ("x", "BadIndexRangeInvalid")],
    )
    def test_a_scalar_has_no_range(self, rig, index_range, name):
        async def test(client):
            return await read(client, (tag("T1.L"), 13), index_range=index_range)

        assert plainly(rig, test)[0].StatusCode == code(name)

    def test_part_of_an_array(self, rig):
        async def test(client):
            return await read(client, (ua.NodeId(ua.ObjectIds.Server_NamespaceArray), 13), index_range="2:9")

        assert plainly(rig, test)[0].Value.Value == ["urn:holdfast:tiny"]

    def test_a_station_that_fails_is_no_fault_of_the_request(self, rig, monkeypatch):
        def fail(points, peer):
            raise RuntimeError("the station broke")

        monkeypatch.setattr(rig.plant, "read", fail)
        before = rig.server.stats.failures

        async def test(client):
            return await read(client, (tag("T1.L"), 13))

        assert plainly(rig, test)[0].StatusCode == code("BadDeviceFailure")
        assert rig.server.stats.failures == before + 1
        rig.server.stats.failures = before


class TestWrite:
    def test_each_item_is_decided_for_itself(self, rig):
        async def test(client):
            return await write(
                client,
                write_value("V3.SP", -5, ua.VariantType.Int32),
                write_value("V3.SP", 1, ua.VariantType.Double),
                write_value("V3.SP", 200_000, ua.VariantType.Int32),
                write_value("T1.L", 5.0, ua.VariantType.Double),
                write_value("NONE", 5.0, ua.VariantType.Double),
                write_value("V2.SP", 5, ua.VariantType.Int16),
                write_value("V3.SP", [1], ua.VariantType.Int32),
                write_value("V5.SP", float("nan"), ua.VariantType.Float),
                write_value("V1.SP", 12.5, ua.VariantType.Double),
            )

        names = [result.name for result in as_user(rig, test, "maria")]
        assert names == [
            "Good",
            "BadTypeMismatch",
            "BadOutOfRange",
            "BadNotWritable",
            "BadNodeIdUnknown",
            "BadUserAccessDenied",
            "BadTypeMismatch",
            "BadOutOfRange",
            "Good",
        ]
        assert [(name, value) for name, value, _ in rig.plant.writes] == [("V3.SP", -5), ("V1.SP", 12.5)]

    def test_the_station_learns_who_writes(self, rig):
        async def test(client):
            return await write(client, write_value("K1.START", True, ua.VariantType.Boolean))

        assert as_user(rig, test, "maria") == [GOOD]
        ((_, value, peer),) = rig.plant.writes
        assert value is True
        assert (peer.address, peer.user, peer.role, peer.protocol) == ("127.0.0.1", "maria", "operator", "opcua")
        assert peer.certificate == rig.application.thumbprint

    def test_nothing_is_changed_over_an_unsecured_channel(self, rig):
        async def test(client):
            level = await client.get_node(tag("V3.SP")).read_attribute(ua.AttributeIds.UserAccessLevel)
            return level.Value.Value, await write(client, write_value("V3.SP", 1, ua.VariantType.Int32))

        level, codes = plainly(rig, test)
        assert codes == [code("BadUserAccessDenied")]
        assert not level & 2
        assert rig.plant.writes == []

    def test_a_status_cannot_be_written(self, rig):
        blank = ua.DataValue(StatusCode=code("BadDeviceFailure"))

        async def test(client):
            return await write(client, write_value("V3.SP", 0, ua.VariantType.Int32, Value=blank))

        assert as_user(rig, test) == [code("BadWriteNotSupported")]
        assert rig.plant.writes == []

    @pytest.mark.parametrize("attribute", [1, 3, 4, 14, 17])
    def test_no_other_attribute_can_be_written(self, rig, attribute):
        async def test(client):
            return await write(client, write_value("V3.SP", 1, ua.VariantType.Int32, AttributeId=attribute))

        assert as_user(rig, test) == [code("BadNotWritable")]

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            ("not_allowed", "BadUserAccessDenied"),
            ("wrong_state", "BadInvalidState"),
            ("busy", "BadResourceUnavailable"),
            ("unreachable", "BadNoCommunication"),
            ("failed", "BadDeviceFailure"),
        ],
    )
    def test_a_refusal_travels_by_its_native_code(self, rig, kind, name):
        rig.plant.refuse_with = Refusal(kind, "no")

        async def test(client):
            return await write(client, write_value("V3.SP", 1, ua.VariantType.Int32))

        assert as_user(rig, test) == [code(name)]


class TestCall:
    async def _call(self, client, owner, method, *arguments):
        request = ua.CallMethodRequest()
        request.ObjectId, request.MethodId, request.InputArguments = owner, method, list(arguments)
        (result,) = await client.uaclient.call([request])
        return result

    def test_a_command_is_operated(self, rig):
        async def test(client):
            return await self._call(client, tag("/P/K1"), tag("K1.START#Operate"))

        assert as_user(rig, test).StatusCode == GOOD
        assert [(name, value) for name, value, _ in rig.plant.writes] == [("K1.START", True)]

    def test_the_same_act_is_refused_alike_by_write_and_by_call(self, rig):
        rig.plant.refuse_with = Refusal("not_allowed")

        async def test(client):
            called = await self._call(client, tag("/P/K1"), tag("K1.START#Operate"))
            (written,) = await write(client, write_value("K1.START", True, ua.VariantType.Boolean))
            return called.StatusCode, written

        assert as_user(rig, test) == (code("BadUserAccessDenied"),) * 2

    @pytest.mark.parametrize(
        ("owner", "method", "arguments", "name"),
        [
            ("/P/K1", "K1.START#Operate", [1], "BadTooManyArguments"),
            ("/P/T1", "K1.START#Operate", [], "BadMethodInvalid"),
            ("/P/K1", "NONE", [], "BadMethodInvalid"),
            ("NONE", "K1.START#Operate", [], "BadNodeIdUnknown"),
            ("#Files/program", "#Files/program/Read", [1], "BadArgumentsMissing"),
            ("#Files/program", "#Files/program/Read", ["x", "y"], "BadInvalidArgument"),
        ],
    )
    def test_a_wrong_call(self, rig, owner, method, arguments, name):
        async def test(client):
            return await self._call(client, tag(owner), tag(method), *map(ua.Variant, arguments))

        assert as_user(rig, test).StatusCode == code(name)

    def test_nothing_is_called_over_an_unsecured_channel(self, rig):
        async def test(client):
            return await self._call(client, tag("/P/K1"), tag("K1.START#Operate"))

        assert plainly(rig, test).StatusCode == code("BadUserAccessDenied")
        assert rig.plant.writes == []


class TestView:
    def test_types_ranges_and_units(self, rig):
        async def test(client):
            node = client.get_node(tag("T1.T"))
            children = {(await c.read_browse_name()).Name: await c.read_value() for c in await node.get_children()}
            return await node.read_type_definition(), children, (await node.read_description()).Text

        kind, children, description = plainly(rig, test)
        assert kind == ua.NodeId(ua.ObjectIds.AnalogItemType)
        assert (children["EURange"].Low, children["EURange"].High) == (-50, 150)
        assert (children["InstrumentRange"].Low, children["InstrumentRange"].High) == (-3276.8, 3276.7)
        # `CEL`, byte by byte (part 8, clause 5.6.3.3).
        assert children["EngineeringUnits"].UnitId == 4408652
        assert description == "Temperature"

    def test_two_states(self, rig):
        async def test(client):
            return await client.get_node(tag("K1.RUN")).read_type_definition()

        assert plainly(rig, test) == ua.NodeId(ua.ObjectIds.TwoStateDiscreteType)

    def test_browse_goes_on_where_it_left_off(self, rig):
        async def test(client):
            view = ua.BrowseParameters()
            view.RequestedMaxReferencesPerNode = 2
            wanted = ua.BrowseDescription()
            wanted.NodeId, wanted.ResultMask = tag("/P"), 63
            wanted.BrowseDirection, wanted.IncludeSubtypes = ua.BrowseDirection.Forward, True
            view.NodesToBrowse = [wanted]
            (result,) = await client.uaclient.browse(view)
            seen = list(result.References)
            while result.ContinuationPoint:
                further = ua.BrowseNextParameters()
                further.ReleaseContinuationPoints, further.ContinuationPoints = False, [result.ContinuationPoint]
                (result,) = await client.uaclient.browse_next(further)
                assert len(result.References) <= 2
                seen += result.References
            again = ua.BrowseNextParameters()
            again.ReleaseContinuationPoints, again.ContinuationPoints = False, [b"nonsense"]
            return {r.BrowseName.Name for r in seen}, (await client.uaclient.browse_next(again))[0].StatusCode

        names, invalid = plainly(rig, test)
        assert {"K1", "T1", "F1", "V1", "V2", "V3", "V4", "V5", "V6", "V7", "X"} <= names
        assert invalid == code("BadContinuationPointInvalid")

    def test_a_session_holds_so_many_continuation_points_and_no_more(self, rig):
        async def test(client):
            view = ua.BrowseParameters()
            view.RequestedMaxReferencesPerNode = 1
            wanted = ua.BrowseDescription()
            wanted.NodeId = tag("/P")
            view.NodesToBrowse = [wanted] * 20
            return [result.StatusCode.name for result in await client.uaclient.browse(view)]

        assert plainly(rig, test) == ["Good"] * 16 + ["BadNoContinuationPoints"] * 4

    @pytest.mark.parametrize(
        ("how", "name"),
        [
            ({"NodeId": tag("NONE")}, "BadNodeIdUnknown"),
            ({"BrowseDirection": ua.BrowseDirection.Invalid}, "BadBrowseDirectionInvalid"),
            ({"ReferenceTypeId": tag("NONE")}, "BadReferenceTypeIdInvalid"),
        ],
    )
    def test_a_wrong_browse(self, rig, how, name):
        async def test(client):
            view = ua.BrowseParameters()
            wanted = ua.BrowseDescription()
            wanted.NodeId = tag("/P")
            for key, value in how.items():
                setattr(wanted, key, value)
            view.NodesToBrowse = [wanted]
            return (await client.uaclient.browse(view))[0].StatusCode

        assert plainly(rig, test) == code(name)

    def test_a_path_leads_to_its_node(self, rig):
        async def test(client):
            node = await client.nodes.objects.get_child(["2:P", "2:T1", "2:Level"])
            return node.nodeid

        assert plainly(rig, test) == tag("T1.L")

    @pytest.mark.parametrize(("steps", "name"), [(0, "BadNothingToDo"), (1, "BadNoMatch"), (33, "BadQueryTooComplex")])
    def test_a_wrong_path(self, rig, steps, name):
        async def test(client):
            path = ua.BrowsePath()
            path.StartingNode = ua.NodeId(ua.ObjectIds.ObjectsFolder)
            element = ua.RelativePathElement()
            element.TargetName = ua.QualifiedName("nowhere", 2)
            path.RelativePath.Elements = [element] * steps
            return (await client.uaclient.translate_browsepaths_to_nodeids([path]))[0].StatusCode

        assert plainly(rig, test) == code(name)


class TestSubscriptions:
    def test_changes_are_told_with_their_times(self, rig):
        async def test(client):
            seen: asyncio.Queue = asyncio.Queue()

            class Sink:
                def datachange_notification(self, node, value, data):
                    seen.put_nowait(data.monitored_item.Value)

            subscription = await client.create_subscription(50, Sink())
            await subscription.subscribe_data_change(client.get_node(tag("F1.X")))
            await asyncio.wait_for(seen.get(), 10)
            reading = Reading(1.5, "uncertain", 6_000_000_000)
            await asyncio.to_thread(rig.run, rig.server.publish({"F1.X": reading}))
            return await asyncio.wait_for(seen.get(), 10)

        told = plainly(rig, test)
        assert (told.Value.Value, told.StatusCode.name) == (1.5, "UncertainLastUsableValue")
        assert told.SourceTimestamp == datetime(2026, 1, 1, 0, 0, 6, tzinfo=UTC)

    def test_a_dead_band_counts_from_what_was_told_last(self, rig):
        async def test(client):
            seen = []

            class Sink:
                def datachange_notification(self, node, value, data):
                    seen.append(value)

            subscription = await client.create_subscription(50, Sink())
            wanted = ua.DataChangeFilter(ua.DataChangeTrigger.StatusValue, ua.DeadbandType.Percent, 10.0)
            await asyncio.to_thread(rig.run, rig.server.publish({"T1.L": Reading(0.0, "good", 1)}))
            await subscription._subscribe(client.get_node(tag("T1.L")), mfilter=wanted, queuesize=50)
            for level in range(1, 31):
                await asyncio.to_thread(rig.run, rig.server.publish({"T1.L": Reading(float(level), "good", level)}))
            for _ in range(100):
                await asyncio.sleep(0.02)
                if len(seen) >= 3:
                    break
            return seen

        assert plainly(rig, test) == [0.0, 11.0, 22.0]

    @pytest.mark.parametrize(
        ("name", "attribute", "wanted", "expected"),
        [
            ("SECRET", 13, None, "BadUserAccessDenied"),
            ("NONE", 13, None, "BadNodeIdUnknown"),
            ("T1.L", 99, None, "BadAttributeIdInvalid"),
            ("K1.RUN", 13, ua.DataChangeFilter(1, ua.DeadbandType.Percent, 1.0), "BadDeadbandFilterInvalid"),
            ("T1.L", 13, ua.DataChangeFilter(1, ua.DeadbandType.Absolute, -1.0), "BadDeadbandFilterInvalid"),
            ("T1.L", 4, ua.DataChangeFilter(1, 0, 0.0), "BadFilterNotAllowed"),
            ("T1.L", 13, ua.EventFilter(), "BadMonitoredItemFilterUnsupported"),
            ("/P", 12, None, "BadEventFilterInvalid"),
        ],
    )
    def test_a_wrong_item(self, rig, name, attribute, wanted, expected):
        async def test(client):
            subscription = await client.create_subscription(1000, None)
            item = ua.MonitoredItemCreateRequest()
            item.ItemToMonitor.NodeId, item.ItemToMonitor.AttributeId = tag(name), attribute
            item.MonitoringMode = ua.MonitoringMode.Reporting
            item.RequestedParameters.Filter = wanted
            params = ua.CreateMonitoredItemsParameters()
            params.SubscriptionId, params.ItemsToCreate = subscription.subscription_id, [item]
            params.TimestampsToReturn = ua.TimestampsToReturn.Both
            (result,) = await client.uaclient.create_monitored_items(params)
            return result.StatusCode.name

        assert plainly(rig, test) == expected

    def test_nobody_touches_the_subscription_of_another(self, rig):
        async def test(client):
            subscription = await client.create_subscription(1000, None)
            number = subscription.subscription_id
            async with rig.plain() as other:
                params = ua.CreateMonitoredItemsParameters()
                params.SubscriptionId = number
                params.ItemsToCreate = [ua.MonitoredItemCreateRequest()]
                with pytest.raises(ua.uaerrors.BadSubscriptionIdInvalid):
                    await other.uaclient.create_monitored_items(params)
                (deleted,) = await other.uaclient.delete_subscriptions([number])
            return deleted

        assert as_user(rig, test) == code("BadSubscriptionIdInvalid")

    def test_what_is_asked_is_brought_within_bounds(self, rig):
        async def test(client):
            asked = ua.CreateSubscriptionParameters()
            asked.RequestedPublishingInterval, asked.RequestedLifetimeCount = 0.0, 1
            asked.RequestedMaxKeepAliveCount, asked.PublishingEnabled = 10, True
            made = await client.create_subscription(asked, None)
            return made.parameters, await client.uaclient.modify_subscription(
                ua.ModifySubscriptionParameters(made.subscription_id, float("nan"), 4_000_000_000, 4_000_000_000)
            )

        _, modified = plainly(rig, test)
        assert modified.RevisedPublishingInterval == 50.0
        assert modified.RevisedLifetimeCount >= 3 * modified.RevisedMaxKeepAliveCount
        assert modified.RevisedLifetimeCount * modified.RevisedPublishingInterval <= 3_600_000

    def test_a_session_has_so_many_and_no_more(self, rig):
        async def test(client):
            for _ in range(16):
                await client.create_subscription(1000, None)
            with pytest.raises(ua.uaerrors.BadTooManySubscriptions):
                await client.create_subscription(1000, None)

        plainly(rig, test)


class TestHistory:
    def _fill(self, rig, name="F1.P", count=2500):
        for at in range(count):
            rig.server.served.history.add(name, Reading(at, "good", at * 1_000_000_000))

    def test_raw_readings_in_parts(self, rig):
        rig.server.served.history._rings.clear()
        self._fill(rig)
        start = datetime(2026, 1, 1, tzinfo=UTC)

        async def test(client):
            node = client.get_node(tag("F1.P"))
            all_of_it = await node.read_raw_history(start, start + timedelta(seconds=2500))
            backwards = await node.read_raw_history(
                start + timedelta(seconds=100), start + timedelta(seconds=90), return_bounds=False
            )
            few = await node.read_raw_history(start + timedelta(seconds=5), None, 3)
            return [[v.Value.Value for v in part] for part in (all_of_it, backwards, few)]

        all_of_it, backwards, few = plainly(rig, test)
        assert all_of_it == list(range(2500))
        assert backwards == list(range(100, 90, -1))
        assert few == [5, 6, 7]

    async def _ask(self, client, name, **how):
        details = ua.ReadRawModifiedDetails()
        details.StartTime, details.EndTime = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
        details.NumValuesPerNode, details.IsReadModified = 5, how.get("modified", False)
        item = ua.HistoryReadValueId()
        item.NodeId, item.ContinuationPoint = tag(name), how.get("point")
        params = ua.HistoryReadParameters()
        params.HistoryReadDetails = details
        params.TimestampsToReturn = how.get("timestamps", ua.TimestampsToReturn.Both)
        params.ReleaseContinuationPoints, details.ReturnBounds = False, False
        params.NodesToRead = [item]
        (result,) = await client.uaclient.history_read(params)
        return result

    @pytest.mark.parametrize(
        ("name", "how", "expected"),
        [
            ("NONE", {}, "BadNodeIdUnknown"),
            ("/P", {}, "BadHistoryOperationUnsupported"),
            ("SECRET", {}, "BadUserAccessDenied"),
            ("V7.SP", {}, "GoodNoData"),
            ("F1.P", {"point": b"nonsense"}, "BadContinuationPointInvalid"),
        ],
    )
    def test_who_may_not_read_a_point_may_not_read_its_history(self, rig, name, how, expected):
        self._fill(rig, "SECRET", 3)

        async def test(client):
            return (await self._ask(client, name, **how)).StatusCode.name

        assert plainly(rig, test) == expected

    def test_other_histories_are_not_kept(self, rig):
        async def test(client):
            with pytest.raises(ua.uaerrors.BadHistoryOperationUnsupported):
                await self._ask(client, "F1.P", modified=True)

        plainly(rig, test)


class TestOtherServices:
    def test_nodes_cannot_be_added_or_deleted(self, rig):
        async def test(client):
            with pytest.raises(ua.uaerrors.BadServiceUnsupported):
                await client.uaclient.add_nodes([ua.AddNodesItem()])
            with pytest.raises(ua.uaerrors.BadServiceUnsupported):
                await client.uaclient.delete_nodes(ua.DeleteNodesParameters())
            return True

        assert as_user(rig, test)

    def test_what_a_server_says_of_itself(self, rig):
        async def test(client):
            name = await client.get_node(ua.NodeId(ua.ObjectIds.Server_ServerStatus_BuildInfo_ProductName)).read_value()
            return await client.get_namespace_array(), name

        namespaces, name = plainly(rig, test)
        assert namespaces[2] == "urn:holdfast:tiny"
        assert name == "Tiny plant"

    def test_the_clock_is_the_hosts(self, rig):
        rig.plant.now_ns = 3_600_000_000_000

        async def test(client):
            node = client.get_node(ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime))
            for _ in range(100):
                now = await node.read_value()
                if now == datetime(2026, 1, 1, 1, tzinfo=UTC):
                    return True
                await asyncio.sleep(0.05)
            return now

        assert plainly(rig, test) is True
        rig.plant.now_ns = 7_000_000_000
