"""The model `Window`: times of maintenance that are opened, and close by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from secureos.policy import syntax as psl
from secureos.policy.models.arguments import one_of
from secureos.policy.models.changes import drop, put
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.measured import MAX_MS, NS_PER_MS
from secureos.policy.models.model import Model, Operation, Undo
from secureos.policy.values import INTEGER, BooleanType

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

_MAX_AT_MS: Final = 100 * 365 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a window may be open at most (ns), and the spans within which it may be: from, until (ns)."""

    longest_ns: int
    during: tuple[tuple[int, int], ...]


class Window(Model):
    """What is allowed during maintenance only, and never longer than was said when it began.

    Parameters (`config = { … }`):
        NAME: For each window, by its name, `{ max_ms }`: how long it may be open at most, 1 ms to 30 days; and
            optionally `during`, a list of `{ from_ms, until_ms }`: only then may it be open.

    Rules:
        open {window, duration_ms}: Opens it for that long, cut short at the end of the span of `during` that is now;
            denied if it is open, if the duration is not 1 to `max_ms`, or if no span is now.
        close {window}: Closes it at once. Always granted.
        require {window}: Granted while it is open.

    Expressions:
        is_open {window}: Whether it is open.

    Semantics:
        A window opened at t for d is open at every time from t up to, but not including, t + d. Times are those of
        the events, in milliseconds since the host's clock began; it is no clock of the day. A span is from `from_ms`
        up to, but not including, `until_ms`. That opening needs two persons is asked of Dual in the same binding.

    Errors:
        Refused at load: no window, windows that do not exist, numbers outside their bounds, spans that are empty.

    Example::

        policy object service : Window { config = { "pump" : { max_ms : 3600000 } } }
        request dst=Desk method=Open { service.open {window : "pump", duration_ms : message.duration} }
        request dst=Desk method=Close { service.close {window : "pump"} }
        request dst=Pump method=Set { service.require {window : "pump"} }
        assert {
            sequence {
                deny  request src=Panel dst=Pump method=Set { rpm : 1 }
                deny  request src=Panel dst=Desk method=Open { duration : 3600001 }
                grant request src=Panel dst=Desk method=Open { duration : 3600000 }
                grant request src=Panel dst=Pump method=Set { rpm : 1 }
                grant request src=Panel dst=Desk method=Close
                deny  request src=Panel dst=Pump method=Set { rpm : 1 }
            }
        }

    Source:
        Our own; after IEC 62443-2-1 on the control of maintenance access.
    """

    kind = "Window"

    def __init__(self, name: str, *, plans: Mapping[str, Plan]) -> None:
        super().__init__(name)
        self._plans = plans
        self.until_ns: dict[str, int] = {}
        window = {"window": one_of("a window", tuple(plans))}
        self.rules = {
            "open": Operation(self._open, {**window, "duration_ms": INTEGER}),
            "close": Operation(self._close, window),
            "require": Operation(self._require, window),
        }
        self.expressions = {"is_open": Operation(self._is_open, window, value=BooleanType())}

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check the windows."""
        configuration.types()
        config = configuration.config()
        plans = {name: _plan(configuration, row) for name, row in configuration.entries(config).items()}
        if config is not None and not plans and not configuration.mistakes:
            configuration.say(config.span, "there is no window in it")
        return partial(cls, configuration.name, plans=plans)

    def snapshot(self) -> Any:  # noqa: ANN401
        """Until when each window is open, in ns."""
        return dict(sorted(self.until_ns.items()))

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self.until_ns.clear()
        self.until_ns.update(state)

    def _open(self, event: Event, undo: Undo, window: str, duration_ms: int) -> str | None:
        now_ns, plan = event.at_ns, self._plans[window]
        if self._is_open(event, window):
            return f"`{self.name}`: `{window}` is open already"
        if not 0 < duration_ms * NS_PER_MS <= plan.longest_ns:
            most = plan.longest_ns // NS_PER_MS
            return f"`{self.name}`: `{window}` can be open for 1 to {most} ms, not for {duration_ms} ms"
        until_ns = now_ns + duration_ms * NS_PER_MS
        if plan.during:
            ends = [end_ns for begin_ns, end_ns in plan.during if begin_ns <= now_ns < end_ns]
            if not ends:
                return f"`{self.name}`: `{window}` cannot be opened at {now_ns // NS_PER_MS} ms, outside its spans"
            until_ns = min(until_ns, max(ends))
        put(undo, self.until_ns, window, until_ns)
        return None

    def _close(self, _event: Event, undo: Undo, window: str) -> None:
        if window in self.until_ns:
            drop(undo, self.until_ns, window)

    def _require(self, event: Event, _undo: Undo, window: str) -> str | None:
        if self._is_open(event, window):
            return None
        if window in self.until_ns:
            ago_ms = (event.at_ns - self.until_ns[window]) // NS_PER_MS
            return f"`{self.name}`: `{window}` closed by itself {ago_ms} ms ago"
        return f"`{self.name}`: `{window}` is not open"

    def _is_open(self, event: Event, window: str) -> bool:
        return event.at_ns < self.until_ns.get(window, event.at_ns)


def _plan(configuration: Configuration, row: psl.Expression) -> Plan:
    keys = configuration.keys(row, ("max_ms",), ("during",))
    longest_ns = configuration.integer(keys.get("max_ms"), 1, MAX_MS) * NS_PER_MS
    return Plan(longest_ns, tuple(_span(configuration, item) for item in configuration.items(keys.get("during"))))


def _span(configuration: Configuration, row: psl.Expression) -> tuple[int, int]:
    keys = configuration.keys(row, ("from_ms", "until_ms"))
    begin, end = (configuration.integer(keys.get(key), 0, _MAX_AT_MS) for key in ("from_ms", "until_ms"))
    if len(keys) == 2 and begin >= end:
        configuration.say(row.span, f"the span from {begin} to {end} is empty")
    return begin * NS_PER_MS, end * NS_PER_MS
