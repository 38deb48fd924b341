"""Simulated time: order within an instant, awaiting while time stands still, saving and going on."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.core import Clock, ClockError, Phase, ns


def advance(clock, until_s):
    asyncio.run(clock.advance(ns(until_s)))


def logging_clock(*names):
    clock, log = Clock(), []
    for name in names:
        clock.on(name, lambda payload, name=name: log.append((clock.now_s, name, payload)))
    return clock, log


def test_phases_come_in_order_within_an_instant_whatever_the_order_of_entry():
    clock, log = logging_clock("plant", "scan", "client")
    clock.at(ns(1), "client", phase=Phase.CLIENT)
    clock.at(ns(1), "scan", phase=Phase.SCAN)
    clock.at(ns(1), "plant", phase=Phase.PLANT)
    advance(clock, 2)
    assert [name for _, name, _ in log] == ["plant", "scan", "client"]
    assert clock.now_s == 2


def test_first_come_first_served_within_a_phase():
    clock, log = logging_clock("a", "b")
    for number in range(5):
        clock.at(ns(1), "ab"[number % 2], number, phase=Phase.PLANT)
    advance(clock, 1)
    assert [payload for *_, payload in log] == [0, 1, 2, 3, 4]


def test_periods_keep_their_order():
    clock, log = logging_clock("a", "b")
    clock.every(ns(0.2), "b", phase=Phase.PLANT)
    clock.every(ns(0.1), "a", phase=Phase.PLANT)
    advance(clock, 0.4)
    assert [(at, name) for at, name, _ in log if at in (0.0, 0.2, 0.4)] == [
        (0.0, "b"),
        (0.0, "a"),
        (0.2, "b"),
        (0.2, "a"),
        (0.4, "b"),
        (0.4, "a"),
    ]


def test_a_process_awaits_real_io_while_time_stands_still_and_nothing_comes_between():
    clock, log = logging_clock("other")

    def process(_):
        for _ in range(3):
            answer = yield clock.io(asyncio.sleep(0.001, result="answer"))
            log.append((clock.now_s, "process", answer))

    clock.on("process", process)
    clock.at(ns(1), "process", phase=Phase.SCAN)
    clock.at(ns(1), "other", phase=Phase.SCAN)
    advance(clock, 1)
    assert log == [(1.0, "process", "answer")] * 3 + [(1.0, "other", None)]


def test_what_io_raises_is_raised_in_the_process():
    clock, log = logging_clock()

    async def fails():
        raise ConnectionError("gone")

    def process(_):
        try:
            yield clock.io(fails())
        except ConnectionError as failure:
            log.append(str(failure))

    clock.on("process", process)
    clock.at(0, "process", phase=Phase.SCAN)
    advance(clock, 0)
    assert log == ["gone"]


def test_what_nobody_catches_ends_the_run():
    clock = Clock()

    async def fails():
        raise ConnectionError("gone")

    def process(_):
        yield clock.io(fails())

    clock.on("process", process)
    clock.at(0, "process", phase=Phase.SCAN)
    with pytest.raises(ConnectionError, match="gone"):
        advance(clock, 1)


def test_cancelled_work_is_not_done():
    clock, log = logging_clock("a")
    order = clock.at(ns(1), "a", phase=Phase.PLANT)
    clock.cancel(order)
    clock.cancel(order)
    advance(clock, 2)
    assert log == []
    assert clock.snapshot()["agenda"] == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda clock: clock.at(0, "a", phase=Phase.PLANT), "due at 0 ns"),
        (lambda clock: clock.at(ns(9), "b", phase=Phase.PLANT), "no handler is registered for `b`"),
        (lambda clock: clock.every(0, "a", phase=Phase.PLANT), "must be positive"),
        (lambda clock: clock.on("a", print), "already registered"),
        (lambda clock: asyncio.run(clock.advance(0)), "time runs forward only"),
    ],
)
def test_what_cannot_be_is_refused(wrong, says):
    clock, _ = logging_clock("a")
    advance(clock, 1)
    with pytest.raises(ClockError, match=says):
        wrong(clock)


def test_no_snapshot_while_io_is_under_way():
    clock = Clock()
    work = asyncio.sleep(0)
    clock.io(work)
    with pytest.raises(ClockError, match="between instants"):
        clock.snapshot()
    work.close()


entries = st.lists(
    st.tuples(
        st.integers(0, 40), st.sampled_from(["a", "b"]), st.integers(0, 9), st.sampled_from(list(Phase)), st.booleans()
    ),
    max_size=12,
)


@given(entries, st.integers(0, 40))
def test_a_restored_clock_goes_on_as_the_first_one_would_have(rows, cut):
    def build():
        clock, log = logging_clock("a", "b")
        for due, name, payload, phase, repeats in rows:
            if repeats:
                clock.every(7 + payload, name, payload, phase=phase, first_ns=due)
            else:
                clock.at(due, name, payload, phase=phase)
        return clock, log

    whole, expected = build()
    asyncio.run(whole.advance(60))

    first, begun = build()
    asyncio.run(first.advance(cut))
    state = json.loads(json.dumps(first.snapshot()))
    second, gone_on = logging_clock("a", "b")
    second.restore(state)
    asyncio.run(second.advance(60))
    assert begun + gone_on == expected
    assert second.snapshot() == whole.snapshot()
