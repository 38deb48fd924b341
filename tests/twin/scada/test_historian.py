"""The historian: what was added comes back, from memory and from files, and memory does not grow."""

from itertools import pairwise

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.fieldbus import Reading
from twin.scada import QUALITIES, Historian


def rows(series):
    return [
        (int(a), float(v), QUALITIES[q]) for a, v, q in zip(series.at_ns, series.value, series.quality, strict=True)
    ]


def filled(historian, count, *, tags=("A", "B")):
    for k in range(count):
        quality = QUALITIES[k % 3]
        historian.add({tag: Reading(k + 0.5, quality, 10 * k) for tag in tags})
    return [(10 * k, k + 0.5, QUALITIES[k % 3]) for k in range(count)]


def test_rings_and_files_together_hold_everything_once(tmp_path):
    historian = Historian(tmp_path / "history", ring=7)
    all_rows = filled(historian, 50)
    assert historian.tags == ["A", "B"]
    for start, end in ((0, 500), (0, 499), (135, 290), (490, 10_000), (300, 300), (-5, 1)):
        expected = [one for one in all_rows if start <= one[0] < end]
        assert rows(historian.query("A", start, end)) == expected
        assert rows(historian.query("B", start, end)) == expected
    with pytest.raises(KeyError):
        historian.query("C", 0, 1)


def test_what_is_only_in_memory_is_written_at_the_end(tmp_path):
    historian = Historian(tmp_path, ring=8)
    filled(historian, 20)
    historian.flush()
    historian.flush()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [f"history-{k:06d}.parquet" for k in (1, 2, 3)]
    tables = [pq.read_table(file) for file in files]
    assert sum(table.num_rows for table in tables) == 40
    assert set(tables[0].column("tag").to_pylist()) == {"A", "B"}
    assert len(historian.query("A", 0, 1000)) == 20


def test_without_a_folder_only_the_newest_are_remembered():
    historian = Historian(ring=8)
    all_rows = filled(historian, 100)
    assert rows(historian.query("A", 0, 10_000)) == all_rows[-8:]


def test_a_tag_that_comes_late_has_its_rows_in_later_files(tmp_path):
    historian = Historian(tmp_path, ring=4)
    filled(historian, 10, tags=("A",))
    for k in range(10, 20):
        historian.add({"A": Reading(k, "good", 10 * k), "B": Reading(k, "good", 10 * k)})
    assert len(historian.query("A", 0, 1000)) == 20
    assert [at for at, _, _ in rows(historian.query("B", 0, 1000))] == list(range(100, 200, 10))


def test_the_oldest_file_goes_when_there_are_too_many(tmp_path):
    historian = Historian(tmp_path, ring=5, most_files=3)
    all_rows = filled(historian, 100)
    assert len(list(tmp_path.iterdir())) == 3
    assert historian.files_dropped == 16
    assert rows(historian.query("A", 0, 10_000)) == all_rows[-20:]


def test_bools_are_numbers_text_is_not_kept_and_time_runs_forward():
    historian = Historian(ring=8)
    historian.add({"A": Reading(True, "good", 1), "T": Reading("text", "good", 1)})
    historian.add({"A": Reading(False, "good", 1)})
    historian.add({"A": Reading(False, "good", 0)})
    assert rows(historian.query("A", 0, 10)) == [(1, 1.0, "good")]
    assert historian.tags == ["A"]


def test_a_ring_holds_at_least_one_row():
    with pytest.raises(ValueError, match="not 0"):
        Historian(ring=0)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.sampled_from(QUALITIES)), min_size=1, max_size=60),
    st.floats(0, 1e5),
)
def test_compressed_a_held_value_is_never_further_off_than_the_deadband(values, band):
    historian = Historian(ring=100, deadband={"A": band})
    for k, (value, quality) in enumerate(values):
        historian.add({"A": Reading(value, quality, k)})
    kept = rows(historian.query("A", 0, 1000))
    for k, (value, quality) in enumerate(values):
        held = [row for row in kept if row[0] <= k][-1]
        assert abs(held[1] - value) <= band
        assert held[2] == quality
    assert all(b[2] != a[2] or abs(b[1] - a[1]) > band for a, b in pairwise(kept))


def test_memory_is_the_rings_however_much_is_added(tmp_path):
    import tracemalloc

    historian = Historian(tmp_path, ring=64, most_files=2)
    filled(historian, 500)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for k in range(500, 20_000):
            historian.add({tag: Reading(float(k), "good", 10 * k) for tag in ("A", "B")})
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000
