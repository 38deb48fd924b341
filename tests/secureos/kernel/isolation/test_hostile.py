"""A hostile program tries everything it can think of; each attempt fails as declared, and the host goes on."""

import os
import signal
import struct
import time
from pathlib import Path

import pytest

from secureos.kernel import QuotaExceeded, Request, TaskCrashed, TaskHung
from secureos.kernel.isolation.frames import LONGEST, Kind, pack
from secureos.kernel.quota import Quota
from tests.secureos.kernel.isolation.programs import ATTEMPTS

NOTHING = Request("end", "Nothing", {})


def ask(program, method, **fields):
    return program.serve(Request("end", method, fields)).fields


@pytest.fixture(scope="module")
def outcomes(nursery):
    """What became of every attempt, in one process; it is still there after the last."""
    from secureos.kernel.isolation import IsolatedProgram
    from tests.secureos.kernel.isolation.conftest import PROGRAMS, NotingSystem

    program = IsolatedProgram(nursery, f"{PROGRAMS}:hostile", quota=Quota(call_timeout_ms=10_000))
    program.start(NotingSystem())
    try:
        return {what: ask(program, "Try", what=what, host=os.getpid())["outcome"] for what in ATTEMPTS}
    finally:
        program.close()


REFUSED = {
    "PermissionError",
    "OSError",
    "FileNotFoundError",
    "ModuleNotFoundError",
    "RuntimeError",
    "ValueError",
    "itimer_error",
}


@pytest.mark.parametrize("what", ATTEMPTS)
def test_an_attempt_fails(outcomes, what):
    assert outcomes[what] in REFUSED


def test_it_holds_the_link_and_an_event_loop_and_nothing_else(started):
    numbers = ask(started("hostile"), "Descriptors")["open"]
    assert numbers[:3] == [0, 1, 2]
    assert len(numbers) == 7  # the link, the loop's selector and its pair of sockets


def test_what_it_prints_leads_nowhere(started, capfd):
    ask(started("hostile"), "Speak")
    assert capfd.readouterr() == ("", "")


def test_its_environment_is_empty(started):
    assert ask(started("hostile"), "Environment")["names"] == []


def test_it_is_nobody_without_capabilities_and_filtered(started):
    told = Path(f"/proc/{started('hostile').pid}/status").read_text()
    status = dict(line.split(":\t", 1) for line in told.splitlines())
    assert status["CapEff"] == status["CapPrm"] == status["CapBnd"] == "0" * 16
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["Threads"] == "1"
    if os.geteuid() == 0:
        assert set(status["Uid"].split()) == {"65534"}


def test_memory_beyond_the_quota_is_that_task_s_fault(started):
    with pytest.raises(QuotaExceeded, match="256 MiB of memory"):
        ask(started("hostile", quota=Quota(memory_mb=256)), "Memory")


def test_less_memory_than_the_interpreter_takes_does_not_start(started):
    with pytest.raises(TaskCrashed, match="raise `memory_mb`"):
        started("hostile", quota=Quota(memory_mb=8))


def test_processor_time_beyond_the_quota_is_that_task_s_fault(started):
    with pytest.raises(QuotaExceeded, match="1 s of processor time"):
        ask(started("hostile", quota=Quota(cpu_s=1, call_timeout_ms=20_000)), "Burn")


def test_an_activation_that_burns_is_ended_while_the_host_goes_on(started, inside):
    import asyncio

    program = started("hostile", quota=Quota(cpu_s=1, call_timeout_ms=20_000), settings={"deed": "Burn"})
    beats = 0

    async def count():
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    async def session():
        counting = asyncio.create_task(count())
        try:
            with pytest.raises(QuotaExceeded):
                await program.activate("refresh")
        finally:
            counting.cancel()

    inside(session())
    assert beats > 10


def test_silence_is_a_hang(started):
    began = time.monotonic()
    with pytest.raises(TaskHung, match="did not answer within 300 ms"):
        ask(started("hostile", quota=Quota(call_timeout_ms=300)), "Sleep")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("way", ["Exit", "Leave", "Crash"])
def test_an_end_is_a_crash(started, way):
    program = started("hostile")
    with pytest.raises(TaskCrashed, match="ended"):
        ask(program, way)
    with pytest.raises(TaskCrashed):  # and it stays one
        program.serve(NOTHING)


def test_killed_from_outside_it_crashed(started):
    program = started("hostile")
    os.kill(program.pid, signal.SIGKILL)
    with pytest.raises(TaskCrashed, match="ended"):
        program.serve(NOTHING)


HEADER = struct.Struct("<IBI")
MALFORMED = {
    "a kind that is none": HEADER.pack(0, 99, 1),
    "a length beyond the most": HEADER.pack(LONGEST + 1, Kind.DONE, 1),
    "the largest length": HEADER.pack(2**32 - 1, Kind.DONE, 1),
    "a value that is none": HEADER.pack(1, Kind.DONE, 2) + b"?",
    "an empty value": HEADER.pack(0, Kind.DONE, 2),
    "a count beyond the end": HEADER.pack(5, Kind.DONE, 2) + b"l\xff\xff\xff\xff",
    "bytes behind the value": HEADER.pack(2, Kind.DONE, 2) + b"NN",
    "an answer to nothing": pack(Kind.DONE, 77, None),
    "what only the kernel says": pack(Kind.SERVE, 2, [0, ["end", "Do", {}]]),
    "a birth": pack(Kind.BORN, 1, None),
    "a call without arguments": pack(Kind.CALL, 1, [2]),
    "a call of no operation": pack(Kind.CALL, 1, [2, "steal", []]),
    "a call with too few arguments": pack(Kind.CALL, 1, [2, "call", []]),
    "a call with arguments of other kinds": pack(Kind.CALL, 1, [2, "call", [True, "end", "Do", {}]]),
    "a call amid what was not asked": pack(Kind.CALL, 1, [99, "now", []]),
    "two calls of its own": pack(Kind.CALL, 1, [0, "now", []]) + pack(Kind.CALL, 2, [0, "now", []]),
    "a word to no device": pack(Kind.DEVICE, 0, ["plant", 1]),
    "a word that is none": pack(Kind.DEVICE, 0, 5),
    "a failure that is none": pack(Kind.FAILED, 2, [1, 2]),
    "text that is not UTF-8": HEADER.pack(7, Kind.DONE, 2) + b"s\x02\x00\x00\x00\xff\xfe",
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_frame_is_that_task_s_fault(started, what):
    with pytest.raises(TaskCrashed, match="sent what it may not"):
        ask(started("hostile"), "Raw", bytes=MALFORMED[what])


def test_half_a_frame_and_silence_is_a_hang(started):
    with pytest.raises(TaskHung):
        ask(started("hostile", quota=Quota(call_timeout_ms=300)), "Raw", bytes=pack(Kind.DONE, 2, "x" * 100)[:50])


def test_a_reply_that_is_none(started):
    with pytest.raises(TaskCrashed, match="no reply"):
        ask(started("hostile"), "Raw", bytes=pack(Kind.DONE, 2, "nothing"))


def test_a_reply_that_cannot_travel(started):
    with pytest.raises(TaskCrashed, match="a object cannot travel"):
        ask(started("hostile"), "NoReply")


def test_a_flood_of_calls_ends_with_what_the_kernel_makes_of_it(started, system):
    system.raises = QuotaExceeded("too many")
    with pytest.raises(QuotaExceeded, match="too many"):
        ask(started("hostile"), "Calls", count=100_000)
    assert len(system.noted) == 1


def test_a_flood_of_frames_is_that_task_s_fault(started):
    noise = pack(Kind.CALL, 1, [2, "now", []])
    with pytest.raises((TaskHung, TaskCrashed, QuotaExceeded)):
        ask(started("hostile", quota=Quota(call_timeout_ms=500)), "Flood", bytes=noise)


def test_forged_handles_are_refused(started):
    tried = ask(started("hostile"), "Handles")
    assert {tried[name] for name in tried if not name.startswith("call")} == {"HandleError"}


def test_others_go_on_beside_it(started):
    honest, hostile = started(), started("hostile")
    with pytest.raises(TaskCrashed):
        ask(hostile, "Crash")
    assert ask(honest, "Echo", still=1) == {"still": 1}
