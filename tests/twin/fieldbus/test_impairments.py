"""Links: what each impairment does to the instants at which requests and answers arrive."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.core import Streams, ns
from twin.fieldbus.impairments import Impairment, Link


def link(**effects):
    made = Link("scada", Streams(7))
    if effects:
        made.begin("trouble", Impairment(**effects))
    return made


@pytest.mark.parametrize(
    ("effects", "says"),
    [
        ({}, "impairs nothing"),
        ({"latency_s": -0.1}, "latency_s must be within"),
        ({"jitter_s": 3601}, "jitter_s must be within"),
        ({"loss": 1.1}, "loss must be within 0 to 1"),
        ({"loss": float("nan")}, "loss must be within"),
        ({"reorder": 0.5}, "come together"),
        ({"reorder_s": 0.5}, "come together"),
        ({"bandwidth_bit_s": 0.0}, "above 0"),
        ({"bandwidth_bit_s": float("inf")}, "above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(effects, says):
    with pytest.raises(ValueError, match=says):
        Impairment(**effects)


def test_a_sound_link_delays_nothing_and_draws_nothing():
    streams = Streams(1)
    sound = Link("field", streams)
    assert not sound.impaired
    assert sound.request(5) == 5
    assert sound.answer(6, 1000) == 6
    assert streams.snapshot() == {}


def test_latency_is_added_each_way():
    slow = link(latency_s=0.25)
    assert slow.request(ns(1)) == ns(1.25)
    assert slow.answer(ns(1.25), 100) == ns(1.5)


def test_jitter_stays_within_its_bound_and_keeps_the_order():
    jittery = link(jitter_s=0.5)
    sent = [ns(0.01) * number for number in range(500)]
    arrived = [jittery.request(at) for at in sent]
    delays = [there - at for there, at in zip(arrived, sent, strict=True)]
    assert arrived == sorted(arrived)
    assert 0 <= min(delays) < ns(0.5)
    assert max(delays) <= ns(0.5)
    assert len(set(delays)) > 100


def test_reordering_lets_later_ones_overtake():
    arrived = [
        link_.request(ns(0.1) * number) for link_ in [link(reorder=0.3, reorder_s=0.25)] for number in range(200)
    ]
    held = sum(there - ns(0.1) * number == ns(0.25) for number, there in enumerate(arrived))
    assert arrived != sorted(arrived)
    assert 30 < held < 90


def test_loss_happens_about_as_often_as_it_should_in_each_direction():
    lossy = link(loss=0.25)
    requests = [lossy.request(0) for _ in range(2000)].count(None)
    answers = [lossy.answer(0, 10) for _ in range(2000)].count(None)
    both = [lossy.request(0, round_trip=True) for _ in range(2000)].count(None)
    assert 400 < requests < 600
    assert 400 < answers < 600
    assert 780 < both < 970  # 1 - 0.75²
    assert [lossy.answer(0, 10, may_be_lost=False) for _ in range(100)].count(None) == 0


def test_a_partition_lets_nothing_pass():
    parted = link(partition=True)
    assert parted.parted
    assert parted.request(0) is None
    assert parted.answer(0, 10, may_be_lost=False) is None


def test_bandwidth_makes_exchanges_queue():
    narrow = link(bandwidth_bit_s=8000.0)  # 1000 octets a second
    assert narrow.answer(0, 500) == ns(0.5)
    assert narrow.answer(0, 500) == ns(1.0)
    assert narrow.request(ns(0.2)) == ns(1.0)
    assert narrow.request(ns(3)) == ns(3)


def test_several_impairments_add_up_and_are_mended_by_name():
    both = link(latency_s=0.1)
    both.begin("more", Impairment(latency_s=0.2))
    assert both.request(0) == ns(0.3)
    assert both.end("trouble")
    assert not both.end("trouble")
    assert both.active == {"more": Impairment(latency_s=0.2)}
    assert both.answer(ns(1), 0) == ns(1.2)


@given(
    st.builds(
        Impairment,
        latency_s=st.floats(0.001, 2),
        jitter_s=st.floats(0, 2),
        loss=st.floats(0, 0.9),
        bandwidth_bit_s=st.none() | st.floats(100, 1e6),
    ),
    st.lists(st.tuples(st.booleans(), st.integers(0, ns(1)), st.integers(0, 2000)), max_size=40),
    st.integers(0, 40),
)
def test_saved_and_restored_a_link_goes_on_as_it_would_have(impairment, steps, cut):
    def play(one, streams, part, now_ns):
        told = []
        for is_request, later_ns, octets in part:
            now_ns += later_ns
            told.append(one.request(now_ns) if is_request else one.answer(now_ns, octets))
        return told, now_ns

    streams = Streams(3)
    whole = Link("scada", streams)
    whole.begin("trouble", impairment)
    _, now_ns = play(whole, streams, steps[:cut], 0)
    state = json.loads(json.dumps({"link": whole.snapshot(), "streams": streams.snapshot()}))
    expected, _ = play(whole, streams, steps[cut:], now_ns)

    other = Streams(3)
    other.restore(state["streams"])
    again = Link("scada", other)
    again.restore(state["link"])
    assert play(again, other, steps[cut:], now_ns)[0] == expected
