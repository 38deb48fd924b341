"""A nursery for all tests of isolation, and programs in processes of their own around a system that notes."""

import asyncio
import contextlib

import pytest

from secureos.kernel import Answer, HandleError, ReturnCode
from secureos.kernel.isolation import IsolatedProgram, Nursery, missing
from secureos.kernel.quota import Quota

PROGRAMS = "tests.secureos.kernel.isolation.programs"


@pytest.fixture(scope="session")
def nursery():
    lacking = missing()
    if lacking:
        pytest.skip("isolation is missing: " + "; ".join(lacking))
    with Nursery() as one:
        yield one


class NotingSystem:
    """Stands in for the kernel's `System`: grants everything and notes it."""

    task, args, now_ns = "subject", ("first", "second"), 42

    def __init__(self):
        self.noted = []
        self.raises = None

    def call(self, *call):
        self.noted.append(("call", *call))
        if self.raises is not None:
            raise self.raises
        return Answer(ReturnCode.OK, {"done": True})

    def report(self, *report):
        self.noted.append(("report", *report))
        return Answer(ReturnCode.SECURITY_DISALLOW, reason="no")

    def locate(self, name):
        raise LookupError(name)

    def revoke(self, handle):
        raise HandleError(ReturnCode.BAD_HANDLE, f"handle {handle}")


@pytest.fixture
def system():
    return NotingSystem()


@pytest.fixture
def started(nursery, system):
    """Starts `programs:BUILDER` in a process of its own; everything ends with the test."""
    running = []

    def start(builder="honest", *, quota=None, **options):
        program = IsolatedProgram(
            nursery, f"{PROGRAMS}:{builder}", quota=quota or Quota(call_timeout_ms=5_000), **options
        )
        running.append(program)
        program.start(system)
        return program

    yield start
    for program in running:
        program.close()


@pytest.fixture
def inside():
    """Runs a coroutine in an event loop of its own."""

    def run(work):
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            return loop.run_until_complete(work)

    return run
