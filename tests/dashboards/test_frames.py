"""Frames: report by exception, key-frames, and what a slow page gets."""

import asyncio
import contextlib
import json

from dashboards.frames import KEY_EVERY_FRAMES, TREND_S, WAITING_FRAMES, Feed, FrameMaker
from dashboards.session import State


def state(at_s, run=1, trend=(), **values):
    return State(run, at_s, values, {"left": list(trend), "right": []}, 0)


def push(maker, *states):
    return [json.loads(maker.push(one)) for one in states]


def test_the_first_frame_is_whole_and_the_next_says_only_what_changed():
    first, second, third = push(FrameMaker(), state(0, a=1, b=2), state(1, a=1, b=3), state(2, a=1, b=3, c=4))
    assert (first["type"], first["values"]) == ("key", {"a": 1, "b": 2})
    assert (second["type"], second["values"]) == ("delta", {"b": 3})
    assert third["values"] == {"c": 4}
    assert [first["seq"], second["seq"], third["seq"]] == [1, 2, 3]


def test_a_frame_without_change_is_the_heartbeat():
    _, beat = push(FrameMaker(), state(5, a=1), state(5, a=1))
    assert beat == {"type": "delta", "seq": 2, "run": 1, "at_s": 5, "values": {}, "trend": {}}


def test_a_key_frame_comes_every_so_often_and_after_a_restart():
    maker = FrameMaker()
    frames = push(maker, *(state(number, a=1) for number in range(2 * KEY_EVERY_FRAMES)))
    assert [frame["seq"] for frame in frames if frame["type"] == "key"] == [1, KEY_EVERY_FRAMES, 2 * KEY_EVERY_FRAMES]
    (again,) = push(maker, state(0, run=2, a=1))
    assert (again["type"], again["run"]) == ("key", 2)


def test_the_trend_travels_as_new_points_and_whole_in_a_key_frame_for_ten_minutes():
    maker = FrameMaker()
    push(maker, state(0, trend=[(0.0, 40.0, 41.0)]))
    (delta,) = push(maker, state(TREND_S, trend=[(TREND_S, 39.0, 41.0)]))
    assert delta["trend"] == {"left": [[TREND_S, 39.0, 41.0]]}
    push(maker, state(TREND_S + 1))
    assert json.loads(maker.key())["trend"]["left"] == [[TREND_S, 39.0, 41.0]]


def test_a_restart_forgets_the_trend_of_the_run_before():
    maker = FrameMaker()
    push(maker, state(9, trend=[(9.0, 40.0, 41.0)]))
    (key,) = push(maker, state(0, run=2, trend=[(0.0, 38.0, 41.0)]))
    assert key["trend"]["left"] == [[0.0, 38.0, 41.0]]


def test_deltas_put_upon_a_key_frame_give_the_present():
    maker = FrameMaker()
    (key, *deltas) = push(maker, state(0, a=1, b=1), state(1, a=2, b=1), state(2, a=2, b=5))
    seen = key["values"]
    for delta in deltas:
        seen |= delta["values"]
    assert seen == json.loads(maker.key())["values"]


def test_a_slow_page_loses_old_frames_and_gets_a_key_frame_for_them():
    feed = Feed()
    feed.take(state(0, n=0))
    slow = feed.join()
    for number in range(1, 10 * WAITING_FRAMES):
        feed.take(state(number, n=number))
    frames = []

    async def drain():
        while True:
            frames.append(json.loads(await asyncio.wait_for(slow.next(), 0.05)))

    with contextlib.suppress(TimeoutError):
        asyncio.run(drain())
    assert 0 < len(frames) <= WAITING_FRAMES
    assert frames[0]["type"] == "key"
    seen = {}
    for frame in frames:
        seen |= frame["values"]
    assert seen == {"n": 10 * WAITING_FRAMES - 1}


def test_a_page_that_left_gets_nothing_more():
    feed = Feed()
    feed.take(state(0, n=0))
    viewer = feed.join()
    feed.leave(viewer)
    feed.take(state(1, n=1))
    first = json.loads(asyncio.run(viewer.next()))
    assert first["values"] == {"n": 0}
    assert not viewer._waiting
