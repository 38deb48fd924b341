from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.__main__ import main, work
from tests.fuzz.readers import ReaderFuzzer
from tests.secureos.policy.reference.differential import Tally


def test_damaged_texts_are_refused_and_nothing_else(tmp_path):
    readers = ReaderFuzzer(Random(1), tmp_path)
    for _ in range(150):
        assert readers.step() is None


def test_a_reader_that_fails_is_told_with_the_text(tmp_path, monkeypatch):
    readers = ReaderFuzzer(Random(1), tmp_path)

    def fail(path):
        raise KeyError("lost")

    monkeypatch.setattr(readers, "_policy", fail)
    monkeypatch.setattr(readers, "_description", fail)
    told = readers.step()
    assert "KeyError: 'lost'" in told
    assert "by b" in told


@pytest.mark.parametrize("found", [[], ["seed 1: something"]])
def test_the_summary_says_what_was_found(capsys, monkeypatch, found):
    class Inline:
        def __init__(self, jobs):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, _work, seed, seconds):
            return self

        def result(self):
            return Tally(pairs=10, policies=1, granted=10, mismatches=list(found)), 3, []

    monkeypatch.setattr("tests.fuzz.__main__.ProcessPoolExecutor", Inline)
    assert main(["0.1", "7", "1"]) == len(found)
    shown = capsys.readouterr().out
    assert shown.startswith("seed 7, 1 processes, 0.1 s\n10 pairs in")
    assert f"{len(found)} mismatches" in shown
    assert all(text in shown for text in found)


def test_one_process_compares_until_its_time_is_up():
    tally, texts, failures = work(1, 0.0)
    assert (tally.pairs, texts, failures) == (0, 0, [])
