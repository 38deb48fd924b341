"""An honest program in a process of its own is to the kernel a program like any other."""

import asyncio
import os
import signal
import socket
import threading
from array import array
from pathlib import Path

import pytest

from secureos.kernel import HandleError, Notice, QuotaExceeded, Request, ReturnCode, TaskCrashed, TaskFault, TaskHung
from secureos.kernel.isolation import IsolatedProgram, NotConfined, Nursery, ProtocolError, Turnstile
from secureos.kernel.isolation.frames import Kind, pack
from secureos.kernel.isolation.nursery import _await_birth
from secureos.kernel.isolation.operations import carry_out
from secureos.kernel.quota import Quota


def ask(program, method, **fields):
    return program.serve(Request("end", method, fields))


def test_it_serves(started):
    program = started(settings={"colour": "red"})
    fields = {"cells": array("H", [1, 2]), "tags": ("a", "b"), "at": 1.5, "raw": b"x", "none": None}
    reply = ask(program, "Echo", **fields)
    assert reply.fields == fields
    assert not reply.error
    assert ask(program, "Refuse").error
    assert ask(program, "About").fields == {
        "task": "subject",
        "args": ("first", "second"),
        "now": 42,
        "settings": {"colour": "red"},
    }


def test_its_calls_are_carried_out(started, system, inside):
    program = started()
    assert ask(program, "Ask", value=1).fields["code"] == "rcOk"
    inside(program.activate("ask"))
    inside(program.activate("report"))
    assert system.noted == [
        ("call", "next", "end", "Do", {"value": 1}),
        ("call", "next", "end", "Do", {"values": array("H", [1, 2, 3])}),
        ("report", "Report", {"tags": ("a", "b")}),
    ]


def test_its_state_goes_back_and_forth(started, inside):
    program = started()
    inside(program.activate("ask"))
    assert program.snapshot() == {"beats": 1}
    program.restore({"beats": 7})
    assert program.snapshot() == {"beats": 7}
    program.restore(5)
    with pytest.raises(TaskCrashed, match="gave a state that is none"):
        program.snapshot()


def test_a_phase_that_it_lacks_is_its_crash(started, inside):
    with pytest.raises(TaskCrashed, match="LookupError: dance"):
        inside(started().activate("dance"))


def test_what_concerns_the_host_goes_through(started, inside):
    program = started(passes={"LookupError": KeyError})
    with pytest.raises(KeyError, match="dance"):
        inside(program.activate("dance"))
    assert ask(program, "Echo", still=1).fields == {"still": 1}


def test_a_program_that_does_not_start(nursery, system):
    system.args = ("fail",)
    program = IsolatedProgram(nursery, "tests.secureos.kernel.isolation.programs:honest", quota=Quota())
    with pytest.raises(TaskCrashed, match="ValueError: shall fail"):
        program.start(system)
    program.close()


@pytest.mark.parametrize("builder", ["no.such.module:honest", "tests.secureos.kernel.isolation.programs:nobody"])
def test_a_builder_that_is_not_there(nursery, system, builder):
    program = IsolatedProgram(nursery, builder, quota=Quota())
    with pytest.raises(TaskFault):
        program.start(system)


def test_before_its_start_it_does_nothing(nursery):
    program = IsolatedProgram(nursery, "x:y", quota=Quota())
    with pytest.raises(TaskCrashed, match="not started"):
        ask(program, "Echo")
    program.close()


def test_an_activation_that_is_cancelled_ends_the_process(started):
    program = started("hostile", settings={"deed": "Sleep"})

    async def cancelled():
        work = asyncio.create_task(program.activate("refresh"))
        await asyncio.sleep(0.05)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(cancelled())
    with pytest.raises(TaskCrashed, match="amid its work"):
        ask(program, "Echo")
    asyncio.run(until(lambda: not Path(f"/proc/{program.pid}").exists()))


def test_errors_of_the_kernel_reach_it(started, system):
    program = started("hostile")
    system.raises = HandleError(ReturnCode.HANDLE_REVOKED, "gone")
    with pytest.raises(TaskCrashed, match="HandleError: gone"):
        ask(program, "Calls", count=1)
    system.raises = TaskFault("was stopped")
    other = started("hostile")
    with pytest.raises(TaskFault, match="was stopped"):
        ask(other, "Calls", count=1)


class Port:
    """A device that notes."""

    def __init__(self):
        self.heard, self.say = [], None

    def attach(self, say):
        self.say = say

    def hear(self, value):
        if value == "nonsense":
            raise ProtocolError("nonsense")
        self.heard.append(value)

    def detach(self):
        self.say = None


async def until(holds):
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


def test_a_task_calls_of_its_own_accord_once_the_scan_is_over(started, system):
    port, turnstile, entered = Port(), Turnstile(), []

    def enter(work):
        entered.append("enter")
        work()

    async def session():
        program = started("chatty", devices={"port": port}, turnstile=turnstile, enter=enter)
        with turnstile.closed():
            assert port.say("call", None)
            await asyncio.sleep(0.2)
            assert system.noted == []
            await program.activate("ask")  # crosses with the call that waits
            assert len(system.noted) == 1
        await until(lambda: len(system.noted) == 2)
        await until(lambda: port.heard == ["rcOk"])
        assert entered == ["enter"]
        assert port.say("now", None)
        await until(lambda: port.heard == ["rcOk", 42])

    asyncio.run(session())


def test_trouble_while_nothing_was_asked_is_told(started):
    faults = []

    async def session(word):
        port = Port()
        program = started("chatty", devices={"port": port}, on_fault=faults.append, quota=Quota(calls=20))
        port.say(word, None)
        await until(lambda: faults)
        assert not port.say or not port.say("call", None)
        with pytest.raises(TaskFault):
            ask(program, "Echo")

    for word, kind, says in (
        ("exit", TaskCrashed, "ended"),
        ("nonsense", TaskCrashed, "nonsense"),
        ("flood", QuotaExceeded, "more than 20 things by itself"),
        ("steal", TaskCrashed, "no operation `steal`"),
    ):
        faults.clear()
        asyncio.run(session(word))
        assert isinstance(faults[0], kind)
        assert says in str(faults[0])


def test_a_refusal_of_the_kernel_stops_a_call_of_its_own(started):
    faults, port = [], Port()

    def enter(work):
        raise TaskFault("is stopped")

    async def session():
        started("chatty", devices={"port": port}, enter=enter, on_fault=faults.append)
        port.say("call", None)
        await until(lambda: faults)

    asyncio.run(session())
    assert "is stopped" in str(faults[0])


def test_idle_burning_is_found_out(started):
    async def session():
        port = Port()
        program = started("chatty", devices={"port": port}, quota=Quota(cpu_s=1, call_timeout_ms=20_000))
        port.say("burn", None)
        before_s = program._child.cpu_s
        await until(lambda: program._child.cpu_s > before_s + 1.2)
        with pytest.raises(QuotaExceeded, match="unasked"):
            await program.activate("ask")

    asyncio.run(session())


def test_a_task_that_takes_no_messages_hangs(started):
    faults, port = [], Port()

    async def session():
        program = started("chatty", devices={"port": port}, on_fault=faults.append)
        port.say("sleep", None)
        while port.say is not None:
            port.say("x" * 100_000, None)
        with pytest.raises(TaskHung):
            program.restore({"beats": 1})

    asyncio.run(session())
    assert "takes no messages" in str(faults[0])


def test_an_activation_that_waits(started):
    port = Port()

    async def session():
        program = started("waiting", devices={"port": port})
        working = asyncio.create_task(program.activate("wait"))
        await asyncio.sleep(0.1)
        assert not working.done()
        assert ask(program, "Echo", meanwhile=1).fields == {"meanwhile": 1}
        port.say("go on", None)
        await working
        with pytest.raises(TaskCrashed, match="LookupError"):
            await program.activate("dance")

    asyncio.run(session())


def test_an_activation_that_waits_unannounced(started):
    async def session():
        with pytest.raises(TaskCrashed, match="its builder said that none does"):
            await started("waiting_unannounced").activate("wait")

    asyncio.run(session())


def test_a_nursery_that_is_closed_makes_nothing(system):
    nursery = Nursery()
    nursery.close()
    program = IsolatedProgram(nursery, "tests.secureos.kernel.isolation.programs:honest", quota=Quota())
    with pytest.raises(TaskCrashed, match="has no process"):
        program.start(system)


def test_a_turnstile_lets_one_through_after_another():
    passed = []

    async def session():
        turnstile = Turnstile()
        with turnstile.closed():
            turnstile.enter(lambda: passed.append(1))
            turnstile.enter(lambda: passed.append(2))
            await asyncio.sleep(0.01)
            assert passed == []
        with turnstile.closed():  # closed again before anybody's turn came
            await asyncio.sleep(0.01)
            assert passed == []
        await asyncio.sleep(0.01)

    asyncio.run(session())
    assert passed == [1, 2]
    Turnstile().enter(lambda: passed.append(3))  # without a loop it waits
    assert passed == [1, 2]


def test_arguments_of_the_wrong_kind_are_refused(system):
    for operation, arguments in (("locate", [1]), ("call", "no list"), (5, []), ("revoke", [True])):
        with pytest.raises(ProtocolError):
            carry_out(system, operation, arguments)


def test_notices_and_handles_travel_as_plain_values():
    class Noticed:
        def notices(self):
            return [Notice("revoked", 5)]

        def create(self, rights, context):
            return rights

    assert carry_out(Noticed(), "notices", []) == [["revoked", 5]]
    assert carry_out(Noticed(), "create", [7, "mine"]) == 7


def test_a_large_state_travels_in_pieces(started):
    program = started()
    state = {"text": "x" * 900_000}
    program.restore(state)
    assert program.snapshot() == state


def test_a_process_that_is_gone_takes_nothing(started):
    program = started()
    os.kill(program.pid, signal.SIGKILL)
    asyncio.run(until(lambda: not Path(f"/proc/{program.pid}").exists()))
    assert program._child.cpu_s == 0
    with pytest.raises(TaskCrashed, match="ended"):
        ask(program, "Echo")


def test_closed_amid_an_activation(started):
    async def session():
        program = started("waiting")
        working = asyncio.create_task(program.activate("wait"))
        await asyncio.sleep(0.1)
        program.close()
        with pytest.raises(TaskCrashed, match="was ended"):
            await working

    asyncio.run(session())


def test_closed_because_of_what_it_said(started):
    """As a task that is stopped by its own device: what came along is not looked at any more."""
    port = Port()
    program = started("hostile", devices={"port": port})
    port.hear = lambda value: program.close()
    words = pack(Kind.DEVICE, 0, ["port", 1]) + pack(Kind.DEVICE, 0, ["nowhere", 2])
    with pytest.raises(TaskCrashed, match="was ended"):
        ask(program, "Raw", bytes=words)


def test_closed_while_its_own_call_waits(started, system):
    port, turnstile = Port(), Turnstile()

    async def session():
        program = started("chatty", devices={"port": port}, turnstile=turnstile)
        say = port.say
        with turnstile.closed():
            say("call", None)
            await until(lambda: program._own is not None)
            program.close()
            assert not say("call", None)
        await asyncio.sleep(0.05)

    asyncio.run(session())
    assert system.noted == []


def test_a_process_that_ends_before_it_is_confined(nursery, monkeypatch):
    near, far = socket.socketpair()
    far.close()
    with near, pytest.raises(NotConfined, match="before it was confined"):
        _await_birth(near)


def test_a_birth_that_comes_in_pieces():
    near, far = socket.socketpair()
    born = pack(Kind.BORN, 77, None)
    with near, far:
        socket.send_fds(far, [born[:4]], [far.fileno()])
        threading.Timer(0.05, far.sendall, [born[4:]]).start()
        child = _await_birth(near)
        assert child.pid == 77
        os.close(child.descriptor)


def test_a_nursery_that_does_not_end_is_ended(monkeypatch):
    nursery = Nursery()
    monkeypatch.setattr("secureos.kernel.isolation.nursery._END_S", 0.2)
    os.kill(nursery._process.pid, signal.SIGSTOP)
    nursery.close()
    assert nursery._process.returncode == -signal.SIGKILL
