"""An operator over the wire: select before operate, read-back, and answers to alarms."""

import json

import pytest

from twin.core import ns
from twin.scada import AlarmError, CommandRefused, NotSelected, Operator


def test_what_is_selected_first_is_selected_and_then_operated(control_room):
    async def session(room):
        await room.poll()
        await room.operator.write("CB.open", 1, room.at_ns)
        assert [order.tag for order in room.operator.orders] == ["CB.open"]
        await room.poll()
        assert not list(room.operator.orders)
        return room.gateway.written, room.told

    written, told = control_room(session)
    assert written == [("CB.select", True), ("CB.open", True)]
    assert told == [("raised", "CB.opened.on")]


def test_the_two_steps_with_time_between_them(control_room):
    async def session(room):
        await room.operator.select("CB.open", room.at_ns)
        assert room.gateway.written == [("CB.select", True)]
        await room.poll(20)
        await room.operator.operate("CB.open", 1, room.at_ns)
        await room.poll()
        return room.gateway.written, list(room.operator.orders)

    written, orders = control_room(session)
    assert written == [("CB.select", True), ("CB.open", True)]
    assert orders == []


def test_a_selection_that_is_too_old_is_let_go_of(control_room):
    async def session(room):
        await room.operator.select("CB.open", room.at_ns)
        await room.poll(31)
        with pytest.raises(NotSelected, match=r"`CB.open` was not operated: it was taken in hand 31 s ago"):
            await room.operator.operate("CB.open", 1, room.at_ns)
        with pytest.raises(NotSelected, match="was not taken in hand"):
            await room.operator.operate("CB.open", 1, room.at_ns)
        return room.gateway.written

    assert control_room(session) == [("CB.select", True), ("CB.select", False)]


def test_a_selection_that_the_gateway_does_not_show_is_none(control_room):
    async def session(room):
        await room.operator.select("CB.open", room.at_ns)
        room.gateway.bank.set("CB.select", False)  # its time-out is shorter than ours
        with pytest.raises(NotSelected, match=r"`CB.select` does not show it"):
            await room.operator.operate("CB.open", 1, room.at_ns)
        await room.operator.select("CB.open", room.at_ns)
        await room.operator.cancel("CB.open")
        with pytest.raises(NotSelected):
            await room.operator.operate("CB.open", 1, room.at_ns)
        return [tag for tag, _ in room.gateway.written]

    assert control_room(session) == ["CB.select"] * 3


def test_without_the_first_step_the_gateway_refuses(control_room):
    async def session(room):
        await room.station._write(room.station.points["CB.open"], 1)

    with pytest.raises(CommandRefused, match=r"`CB.open` was refused with Modbus exception 03"):
        control_room(session)


def test_a_command_whose_feedback_does_not_come_is_told(control_room):
    async def session(room):
        room.gateway.obeys = False
        await room.operator.write("CB.open", 1, room.at_ns)
        await room.poll(6)
        return [row.as_row() for row in room.supervision.journal], list(room.operator.orders)

    rows, orders = control_room(session)
    assert orders == []
    assert [(row["at_s"], row["event"], row["alarm"], row["by"]) for row in rows] == [
        (5.0, "unconfirmed", "CB.open", "ann")
    ]


@pytest.mark.parametrize(("tag", "value"), [("V.SP", 20.123), ("P.SP", 123456.7), ("V.SP", 0.0)])
def test_a_setpoint_is_read_back(control_room, tag, value):
    async def session(room):
        await room.operator.write(tag, value, room.at_ns)
        await room.poll()
        taken = room.told, list(room.operator.orders)
        room.gateway.obeys = False
        await room.operator.write(tag, value + 5, room.at_ns)
        await room.poll(5)
        return taken, room.told

    assert control_room(session) == (([], []), [("unconfirmed", tag)])


def test_a_command_that_nothing_tells_of_is_not_awaited(control_room):
    async def session(room):
        await room.operator.write("HORN.test", 1, room.at_ns)
        return list(room.operator.orders)

    assert control_room(session) == []


def test_alarms_are_acknowledged_and_shelved_by_name(control_room):
    async def session(room):
        room.gateway.bank.set("BUS.V", 23.0)
        await room.poll()
        assert room.operator.acknowledge("BUS.V.hi", room.at_ns)
        room.operator.shelve("BUS.V.hi", "transducer is being changed", for_s=60, at_ns=room.at_ns)
        with pytest.raises(AlarmError):
            room.operator.shelve("BUS.V.hi", "", for_s=60, at_ns=room.at_ns)
        return [(row.event, row.by, row.reason) for row in room.supervision.journal]

    assert control_room(session) == [
        ("raised", "", ""),
        ("acknowledged", "ann", ""),
        ("shelved", "ann", "transducer is being changed"),
    ]


def test_an_operator_s_memory_can_be_saved(control_room):
    async def session(room):
        await room.operator.select("CB.open", ns(1))
        await room.operator.write("V.SP", 10, ns(1))
        state = json.loads(json.dumps(room.operator.snapshot()))
        again = Operator("ann", room.station, room.supervision)
        again.restore(state)
        assert list(again.orders) == list(room.operator.orders)
        await again.operate("CB.open", 1, ns(2))
        return room.gateway.written[-1]

    assert control_room(session) == ("CB.open", True)
