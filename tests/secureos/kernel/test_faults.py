"""Tasks that crash, hang or use too much: they are stopped, started again, and given up after too many times."""

import asyncio
import json

import pytest

from secureos.kernel import (
    HandleError,
    KernelError,
    QuotaExceeded,
    Reply,
    ReturnCode,
    TaskCrashed,
    TaskFault,
    TaskHung,
)
from secureos.kernel.faults import FORGIVEN_NS
from secureos.kernel.handles import Notice
from secureos.kernel.rights import CALL, TRANSFER
from secureos.policy import load_policy
from tests.secureos.kernel.conftest import ManualClock
from tests.secureos.kernel.peers import ALL, QUOTA, Peers, write

MS = 1_000_000


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write(tmp_path_factory.mktemp("peers"))


@pytest.fixture
def peers(world):
    return Peers(world[0], world[1][0])


def call(peers, task, channel, method="Poke"):
    return peers.system(task).call(channel, "post", method).code


def activate(peers, task, phase="work"):
    return asyncio.run(peers.kernel.activate(task, phase))


def faults(peers):
    return [(r.src, r.decision, r.rule, r.reason) for r in peers.kernel.audit.records if r.event == "fault"]


def wait(peers, milliseconds):
    peers.clock.now_ns += milliseconds * MS
    peers.kernel.tick()


def state(peers, task):
    return peers.kernel.tasks[task].state.value


def test_a_crash_while_serving_is_told_and_only_that_task_stops(peers):
    assert call(peers, "b", "to_a", "Crash") is ReturnCode.INTERRUPTED
    assert faults(peers) == [
        ("a", "denied", "kernel", "task `a` crashed: RuntimeError: told to crash; it is started again at 100000000 ns")
    ]
    assert [state(peers, task) for task in "abc"] == ["stopped", "running", "running"]
    assert call(peers, "b", "to_a") is ReturnCode.FAILED
    assert call(peers, "c", "to_b") is ReturnCode.OK


def test_a_restart_is_a_fresh_program_under_a_verdict_with_channels_laid_anew(peers):
    before, sid, number = peers.programs["a"], peers.kernel.tasks["a"].sid, peers.system("b").locate("to_a")
    call(peers, "b", "to_a", "Crash")
    assert peers.system("b").notices() == [Notice("revoked", number)]
    assert peers.system("b").call(number, "post", "Poke").code is ReturnCode.HANDLE_REVOKED
    wait(peers, 99)
    assert state(peers, "a") == "stopped"
    wait(peers, 1)
    assert state(peers, "a") == "running"
    assert peers.programs["a"] is not before
    assert peers.kernel.tasks["a"].sid > sid
    assert [(r.event, r.src, r.dst) for r in peers.kernel.audit.records[-2:]] == [
        ("execute", "Einit", "a"),
        ("fault", "a", ""),
    ]
    assert faults(peers)[-1] == ("a", "granted", "kernel", "task `a` is started again, for the 1. time")
    assert call(peers, "b", "to_a") is ReturnCode.OK
    assert call(peers, "c", "to_a") is ReturnCode.OK
    assert peers.system("b").call(number, "post", "Poke").code is ReturnCode.HANDLE_REVOKED
    assert peers.system("b").locate("to_a") != number
    assert peers.kernel.restarts == 1


def test_a_client_that_is_started_again_gets_its_channels_and_none_of_its_handles(peers):
    thing = peers.system("c").create(TRANSFER | CALL, "mine")
    got = peers.system("c").call("to_b", "post", "Give", {"item": {"handle": thing, "rights": CALL}}).fields["number"]
    assert not activate(peers, "c", "crash")
    with pytest.raises(HandleError) as caught:
        peers.system("b").rights(got)
    assert caught.value.code is ReturnCode.HANDLE_REVOKED
    wait(peers, 100)
    with pytest.raises(HandleError) as caught:
        peers.system("c").rights(thing)
    assert caught.value.code is ReturnCode.HANDLE_CLOSED
    assert call(peers, "c", "to_a") is ReturnCode.OK


def test_a_client_is_connected_once_its_server_is_there_again(peers):
    activate(peers, "b", "crash")
    activate(peers, "a", "crash")
    wait(peers, 100)
    assert [call(peers, "c", "to_b"), call(peers, "b", "to_a")] == [ReturnCode.OK, ReturnCode.OK]


def test_a_restarted_client_of_a_stopped_server_is_told_that_it_is_stopped(peers):
    activate(peers, "b", "crash")
    wait(peers, 50)
    activate(peers, "a", "crash")
    wait(peers, 50)
    assert (state(peers, "a"), state(peers, "b")) == ("stopped", "running")
    assert call(peers, "b", "to_a") is ReturnCode.FAILED
    wait(peers, 50)
    assert call(peers, "b", "to_a") is ReturnCode.OK


def test_waits_grow_and_end_in_failure(peers):
    waits = []
    for _ in range(4):
        assert state(peers, "a") == "running"
        activate(peers, "a", "crash")
        due_ns = peers.kernel.tasks["a"].restarts.due_ns
        if due_ns is not None:
            waits.append((due_ns - peers.clock.now_ns) // MS)
            wait(peers, waits[-1])
    assert waits == [100, 200, 400]
    assert (state(peers, "a"), peers.failed) == ("failed", ["a"])
    assert faults(peers)[-1][3].endswith("; it is not started again")
    wait(peers, 10_000_000)
    assert state(peers, "a") == "failed"
    assert not activate(peers, "a")
    assert call(peers, "b", "to_a") is ReturnCode.FAILED


def test_who_runs_well_for_long_begins_anew(peers):
    for _ in range(3):
        activate(peers, "a", "crash")
        wait(peers, 400)
    peers.clock.now_ns += FORGIVEN_NS
    activate(peers, "a", "crash")
    assert state(peers, "a") == "stopped"
    wait(peers, 100)
    assert state(peers, "a") == "running"


def test_a_program_that_crashes_as_it_starts_crashes_again(peers, monkeypatch):
    def start(self, system):
        raise OSError("no luck")

    activate(peers, "a", "crash")
    monkeypatch.setattr(type(peers.programs["a"]), "start", start)
    wait(peers, 100)
    assert state(peers, "a") == "stopped"
    assert "OSError: no luck" in faults(peers)[-1][3]
    assert peers.kernel.restarts == 1


def test_a_restart_that_the_policy_refuses_is_the_last(world, peers, tmp_path):
    path = tmp_path / "once.psl"
    path.write_text(ALL.replace("execute { grant () }", "execute src=kl.core.Core { grant () }"))
    activate(peers, "a", "crash")
    peers.kernel.exchange_policy(load_policy(path, world[0].catalogue))
    wait(peers, 100)
    assert (state(peers, "a"), peers.failed, peers.kernel.restarts) == ("failed", ["a"], 0)
    assert peers.kernel.audit.records[-1].event == "execute"
    assert peers.kernel.audit.records[-1].decision == "denied"


# ---- quotas


def spendthrift(program, **greed):
    """A program that uses too much while it serves, and keeps to itself that it is told so."""

    def serve(request):
        try:
            for _ in range(greed.get("calls", 0)):
                program.system.notices()
            for amount in greed.get("steps", ()):
                program.system.spend(amount)
        except QuotaExceeded:
            if greed.get("honest"):
                raise
        return Reply({})

    program.serve = serve


@pytest.mark.parametrize("honest", [True, False])
@pytest.mark.parametrize("greed", [{"calls": 100_001}, {"steps": [999_999, 2]}, {"steps": [-1]}, {"steps": ["many"]}])
def test_too_many_calls_or_steps(peers, greed, honest):
    spendthrift(peers.programs["a"], **greed, honest=honest)
    assert call(peers, "b", "to_a") is ReturnCode.INTERRUPTED
    assert state(peers, "a") == "stopped"
    assert "task `a` used more than its" in faults(peers)[-1][3]


def test_a_quota_is_for_one_request(peers):
    spendthrift(peers.programs["a"], calls=90_000, steps=[999_999])
    assert [call(peers, "b", "to_a"), call(peers, "b", "to_a")] == [ReturnCode.OK, ReturnCode.OK]


def test_what_a_server_uses_is_not_its_clients(peers):
    spendthrift(peers.programs["a"], calls=90_000)
    program = peers.programs["b"]

    def serve(request):
        assert program.system.call("to_a", "post", "Poke").ok
        assert program.system.call("to_a", "post", "Poke").ok
        return Reply({})

    program.serve = serve
    assert call(peers, "c", "to_b") is ReturnCode.OK


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (TaskHung("no answer"), ReturnCode.TIMED_OUT),
        (TaskCrashed("the process died"), ReturnCode.INTERRUPTED),
        (QuotaExceeded("memory"), ReturnCode.INTERRUPTED),
        (SystemExit(1), ReturnCode.INTERRUPTED),
        (RecursionError(), ReturnCode.INTERRUPTED),
        (BaseException("of no kind"), ReturnCode.INTERRUPTED),
        (BaseExceptionGroup("several", [SystemExit(1)]), ReturnCode.INTERRUPTED),
    ],
)
def test_what_a_program_raises_decides_what_its_client_is_told(peers, fault, code):
    def serve(request):
        raise fault

    peers.programs["a"].serve = serve
    assert call(peers, "b", "to_a") is code
    assert state(peers, "a") == "stopped"


@pytest.mark.parametrize("end", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_what_ends_the_host_is_no_fault_of_the_task_at_work(peers, end):
    def serve(request):
        raise end

    peers.programs["a"].serve = serve
    with pytest.raises(end):
        call(peers, "b", "to_a")
    assert state(peers, "a") == "running"


# ---- what a stopped task can still do


def test_a_former_run_can_do_nothing_more(peers):
    old = peers.system("a")
    activate(peers, "a", "crash")
    operations = [
        lambda: old.call("x", "post", "Poke"),
        lambda: old.report("x", {}),
        lambda: old.locate("x"),
        lambda: old.create(0, 0),
        lambda: old.rights(1),
        old.notices,
        lambda: old.spend(1),
    ]
    for _ in range(2):  # while the task is stopped, and when it runs again
        for operation in operations:
            with pytest.raises(TaskFault, match="task `a` was stopped"):
                operation()
        wait(peers, 100)
    assert state(peers, "a") == "running"


# ---- activations


class Waiting:
    """A device that a program awaits; the test says when it is ready."""

    def __init__(self):
        self.ready = None

    async def wait(self):
        self.ready = asyncio.get_running_loop().create_future()
        return await self.ready


@pytest.fixture
def waiting(peers):
    device, seen = Waiting(), []
    program = peers.programs["b"]

    async def work(phase):
        seen.append(program.system.call("to_a", "post", "Poke").code)
        try:
            seen.append(await device.wait())
        except OSError as failure:
            seen.append(str(failure))
        seen.append(program.system.call("to_a", "post", "Poke").code)

    program.activate = work
    device.seen = seen
    return device


def chains(peers):
    return [r.chain for r in peers.kernel.audit.records if r.event == "request"]


@pytest.mark.parametrize("fails", [False, True])
def test_an_activation_keeps_its_chain_while_others_pass(peers, waiting, fails):
    async def both():
        task = asyncio.create_task(peers.kernel.activate("b", "work"))
        await asyncio.sleep(0)
        assert call(peers, "c", "to_b") is ReturnCode.OK  # a task that waits can be called
        if fails:
            waiting.ready.set_exception(OSError("broken"))
        else:
            waiting.ready.set_result("here")
        return await task

    assert asyncio.run(both())
    assert waiting.seen == [ReturnCode.OK, "broken" if fails else "here", ReturnCode.OK]
    assert chains(peers) == [1, 2, 1]


@pytest.mark.parametrize("stubborn", [False, True])
def test_an_activation_ends_with_its_task(peers, waiting, stubborn):
    work = peers.programs["b"].activate

    async def clinging(phase):
        try:
            await work(phase)
        except GeneratorExit:
            await asyncio.sleep(0)

    if stubborn:
        peers.programs["b"].activate = clinging

    async def both():
        task = asyncio.create_task(peers.kernel.activate("b", "work"))
        await asyncio.sleep(0)
        peers.kernel.fail("b", TaskCrashed("its process died"))
        waiting.ready.set_result("too late")
        return await task

    assert asyncio.run(both()) is False
    assert waiting.seen == [ReturnCode.OK]
    assert faults(peers)[-1][3].startswith("its process died")


@pytest.mark.parametrize("stopped", [False, True])
def test_a_host_that_gives_up_waiting(peers, waiting, stopped):
    async def both():
        task = asyncio.create_task(peers.kernel.activate("b", "work"))
        await asyncio.sleep(0)
        if stopped:
            peers.kernel.fail("b", TaskHung("no sign of life"))
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(both())
    assert state(peers, "b") == ("stopped" if stopped else "running")
    assert waiting.seen == [ReturnCode.OK]


def test_what_is_no_activation_is_a_crash(peers):
    peers.programs["a"].activate = lambda phase: 3
    assert not activate(peers, "a")
    assert state(peers, "a") == "stopped"


def test_what_concerns_the_host_goes_through_to_it(peers):
    async def broken(phase):
        raise OSError("the wire broke")

    peers.kernel.host_errors = (OSError,)
    peers.programs["a"].activate = broken
    with pytest.raises(OSError, match="the wire broke"):
        activate(peers, "a")
    assert state(peers, "a") == "running"

    def serve(request):
        raise OSError("and this is a crash")

    peers.programs["a"].serve = serve
    assert call(peers, "b", "to_a") is ReturnCode.INTERRUPTED


# ---- from outside


def test_a_device_enters_its_task_under_the_kernels_eyes(peers):
    assert peers.kernel.enter("b", lambda: call(peers, "b", "to_a")) is ReturnCode.OK
    assert chains(peers) == [1]

    def crash():
        raise ValueError("from outside")

    with pytest.raises(TaskCrashed, match="task `b` crashed: ValueError: from outside"):
        peers.kernel.enter("b", crash)
    with pytest.raises(TaskFault, match="task `b` is stopped"):
        peers.kernel.enter("b", crash)


def test_a_task_that_is_stopped_beneath_its_own_work_has_no_say_any_more(peers):
    def outer():
        with pytest.raises(TaskFault):
            peers.kernel.enter("b", lambda: 1 / 0)
        return "as if nothing had happened"

    with pytest.raises(TaskFault, match="task `b` was stopped"):
        peers.kernel.enter("b", outer)
    assert len(faults(peers)) == 1


def test_the_host_acts_between_chains_only(world, peers):
    attempts = [
        peers.kernel.tick,
        lambda: peers.kernel.fail("a", TaskHung("")),
        lambda: peers.kernel.exchange_policy(world[1][1]),
    ]
    for attempt in attempts:
        seen = []

        def serve(request, attempt=attempt, seen=seen):
            with pytest.raises(KernelError, match="between call chains only"):
                attempt()
            seen.append(request.method)
            return Reply({})

        peers.programs["a"].serve = serve
        assert call(peers, "b", "to_a") is ReturnCode.OK
        assert seen == ["Poke"]


# ---- snapshots


@pytest.mark.parametrize("where", ["running", "stopped"])
def test_a_restart_that_is_due_is_due_in_a_fresh_kernel_too(world, peers, where):
    activate(peers, "a", "crash")
    taken = json.loads(json.dumps(peers.kernel.snapshot()))
    fresh = Peers(world[0], world[1][0], ManualClock())
    if where == "stopped":
        activate(fresh, "a", "crash")
    fresh.kernel.restore(taken)
    wait(fresh, 100)
    wait(peers, 100)
    assert call(fresh, "b", "to_a") is call(peers, "b", "to_a") is ReturnCode.OK
    assert json.loads(json.dumps(fresh.kernel.snapshot())) == json.loads(json.dumps(peers.kernel.snapshot()))


def test_a_task_that_ran_runs_again_in_a_kernel_where_it_had_stopped(world, peers):
    taken = json.loads(json.dumps(peers.kernel.snapshot()))
    activate(peers, "a", "crash")
    old = peers.programs["a"]
    peers.kernel.restore(taken)
    assert peers.programs["a"] is not old
    assert json.loads(json.dumps(peers.kernel.snapshot())) == taken
    assert call(peers, "b", "to_a") is ReturnCode.OK


def test_the_image_says_how_often(tmp_path):
    text = f"entities:\n  - {{name: Peer, task: a, {QUOTA.replace('restarts: 3', 'restarts: 0')}}}\n"
    image, policies = write(tmp_path, text)
    peers = Peers(image, policies[0], names="a")
    activate(peers, "a", "crash")
    assert (state(peers, "a"), peers.failed) == ("failed", ["a"])
