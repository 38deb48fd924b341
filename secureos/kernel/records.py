"""What the kernel writes into the audit log: who, what, how it was decided, and as much of the message as is fit."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

from secureos.audit.log import Way
from secureos.kernel.copies import kind_of
from secureos.kernel.program import Fields
from secureos.kernel.safety import NeverBlock
from secureos.kernel.task import Task

EventKind = Literal["execute", "request", "response", "error", "security"]
Decision = Literal["granted", "denied"]

# How much of a refused message an audit record shows.
_LONGEST_TEXT: Final = 200
_MOST_ITEMS: Final = 64
_DEEPEST: Final = 8


@dataclass(slots=True)
class Message:
    """One message on its way, as the security module and the audit see it.

    Attributes:
        kind, source, target, endpoint, method, fields: Who says what to whom.
        listed: The entry of the never-block list that it falls under, once that is known; a reply's is its request's.
        final: Whether a denial of it has no disposition, as the kernel itself sends it in the name of its source.
    """

    kind: EventKind
    source: Task
    target: Task | None
    endpoint: str
    method: str
    fields: Fields
    listed: NeverBlock | None = None
    final: bool = False

    @property
    def way(self) -> Way:
        """Its way, as the audit counts it."""
        name = "" if self.target is None else self.target.name
        return (self.kind, self.source.name, name, self.endpoint, self.method)


def short(text: object) -> str:
    """A text as a record shows it, whatever a task sent in its place."""
    return text[:_LONGEST_TEXT] if type(text) is str else kind_of(text)


def told(failure: BaseException) -> str:
    """An exception in words; its class may be a task's own and do anything when it is asked."""
    try:
        return short(f"{type(failure).__name__}: {failure}")
    except Exception:
        return kind_of(failure)


def shown(fields: object) -> dict[str, Any]:
    """A message as a record shows it: bounded, and of a kind that JSON can hold, whatever a task sent."""
    if type(fields) is not dict:
        return {"": short(fields)}
    return {short(name): _plain(value) for name, value in islice(fields.items(), _MOST_ITEMS)}


def _plain(value: object, depth: int = 0) -> Any:  # noqa: ANN401 -- JSON
    kind = type(value)
    if kind is bool or value is None:
        return value
    if kind is int:
        return value if abs(value) < 2**64 else "a number beyond 64 bits"  # type: ignore[arg-type]
    if kind is bytes:
        return value[:_LONGEST_TEXT].hex()  # type: ignore[index]
    if depth < _DEEPEST and kind is dict:
        return {short(name): _plain(inner, depth + 1) for name, inner in islice(value.items(), _MOST_ITEMS)}  # type: ignore[attr-defined]
    if depth < _DEEPEST and kind in (list, tuple, array):
        return [_plain(inner, depth + 1) for inner in islice(value, _MOST_ITEMS)]  # type: ignore[call-overload]
    return short(value)
