"""Positions: a contact counts only once it has settled."""

import json

from secureos.policy import Event
from secureos.policy.models.measured import Measurements
from secureos.policy.models.positions import Positions

MS = 1_000_000


class Follower:
    """Positions of one contact, settled after 10 ms, reports good for 50 ms."""

    def __init__(self):
        self.measured = Measurements("lamp", ["c"], 50)
        self.positions = Positions(self.measured, ["c"], settle_ms=10)

    def report(self, at_ms, value, bad=0):
        undo = []
        event = Event("security", at_ms * MS, 1, None, "a", None)
        assert self.measured.observe(event, undo, ["c", "other"], [value, 1], [bad, 0]) is None
        self.positions.follow(undo)
        return undo

    def command(self, at_ms):
        self.positions.command(Event("request", at_ms * MS, 1, 2, "a", "b"), [], "c")

    def at(self, at_ms):
        return self.positions.read("c", at_ms * MS)


def test_a_position_settles_after_a_while_of_equal_reports():
    lamp = Follower()
    assert lamp.at(0) == ("moving", "`c` has not been measured yet")
    lamp.report(0, 1)
    lamp.report(5, 1)
    assert lamp.at(9) == ("moving", "")
    assert lamp.at(10) == ("closed", "")
    lamp.report(12, 0)
    assert lamp.at(15) == ("moving", "")
    assert lamp.at(22) == ("open", "")


def test_a_command_unsettles_it():
    lamp = Follower()
    lamp.report(0, 0)
    lamp.command(20)
    assert lamp.at(20) == ("moving", "")
    assert lamp.at(29) == ("moving", "")
    assert lamp.at(30) == ("open", "")


def test_old_and_bad_reports_are_as_good_as_none():
    lamp = Follower()
    lamp.report(0, 1)
    assert lamp.at(51)[0] == "moving"
    assert "was measured 51 ms ago" in lamp.at(51)[1]
    lamp.report(52, 1, bad=1)
    assert lamp.at(53) == ("moving", "`c` is marked bad")
    lamp.report(54, 1)
    assert lamp.at(55) == ("moving", "")
    assert lamp.at(64) == ("closed", "")


def test_effects_are_taken_back_and_state_is_plain():
    lamp = Follower()
    lamp.report(0, 1)
    before = json.dumps(lamp.positions.snapshot())
    undo = lamp.report(20, 0)
    assert json.dumps(lamp.positions.snapshot()) != before
    while undo:
        undo.pop()()
    assert json.dumps(lamp.positions.snapshot()) == before
    other = Follower()
    other.positions.restore(json.loads(before))
    other.measured.restore(json.loads(before)["reports"])
    assert other.at(10) == ("closed", "")
