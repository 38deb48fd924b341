"""A command's way: gateway, logic, field I/O, plant; and what comes back when it is refused."""

import pytest

from twin.controller import FieldIo, ImageLayout
from twin.core import find_plant
from twin.fieldbus import ModbusRefusal
from twin.scada import CommandRefused


async def refused(work):
    try:
        await work
    except CommandRefused as refusal:
        return refusal.code
    return None


@pytest.mark.parametrize("wire", ["memory", "tcp"])
def test_an_operator_opens_and_closes_a_feeder(twin_session, wire):
    async def session(twin, advance):
        await advance(1)
        before = (await twin.operator.poll())["F3.P"]
        await twin.operator.write("F3.open", 1)
        await advance(0.5)
        opened = await twin.operator.poll()
        await twin.operator.write("F3.close", 1)
        await advance(0.5)
        closed = await twin.operator.poll()
        return before, opened, closed

    before, opened, closed = twin_session(session, wire=wire)
    assert before > 3000
    assert (opened["F3.closed"], opened["F3.opened"], opened["F3.P"]) == (False, True, 0)
    assert (closed["F3.closed"], closed["F3.opened"]) == (True, False)
    assert closed["F3.P"] == pytest.approx(before, rel=0.05)


@pytest.mark.parametrize("wire", ["memory", "tcp"])
def test_a_refused_command_is_an_exception_and_never_reaches_the_plant(twin_session, wire):
    async def session(twin, advance):
        await advance(1)
        code = await refused(twin.operator.write("F6.open", 1))
        await advance(1)
        return code, (await twin.operator.poll())["F6.closed"], twin.recorder.of("event")

    code, still_closed, events = twin_session(session, wire=wire)
    assert code == 1
    assert still_closed
    assert events == []


@pytest.mark.parametrize(
    ("tag", "granted"),
    [
        ("F1.open", True),
        ("F6.close", True),
        ("CA1.open", True),
        ("G1.open", True),
        ("G1.estop", True),
        ("X1.open", True),
        ("F6.open", False),
        ("G1.close", False),
        *[(f"{breaker}.open", False) for breaker in ("L1", "L2", "T1H", "T2H", "HC", "T1M", "T2M", "BT")],
        *[(f"{breaker}.close", True) for breaker in ("L1", "L2", "T1H", "T2H", "HC", "T1M", "T2M", "BT")],
    ],
)
def test_what_a_remote_command_may_do(twin_session, tag, granted):
    async def session(twin, advance):
        await advance(1)
        return await refused(twin.operator.write(tag, 1))

    assert (twin_session(session) is None) is granted
    assert twin_session(session, policy="permissive") is None


def test_before_the_first_report_nothing_that_is_weighed_is_granted(twin_session):
    async def session(twin, advance):
        code = await refused(twin.operator.write("F1.open", 1))
        await advance(0.2)
        return code, await refused(twin.operator.write("F1.open", 1))

    assert twin_session(session) == (1, None)


def test_a_request_with_several_commands_is_all_or_nothing(twin_session):
    async def session(twin, advance):
        await advance(1)
        client = twin.wire.client(twin.scada_endpoint, source_host="127.0.0.1")
        await client.connect()
        points = twin.plant.points
        first = points["F5.open"].modbus_address
        refusals = []
        # F5 open and F6 open in one request: F6 may not, so F5 must not.
        for pattern in ([True, False, True], [True, False, False]):
            try:
                await client.write_coils(first, pattern)
                refusals.append(None)
            except ModbusRefusal as refusal:
                refusals.append(int(refusal.code))
            await advance(0.5)
            shown = await twin.operator.poll()
            refusals.append((shown["F5.closed"], shown["F6.closed"]))
        await client.close()
        return refusals

    assert twin_session(session) == [1, (True, True), None, (False, True)]


def test_several_feeders_in_one_request_are_weighed_together(twin_session):
    async def session(twin, advance):
        await advance(1)
        client = twin.wire.client(twin.scada_endpoint, source_host="127.0.0.1")
        await client.connect()
        first = twin.plant.points["F1.open"].modbus_address
        pattern = [True, False] * 4
        try:
            await client.write_coils(first, pattern)
        except ModbusRefusal:
            await advance(1)
            return [(await twin.operator.poll())[f"F{n}.closed"] for n in range(1, 5)]
        finally:
            await client.close()

    assert twin_session(session) == [True] * 4


def test_writing_zero_to_a_command_asks_for_nothing(twin_session):
    async def session(twin, advance):
        await advance(1)
        verdicts = twin.controller.kernel.audit.denied
        await twin.operator.write("F6.open", 0)
        await advance(1)
        return twin.controller.kernel.audit.denied - verdicts, (await twin.operator.poll())["F6.closed"]

    assert twin_session(session) == (0, True)


def test_the_plant_notices_when_the_heart_stops_beating(twin_session):
    async def session(twin, advance):
        await advance(5)
        beating = twin.plant.measured()["STATION.comm_fail"]
        twin.clock.snapshot()
        scan = next(e for e in twin.clock._agenda.values() if e.name == "controller.scan")
        twin.clock.cancel(scan.order)
        await advance(5)
        return beating, twin.plant.measured()["STATION.comm_fail"]

    assert twin_session(session) == (False, True)


def test_what_is_closed_again_is_no_longer_outstanding(twin_session):
    async def session(twin, advance):
        await advance(1)
        answers = []
        for _ in range(6):  # 6 x about 4.5 MW in the hour, but only one is ever open
            answers.append(await refused(twin.operator.write("F3.open", 1)))
            await advance(31)
            answers.append(await refused(twin.operator.write("F3.close", 1)))
            await advance(31)
        return answers

    assert twin_session(session) == [None] * 12


def test_an_opening_that_is_taken_back_within_the_scan_still_counts(twin_session):
    async def session(twin, advance):
        await advance(1)
        granted = []
        for feeder in ("F1", "F2", "F3", "F4", "F5", "F7", "F8"):
            # A close in the same scan must not wash the opening out of the hourly account.
            code = await refused(twin.operator.write(f"{feeder}.open", 1))
            await refused(twin.operator.write(f"{feeder}.close", 1))
            await advance(62)
            if code is None:
                granted.append(feeder)
        return granted, twin.plant.impact()["load_lost_max_mw"]

    granted, lost_mw = twin_session(session)
    # Whatever the plant made of the two pulses, what it truly lost at any time fits the hourly budget.
    assert len(granted) >= 3
    assert 0 < lost_mw <= 18


def test_the_image_layout_covers_each_shared_point_once():
    points = find_plant("substation").points()
    layout = ImageLayout(points)
    shared = [p for p in points if p.field == "both" and p.modbus_table in ("discrete", "input")]
    assert all(p.tag in layout for p in shared)
    assert "F1.open" not in layout
    assert layout.size >= sum(p.width for p in shared)


def test_field_io_refuses_to_report_what_is_not_there():
    class System:
        task, args, now_ns = "field_io", ("report=F1.P,F99.P",), 0

        def device(self, name):
            return None

    with pytest.raises(ValueError, match=r"F99\.P"):
        FieldIo(find_plant("substation").points()).start(System())
