"""What a denial does beside refusing, so that refusing does no harm, and what is sent when a task stops.

A disposition follows the denial of a *request by a rule of the policy*, and nothing else. What is malformed, what the
sender has no capability for and what no rule speaks of is no command that could be carried out in another form; and
while the security module fails nobody could judge the other form.

Whatever is delivered instead was judged like any message: a fallback that the policy refuses is not delivered, unless
it is on the never-block list.

* `hold`: nothing is delivered if what was delivered last for this actuator would be granted now; else the fallback is.
  That nothing is done is not safe by itself: a held valve drains a tank.
* `clamp`: the value nearest to the one asked for that is granted, on the way from it to the fallback. It is found by
  bisection, so what is granted must be an interval that holds the fallback, in the state at that moment.
* `substitute`: the fallback is delivered.
* `defer`: the request waits, within a bound of time and number, and is judged again at each scan; it is dropped when
  its sender stops, or has no channel to its receiver any more. What waits may be overtaken.
* `shutdown`: a declared sequence is sent once, and requests of this kind are refused until a declared one is granted.
* `observe`: it is delivered all the same and recorded, for commissioning, up to a last day.

The senders' answers: a clamped request was carried out, with the effective values in the answer; after any other
disposition the request itself was not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from secureos.kernel.copies import own_copy
from secureos.kernel.program import Answer, Fields, ReturnCode
from secureos.kernel.records import Message, shown
from secureos.kernel.safety import Act, Denial, Reaction, Safety, Sending, plain
from secureos.kernel.static_table import ways_of
from secureos.kernel.task import Task, TaskState
from secureos.policy import Verdict

if TYPE_CHECKING:
    from secureos.audit.log import Way
    from secureos.kernel.image import TaskSpec
    from secureos.kernel.judge import Judge
    from secureos.kernel.kernel import Kernel

MAX_ACTUATORS: Final = 1_024
"""For so many actuators of one entry it is known what was delivered last; of further ones the fallback is delivered."""

_DELIVERED: Final = ("clamp", "observe", "released")  # what was asked reached its receiver, as it was or altered
_ALTERED: Final = ("clamp", "fallback", "substitute")
_NS_PER_MS: Final = 1_000_000


@dataclass(slots=True)
class Waiting:
    """A request that is deferred.

    Attributes:
        denial: The number of its entry.
        chain: The call chain that it came in.
        source, run: The task that sent it, and which run of it.
        target, endpoint, method, fields: What it asks.
        expires_ns: Up to when (host's time) it may still be delivered.
    """

    denial: int
    chain: int
    source: str
    run: int
    target: str
    endpoint: str
    method: str
    fields: Fields
    expires_ns: int


@dataclass(frozen=True, slots=True)
class Due:
    """A message that the kernel has to send; `rule` says where it is declared, `why` what for."""

    rule: str
    why: str
    sending: Sending


@dataclass(frozen=True, slots=True)
class _Denied:
    """A request that a rule denied, and the entry that says what then."""

    number: int
    denial: Denial
    message: Message
    fields: dict[str, Any]
    refusal: Answer

    @property
    def target(self) -> Task:
        assert self.message.target is not None
        return self.message.target


class Dispositions:
    """What denials and stopped tasks have set going.

    Attributes:
        counts: How often each disposition was taken; a fallback after `hold` counts as `fallback`.
        latched: The numbers of the shutdown entries that wait for their reset.
        watches: Whether it matters what is delivered.
    """

    def __init__(self, kernel: Kernel, judge: Judge, safety: Safety, specs: Iterable[TaskSpec]) -> None:
        self._kernel = kernel
        self._judge = judge
        self._safety = safety
        specs = tuple(specs)
        self._by_way: dict[Way, list[int]] = {}
        self._resets: dict[Way, list[int]] = {}
        for number, denial in enumerate(safety.denials):
            for way in ways_of(denial.pattern, specs):
                self._by_way.setdefault(way, []).append(number)
            for way in () if denial.reset is None else ways_of(denial.reset, specs):
                self._resets.setdefault(way, []).append(number)
        self.watches = any(one.act in ("hold", "shutdown") for one in safety.denials)
        self.refuses_unaudited = safety.on_audit_failure == "refuse"
        self.counts: Counter[str] = Counter()
        self.latched: set[int] = set()
        self._delivered: dict[int, dict[Any, Fields]] = {}
        self._acts: Mapping[Act, Callable[[_Denied], Answer]] = {
            "deny": lambda denied: _told(denied.refusal, "deny"),
            "hold": self._hold,
            "clamp": self._clamp,
            "substitute": lambda denied: self._fall_back("substitute", denied),
            "defer": self._defer,
            "shutdown": self._shut_down,
        }
        self._waiting: list[Waiting] = []
        self._due: list[Due] = []

    # ---- around a verdict ------------------------------------------------------------------------------------------

    def forbids(self, way: Way, fields: Fields) -> Verdict | None:
        """What is refused before the security module is asked: while a shutdown lasts, or nothing can be recorded."""
        if way[0] == "request" and self.refuses_unaudited and self._kernel.audit.failing is not None:
            return Verdict(False, "audit", f"nothing can be recorded: {self._kernel.audit.failing}")
        for number in self._by_way.get(way, ()) if self.latched else ():
            denial = self._safety.denials[number]
            if number in self.latched and denial.pattern.fits(fields) and not self._ends(number, way, fields):
                return Verdict(False, denial.rule, "shut down; refused until it is reset")
        return None

    def admitted(self, way: Way, fields: Fields) -> None:
        """Note that a request is delivered: to hold later, or as the end of a shutdown."""
        for number in self._resets.get(way, ()):
            if self._ends(number, way, fields):
                self.latched.discard(number)
        for number in self._by_way.get(way, ()):
            denial = self._safety.denials[number]
            if denial.act == "hold" and denial.pattern.fits(fields):
                known = self._delivered.setdefault(number, {})
                key = _actuator(denial, fields)
                if key in known or len(known) < MAX_ACTUATORS:
                    known[key] = plain(fields)

    def instead(self, message: Message, refusal: Answer) -> Answer | dict[str, Any]:
        """What a denied request becomes: the answer to its sender, or fields that are delivered all the same."""
        fields = own_copy(message.fields)
        numbers = self._by_way.get(message.way, ())
        number = next((one for one in numbers if self._safety.denials[one].pattern.fits(fields)), None)
        if number is None:
            return refusal
        denied = _Denied(number, self._safety.denials[number], message, fields, refusal)
        if denied.denial.act != "observe":
            return self._acts[denied.denial.act](denied)
        if self._safety.today is None:
            return _told(refusal, "deny")
        self._note("observe", denied, f"delivered all the same, up to {denied.denial.until}", fields)
        return fields

    def _ends(self, number: int, way: Way, fields: Fields) -> bool:
        reset = self._safety.denials[number].reset
        return reset is not None and number in self._resets.get(way, ()) and reset.fits(fields)

    # ---- the dispositions ------------------------------------------------------------------------------------------

    def _hold(self, denied: _Denied) -> Answer:
        last = self._delivered.get(denied.number, {}).get(_actuator(denied.denial, denied.fields))
        if last is not None and self._judge.admissible(denied.message, last):
            self._note("hold", denied, "what was delivered last is held, and may be", last)
            return _told(denied.refusal, "hold")
        return self._fall_back("fallback", denied)

    def _fall_back(self, act: str, denied: _Denied) -> Answer:
        """Deliver the fallback, if it is granted in its turn."""
        message, method = denied.message, denied.denial.fallback_method
        called = denied.target.spec.task_class.endpoints[message.endpoint].interface.methods[method]
        offered = {**denied.fields, **denied.denial.fallback}
        effective = {one.name: offered[one.name] for one in called.inputs}
        answer = self._kernel.send(message.source, denied.target, message.endpoint, method, effective)
        if answer.code is not ReturnCode.OK:
            return self._deny(denied, f"the fallback failed too: {answer.reason}")
        self._note(act, denied, f"`{method}` is delivered instead", effective)
        return _told(denied.refusal, act, effective)

    def _clamp(self, denied: _Denied) -> Answer:
        name, message, fields = denied.denial.varied, denied.message, denied.fields
        good, bad = denied.denial.fallback[name], fields[name]
        if not self._judge.admissible(message, {**fields, name: good}):
            return self._deny(denied, f"`{name}` {good} would be refused too")
        while abs(bad - good) > 1:  # INVARIANT: `good` would be granted, `bad` would not
            middle = (good + bad) // 2
            if self._judge.admissible(message, {**fields, name: middle}):
                good = middle
            else:
                bad = middle
        effective = {**fields, name: good}
        answer = self._kernel.send(message.source, denied.target, message.endpoint, message.method, effective)
        if answer.code is not ReturnCode.OK:
            return answer
        self._note("clamp", denied, f"`{name}` is {good} instead of {fields[name]}", effective)
        return _told(answer, "clamp", effective)

    def _defer(self, denied: _Denied) -> Answer:
        denial, message = denied.denial, denied.message
        if sum(one.denial == denied.number for one in self._waiting) >= denial.queue:
            return self._deny(denied, f"{denial.queue} wait already")
        late = Waiting(
            denial=denied.number,
            chain=self._kernel.chain,
            source=message.source.name,
            run=message.source.run,
            target=denied.target.name,
            endpoint=message.endpoint,
            method=message.method,
            fields=plain(denied.fields),
            expires_ns=self._kernel.now_ns + denial.bound_ms * _NS_PER_MS,
        )
        self._waiting.append(late)
        self._note("defer", denied, f"waits until it is granted, at most until {late.expires_ns} ns", late.fields)
        return _told(denied.refusal, "defer")

    def _shut_down(self, denied: _Denied) -> Answer:
        if denied.number not in self.latched:
            sequence = denied.denial.sequence
            self.latched.add(denied.number)
            self._note("shutdown", denied, f"{len(sequence)} messages are sent", denied.fields)
            self._due += [Due(denied.denial.rule, "shutdown", one) for one in sequence]
        return _told(denied.refusal, "shutdown")

    def _deny(self, denied: _Denied, why: str) -> Answer:
        self._note("deny", denied, why, denied.fields)
        return _told(denied.refusal, "deny")

    # ---- tasks that stop -------------------------------------------------------------------------------------------

    def task_stopped(self, name: str) -> None:
        """A task was stopped, and will be started again."""
        self._react(self._safety.stopped.get(name), f"task `{name}` is stopped")

    def task_failed(self, name: str) -> None:
        """A task will not be started again: what is declared as the safe state is sent."""
        self._react(self._safety.safe_state.get(name), f"task `{name}` has failed")

    def _react(self, reaction: Reaction | None, why: str) -> None:
        if reaction is not None:
            self._due += [Due(reaction.span.place, why, one) for one in reaction.messages]

    # ---- at the beginning of a scan --------------------------------------------------------------------------------

    def tick(self) -> None:
        """Send what is due, and judge again what waits."""
        due, self._due = self._due, []
        for one in due:
            self._send(one)
        waiting, self._waiting = self._waiting, []
        for late in waiting:
            if self._still_waits(late):
                self._waiting.append(late)

    def _send(self, due: Due) -> None:
        sending = due.sending
        source, target = self._kernel.tasks[sending.source], self._kernel.tasks[sending.target]
        if target.state is TaskState.STOPPED:
            self._due.append(due)
            return
        way: Way = ("safety", source.name, target.name, sending.endpoint, sending.method)
        if target.state is TaskState.FAILED:
            self._judge.record(way, due.rule, f"{due.why}; not sent, as `{target.name}` has failed", granted=False)
            return
        self._judge.record(way, due.rule, f"{due.why}; sent in the name of `{source.name}`", granted=True)
        self._kernel.send(source, target, sending.endpoint, sending.method, sending.fields)

    def _still_waits(self, late: Waiting) -> bool:
        """Deliver a deferred request if it is granted now; whether it goes on waiting."""
        denial, tasks = self._safety.denials[late.denial], self._kernel.tasks
        source, target = tasks[late.source], tasks[late.target]
        message = Message("request", source, target, late.endpoint, late.method, late.fields)
        denied = _Denied(late.denial, denial, message, dict(late.fields), Answer(ReturnCode.SECURITY_DISALLOW))
        why = self._expired(late, source, target)
        if why is not None:
            self._note("expired", denied, f"no longer deferred: {why}", late.fields)
            return False
        forbidden = self.forbids(message.way, late.fields)
        if target.state is not TaskState.RUNNING or forbidden or not self._judge.admissible(message, late.fields):
            return True
        self._note("released", denied, "granted now, and delivered", late.fields)
        self._kernel.send(source, target, late.endpoint, late.method, late.fields, chain=late.chain)
        return False

    def _expired(self, late: Waiting, source: Task, target: Task) -> str | None:
        """Why a deferred request waits no longer; None if it does."""
        if source.run != late.run:
            return "its sender was stopped"
        if self._kernel.now_ns > late.expires_ns:
            return f"its {self._safety.denials[late.denial].bound_ms} ms are over"
        if target.state is TaskState.RUNNING and not source.table.reaches(target.name):
            return "its sender no longer holds a channel to its receiver"
        return None

    def _note(self, act: str, denied: _Denied, reason: str, fields: Fields) -> None:
        """Record what was done about a denial; the denial itself has a record of its own."""
        self.counts[act] += 1
        way: Way = ("disposition", *denied.message.way[1:])
        told = shown(dict(fields))
        granted = act in _DELIVERED
        self._judge.record(way, denied.denial.rule, f"{act}: {reason}", granted=granted, told=told)

    # ---- snapshots -------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "counts": dict(self.counts),
            "latched": sorted(self.latched),
            "delivered": [
                [number, list(key), dict(fields)]
                for number, known in self._delivered.items()
                for key, fields in known.items()
            ],
            "waiting": [asdict(one) for one in self._waiting],
            "due": [asdict(one) for one in self._due],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self.counts, self.latched = Counter(state["counts"]), set(state["latched"])
        self._delivered = {}
        for number, key, fields in state["delivered"]:
            self._delivered.setdefault(number, {})[plain(key)] = plain(fields)
        self._waiting = [Waiting(**{**row, "fields": plain(row["fields"])}) for row in state["waiting"]]
        self._due = [Due(row["rule"], row["why"], Sending(**row["sending"])) for row in state["due"]]


def _actuator(denial: Denial, fields: Fields) -> tuple[Any, ...]:
    return tuple(plain(fields[name]) for name in denial.per)


def _told(answer: Answer, disposition: str, effective: Fields | None = None) -> Answer:
    """The answer, with what was done instead."""
    answer.disposition = disposition
    answer.effective = effective or {}
    return answer


def told_of(counts: Counter[str]) -> Literal["", "altered", "deferred"]:
    """What a result says of a request during which dispositions were taken so often."""
    if counts["defer"]:
        return "deferred"
    return "altered" if any(counts[act] for act in _ALTERED) else ""
