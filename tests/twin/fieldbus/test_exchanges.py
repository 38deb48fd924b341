"""Exchanges over a link: when they happen, what the caller gets, and that they can be saved under way."""

import asyncio
import json

import pytest

from twin.core import Clock, Phase, Streams, ns
from twin.fieldbus import NoAnswer
from twin.fieldbus.exchanges import Exchanges
from twin.fieldbus.impairments import Impairment, Link


class Caller:
    """A caller whose server writes down what it was asked, and whose answers are written down when they are back."""

    def __init__(self, *, polls=False, timeout_s=3.0, octets=0):
        self.clock = Clock()
        self.streams = Streams(5)
        self.link = Link("scada", self.streams)
        self.octets = octets
        self.served, self.taken, self.circumstances = [], [], []
        self.exchanges = Exchanges(
            self.clock,
            self.link,
            "caller",
            phase=Phase.CLIENT,
            timeout_ns=ns(timeout_s),
            carry_out=self.carry_out,
            take=lambda payload, answer, came: self.taken.append((self.clock.now_s, payload, answer, came)),
            polls=polls,
        )
        self.clock.on("ask", self.exchanges.begin)
        self.clock.on("end", lambda name: self.link.end(name) and None)
        self.clock.on("cut", lambda _: self.link.begin("cut", Impairment(partition=True)))

    async def carry_out(self, payload):
        try:
            if self.link.cut:
                raise NoAnswer("lost")
        except NoAnswer:
            return "lost"
        self.served.append((self.clock.now_s, payload))
        self.circumstances.append(self.link.circumstance)
        self.link.carried += self.octets
        return f"did {payload}"

    def ask(self, at_s, payload="it"):
        self.clock.at(ns(at_s), "ask", payload, phase=Phase.CLIENT)

    def run(self, until_s):
        asyncio.run(self.clock.advance(ns(until_s)))
        return self


def test_over_a_sound_link_it_happens_at_once():
    caller = Caller()
    caller.ask(1)
    caller.run(1)
    assert caller.served == [(1.0, "it")]
    assert caller.taken == [(1.0, "it", "did it", True)]
    assert caller.circumstances == [""]


def test_latency_lets_it_happen_later_and_be_answered_later_still():
    caller = Caller()
    caller.link.begin("slow", Impairment(latency_s=0.4))
    caller.ask(1)
    caller.run(1.5)
    assert caller.served == [(1.4, "it")]
    assert caller.circumstances == ["sent 0.400000000 s earlier"]
    assert caller.taken == []
    caller.run(2)
    assert caller.taken == [(1.8, "it", "did it", True)]


def test_a_lost_request_is_not_carried_out_and_the_caller_waits_in_vain():
    caller = Caller()
    caller.link.begin("deaf", Impairment(loss=1.0))
    caller.ask(1)
    caller.run(10)
    assert caller.served == []
    assert caller.taken == [(4.0, "it", "lost", False)]
    assert not caller.link.cut


def test_a_lost_answer_leaves_the_deed_done_and_the_caller_in_doubt():
    caller = Caller()
    caller.link.begin("slow", Impairment(latency_s=0.5))
    caller.ask(1)
    caller.clock.at(ns(1.7), "cut", phase=Phase.CLIENT)
    caller.run(10)
    assert caller.served == [(1.5, "it")]
    assert caller.taken == [(4.0, "it", "did it", False)]


def test_what_is_under_way_when_the_wire_is_cut_is_lost():
    caller = Caller()
    caller.link.begin("slow", Impairment(latency_s=0.5))
    caller.ask(1)
    caller.clock.at(ns(1.2), "cut", phase=Phase.CLIENT)
    caller.run(10)
    assert caller.served == []
    assert caller.taken == [(4.0, "it", "lost", False)]


def test_a_command_that_comes_after_its_caller_gave_up_takes_effect_all_the_same():
    caller = Caller()
    caller.link.begin("far", Impairment(latency_s=5.0))
    caller.ask(1)
    caller.run(20)
    assert caller.taken == [(4.0, "it", "lost", False)]
    assert caller.served == [(6.0, "it")]


def test_one_command_can_overtake_another():
    caller = Caller(timeout_s=30)
    caller.link.begin("held", Impairment(reorder=1.0, reorder_s=5.0))
    caller.ask(1, "first")
    caller.clock.at(ns(2), "end", "held", phase=Phase.CLIENT)
    caller.ask(3, "second")
    caller.run(20)
    assert [what for _, what in caller.served] == ["second", "first"]


def test_bandwidth_is_that_of_what_was_carried():
    caller = Caller(octets=1000)
    caller.link.begin("narrow", Impairment(bandwidth_bit_s=16_000.0))
    caller.ask(1, "a")
    caller.ask(1, "b")
    caller.run(10)
    assert [at for at, *_ in caller.taken] == [1.5, 2.0]


def test_who_polls_leaves_out_what_falls_due_while_it_waits():
    caller = Caller(polls=True)
    caller.link.begin("slow", Impairment(latency_s=0.3))
    for number in range(5):
        caller.ask(1 + number / 2, number)
    caller.run(10)
    assert [what for _, what in caller.served] == [0, 2, 4]
    assert caller.exchanges.skipped == 2


def test_a_poll_whose_answer_is_lost_does_nothing_at_the_other_end():
    caller = Caller(polls=True)
    caller.link.begin("far", Impairment(latency_s=5.0))
    caller.ask(1)
    caller.run(20)
    assert caller.served == []
    assert caller.taken == [(4.0, "it", "lost", False)]


@pytest.mark.parametrize("cut_s", [1.0, 1.3, 1.55, 1.8, 2.4, 3.9])
@pytest.mark.parametrize("effects", [{"latency_s": 0.4, "jitter_s": 0.3}, {"loss": 0.5, "latency_s": 0.2}])
def test_saved_while_exchanges_are_under_way_and_taken_up_again(cut_s, effects):
    def script(caller):
        caller.link.begin("trouble", Impairment(**effects))
        for number in range(20):
            caller.ask(1 + number / 10, number)

    whole = Caller()
    script(whole)
    whole.run(cut_s)
    state = json.loads(
        json.dumps(
            {
                "clock": whole.clock.snapshot(),
                "streams": whole.streams.snapshot(),
                "link": whole.link.snapshot(),
                "exchanges": whole.exchanges.snapshot(),
            }
        )
    )
    before = len(whole.taken), len(whole.served)
    whole.run(10)
    resumed = Caller()
    resumed.clock.restore(state["clock"])
    resumed.streams.restore(state["streams"])
    resumed.link.restore(state["link"])
    resumed.exchanges.restore(state["exchanges"])
    resumed.run(10)
    assert resumed.taken == whole.taken[before[0] :]
    assert resumed.served == whole.served[before[1] :]
    assert len(whole.taken) == 20
