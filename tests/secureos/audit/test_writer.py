"""The writer: when checkpoints stand, what they hold, and what happens when the disk is full."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secureos.audit import AuditError, AuditLog, AuditWriter, InForce, read_lines, verify
from secureos.audit.log_file import LogFile
from tests.secureos.audit.logs import IN_FORCE, KEYS, OURS, SECOND, Disk, record, writer, written

WAY = ("request", "gateway", "logic", "act", "Set")


def lines_of(disk):
    return disk.getvalue().splitlines(keepends=True)


def checkpoints(lines):
    rows = [json.loads(line) for line in lines]
    return [row["checkpoint"] for row in rows if "checkpoint" in row]


def numbers(lines):
    rows = [json.loads(line) for line in lines]
    return [row["number"] for row in rows if "checkpoint" not in row]


# ---- checkpoints ---------------------------------------------------------------------------------------------------


def test_checkpoints_open_and_close_a_log_and_stand_after_so_many_records(fd):
    lines = written(9, fd=fd, every=4)
    assert [one["records"] for one in checkpoints(lines)] == [0, 4, 8, 9]
    assert [one["number"] for one in checkpoints(lines)] == [0, 1, 2, 3]


def test_checkpoints_stand_after_so_much_time_if_there_is_anything_new(fd):
    log, disk = AuditLog(), Disk(fd=fd)
    out = writer(log, disk, every=100, every_ns=10 * SECOND)
    for at_s in (0, 5, 10, 25):
        out.drain(at_s * SECOND)
    assert len(checkpoints(lines_of(disk))) == 1
    log.note(0, WAY, "p.psl:1", granted=True)
    out.drain(26 * SECOND)
    log.add(record(0))
    out.drain(30 * SECOND)
    out.drain(36 * SECOND)
    out.drain(99 * SECOND)
    assert [one["at_ns"] // SECOND for one in checkpoints(lines_of(disk))] == [0, 26, 36]


def test_verdicts_without_a_record_are_counted_once_by_way_and_rule(fd):
    log, disk = AuditLog(), Disk(fd=fd)
    out = writer(log, disk, every=2)
    for number in range(5):
        log.note(number, WAY, "p.psl:1", granted=True)
    log.note(9, WAY, "p.psl:2", granted=False)
    log.note(9, WAY, "p.psl:2", granted=False, recorded=True)
    for number in range(5):
        log.add(record(number))
    out.drain(0)
    log.note(9, WAY, "p.psl:1", granted=True)
    out.close(SECOND)
    counted = [[(one["rule"], one["granted"], one["count"]) for one in made["unrecorded"]]
               for made in checkpoints(lines_of(disk))]  # fmt: skip
    assert counted == [[("p.psl:1", True, 5), ("p.psl:2", False, 2 - 1)], [], [], [("p.psl:1", True, 1)]]
    assert checkpoints(lines_of(disk))[0]["unrecorded"][0]["src"] == "gateway"
    assert verify(lines_of(disk), KEYS).ok()


def test_verdicts_lost_in_the_ring_are_told(fd):
    log, disk = AuditLog(ring=10, reserve=2), Disk(fd=fd)
    out = writer(log, disk)
    for number in range(30):
        log.note(number, WAY, "p.psl:1", granted=True)
    for number in range(2):
        log.note(number, WAY, "safety", granted=True, safety=True)
    out.close(0)
    report = verify(lines_of(disk), KEYS)
    assert (report.ok(), report.lost_verdicts) == (True, 20)
    counted = {one["rule"]: one["count"] for one in checkpoints(lines_of(disk))[0]["unrecorded"]}
    assert counted == {"p.psl:1": 10, "safety": 2}


def test_what_is_in_force_may_change(fd):
    log, disk, policy = AuditLog(), Disk(fd=fd), ["b" * 64]
    out = AuditWriter(log, LogFile(disk), signer=OURS, in_force=lambda: InForce("a" * 64, policy[0]))
    out.drain(0)
    policy[0] = "c" * 64
    out.close(1)
    assert [one["policy_sha256"][0] for one in checkpoints(lines_of(disk))] == ["b", "c"]


@pytest.mark.parametrize("drained", [False, True])
def test_records_of_before_the_writer_came_are_written_too(fd, drained):
    log, disk = AuditLog(), Disk(fd=fd)
    for number in range(2_500):
        log.add(record(number))
    out = writer(log, disk, every=1_000)
    if drained:
        out.drain(0)
    out.close(0)
    assert numbers(lines_of(disk)) == list(range(2_500))
    assert verify(lines_of(disk), KEYS).signed == 2_500


def test_records_dropped_before_the_writer_came_are_told_as_lost(fd):
    log, disk = AuditLog(limit=10), Disk(fd=fd)
    for number in range(30):
        log.add(record(number))
    writer(log, disk).close(0)
    report = verify(lines_of(disk), KEYS)
    assert report.ok()
    assert report.lost == [(0, 19)]
    assert report.records == report.signed == 10


def test_a_log_has_one_writer_and_does_not_go_back(fd):
    log = AuditLog()
    state = log.snapshot()
    writer(log, Disk(fd=fd))
    with pytest.raises(AuditError, match="one writer"):
        writer(log, Disk(fd=fd))
    with pytest.raises(AuditError, match="cannot go back"):
        log.restore(state)


def test_a_file_is_never_written_over(tmp_path):
    path = tmp_path / "audit.jsonl"
    log = AuditLog()
    log.add(record(0))
    out = AuditWriter.create(path, log, signer=OURS, in_force=lambda: IN_FORCE)
    out.close(0)
    with path.open("rb") as file:
        assert verify(read_lines(file), KEYS).ok()
    with pytest.raises(FileExistsError):
        AuditWriter.create(path, AuditLog(), signer=OURS, in_force=lambda: IN_FORCE)


def test_the_same_records_give_the_same_log(fd):
    assert written(20, fd=fd) == written(20, fd=fd)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 7))
def test_how_often_it_is_drained_changes_nothing_in_the_records(fd, batches, every):
    log, disk, count = AuditLog(), Disk(fd=fd), 0
    out = writer(log, disk, every=every)
    for at_s, batch in enumerate(batches):
        for _ in range(batch):
            log.add(record(count))
            count += 1
        out.drain(at_s * SECOND)
    out.close(len(batches) * SECOND)
    lines = lines_of(disk)
    report = verify(lines, KEYS)
    assert report.ok()
    assert report.signed == count
    of_records = [line for line in lines if b'{"checkpoint"' not in line]
    assert of_records == [line for line in written(count, fd=fd) if b'{"checkpoint"' not in line]


# ---- a disk that is full -------------------------------------------------------------------------------------------


def test_a_full_disk_never_raises_and_nothing_is_lost_once_there_is_room(fd):
    log, disk, told = AuditLog(), Disk(1_500, fd), []
    log.on_failure = told.append
    out = writer(log, disk)
    for number in range(20):
        log.add(record(number))
        log.note(number, WAY, "p.psl:1", granted=True)
        out.drain(number * SECOND)
    assert log.failing == "the audit log cannot be written: No space left on device"
    assert told == [log.failing]
    before = lines_of(disk)
    assert before
    assert before[-1].endswith(b"\n")  # no piece of a block is left behind
    assert verify(before, KEYS).ok(unfinished=True)
    disk.room = None
    out.drain(20 * SECOND)
    assert log.failing is None
    assert told[1:] == [None]
    out.close(21 * SECOND)
    report = verify(lines_of(disk), KEYS)
    assert report.ok()
    assert (report.records, report.lost) == (20, [])
    assert sum(one["count"] for made in checkpoints(lines_of(disk)) for one in made["unrecorded"]) == 20


def test_a_full_disk_is_not_tried_again_at_every_scan(fd):
    log, disk = AuditLog(), Disk(0, fd)
    out = writer(log, disk)
    log.add(record(0))
    out.drain(0)
    disk.room = None
    out.drain(SECOND - 1)
    assert log.failing
    assert disk.getvalue() == b""
    out.drain(SECOND)
    assert log.failing is None
    assert numbers(lines_of(disk)) == [0]


def test_what_does_not_fit_in_memory_is_lost_but_for_safety_messages_and_told(fd):
    log, disk = AuditLog(limit=10, reserve=3), Disk(0, fd)
    out = writer(log, disk, every=100)
    for number in range(40):
        log.add(record(number), safety=number in (2, 3, 7, 8, 39))
        out.drain(0)
    assert (log.dropped, len(log.records)) == (30, 10)
    disk.room = None
    out.drain(SECOND)
    out.close(SECOND)
    report = verify(lines_of(disk), KEYS)
    assert report.ok()
    assert numbers(lines_of(disk)) == [3, 7, 8, *range(30, 40)]  # the reserve holds three; the oldest went
    assert report.lost == [(0, 2), (4, 6), (9, 29)]
    assert report.signed == report.records == 13


def test_safety_records_that_are_written_are_not_kept_twice(fd):
    log, disk = AuditLog(limit=10, reserve=3), Disk(fd=fd)
    out = writer(log, disk, every=100)
    for number in range(50):
        log.add(record(number), safety=True)
        out.drain(0)
    out.close(0)
    assert numbers(lines_of(disk)) == list(range(50))
    assert verify(lines_of(disk), KEYS).lost == []


def test_a_block_torn_by_a_disk_that_cannot_even_cut_is_mended_later(fd):
    log, disk = AuditLog(), Disk(100, fd)
    out = writer(log, disk)
    disk.stuck = True
    log.add(record(0))
    out.drain(0)
    assert len(disk.getvalue()) == 100  # a piece is there
    disk.room = None
    out.drain(SECOND)
    assert "Input/output error" in log.failing
    disk.stuck = False
    out.drain(2 * SECOND)
    out.close(3 * SECOND)
    assert verify(lines_of(disk), KEYS).ok()


def test_a_log_that_cannot_be_closed_ends_without_its_closing_checkpoint(fd):
    log, disk = AuditLog(), Disk(fd=fd)
    out = writer(log, disk)
    log.add(record(0))
    out.drain(0)
    disk.room = disk.tell()
    out.close(SECOND)
    assert log.failing
    report = verify(lines_of(disk), KEYS)
    assert not report.finished
    assert report.ok(unfinished=True)


def test_a_file_that_fails_when_it_is_closed_is_told(fd, monkeypatch):
    def fails(self):
        raise OSError("the cable is out")

    log = AuditLog()
    out = writer(log, Disk(fd=fd))
    monkeypatch.setattr(Disk, "close", fails)
    out.close(0)
    assert log.failing == "the audit log cannot be written: the cable is out"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2_000), st.booleans()), max_size=30))
def test_whatever_a_disk_does_the_log_is_whole_and_every_record_is_there_or_told_as_lost(fd, steps):
    log, disk, count = AuditLog(limit=10, reserve=4), Disk(0, fd), 0
    out = writer(log, disk, every=3)
    for at_s, (batch, room, safety) in enumerate(steps):
        for _ in range(batch):
            log.add(record(count), safety=safety)
            count += 1
        disk.room = disk.tell() + room if room > 500 else 0
        out.drain(at_s * SECOND)
        assert verify(lines_of(disk), KEYS).ok(unfinished=True)
    disk.room = None
    out.close(len(steps) * SECOND)
    report = verify(lines_of(disk), KEYS)
    assert report.ok()
    lost = {number for first, last in report.lost for number in range(first, last + 1)}
    assert lost.isdisjoint(numbers(lines_of(disk)))
    assert lost | set(numbers(lines_of(disk))) == set(range(count))


def test_the_device_that_is_always_full():
    log = AuditLog()
    with open("/dev/full", "wb", buffering=0) as raw:  # noqa: PTH123 -- the raw device
        out = AuditWriter(log, LogFile(raw), signer=OURS, in_force=lambda: IN_FORCE)
        log.add(record(0))
        out.drain(0)
        assert "No space left on device" in log.failing
        out.close(SECOND)
    assert log.failing


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_real_file_system_that_runs_full(small_disk):
    log = AuditLog()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(50_000))
    out = AuditWriter.create(small_disk / "audit.jsonl", log, signer=OURS, in_force=lambda: IN_FORCE)
    for number in range(60):
        log.add(record(number))
        out.drain(number * 2 * SECOND)
    assert "No space left on device" in log.failing
    ballast.unlink()
    out.close(500 * SECOND)
    assert log.failing is None
    with (small_disk / "audit.jsonl").open("rb") as file:
        report = verify(read_lines(file), KEYS)
    assert report.ok()
    assert (report.records, report.lost) == (60, [])


def test_a_writer_that_dies_leaves_a_log_that_says_so(tmp_path):
    """A process is killed between two drains; what was drained is there and signed as far as checkpoints go."""
    path = tmp_path / "audit.jsonl"
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            log = AuditLog()
            out = AuditWriter.create(path, log, signer=OURS, in_force=lambda: IN_FORCE)
            for number in range(1_500):
                log.add(record(number))
            out.drain(0)
            log.add(record(1_500))
        os._exit(9)
    os.waitpid(pid, 0)
    with Path(path).open("rb") as file:
        report = verify(read_lines(file), KEYS)
    assert (report.records, report.signed, report.finished) == (1_500, 1_000, False)
    assert report.ok(unfinished=True)
    assert not report.ok()
