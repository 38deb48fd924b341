"""Simulated time: a SimPy environment whose pending work is a table.

A SimPy environment with live processes can be neither copied nor saved, because generators cannot. So
nothing of a twin waits inside a generator from one instant to another: what is still to come stands in the
*agenda*, rows of `(name, due, phase, order, payload)`, from which the clock schedules SimPy events. A process
started by a row may wait for real input and output (`yield clock.io(coroutine)`), during which simulated time
stands still; it ends within the instant it began in. Hence between two instants the agenda and the components'
own state are the whole state of a twin, and a run can be saved, restored and copied.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import simpy
from simpy.events import EventPriority

NS_PER_S = 1_000_000_000
_ORDER_BITS = 48

Work = Generator[simpy.Event, Any, None]
Handler = Callable[[Any], Work | None]


def ns(seconds: float) -> int:
    """Simulated nanoseconds for `seconds` (s), rounded to the nearest nanosecond."""
    return round(seconds * NS_PER_S)


class ClockError(Exception):
    """A component asked the clock for something that cannot be (a time gone by, an unknown name)."""


class Phase(IntEnum):
    """The fixed order of work within one instant: the plant moves, controllers scan, clients act, records close."""

    PLANT = 10
    SCAN = 20
    CLIENT = 30
    RECORD = 40


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the agenda.

    Attributes:
        order: Unique and rising; breaks ties within a phase of an instant. A row that repeats keeps it, so rows
            never change places, whether a run goes through or is saved and taken up again.
        due_ns: When, in simulated nanoseconds.
        phase: Where in that instant.
        name: Whose handler is called.
        payload: What the handler is given; JSON-serialisable, because the agenda is part of a snapshot.
        period_ns: Repeats every so many nanoseconds; 0 means once.
    """

    order: int
    due_ns: int
    phase: int
    name: str
    payload: Any = None
    period_ns: int = 0


class Clock:
    """Simulated time of one twin, in integer nanoseconds from the start of the run."""

    def __init__(self, start_ns: int = 0) -> None:
        self.env = simpy.Environment(initial_time=start_ns)
        self._handlers: dict[str, Handler] = {}
        self._agenda: dict[int, Entry] = {}
        self._next_order = 0
        self._io: deque[tuple[simpy.Event, Awaitable[Any]]] = deque()

    @property
    def now_ns(self) -> int:
        """The current instant (ns)."""
        return int(self.env.now)

    @property
    def now_s(self) -> float:
        """The current instant (s)."""
        return self.now_ns / NS_PER_S

    def on(self, name: str, handler: Handler) -> None:
        """Name the handler for agenda rows called `name`.

        A handler that returns a generator is run as a SimPy process and may `yield clock.io(...)`.
        """
        if name in self._handlers:
            raise ClockError(f"a handler named `{name}` is already registered")
        self._handlers[name] = handler

    def at(self, due_ns: int, name: str, payload: Any = None, *, phase: Phase) -> int:  # noqa: ANN401
        """Enter work to be done at `due_ns`; the answer is the order by which `cancel` knows it."""
        return self._enter(due_ns, name, payload, phase, 0)

    def after(self, delay_ns: int, name: str, payload: Any = None, *, phase: Phase) -> int:  # noqa: ANN401
        """Enter work to be done `delay_ns` from now."""
        return self._enter(self.now_ns + delay_ns, name, payload, phase, 0)

    def every(self, period_ns: int, name: str, payload: Any = None, *, phase: Phase, first_ns: int = 0) -> int:  # noqa: ANN401
        """Enter work that repeats every `period_ns`, the first time at `first_ns` (never in the past)."""
        if period_ns <= 0:
            raise ClockError(f"the period of `{name}` must be positive, not {period_ns} ns")
        return self._enter(max(first_ns, self.now_ns), name, payload, phase, period_ns)

    def cancel(self, order: int) -> None:
        """Strike a row from the agenda; one that is gone already is no error."""
        self._agenda.pop(order, None)

    def io(self, work: Awaitable[Any]) -> simpy.Event:
        """An event that fires when `work` is done; simulated time stands still meanwhile.

        What the awaitable raises is raised in the process that waits.
        """
        event = self.env.event()
        self._io.append((event, work))
        return event

    def peek_ns(self) -> int | None:
        """The next instant at which something is due (ns), or None when nothing is."""
        at = self.env.peek()
        return None if at == float("inf") else int(at)

    async def advance(self, until_ns: int) -> None:
        """Do everything due up to and including `until_ns`, then stand there.

        Input and output is awaited in the order in which it was asked for, each before anything else goes on:
        that is what makes a run over real sockets repeatable. (A process goes on at SimPy's own priority, which
        is ahead of every `Phase`, so the work that waited ends before the next row of the agenda begins.)
        """
        if until_ns < self.now_ns:
            raise ClockError(f"time runs forward only: asked for {until_ns} ns at {self.now_ns} ns")
        env = self.env
        while env.peek() <= until_ns:
            env.step()
            while self._io:
                event, work = self._io.popleft()
                try:
                    value = await work
                except Exception as failure:
                    event.fail(failure)
                else:
                    event.succeed(value)
        if self.now_ns < until_ns:
            env.timeout(until_ns - self.now_ns)
            env.step()

    def snapshot(self) -> dict[str, Any]:
        """The agenda and the time, between instants, as plain values."""
        if self._io:
            raise ClockError("a snapshot is taken between instants, not while input or output is under way")
        rows = sorted(self._agenda.values(), key=lambda e: (e.due_ns, e.phase, e.order))
        return {
            "now_ns": self.now_ns,
            "next_order": self._next_order,
            "agenda": [[e.order, e.due_ns, int(e.phase), e.name, e.payload, e.period_ns] for e in rows],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over time and agenda from `snapshot`; handlers must be registered under the same names."""
        self.env = simpy.Environment(initial_time=state["now_ns"])
        self._agenda.clear()
        self._io.clear()
        self._next_order = state["next_order"]
        for order, due_ns, phase, name, payload, period_ns in state["agenda"]:
            self._add(Entry(order, due_ns, phase, name, payload, period_ns))

    def _enter(self, due_ns: int, name: str, payload: object, phase: Phase, period_ns: int) -> int:
        if due_ns < self.now_ns:
            raise ClockError(f"`{name}` is due at {due_ns} ns, but it is {self.now_ns} ns already")
        entry = Entry(self._next_order, due_ns, phase, name, payload, period_ns)
        self._add(entry)
        self._next_order += 1
        return entry.order

    def _add(self, entry: Entry) -> None:
        if entry.name not in self._handlers:
            raise ClockError(f"no handler is registered for `{entry.name}`")
        self._agenda[entry.order] = entry
        self._schedule(entry)

    def _schedule(self, entry: Entry) -> None:
        event = simpy.Event(self.env)
        event._ok = True
        event._value = entry
        event.callbacks = [self._fire]
        # SimPy breaks ties by when an event was scheduled, which a restored run would not repeat; so the phase and
        # the row's order are the priority. Both of SimPy's own priorities (0 and 1) are ahead of any phase.
        priority = EventPriority((entry.phase << _ORDER_BITS) + entry.order)
        self.env.schedule(event, priority=priority, delay=entry.due_ns - self.now_ns)

    def _fire(self, event: simpy.Event) -> None:
        fired: Entry = event._value
        entry = self._agenda.get(fired.order)
        if entry is not fired:  # cancelled, or entered again since
            return
        if entry.period_ns:
            due_ns = entry.due_ns + entry.period_ns
            again = Entry(entry.order, due_ns, entry.phase, entry.name, entry.payload, entry.period_ns)
            self._agenda[entry.order] = again
            self._schedule(again)
        else:
            del self._agenda[entry.order]
        work = self._handlers[entry.name](entry.payload)
        if work is not None:
            self.env.process(work)
