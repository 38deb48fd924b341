from __future__ import annotations

from random import Random

import pytest

from tests.fuzz import modbus
from tests.fuzz.modbus import ModbusFuzzer, frames, fuzz, main, reading
from twin.fieldbus import ServerLimits
from twin.fieldbus.modbus import connection, pdus


@pytest.mark.parametrize("seed", [1, 2])
def test_no_stream_hurts_the_server(seed):
    cases, requests, refused, hung_up, found = fuzz(seed, 1_500)
    assert found == []
    assert cases == 1_500
    assert requests > 3_000
    assert refused < requests
    assert hung_up > 100


def test_the_same_seed_makes_the_same_streams():
    assert [ModbusFuzzer(Random(3)).stream() for _ in range(2)] == [ModbusFuzzer(Random(3)).stream()] * 2


def test_the_reading_is_not_the_program_s_own():
    assert reading(bytes.fromhex("01 0000 0001")) == "fine"
    assert reading(bytes.fromhex("01 0000 07d1")) == "03"
    assert reading(bytes.fromhex("63")) == "01"
    assert frames(b"\0\1\0\0\0\2\1\x63" * 2 + b"\0\1\0\1") == ([b"\0\1\0\0\0\2\1\x63"] * 2, True)
    assert frames(b"\0\1\0\0\0\2\1") == ([], False)


def test_a_server_that_takes_wrong_lengths_is_found(monkeypatch):
    monkeypatch.setattr(pdus, "_has_right_length", lambda code, pdu: True)
    assert any("and not by 03" in found for found in fuzz(1, 400)[4])


def test_a_server_that_goes_deaf_is_found(monkeypatch):
    monkeypatch.setattr(connection, "frame_length", lambda received: 0)
    monkeypatch.setattr(modbus, "WITH_SOCKETS", 10**9)
    assert any("requests, 0 answers" in found for found in fuzz(1, 10)[4])


def test_a_server_that_stops_serving_is_found(monkeypatch):
    monkeypatch.setattr(modbus, "ServerLimits", lambda **_: ServerLimits(connections=0))
    assert any("a good client gets no answer" in found for found in fuzz(1, 5)[4])


def test_the_summary_says_what_was_found(capsys, monkeypatch):
    assert main(["40", "5", "1"]) == 0
    assert "40 streams" in capsys.readouterr().out
