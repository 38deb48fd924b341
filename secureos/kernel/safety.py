"""What must stay safe whatever the policy says: `safety.toml`, a part of the image.

It lists the messages that are never blocked, what a denial does beside refusing, and what happens while a task is
stopped and when it has failed for good. It grants nothing by itself as long as the security module works: then the
policy decides, and `check_safety` has made sure that it cannot refuse a message of the list.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final, Literal

from secureos.kernel.errors import ImageError
from secureos.kernel.program import Fields
from secureos.xdl.source import Span

SAFETY_FILE: Final = "safety.toml"

Purpose = Literal["emergency-stop", "trip", "shed", "read", "acknowledge", "sign-of-life"]
PURPOSES: Final[tuple[Purpose, ...]] = ("emergency-stop", "trip", "shed", "read", "acknowledge", "sign-of-life")

OF_GATEWAYS: Final[tuple[Purpose, ...]] = ("emergency-stop", "read", "acknowledge")
"""What a class that strangers talk to may send under all circumstances."""

Act = Literal["deny", "hold", "clamp", "substitute", "defer", "shutdown", "observe"]
ACTS: Final[tuple[Act, ...]] = ("deny", "hold", "clamp", "substitute", "defer", "shutdown", "observe")

OnAuditFailure = Literal["go-on", "refuse"]


def plain(value: object) -> Any:  # noqa: ANN401 -- any field of any message
    """A field's value in the one form in which values are compared: every run of items is a tuple."""
    if isinstance(value, list | tuple | array):
        return tuple(map(plain, value))
    return {name: plain(inner) for name, inner in value.items()} if isinstance(value, Mapping) else value


@dataclass(frozen=True)
class Pattern:
    """Which requests, or messages to the security module, are meant.

    Attributes:
        src: The sender's class; None for any.
        dst: The receiver's class; None for a message to the security module.
        endpoint, method: What is called; the endpoint is empty for a message to the security module.
        where: The value that a field must have, by its name, in the form of `plain`.
    """

    src: str | None
    dst: str | None
    endpoint: str
    method: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def fits(self, fields: Fields) -> bool:
        """Whether a message of this method holds these values."""
        return all(name in fields and plain(fields[name]) == value for name, value in self.where.items())

    def covers(self, other: Pattern) -> bool:
        """Whether every message of the other pattern is one of this."""
        return (
            self.src in (None, other.src)
            and (self.dst, self.endpoint, self.method) == (other.dst, other.endpoint, other.method)
            and self.where.items() <= other.where.items()
        )

    def __str__(self) -> str:
        called = ".".join(filter(None, (self.endpoint, self.method)))
        way = f"{self.src or 'any class'} → {self.dst}" if self.dst is not None else f"{self.src}"
        held = ", ".join(f"{name} = {value!r}" for name, value in self.where.items())
        return f"{way} {called}" + (f" where {held}" if held else "")


@dataclass(frozen=True)
class NeverBlock:
    """One kind of message that is never refused.

    Attributes:
        number: Position in the list, from 1; `safety:N` is the rule under which the kernel itself serves it.
        pattern: Which messages.
        purpose: What they are for; says who may be their sender.
        span: Where it stands.
    """

    number: int
    pattern: Pattern
    purpose: Purpose
    span: Span

    @property
    def rule(self) -> str:
        """How it is named in the audit."""
        return f"safety:{self.number}"


@dataclass(frozen=True)
class Sending:
    """A message that the kernel sends in the name of a task: one that this task could send itself.

    Attributes:
        source, target: Names of tasks; there is a channel from one to the other.
        endpoint, method, fields: What is sent.
    """

    source: str
    target: str
    endpoint: str
    method: str
    fields: Fields


@dataclass(frozen=True)
class Denial:
    """What a denial by a rule of the policy does beside refusing.

    Attributes:
        pattern: Of which requests.
        act: What it does.
        span: Where it stands.
        fallback: hold, clamp, substitute: the fields in which the fallback differs from what was asked.
        fallback_method: hold, substitute: the method that the fallback calls.
        per: hold: the fields that tell one actuator from another.
        varied: clamp: the field that is varied.
        bound_ms, queue: defer: how long a request waits at most (ms of the host's time), and how many may wait.
        sequence: shutdown: what is sent, once.
        reset: shutdown: which granted request ends it.
        until: observe: its last day.
    """

    pattern: Pattern
    act: Act
    span: Span
    fallback: Fields = field(default_factory=dict)
    fallback_method: str = ""
    per: tuple[str, ...] = ()
    varied: str = ""
    bound_ms: int = 0
    queue: int = 0
    sequence: tuple[Sending, ...] = ()
    reset: Pattern | None = None
    until: date | None = None

    @property
    def rule(self) -> str:
        """How it is named in the audit: file and line."""
        return self.span.place


@dataclass(frozen=True)
class Reaction:
    """What is sent when a task stops or has failed for good; nothing: outputs hold."""

    span: Span
    messages: tuple[Sending, ...] = ()


@dataclass(frozen=True)
class Safety:
    """All of one `safety.toml`.

    Attributes:
        gateways: The classes that strangers talk to.
        never_block: The messages that are never refused.
        denials: What denials do; the first that fits counts, and without any it is `deny`.
        stopped, safe_state: What happens while a task is stopped, and when it has failed for good, by its name.
        on_audit_failure: Whether requests go on being served while the audit cannot be written; messages that are
            never blocked are in any case.
        today: The day for which `observe` entries were found valid; without one they count as `deny`.
    """

    gateways: frozenset[str] = frozenset()
    never_block: tuple[NeverBlock, ...] = ()
    denials: tuple[Denial, ...] = ()
    stopped: Mapping[str, Reaction] = field(default_factory=dict)
    safe_state: Mapping[str, Reaction] = field(default_factory=dict)
    on_audit_failure: OnAuditFailure = "go-on"
    today: date | None = None

    def on(self, today: date) -> Safety:
        """The same for a start on a day.

        Raises:
            ImageError: An `observe` entry was valid up to an earlier day.
        """
        over = [one for one in self.denials if one.until is not None and today > one.until]
        if over:
            raise ImageError("\n".join(f"{one.rule}: `observe` was allowed until {one.until} only" for one in over))
        return replace(self, today=today)


NO_SAFETY: Final = Safety()
"""Of an image without such a file: every denial refuses and nothing else."""
