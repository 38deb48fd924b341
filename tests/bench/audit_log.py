"""What the audit costs per verdict on the hot path, and per record off it; and what a checkpoint costs."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from pathlib import Path

from secureos.audit import AuditLog, AuditWriter, InForce, Record, read_lines, verify
from secureos.audit.merkle import Frontier
from secureos.kernel.keys import new_signer
from tests.bench.policy_decisions import pin

COUNT = 20_000
ROUNDS = 7
WAY = ("request", "gateway", "control_logic", "command", "Write")
IN_FORCE = InForce("a" * 64, "b" * 64)
SIGNER = new_signer()


def record(number):
    return Record(number, number * 1_000_000, number, "request", "gateway", "control_logic", "command", "Write",
                  "denied", "security.psl:41", "the reason why in a sentence of the usual length",
                  {"tag": "F6.close", "value": 1, "session": 7})  # fmt: skip


def per_item(work, count=COUNT):
    """Nanoseconds for one, best and middle of the rounds; each round anew."""
    times = []
    for _ in range(ROUNDS):
        timed = work()
        gc.collect()
        gc.disable()
        began = time.perf_counter_ns()
        timed()
        times.append((time.perf_counter_ns() - began) / count)
        gc.enable()
    return min(times), statistics.median(times)


def empty_loop():
    def timed():
        for _ in range(COUNT):
            pass

    return timed


def counting():
    log = AuditLog()

    def timed():
        for _ in range(COUNT):
            log.count(granted=True, rule="security.psl:41")

    return timed


def noting():
    log = AuditLog()

    def timed():
        for number in range(COUNT):
            log.note(number, WAY, "security.psl:41", granted=True)

    return timed


def adding():
    log, records = AuditLog(), [record(number) for number in range(COUNT)]

    def timed():
        for one in records:
            log.add(one)

    return timed


def folding():
    log = AuditLog(ring=COUNT)
    for number in range(COUNT):
        log.note(number, WAY, "security.psl:41", granted=True)
    return log.fold


def draining(folder):
    log = AuditLog()
    for number in range(COUNT):
        log.add(record(number))
    path = folder / "audit.jsonl"
    path.unlink(missing_ok=True)
    out = AuditWriter.create(path, log, signer=SIGNER, in_force=lambda: IN_FORCE)

    def timed():
        out.drain(0)
        out.close(0)

    return timed


def verifying(folder):
    def timed():
        with (folder / "audit.jsonl").open("rb") as file:
            assert verify(read_lines(file), [SIGNER.public]).ok()

    return timed


def growing():
    tree = Frontier()

    def timed():
        for _ in range(COUNT):
            tree.append(b"x" * 32)

    return timed


def signing():
    def timed():
        for _ in range(COUNT // 20):
            SIGNER.sign(b"x" * 1_000)

    return timed


def run():
    """Print nanoseconds for one, and how many a second that is."""
    pin()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = {
            "empty loop": (empty_loop, COUNT),
            "hot: count a verdict": (counting, COUNT),
            "hot: note a verdict in the ring": (noting, COUNT),
            "hot: add a record": (adding, COUNT),
            "off: fold a verdict into the counts": (folding, COUNT),
            "off: a leaf of the Merkle tree": (growing, COUNT),
            "off: one signature": (signing, COUNT // 20),
            "off: chain, hash and write a record": (lambda: draining(folder), COUNT),
            "verify a record": (lambda: verifying(folder), COUNT),
        }
        for title, (work, count) in rows.items():
            best, middle = per_item(work, count)
            print(f"{title:36}{best:9.0f} ns best,{middle:9.0f} ns in the middle,{1e9 / middle:13,.0f} per second")
        size = (folder / "audit.jsonl").stat().st_size
        print(f"{COUNT:,} records with a checkpoint per 1,000 take {size / COUNT:.0f} bytes each")
    print("goal: less than 1,000 ns on the hot path")


if __name__ == "__main__":
    run()
