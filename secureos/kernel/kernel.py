"""Tasks, channels and messages.

Every message travels through one function, `Kernel._exchange`: capability (does the caller hold the channel?),
structure (does the message fit its interface description?), verdict (what does the security module say?), and
only then delivery; the reply goes the same way back. In process a call is a plain function call.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Protocol

from secureos.audit import AuditLog, Record
from secureos.kernel.errors import ImageError, StartRefused
from secureos.kernel.image import Image, TaskSpec
from secureos.kernel.program import NO_FIELDS, Answer, Fields, Program, Reply, Request, ReturnCode
from secureos.kernel.security_module import SecurityModule
from secureos.policy import Event, Policy, Verdict
from secureos.xdl import Method

KERNEL_CLASS = "kl.core.Core"
INIT_CLASS = "Einit"
_KERNEL_SID, _INIT_SID = 1, 2

EventKind = Literal["execute", "request", "response", "error", "security"]
Decision = Literal["granted", "denied"]

# How much of a refused message an audit record shows.
_LONGEST_TEXT, _MOST_ITEMS, _DEEPEST = 200, 64, 8


class Clock(Protocol):
    """The host's time; the secure OS has none of its own."""

    @property
    def now_ns(self) -> int:
        """Nanoseconds since the host's zero; never runs backwards."""


@dataclass(frozen=True, slots=True)
class _Message:
    """One message on its way, as the security module and the audit see it."""

    kind: EventKind
    source: Task
    target: Task | None
    endpoint: str
    method: str
    fields: Fields


class Task:
    """A running program with its identity, its channels and its devices."""

    def __init__(self, sid: int, spec: TaskSpec, program: Program, devices: Mapping[str, Any]) -> None:
        self.sid = sid
        self.spec = spec
        self.name = spec.task
        self.class_name = spec.task_class.name
        self.program = program
        self.devices = devices
        self.channels: dict[str, Task] = {}
        self.serving = False


class _TaskSystem:
    """The kernel interface of one task: the only thing that its program is handed."""

    def __init__(self, kernel: Kernel, task: Task) -> None:
        self.__kernel = kernel
        self.__task = task

    @property
    def task(self) -> str:
        return self.__task.name

    @property
    def args(self) -> tuple[str, ...]:
        return self.__task.spec.args

    @property
    def now_ns(self) -> int:
        return self.__kernel.now_ns

    def call(self, channel: str, endpoint: str, method: str, fields: Fields = NO_FIELDS) -> Answer:
        return self.__kernel.call(self.__task, channel, endpoint, method, fields)

    def report(self, method: str, fields: Fields) -> Answer:
        return self.__kernel.report(self.__task, method, fields)

    def device(self, name: str) -> Any:  # noqa: ANN401
        return self.__task.devices[name]


class Kernel:
    """One booted image under one policy.

    Args:
        image: What runs.
        policy: What is granted.
        clock: The host's time.
        audit: Where verdicts are recorded.
    """

    def __init__(self, image: Image, policy: Policy, clock: Clock, audit: AuditLog | None = None) -> None:
        self.image = image
        self.audit = audit if audit is not None else AuditLog()
        self.tasks: dict[str, Task] = {}
        self._module = SecurityModule(policy)
        self._clock = clock
        self._chain = 0  # the call chain under way; 0 between chains
        self._last_chain = 0

    @property
    def now_ns(self) -> int:
        """The host's time (ns)."""
        return self._clock.now_ns

    def boot(self, programs: Mapping[str, Program], devices: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Start every task of the image, servers before their clients, each under an `execute` verdict.

        Args:
            programs: The code of each task, by task name; registered by the host, never imported by name.
            devices: The devices granted to each task, by task name and device name.

        Raises:
            ImageError: A task has no program, or a program or device is for no task.
            StartRefused: The policy did not let a task start.
        """
        grants = devices or {}
        self._check_host(programs, grants)
        # The kernel starts itself and the initial task; a refusal of these ends the start as any other does.
        self._execute(_KERNEL_SID, KERNEL_CLASS, _KERNEL_SID, KERNEL_CLASS, KERNEL_CLASS)
        self._execute(_KERNEL_SID, KERNEL_CLASS, _INIT_SID, INIT_CLASS, INIT_CLASS)
        for offset, spec in enumerate(self.image.tasks, start=1):
            task = Task(_INIT_SID + offset, spec, programs[spec.task], grants.get(spec.task, {}))
            self._execute(_INIT_SID, INIT_CLASS, task.sid, task.class_name, task.name)
            for connection in spec.connections:
                task.channels[connection.id] = self.tasks[connection.target]
            self.tasks[task.name] = task
        for task in self.tasks.values():
            task.program.start(_TaskSystem(self, task))

    def call(self, caller: Task, channel: str, endpoint: str, method: str, fields: Fields) -> Answer:
        """A request from `caller` over one of its channels, and the reply."""
        request = Request(endpoint, method, fields)
        outermost = self._open_chain()
        try:
            server = caller.channels.get(channel) if isinstance(channel, str) else None
            if server is None:
                return self._no_channel(caller, channel, request)
            return self._exchange(caller, server, request)
        finally:
            if outermost:
                self._chain = 0

    def report(self, caller: Task, method: str, fields: Fields) -> Answer:
        """A message from `caller` to the security module itself, through its security interface."""
        interface = caller.spec.task_class.security
        described = interface.methods.get(method) if interface is not None and isinstance(method, str) else None
        message = _Message("security", caller, None, "", method, fields)
        outermost = self._open_chain()
        try:
            if described is None:
                return self._malformed(message, f"class `{caller.class_name}` has no security method `{method}`")
            wrong = described.check_inputs(fields)
            if wrong is not None:
                return self._malformed(message, wrong)
            return self._judge(message, described) or Answer(ReturnCode.OK)
        finally:
            if outermost:
                self._chain = 0

    def snapshot(self) -> dict[str, Any]:
        """Everything the kernel, the security module and the programs know, as plain values; between chains only."""
        return {
            "last_chain": self._last_chain,
            "module": self._module.snapshot(),
            "audit": self.audit.snapshot(),
            "programs": {name: task.program.snapshot() for name, task in self.tasks.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave; the same image must have been booted."""
        self._last_chain = state["last_chain"]
        self._module.restore(state["module"])
        self.audit.restore(state["audit"])
        for name, inner in state["programs"].items():
            self.tasks[name].program.restore(inner)

    # ---- one exchange ------------------------------------------------------------------------------------------

    def _exchange(self, caller: Task, server: Task, request: Request) -> Answer:
        """INVARIANT: the only way by which a message travels from one task to another."""
        message = _Message("request", caller, server, request.endpoint, request.method, request.fields)
        method = self._described(server, request.endpoint, request.method)
        if method is None:
            lacking = f"class `{server.class_name}` has no method `{request.endpoint}.{request.method}`"
            return self._malformed(message, lacking)
        wrong = method.check_inputs(request.fields)
        if wrong is not None:
            return self._malformed(message, wrong)
        refused = self._judge(message, method)
        if refused is not None:
            return refused
        if server.serving:
            # A synchronous server that is asked by its own call chain would wait for itself.
            return Answer(ReturnCode.BUSY, reason=f"task `{server.name}` is already serving this call chain")
        reply = self._serve(server, message, request)
        if reply is None:
            return Answer(ReturnCode.FAILED, reason=f"task `{server.name}` failed while serving `{request.method}`")
        return self._return(message, method, reply)

    def _serve(self, server: Task, message: _Message, request: Request) -> Reply | None:
        server.serving = True
        try:
            return server.program.serve(request)
        except Exception as failure:
            # The client learns that the server failed; the host's run goes on.
            self._record(message, "denied", "kernel", f"task `{server.name}` failed: {failure!r}")
            return None
        finally:
            server.serving = False

    def _return(self, request: _Message, method: Method, reply: Reply) -> Answer:
        server, client = request.target, request.source
        assert server is not None
        kind: EventKind = "error" if reply.error else "response"
        message = _Message(kind, server, client, request.endpoint, request.method, reply.fields)
        wrong = method.check_errors(reply.fields) if reply.error else method.check_outputs(reply.fields)
        if wrong is not None:
            return self._malformed(message, wrong)
        return self._judge(message, method) or Answer(ReturnCode.OK, reply.fields, reply.error)

    def _described(self, server: Task, endpoint: object, method: object) -> Method | None:
        """The method that a client names; what it names may be anything."""
        if not (isinstance(endpoint, str) and isinstance(method, str)):
            return None
        found = server.spec.task_class.endpoints.get(endpoint)
        return None if found is None else found.interface.methods.get(method)

    # ---- verdicts ----------------------------------------------------------------------------------------------

    def _judge(self, message: _Message, method: Method) -> Answer | None:
        """Ask for a verdict and record it; None when granted."""
        source, target = message.source, message.target
        verdict = self._module.decide(
            Event(
                kind=message.kind,
                at_ns=self._clock.now_ns,
                src_sid=source.sid,
                dst_sid=target.sid if target is not None else None,
                src=source.class_name,
                dst=target.class_name if target is not None else None,
                endpoint=message.endpoint,
                method=method.name,
                message=message.fields,
            )
        )
        self.audit.count(granted=verdict.granted, rule=verdict.rule)
        if verdict.audited:  # the policy's audit profiles say which verdicts are; all of them are counted
            decision: Decision = "granted" if verdict.granted else "denied"
            self._record(message, decision, verdict.rule, verdict.reason)
        if verdict.granted:
            return None
        return Answer(ReturnCode.SECURITY_DISALLOW, reason=verdict.reason)

    def _malformed(self, message: _Message, wrong: str) -> Answer:
        """A message that does not fit its description is refused before any rule is asked, and always recorded."""
        reason = f"malformed message: {wrong}"
        self.audit.count(granted=False, rule="structure")
        self._record(message, "denied", "structure", reason)
        return Answer(ReturnCode.INVALID_ARGUMENT, reason=reason)

    def _no_channel(self, caller: Task, channel: str, request: Request) -> Answer:
        reason = f"task `{caller.name}` holds no channel `{channel}`"
        self.audit.count(granted=False, rule="capability")
        message = _Message("request", caller, None, request.endpoint, request.method, request.fields)
        self._record(message, "denied", "capability", reason)
        return Answer(ReturnCode.NOT_CONNECTED, reason=reason)

    def _execute(self, src_sid: int, src: str, dst_sid: int, dst: str, name: str) -> None:
        event = Event(
            kind="execute",
            at_ns=self._clock.now_ns,
            src_sid=src_sid,
            dst_sid=dst_sid,
            src=src,
            dst=dst,
            endpoint="",
            method="",
            message=NO_FIELDS,
        )
        verdict: Verdict = self._module.decide(event)
        self.audit.count(granted=verdict.granted, rule=verdict.rule)
        decision: Decision = "granted" if verdict.granted else "denied"
        self.audit.add(
            Record(
                number=self.audit.next_number,
                at_ns=event.at_ns,
                chain=0,
                event="execute",
                src=src,
                dst=name,
                endpoint="",
                method="",
                decision=decision,
                rule=verdict.rule,
                reason=verdict.reason,
            )
        )
        if not verdict.granted:
            raise StartRefused(f"task `{name}` of class `{dst}` may not start: {verdict.reason} ({verdict.rule})")

    def _record(self, message: _Message, decision: Decision, rule: str, reason: str) -> None:
        self.audit.add(
            Record(
                number=self.audit.next_number,
                at_ns=self._clock.now_ns,
                chain=self._chain,
                event=message.kind,
                src=message.source.name,
                dst=message.target.name if message.target is not None else "",
                endpoint=_short(message.endpoint),
                method=_short(message.method),
                decision=decision,
                rule=rule,
                reason=reason,
                message=_shown(message.fields),
            )
        )

    # ---- small things ------------------------------------------------------------------------------------------

    def _open_chain(self) -> bool:
        """Begin a call chain unless one is under way; whether this call is the outermost."""
        if self._chain:
            return False
        self._last_chain += 1
        self._chain = self._last_chain
        return True

    def _check_host(self, programs: Mapping[str, Program], devices: Mapping[str, Mapping[str, Any]]) -> None:
        names = {spec.task for spec in self.image.tasks}
        missing = sorted(names - set(programs))
        if missing:
            raise ImageError(f"no program is registered for task {', '.join(f'`{name}`' for name in missing)}")
        undeclared = sorted((set(programs) | set(devices)) - names)
        if undeclared:
            raise ImageError(f"the image declares no task {', '.join(f'`{name}`' for name in undeclared)}")


def _short(text: object) -> str:
    return str(text)[:_LONGEST_TEXT]


def _shown(fields: object) -> dict[str, Any]:
    """A message as an audit record shows it: bounded, and of a kind that JSON can hold, whatever a task sent."""
    if not isinstance(fields, Mapping):
        return {"": _short(repr(fields))}
    return {_short(name): _plain(value) for name, value in islice(fields.items(), _MOST_ITEMS)}


def _plain(value: object, depth: int = 0) -> Any:  # noqa: ANN401
    if isinstance(value, bool | int) or value is None:
        return value if abs(value or 0) < 2**64 else "a number beyond 64 bits"
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, bytes):
        return value[:_LONGEST_TEXT].hex()
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {_short(name): _plain(inner, depth + 1) for name, inner in islice(value.items(), _MOST_ITEMS)}
    if depth < _DEEPEST and isinstance(value, list | tuple | array):
        return [_plain(inner, depth + 1) for inner in islice(value, _MOST_ITEMS)]
    return f"a {type(value).__name__}"
