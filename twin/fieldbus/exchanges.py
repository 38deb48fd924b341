"""One caller's exchanges over a link: what an impairment makes of them stands in the clock's agenda.

An exchange is whatever the caller does in one go: a scan of the controller, a poll of supervision, one command. Over a
sound wire it happens in the instant in which it is begun. Over an impaired one its real input and output is done in
the instant in which the request arrives, and its result waits as a row of the agenda until the answer is back; so a
twin can be saved while exchanges are under way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

import simpy

from twin.core import Clock, Phase
from twin.fieldbus.impairments import Link

Work = Generator[simpy.Event, Any, None]


class Exchanges:
    """The exchanges of one caller.

    Args:
        clock: Of the twin.
        link: What they pass over.
        name: Of the caller; its rows of the agenda begin with it.
        phase: Where in an instant they happen.
        timeout_ns: How long the caller waits for an answer, in simulated time.
        carry_out: Does the real exchange; its answer must be JSON-serialisable. It is called too when the caller has
            waited in vain for a request that was lost: then every client on the link finds its request lost.
        take: Is given the payload and the answer when the caller has it. Its third argument says whether an answer
            came; if not, the second is what `carry_out` gave of an exchange whose answer was lost.
        polls: Whether the caller waits for one answer before it asks again, and reads before it does anything else:
            a scan or a poll. Then an exchange that falls due meanwhile is left out, and one whose answer is lost does
            nothing at the other end.

    Attributes:
        skipped: How many exchanges were left out because one was under way still.
    """

    def __init__(
        self,
        clock: Clock,
        link: Link,
        name: str,
        *,
        phase: Phase,
        timeout_ns: int,
        carry_out: Callable[[Any], Awaitable[Any]],
        take: Callable[[Any, Any, bool], None],
        polls: bool = False,
    ) -> None:
        self.skipped = 0
        self._clock = clock
        self._link = link
        self._name = name
        self._phase = phase
        self._timeout_ns = timeout_ns
        self._carry_out = carry_out
        self._take = take
        self._polls = polls
        self._under_way = 0
        clock.on(f"{name}.arrives", self._arrive)
        clock.on(f"{name}.answered", self._answered)
        clock.on(f"{name}.given up", self._give_up)

    def begin(self, payload: Any = None) -> Work | None:  # noqa: ANN401
        """Begin an exchange now; what comes back is work for a handler of the clock to give back in its turn.

        Args:
            payload: What it is about; JSON-serialisable.
        """
        if self._polls and self._under_way:
            self.skipped += 1
            return None
        if not self._link.impaired:
            return self._through(payload)
        now_ns = self._clock.now_ns
        row = {"payload": payload, "begun_ns": now_ns, "waits_until_ns": now_ns + self._timeout_ns}
        self._under_way += 1
        arrives_ns = self._link.request(now_ns, round_trip=self._polls)
        if arrives_ns is not None:
            self._enter("arrives", arrives_ns, row)
        if arrives_ns is None or arrives_ns > row["waits_until_ns"]:
            self._enter("given up", row["waits_until_ns"], row)
        return None

    def snapshot(self) -> dict[str, int]:
        """What the agenda does not hold, as plain values."""
        return {"under_way": self._under_way, "skipped": self.skipped}

    def restore(self, state: dict[str, int]) -> None:
        """Take over what `snapshot` gave."""
        self._under_way = state["under_way"]
        self.skipped = state["skipped"]

    def _enter(self, what: str, due_ns: int, row: dict[str, Any]) -> None:
        self._clock.at(due_ns, f"{self._name}.{what}", row, phase=self._phase)

    def _through(self, payload: Any) -> Work:  # noqa: ANN401
        answer = yield self._clock.io(self._carry_out(payload))
        self._take(payload, answer, True)

    def _arrive(self, row: dict[str, Any]) -> Work | None:
        """The request is there: do what it asks, unless it was cut off on the way or nobody waits any more."""
        in_time = self._clock.now_ns <= row["waits_until_ns"]
        if self._link.parted:
            if in_time:
                self._enter("given up", row["waits_until_ns"], row)
            return None
        return self._serve(row, in_time) if in_time or not self._polls else None

    def _serve(self, row: dict[str, Any], in_time: bool) -> Work:
        link, now_ns = self._link, self._clock.now_ns
        carried = link.carried
        link.circumstance = f"sent {(now_ns - row['begun_ns']) / 1e9:.9f} s earlier"
        try:
            answer = yield self._clock.io(self._carry_out(row["payload"]))
        finally:
            link.circumstance = ""
        if not in_time:
            return
        row = row | {"answer": answer}
        back_ns = link.answer(now_ns, link.carried - carried, may_be_lost=not self._polls)
        if back_ns is None or back_ns > row["waits_until_ns"]:
            self._enter("given up", row["waits_until_ns"], row)
        else:
            self._enter("answered", back_ns, row)

    def _answered(self, row: dict[str, Any]) -> None:
        if self._link.parted:  # the answer was under way when the wire was cut
            self._enter("given up", row["waits_until_ns"], row)
            return
        self._under_way -= 1
        self._take(row["payload"], row["answer"], True)

    def _give_up(self, row: dict[str, Any]) -> Work | None:
        self._under_way -= 1
        if "answer" in row:
            self._take(row["payload"], row["answer"], False)
            return None
        return self._in_vain(row["payload"])

    def _in_vain(self, payload: Any) -> Work:  # noqa: ANN401
        with self._link.lose():
            answer = yield self._clock.io(self._carry_out(payload))
        self._take(payload, answer, False)
