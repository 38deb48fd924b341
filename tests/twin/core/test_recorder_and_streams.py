"""The record's hash, and chance by name."""

import json

import pytest

from twin.core import Recorder, Streams


def record(recorder, *, load=1.0):
    recorder.truth(0, {"load": load, "dead": None})
    recorder.measured(10, {"F1.P": 3, "F1.closed": True})
    recorder.event(20, "breaker", breaker="F1", position="open")


def test_same_rows_same_hash_and_any_difference_shows():
    one, two, other = Recorder(), Recorder(), Recorder()
    record(one)
    record(two)
    record(other, load=1.0000001)
    assert one.sha256 == two.sha256 != other.sha256
    assert len(one.sha256) == 64


def test_order_of_keys_does_not_matter_but_order_of_rows_does():
    one, two, three = Recorder(), Recorder(), Recorder()
    one.truth(0, {"a": 1, "b": 2})
    two.truth(0, {"b": 2, "a": 1})
    assert one.sha256 == two.sha256
    one.truth(1, {"a": 1})
    three.truth(1, {"a": 1})
    three.truth(0, {"a": 1, "b": 2})
    assert one.sha256 != three.sha256


def test_a_row_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        Recorder().truth(0, {"a": float("nan")})


def test_rows_by_kind_and_their_seconds():
    recorder = Recorder()
    record(recorder)
    assert [row.kind for row in recorder.rows] == ["truth", "measured", "event"]
    assert recorder.of("event")[0].values == {"event": "breaker", "breaker": "F1", "position": "open"}
    assert recorder.of("event")[0].at_s == 2e-8


def test_a_recorder_that_keeps_nothing_has_the_same_hash():
    kept, hashed = Recorder(), Recorder(keep=False)
    record(kept)
    record(hashed)
    assert hashed.rows == []
    assert (hashed.sha256, hashed.count) == (kept.sha256, kept.count)


def test_restored_records_go_on():
    whole, first, second = Recorder(), Recorder(), Recorder()
    record(whole)
    record(whole, load=5)
    record(first)
    second.restore(json.loads(json.dumps(first.snapshot())))
    record(second, load=5)
    assert second.sha256 == whole.sha256
    assert second.rows == whole.rows


def test_streams_depend_on_seed_and_name_only():
    one, two = Streams(7), Streams(7)
    two["something else"].random(100)
    assert one["loads"].random(5).tolist() == two["loads"].random(5).tolist()
    assert Streams(8)["loads"].random() != Streams(7)["loads"].random()
    assert Streams(7)["a"].random() != Streams(7)["b"].random()


def test_streams_are_restored():
    streams = Streams(7)
    streams["loads"].random(3)
    state = json.loads(json.dumps(streams.snapshot()))
    expected = streams["loads"].random(4).tolist()
    again = Streams(7)
    again.restore(state)
    assert again["loads"].random(4).tolist() == expected


def test_negative_seeds_are_refused():
    with pytest.raises(ValueError, match="negative"):
        Streams(-1)
