"""What is asked of a policy, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from secureos.policy.syntax import EventKind


@dataclass(slots=True)
class Event:
    """Something that needs a verdict.

    Attributes:
        kind: What happens. In `response` and `error` the source is the server.
        at_ns: When, in the host's time (ns); never runs backwards.
        src_sid, dst_sid: Who, as the kernel knows them.
        src, dst: Their classes. A `security` event has no destination: both are None.
        endpoint: Qualified endpoint of the server's class; empty for `execute` and `security`.
        method: Plain name; empty for `execute`.
        message: The fields, structure already checked. Component and interface follow from class and endpoint.
    """

    kind: EventKind
    at_ns: int
    src_sid: int
    dst_sid: int | None
    src: str
    dst: str | None
    endpoint: str = ""
    method: str = ""
    message: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer.

    Attributes:
        granted: Whether the event may go on.
        rule: Which rule decided, e.g. `security.psl:41`: the one that denied, or the last that granted. `default` if
            no rule applies, `engine` if none could be asked.
        reason: A sentence for people.
        tried: The rules asked, in their order, the deciding one last.
        audited: Whether the policy's audit configuration asks for a record of it. Denials by `default` and by
            `engine` are always recorded.
    """

    granted: bool
    rule: str
    reason: str
    tried: tuple[str, ...] = ()
    audited: bool = True
