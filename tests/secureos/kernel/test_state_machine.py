"""The kernel against a plain model of it: handles, calls, faults, restarts, policies and snapshots in any order."""

import json

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from secureos.kernel import HandleError, ReturnCode
from secureos.kernel.rights import CALL, GET_SID, TRANSFER
from tests.secureos.kernel.handle_model import LINKS, Model, Refused
from tests.secureos.kernel.peers import Peers, write

EXAMPLES, STEPS = 170, 100
LEAST_STEPS = 10_000

tasks = st.sampled_from("abc")
channels = st.sampled_from(["to_a", "to_b", "to_c"])
numbers = st.integers(0, 12)
masks = st.sampled_from([CALL, TRANSFER, CALL | TRANSFER, TRANSFER | GET_SID | CALL, 1 << 20, 0, 2**32 - 1])


class KernelMachine(RuleBasedStateMachine):
    world = None  # the image and its policies
    steps = 0

    @initialize()
    def boot(self):
        self.model, self.peers = Model(), Peers(self.world[0], self.world[1][0])

    def agree(self, expected, actual):
        """Both sides do their part; the same answer, or the same refusal."""
        type(self).steps += 1
        try:
            due = expected()
        except Refused as refused:
            due = refused.code
        try:
            got = actual()
        except HandleError as refused:
            got = refused.code
        assert got == due

    def runs(self, task):
        return self.model.workers[task].state == "running"

    # ---- handles of one task

    @rule(task=tasks, rights=masks)
    def create(self, task, rights):
        if self.runs(task) and self.peers.kernel.tasks[task].table.room > 200:
            context = f"thing {self.steps}"
            self.agree(
                lambda: self.model.create(task, rights, context),
                lambda: self.peers.system(task).create(rights, context),
            )

    @rule(task=tasks, name=channels)
    def locate(self, task, name):
        if self.runs(task):
            self.agree(lambda: self.model.locate(task, name), lambda: self.peers.system(task).locate(name))

    @rule(task=tasks, number=numbers, operation=st.sampled_from(["close", "revoke", "revoke"]))
    def unmake(self, task, number, operation):
        if self.runs(task):
            self.agree(
                lambda: getattr(self.model, operation)(task, number),
                lambda: getattr(self.peers.system(task), operation)(number),
            )

    @rule(task=tasks, number=numbers)
    def dereference(self, task, number):
        if self.runs(task):
            self.agree(
                lambda: self.model.dereference(task, number), lambda: self.peers.system(task).dereference(number)
            )

    @rule(task=tasks, number=numbers)
    def ask_sid(self, task, number):
        if self.runs(task):
            self.agree(
                lambda: self.model.use(task, number, GET_SID).thing.sid, lambda: self.peers.system(task).sid(number)
            )

    @rule(task=tasks)
    def notices(self, task):
        if self.runs(task):
            waiting, self.model.workers[task].notices = self.model.workers[task].notices, []
            self.agree(
                lambda: sorted(waiting),
                lambda: sorted((one.kind, one.handle) for one in self.peers.system(task).notices()),
            )

    # ---- messages

    @rule(task=tasks, channel=channels | numbers)
    def poke(self, task, channel):
        def expected():
            self.model.server(task, channel)
            return ReturnCode.OK if self.model.poke else ReturnCode.SECURITY_DISALLOW

        if self.runs(task):
            self.agree(expected, lambda: self.peers.system(task).call(channel, "post", "Poke").code)

    @rule(task=tasks, channel=channels | numbers, number=numbers, rights=masks)
    def give(self, task, channel, number, rights):
        def expected():
            server = self.model.server(task, channel)
            if server == task:
                self.model.use(task, number, TRANSFER)
            return {"number": self.model.hand(task, number, rights, server)}

        def actual():
            answer = self.peers.system(task).call(channel, "post", "Give", {"item": pair(number, rights)})
            return answer.fields if answer.ok else answer.code

        if self.runs(task):
            self.agree(expected, actual)

    @rule(
        task=tasks, channel=channels | numbers, number=numbers, rights=masks, method=st.sampled_from(["Take", "Fail"])
    )
    def fetch(self, task, channel, number, rights, method):
        def expected():
            server = self.model.server(task, channel)
            got = self.model.hand(server, number, rights, task)
            return pair(got, rights)

        def actual():
            for program in self.peers.programs.values():
                program.reply = {"item": pair(number, rights)}
            answer = self.peers.system(task).call(channel, "post", method)
            return answer.fields["item"] if answer.code is ReturnCode.OK else answer.code

        if self.runs(task):
            self.agree(expected, actual)

    # ---- faults, time, policies

    @rule(task=tasks, channel=channels | numbers)
    def crash_by_call(self, task, channel):
        def expected():
            self.model.fault(self.model.server(task, channel))
            return ReturnCode.INTERRUPTED

        if self.runs(task) and self.may_fail():
            self.agree(expected, lambda: self.peers.system(task).call(channel, "post", "Crash").code)

    @rule(task=tasks, phase=st.sampled_from(["work", "crash"]))
    def activate(self, task, phase):
        def expected():
            running = self.runs(task)
            if running and phase == "crash":
                self.model.fault(task)
            return running and phase != "crash"

        if phase == "work" or self.may_fail():
            self.agree(expected, lambda: at_once(self.peers.kernel.activate(task, phase)))

    @rule(wait_ms=st.sampled_from([50, 100, 200, 400, 800, 61_000]))
    def tick(self, wait_ms):
        self.model.now += wait_ms * 1_000_000
        self.peers.clock.now_ns = self.model.now
        self.agree(self.model.tick, self.peers.kernel.tick)

    @rule()
    def swap(self):
        self.model.poke = not self.model.poke
        self.agree(lambda: None, lambda: self.peers.kernel.exchange_policy(self.policy()))

    @rule()
    def begin_anew_from_a_snapshot(self):
        type(self).steps += 1
        assert not self.peers.kernel.audit.dropped
        state = json.loads(json.dumps(self.peers.kernel.snapshot()))
        failed = self.peers.failed
        self.peers = Peers(self.world[0], self.policy(), self.peers.clock)
        self.peers.kernel.restore(state)
        self.peers.failed[:] = failed
        assert json.loads(json.dumps(self.peers.kernel.snapshot())) == state

    def policy(self):
        return self.world[1][0 if self.model.poke else 1]

    def may_fail(self):
        """Keep a machine alive for long: at most one task of it fails for good."""
        return not self.model.failed or all(worker.faults < 3 for worker in self.model.workers.values())

    # ---- what must hold always

    @invariant()
    def tasks_fare_alike(self):
        kernel = self.peers.kernel
        for name, worker in self.model.workers.items():
            task = kernel.tasks[name]
            assert (task.state.value, task.restarts.due_ns) == (worker.state, worker.due)
            assert (task.restarts.count, task.sid) == (worker.restarts, worker.sid)
        assert self.peers.failed == self.model.failed
        assert kernel.restarts == sum(worker.restarts for worker in self.model.workers.values())

    @invariant()
    def tables_are_alike(self):
        for name in LINKS:
            held = {
                one.number: (one.rights, one.revoked, one.thing.sid)
                for one in self.model.grips
                if one.task == name and one.open and one.number
            }
            table = self.peers.kernel.tasks[name].table
            assert {n: (h.rights, h.revoked, h.resource.sid) for n, h in table.open.items()} == held
            assert table.channels.keys() == self.model.workers[name].channels.keys()


def at_once(work):
    """What a coroutine returns that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


def pair(number, rights):
    return {"handle": number, "rights": rights}


@pytest.mark.timeout(600)  # some 10 s on a machine of its own
def test_kernel_and_model_never_differ(tmp_path):
    """Some 12,000 steps; a step is one operation on both sides."""
    KernelMachine.world, KernelMachine.steps = write(tmp_path), 0
    run_state_machine_as_test(
        KernelMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
        ),
    )
    print(f"{KernelMachine.steps} steps")
    assert KernelMachine.steps >= LEAST_STEPS


@pytest.mark.soak
def test_nor_do_they_in_many_more_steps(tmp_path):
    KernelMachine.world = write(tmp_path)
    run_state_machine_as_test(
        KernelMachine,
        settings=settings(
            max_examples=5000, stateful_step_count=100, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
