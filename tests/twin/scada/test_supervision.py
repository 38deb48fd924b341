"""Polling: every point is read, what is not read grows old, and silence is an alarm."""

import json

import pytest

from twin.core import ns
from twin.fieldbus import FieldbusError, Reading
from twin.scada import Historian, Supervision, good

from .conftest import POINTS


def test_a_survey_reads_every_measurement_and_status(control_room):
    async def session(room):
        return await room.station.survey(ns(7)), await room.station.poll()

    readings, values = control_room(session)
    assert values == {"CB.opened": False, "BUS.V": pytest.approx(20.0), "TANK.L": 5.0}
    assert readings == good(values, ns(7))


def test_a_block_that_is_refused_grows_old_and_the_rest_goes_on(control_room):
    async def session(room):
        await room.poll()
        room.gateway.refused.add(("input", 100))
        room.gateway.bank.set("TANK.L", 0.5)
        await room.poll(4)
        young = room.supervision.board.reading("TANK.L", room.at_ns)
        await room.poll(1)
        old = room.supervision.board.marked(room.at_ns)
        room.gateway.refused.clear()
        await room.poll()
        return young, old, room.told

    young, old, told = control_room(session)
    assert young == Reading(5.0, "good", ns(1))
    assert old["TANK.L"] == Reading(5.0, "uncertain", ns(1))
    assert old["BUS.V"].quality == "good"
    assert told == [("raised", "TANK.L.lo")]


def test_silence_raises_an_alarm_and_values_end_it(control_room):
    async def session(room):
        await room.poll(2)
        room.blind(4)
        assert room.told == []
        room.blind(1)
        assert room.told == [("raised", "SUPERVISION.stale.on")]
        room.gateway.bank.set("BUS.V", 30.0)
        await room.poll()
        return room.told

    assert control_room(session)[1:] == [("returned", "SUPERVISION.stale.on"), ("raised", "BUS.V.hi")]


def test_a_wire_that_breaks_is_told_to_who_polls(control_room):
    async def session(room):
        await room.poll()
        await room.wire.close()
        with pytest.raises(FieldbusError):
            await room.station.survey(ns(9))
        return True

    assert control_room(session)


def test_supervision_can_be_saved_and_goes_on_as_if_nothing_was(control_room):
    async def session(room):
        await room.poll()
        room.gateway.bank.set("BUS.V", 23.0)
        await room.poll()
        room.operator.shelve("TANK.L.lo", "being cleaned", for_s=30, at_ns=room.at_ns)
        other = Supervision(POINTS)
        other.restore(json.loads(json.dumps(room.supervision.snapshot())))
        for second in range(3, 60):
            readings = good({"BUS.V": 20.0 if second < 30 else 23.0, "TANK.L": 0.5, "CB.opened": False}, ns(second))
            room.supervision.observe(ns(second), readings)
            other.observe(ns(second), readings)
        return list(room.supervision.journal), list(other.journal)

    one, two = control_room(session)
    assert one == two
    assert len(one) == 6


def test_what_is_observed_is_kept_by_the_historian():
    historian = Historian(ring=16)
    supervision = Supervision(POINTS, historian=historian)
    for second in range(10):
        supervision.observe(ns(second), good({"BUS.V": 20.0 + second}, ns(second)))
    assert historian.query("BUS.V", ns(2), ns(5)).value.tolist() == [22.0, 23.0, 24.0]
    assert supervision.metrics(ns(10)).raised == 1
