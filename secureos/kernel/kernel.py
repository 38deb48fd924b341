"""Tasks at work: their start, their messages, their faults.

Every message travels through one function, `Kernel._exchange`: structure (does the message fit its interface
description?), capability (does the sender hold what it passes on, with the right to?), verdict (what does the security
module say?), and only then delivery; the reply goes the same way back. Who calls by a name or a handle that it does
not hold does not get that far.

In process a call is a plain function call: `Call` hands the request over, the server's return is its `Reply`. So a
reply without a request, a second reply, a reply to somebody else and a reply out of order cannot be expressed. The same
request sent twice is two requests with a verdict each; against replay of what came from outside stand the policy's
models.
"""

from __future__ import annotations

import contextlib
from asyncio import CancelledError
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, Protocol, TypeVar

from secureos.audit import AuditLog, InForce
from secureos.kernel.activation import Activation
from secureos.kernel.copies import NoMessageError, own_copy
from secureos.kernel.errors import (
    ExchangeRefused,
    HandleError,
    ImageError,
    KernelError,
    QuotaExceeded,
    StartRefused,
    TaskCrashed,
    TaskFault,
)
from secureos.kernel.handles import CHANNEL, Handle, Handles
from secureos.kernel.image import Image
from secureos.kernel.judge import Judge
from secureos.kernel.operations import HandleOperations
from secureos.kernel.program import Answer, Fields, Program, Reply, Request, ReturnCode
from secureos.kernel.records import EventKind, Message, short, told
from secureos.kernel.rights import CALL, TRANSFER
from secureos.kernel.safety_check import check_safety
from secureos.kernel.security_module import SecurityModule
from secureos.kernel.system import TaskSystem
from secureos.kernel.task import Route, Task, TaskState, Work
from secureos.kernel.transfer import Transfer
from secureos.policy import Policy, PolicyError

KERNEL_CLASS: Final = "kl.core.Core"
INIT_CLASS: Final = "Einit"
_KERNEL, _INIT = (1, KERNEL_CLASS), (2, INIT_CLASS)  # security identifier and class of what starts the tasks

Result = TypeVar("Result")

Carried = dict[str, Any] | Transfer
"""A message that may be delivered: its fields, or a transfer that makes them."""


class Clock(Protocol):
    """The host's time; the secure OS has none of its own."""

    @property
    def now_ns(self) -> int:
        """Nanoseconds since the host's zero; never runs backwards."""


class Kernel:
    """One booted image under one policy.

    Args:
        image: What runs.
        policy: What is granted.
        clock: The host's time.
        audit: Where verdicts are recorded.
        host_errors: What devices raise that concerns the host and not the task: out of `activate` and `enter` it goes
            through to the host instead of counting as the task's crash.
        policy_version: Which version of its policy this is, for the record.

    Attributes:
        tasks: By name, servers before their clients.
        restarts: How often tasks were started again, in all.
        on_failed: Called with the name of a task that will not be started again.
    """

    def __init__(
        self,
        image: Image,
        policy: Policy,
        clock: Clock,
        audit: AuditLog | None = None,
        *,
        host_errors: tuple[type[Exception], ...] = (),
        policy_version: int = 0,
    ) -> None:
        self.image = image
        self.audit = audit if audit is not None else AuditLog()
        self.tasks: dict[str, Task] = {}
        self.on_failed: Callable[[str], None] = lambda _: None
        self._module = SecurityModule(policy)
        self._policy_version = policy_version
        self._clock = clock
        self.host_errors = host_errors
        self._handles = Handles()
        self.operations = HandleOperations(self, self._handles, self._new_sid)
        self._judge = Judge(self, self._module)
        self.dispositions = self._judge.dispositions
        self._chain = 0  # the call chain under way; 0 between chains
        self._last_chain = 0
        self._last_sid = _INIT[0]

    @property
    def now_ns(self) -> int:
        """The host's time (ns)."""
        return self._clock.now_ns

    @property
    def chain(self) -> int:
        """The call chain under way; 0 between chains."""
        return self._chain

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._module.policy

    @property
    def in_force(self) -> InForce:
        """Image and policy in force, by their hashes."""
        return InForce(self.image.sha256, self.policy.sha256, self._policy_version)

    @property
    def restarts(self) -> int:
        """How often tasks were started again."""
        return sum(task.restarts.count for task in self.tasks.values())

    # ---- what the host does ----------------------------------------------------------------------------------------

    def boot(
        self, programs: Mapping[str, Callable[[], Program]], devices: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        """Start every task of the image, servers before their clients, each under an `execute` verdict.

        Args:
            programs: What makes the program of each task, by task name: called again for each restart. Registered by
                the host, never imported by name.
            devices: The devices granted to each task, by task name and device name.

        Raises:
            ImageError: A task has no program, or a program or device is for no task.
            PolicyError: The policy can refuse what must never be blocked.
            StartRefused: The policy did not let a task start.
        """
        self._check_safety(self.policy)
        grants = devices or {}
        self._check_host(programs, grants)
        self._record_policy(f"policy `{self.policy.name}` is in force", self.in_force, granted=True)
        # The kernel starts itself and the initial task; a refusal of these ends the start as any other does.
        self._judge.execute(_KERNEL, _KERNEL, KERNEL_CLASS)
        self._judge.execute(_KERNEL, _INIT, INIT_CLASS)
        for spec in self.image.tasks:
            table = self._handles.table(spec.task)
            task = Task(spec, programs[spec.task], grants.get(spec.task, {}), table)
            self._admit(task)
            self.tasks[task.name] = task
            self._connect(task)
        for task in self.tasks.values():
            task.program.start(TaskSystem(self, task))

    def tick(self) -> None:
        """At the beginning of each scan: do what is due.

        Verdicts are counted, tasks whose wait is over start again, what a stopped task leaves to be sent is sent, and
        what was deferred is judged again.

        Raises:
            KernelError: A call chain is under way.
        """
        self._between_chains("tasks are started again")
        self.audit.fold()
        now_ns = self.now_ns
        for task in self.tasks.values():
            due_ns = task.restarts.due_ns
            if due_ns is not None and due_ns <= now_ns:
                self._restart(task)
        self.dispositions.tick()

    async def activate(self, name: str, phase: str) -> bool:
        """Let a task do one piece of its cyclic work; False if it does not run, or no longer.

        While its program awaits a device, other chains may pass, and call it, too.
        """
        task = self.tasks[name]
        if task.state is not TaskState.RUNNING:
            return False
        return await Activation(self, task, self._work(task, self._next_chain()), phase)

    def enter(self, name: str, work: Callable[[], Result]) -> Result:
        """Let a device that the host granted call into its task's program, as for a client's request.

        Raises:
            TaskFault: The task does not run, or was stopped by a fault while it worked.
        """
        task = self.tasks[name]
        if task.state is not TaskState.RUNNING:
            raise TaskFault(f"task `{name}` is stopped")
        return self.within(task, self._work(task, self._chain or self._next_chain()), work, passes=self.host_errors)

    def fail(self, name: str, fault: TaskFault) -> None:
        """Stop a task that the host found dead between messages.

        Raises:
            KernelError: A call chain is under way.
        """
        self._between_chains("a task is stopped from outside")
        task = self.tasks[name]
        self._stop(task, task.run, str(fault))

    def exchange_policy(self, policy: Policy, *, version: int = 0) -> None:
        """Put another policy in force, all of it or nothing; objects that both declare alike keep their state.

        The real product cannot do this. Which tests a policy has to pass before is the host's matter (`exchange.py`).

        Raises:
            KernelError: A call chain is under way.
            ExchangeRefused: The audit cannot be written, the policy can refuse what must never be blocked, or it
                cannot be put in force; the old one stays.
        """
        self._between_chains("a policy is put in force")
        why = self._swapped(policy)
        if why is not None:
            self.keep_policy(why, InForce(self.image.sha256, policy.sha256, version))
            raise ExchangeRefused(why)
        self._policy_version = version
        self._record_policy(f"policy `{policy.name}` is put in force in place of another", self.in_force, granted=True)

    def keep_policy(self, why: str, offer: InForce | None = None) -> None:
        """Record that another policy was offered, or could not even be read, and the one in force stays."""
        self._record_policy(f"the policy in force stays: {short(why)}", offer, granted=False)

    def snapshot(self) -> dict[str, Any]:
        """Everything the kernel, the security module and the programs know, as plain values; between chains only."""
        return {
            "last_chain": self._last_chain,
            "last_sid": self._last_sid,
            "module": self._module.snapshot(),
            "audit": self.audit.snapshot(),
            "handles": self._handles.snapshot(),
            "dispositions": self.dispositions.snapshot(),
            "tasks": {
                name: {
                    "sid": task.sid,
                    "state": task.state.value,
                    "restarts": task.restarts.snapshot(),
                    "program": task.program.snapshot() if task.state is TaskState.RUNNING else None,
                }
                for name, task in self.tasks.items()
            },
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave; the same image must have been booted."""
        for name, inner in state["tasks"].items():
            self._restore_task(self.tasks[name], inner)
        # A program that had to be started for this may have called and reported; all of that is overwritten here.
        self._last_chain, self._last_sid = state["last_chain"], state["last_sid"]
        self._module.restore(state["module"])
        self._handles.restore(state["handles"])
        self.dispositions.restore(state["dispositions"])
        self.audit.restore(state["audit"])

    def _restore_task(self, task: Task, state: dict[str, Any]) -> None:
        ran, task.state = task.state is TaskState.RUNNING, TaskState(state["state"])
        task.sid = state["sid"]
        task.restarts.restore(state["restarts"])
        if task.state is not TaskState.RUNNING:
            task.run += 1
            return
        if not ran:
            self._launch(task)
        task.program.restore(state["program"])

    # ---- what a task's `System` asks -------------------------------------------------------------------------------

    def call(  # noqa: PLR0917 -- in the order of `System.call`, on the way of every message
        self, caller: Task, run: int, channel: object, endpoint: str, method: str, fields: Fields
    ) -> Answer:
        """A request from `caller` over a channel or by a handle, and the reply."""
        self.charge(caller, run)
        if self._chain:
            return self._called(caller, channel, endpoint, method, fields)
        self._chain = self._next_chain()
        try:
            return self._called(caller, channel, endpoint, method, fields)
        finally:
            self._chain = 0

    def report(self, caller: Task, run: int, method: str, fields: Fields) -> Answer:
        """A message from `caller` to the security module itself, through its security interface."""
        self.charge(caller, run)
        if self._chain:
            return self._reported(caller, method, fields)
        self._chain = self._next_chain()
        try:
            return self._reported(caller, method, fields)
        finally:
            self._chain = 0

    def charge(self, task: Task, run: int) -> None:
        """Count one kernel call against the quota of what a task is at.

        Raises:
            QuotaExceeded: There were too many.
            TaskFault: The run of the task that asks is over.
        """
        if task.run != run:
            raise TaskFault(f"task `{task.name}` was stopped")
        if not task.busy:  # the host asks through the task's system
            task.work = self._work(task, 0)
        task.work.calls -= 1
        if task.work.calls < 0:
            raise QuotaExceeded(f"task `{task.name}` used more than its {task.quota.calls} kernel calls")

    def send(self, source: Task, target: Task, endpoint: str, method: str, fields: Fields, *, chain: int = 0) -> Answer:
        """Send what is declared, in the name of a task that could send it itself; a denial of it is final.

        It belongs to the call chain under way, else to `chain`, else to one of its own.
        """
        before = self._chain
        self._chain = before or chain or self._next_chain()
        try:
            return self._exchange(source, target, endpoint, method, fields, final=True)
        finally:
            self._chain = before

    def record_refusal(self, task: Task, operation: str, reason: str) -> None:
        """Record that a handle could not be used as a task wished."""
        self.audit.count(granted=False, rule="capability")
        self._judge.record(("handle", task.name, "", "", operation), "capability", reason, granted=False)

    # ---- one exchange ----------------------------------------------------------------------------------------------

    def _called(self, caller: Task, channel: object, endpoint: str, method: str, fields: Fields) -> Answer:
        way = caller.table.channels.get(channel) if type(channel) is str else None
        if way is None or way.revoked:
            stopped = self._stopped_server(caller, channel)
            if stopped is not None:
                return Answer(ReturnCode.FAILED, reason=f"task `{stopped}` is stopped")
            try:
                way = self._by_handle(caller, channel)
            except HandleError as refusal:
                return self._judge.incapable(Message("request", caller, None, endpoint, method, fields), refusal)
        return self._exchange(caller, self.tasks[way.resource.provider], endpoint, method, fields)

    def _stopped_server(self, caller: Task, channel: object) -> str | None:
        """The task at the end of a static channel, if it does not run: the channel is laid again when it does."""
        server = caller.servers.get(channel) if type(channel) is str else None
        return None if server is None or self.tasks[server].state is TaskState.RUNNING else server

    def _by_handle(self, caller: Task, channel: object) -> Handle:
        if type(channel) is not int:
            raise HandleError(ReturnCode.NOT_CONNECTED, f"task `{caller.name}` holds no channel `{short(channel)}`")
        way = caller.table.use(channel, CALL)
        if way.resource.kind != CHANNEL:
            raise HandleError(ReturnCode.HANDLE_FOREIGN, f"handle {channel} of task `{caller.name}` leads to no task")
        return way

    def _exchange(
        self, caller: Task, server: Task, endpoint: str, method: str, fields: Fields, *, final: bool = False
    ) -> Answer:
        """INVARIANT: the only way by which a message travels from one task to another."""
        route = server.route(endpoint, method)
        if route is None:
            lacking = f"class `{server.class_name}` has no method `{short(endpoint)}.{short(method)}`"
            return self._judge.malformed(Message("request", caller, server, endpoint, method, fields), lacking)
        message = Message("request", caller, server, endpoint, method, fields, final=final)
        asked = self._carry(message, route)
        if isinstance(asked, Answer) and asked.rule and not final:
            asked = self.dispositions.instead(message, asked)
        if isinstance(asked, Answer):
            return asked
        if server.busy:
            # A synchronous server that is asked by its own call chain would wait for itself.
            return Answer(ReturnCode.BUSY, reason=f"task `{server.name}` is already serving this call chain")
        if self.dispositions.watches and isinstance(asked, dict):
            self.dispositions.admitted(message.way, asked)
        return self._served(message, asked, route)

    def _served(self, message: Message, asked: Carried, route: Route) -> Answer:
        """Deliver a request that may be, and carry the reply back."""
        caller, server, endpoint, method = message.source, message.target, message.endpoint, message.method
        assert server is not None
        try:
            request = Request(endpoint, method, _delivered(asked))
            reply = self.within(server, self._work(server, self._chain), _reply, server.program, request)
        except TaskFault as fault:
            return Answer(fault.code, reason=f"task `{server.name}` was stopped while serving `{method}`")
        kind: EventKind = "error" if reply.error else "response"
        answered = self._carry(Message(kind, server, caller, endpoint, method, reply.fields, message.listed), route)
        if isinstance(answered, Answer):
            return answered
        return Answer(ReturnCode.OK, _delivered(answered), reply.error)

    def _carry(self, message: Message, route: Route) -> Carried | Answer:
        """Structure, capability, verdict: what may be delivered, or the refusal."""
        check, handles = route[message.kind]
        try:
            fields = own_copy(message.fields)
        except NoMessageError as failure:
            return self._judge.malformed(message, str(failure))
        wrong = check(fields)
        if wrong is not None:
            return self._judge.malformed(message, wrong)
        if handles is None:
            return self._judge.judge(message, fields) or fields
        receiver = message.target
        assert receiver is not None
        try:
            transfer = Transfer(self._handles, handles, fields, sender=message.source.table, receiver=receiver.table)
        except HandleError as refusal:
            return self._judge.incapable(message, refusal)
        return self._judge.judge(message, transfer.shown) or transfer

    def _reported(self, caller: Task, method: str, fields: Fields) -> Answer:
        message = Message("security", caller, None, "", method, fields)
        route = caller.report(method)
        if route is None:
            return self._judge.malformed(
                message, f"class `{caller.class_name}` has no security method `{short(method)}`"
            )
        carried = self._carry(message, route)
        return carried if isinstance(carried, Answer) else Answer(ReturnCode.OK)

    # ---- the policy in force ---------------------------------------------------------------------------------------

    def _swapped(self, policy: Policy) -> str | None:
        """Put a policy in force; if that cannot be, why."""
        if self.audit.failing is not None:
            return f"nobody could know of the change afterwards: {self.audit.failing}"
        try:
            self._check_safety(policy)
            self._module.swap(policy)
        except Exception as failure:  # INVARIANT: half a policy is never in force
            return f"policy `{policy.name}` cannot be put in force: {told(failure)}"
        return None

    def _record_policy(self, reason: str, about: InForce | None, *, granted: bool) -> None:
        about_it = None if about is None else asdict(about)
        self._judge.record(("policy", KERNEL_CLASS, "", "", ""), "kernel", reason, granted=granted, told=about_it)

    # ---- tasks at work, and their faults ---------------------------------------------------------------------------

    def within(
        self,
        task: Task,
        work: Work,
        function: Callable[..., Result],
        *args: object,
        passes: tuple[type[Exception], ...] = (),
    ) -> Result:
        """Let a task's program do a piece of work; whatever it does wrong stops the task.

        Raises:
            TaskFault: What it did wrong.
        """
        before, was_busy, chain, run = task.work, task.busy, self._chain, task.run
        task.work, task.busy, self._chain = work, True, work.chain
        try:
            result = function(*args)
            if work.calls < 0 or work.steps < 0:  # its program kept to itself that it was told so
                raise QuotaExceeded(f"task `{task.name}` used more than its quota and went on")
            if task.run != run:
                raise TaskFault(f"task `{task.name}` was stopped")
            return result
        except passes:
            raise
        except TaskFault as fault:
            self._stop(task, run, str(fault))
            raise
        except (KeyboardInterrupt, GeneratorExit, CancelledError):  # by these the host itself is told to end
            raise
        except BaseException as failure:
            crash = TaskCrashed(f"task `{task.name}` crashed: {told(failure)}")
            self._stop(task, run, str(crash))
            raise crash from failure
        finally:
            task.work, task.busy, self._chain = before, was_busy, chain

    def _stop(self, task: Task, run: int, why: str) -> None:
        """End a run of a task, unless it ended before: nothing that it holds or provides works any more."""
        if task.run != run or task.state is not TaskState.RUNNING:
            return
        task.run += 1
        task.state = TaskState.STOPPED
        self._handles.drop(task.name)
        due_ns = task.restarts.fault(self.now_ns, task.quota)
        then = "it is not started again" if due_ns is None else f"it is started again at {due_ns} ns"
        self._judge.record(("fault", task.name, "", "", ""), "kernel", f"{why}; {then}", granted=False)
        if due_ns is None:
            self._give_up(task)
        else:
            self.dispositions.task_stopped(task.name)

    def _give_up(self, task: Task) -> None:
        task.state, task.restarts.due_ns = TaskState.FAILED, None
        self.dispositions.task_failed(task.name)
        self.on_failed(task.name)

    def _restart(self, task: Task) -> None:
        try:
            self._admit(task)
        except StartRefused:
            self._give_up(task)
            return
        task.state = TaskState.RUNNING
        task.restarts.started(self.now_ns)
        self._connect(task)
        reason = f"task `{task.name}` is started again, for the {task.restarts.count}. time"
        self._judge.record(("fault", task.name, "", "", ""), "kernel", reason, granted=True)
        with contextlib.suppress(TaskFault):  # then the task is stopped again
            self.within(task, self._work(task, self._next_chain()), self._launch, task)

    def _launch(self, task: Task) -> None:
        task.program = task.make()
        task.program.start(TaskSystem(self, task))

    def _admit(self, task: Task) -> None:
        """A security identifier for a run of a task, and the verdict on its start."""
        task.sid = self._new_sid()
        self._judge.execute(_INIT, (task.sid, task.class_name), task.name)

    def _connect(self, task: Task) -> None:
        """Lay the static channels from and to a task that starts."""
        self._handles.open_channel(task.sid, task.name)
        for client in self.tasks.values():
            for connection in client.spec.connections:
                if task in (client, self.tasks[connection.target]) and self._both_run(client, connection.target):
                    rights = CALL | (TRANSFER if connection.transfer else 0)
                    self._handles.connect(client.table, connection.id, connection.target, rights=rights)

    def _both_run(self, client: Task, server: str) -> bool:
        return client.state is TaskState.RUNNING and self.tasks[server].state is TaskState.RUNNING

    # ---- small things ----------------------------------------------------------------------------------------------

    def _work(self, task: Task, chain: int) -> Work:
        return Work(chain, task.quota.calls, task.quota.steps)

    def _next_chain(self) -> int:
        self._last_chain += 1
        return self._last_chain

    def _new_sid(self) -> int:
        self._last_sid += 1
        return self._last_sid

    def _between_chains(self, what: str) -> None:
        if self._chain:
            raise KernelError(f"{what} between call chains only, and one is under way")

    def _check_safety(self, policy: Policy) -> None:
        mistakes = check_safety(policy, self.image.safety)
        if mistakes:
            raise PolicyError(mistakes)

    def _check_host(
        self, programs: Mapping[str, Callable[[], Program]], devices: Mapping[str, Mapping[str, Any]]
    ) -> None:
        names = {spec.task for spec in self.image.tasks}
        missing = sorted(names - set(programs))
        if missing:
            raise ImageError(f"no program is registered for task {', '.join(f'`{name}`' for name in missing)}")
        undeclared = sorted((set(programs) | set(devices)) - names)
        if undeclared:
            raise ImageError(f"the image declares no task {', '.join(f'`{name}`' for name in undeclared)}")


def _delivered(carried: Carried) -> dict[str, Any]:
    return carried if isinstance(carried, dict) else carried.deliver()


def _reply(program: Program, request: Request) -> Reply:
    """What a program answers, which may be anything.

    Raises:
        TypeError: It is no reply.
    """
    reply = program.serve(request)
    if type(reply) is not Reply or type(reply.error) is not bool:
        raise TypeError("it answered with something that is no `Reply`")
    return reply
