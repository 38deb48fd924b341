"""`make fuzz`, or `python -m tests.fuzz [SECONDS] [SEED] [JOBS]`: the engine against the reference, and broken texts.

Runs for SECONDS (60) from SEED (the current time; printed, so that a run can be repeated) in JOBS processes (one per
core). Prints how many pairs of answers were compared; a difference is shrunk to a small policy with few messages.
Ends with 1 if anything was found.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random

from tests.fuzz.readers import ReaderFuzzer
from tests.secureos.policy.reference.differential import Tally, compare, world

SLICE = 10
"""Policies between two looks at the clock."""

MESSAGES = 1_500
"""Per policy: reading one costs as much as deciding some hundred messages."""

TEXTS = 20
"""Damaged texts beside as many policies."""

STRIDE = 1 << 32


def work(seed, seconds):
    """One process: what was compared, how many texts were read, and what failed in reading."""
    tally, texts, failures = Tally(), 0, []
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        catalogue, readers = world(Path(first)), ReaderFuzzer(Random(seed), Path(second))
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not failures and not tally.mismatches:
            for _ in range(SLICE):
                tally.add(compare(catalogue, seed, MESSAGES))
                seed += 1
            failures = [found for found in (readers.step() for _ in range(TEXTS)) if found]
            texts += TEXTS
    return tally, texts, failures


def reached(tally):
    """Which rules of which models were seldom granted, in words."""
    shares = {name: row["granted"] / (row["granted"] + row["denied"]) for name, row in tally.shares().items()}
    lowest = sorted(shares, key=shares.__getitem__)[:5]
    shown = ", ".join(f"{model}.{name} {shares[model, name]:.0%}" for model, name in lowest)
    return f"{len(shares)} rules and expressions asked; least granted: {shown or 'none'}"


def main(arguments):
    """Print the figures; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="the engine against the reference")
    parser.add_argument("seconds", type=float, nargs="?", default=60.0)
    parser.add_argument("seed", type=int, nargs="?", default=int(time.time()))
    parser.add_argument("jobs", type=int, nargs="?", default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}, {given.jobs} processes, {given.seconds:g} s", flush=True)
    began, tally, texts, failures = time.monotonic(), Tally(), 0, []
    with ProcessPoolExecutor(given.jobs) as pool:
        running = [pool.submit(work, given.seed + job * STRIDE, given.seconds) for job in range(given.jobs)]
        for one, read, failed in (each.result() for each in running):
            tally.add(one)
            texts += read
            failures += failed
    elapsed = time.monotonic() - began
    print(
        f"{tally.pairs:,} pairs in {elapsed:.0f} s ({tally.pairs / elapsed:,.0f} a second)"
        f" from {tally.policies:,} policies ({tally.rejected} refused):"
        f" {tally.granted:,} granted, {tally.denied:,} denied by a rule,"
        f" {tally.by_default:,} by default, {tally.by_error:,} by an error; {len(tally.mismatches)} mismatches"
    )
    print(", ".join(f"{name} {pairs:,} pairs" for name, pairs in sorted(tally.backends.items())))
    print(reached(tally))
    print(f"{texts:,} damaged texts read; {len(failures)} failures")
    for found in (*tally.mismatches, *failures):
        print(f"\n{found}")
    return 1 if tally.mismatches or failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
