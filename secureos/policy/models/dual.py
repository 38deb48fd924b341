"""The model `Dual`: two persons at two stations for one operation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from secureos.policy.models.arguments import IDENTITY
from secureos.policy.models.changes import drop, put
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.measured import MAX_MS, NS_PER_MS
from secureos.policy.models.model import Model, Operation, Undo
from secureos.policy.values import (
    ListType,
    RecordType,
    Shape,
    ValueType,
    is_boolean,
    is_integer,
    is_text,
)
from secureos.xdl import ArrayType, SequenceType, StructType

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

_MAX_PENDING: Final = 4096

Identity = str | int


class Pending(NamedTuple):
    """An operation on its way: who proposed it where and when, and when it was approved (None: not yet)."""

    person: Identity
    station: Identity
    proposed_ns: int
    approved_ns: int | None


class Dual(Model):
    """An operation needs two different persons at two different stations, who mean exactly the same operation.

    Parameters (`config = { … }`, all integers):
        ttl_ms: How long a proposal waits for its approval, and an approved operation for being carried out; 1 ms to
            30 days.
        pending: How many operations are on their way at a time at most, 1 to 4,096.

    Rules:
        propose {operation, person, station}: Puts an operation forward. By the same person and station again: begins
            anew, without approval. Denied if somebody else has put the same one forward.
        approve {operation, person, station}: Denied unless the same operation was proposed, is not expired, and both
            person and station are others than the proposer's.
        check {operation}: Granted once for an operation that is approved and not expired; that uses it up.

    Expressions:
        None.

    Semantics:
        The operation is whatever describes it completely: integers, Booleans, texts, and lists, dictionaries or
        structures of those. Two are the same iff the SHA-256 digests of their canonical JSON texts are: another
        value is another operation. Persons and stations are texts or integers which the host knows to be authentic.
        Times are counted from the proposal to the approval, and from the approval to the check. What is expired is
        forgotten when room is needed. That persons have the right roles is asked of Rbac beside.

    Errors:
        Refused at load: missing or unknown settings, numbers outside their bounds, operations of other types.

    Example::

        policy object two : Dual { config = { ttl_ms : 60000, pending : 10 } }
        request dst=Desk method=Propose {
            two.propose {operation : message.operation, person : message.user, station : src_sid}
        }
        request dst=Desk method=Approve {
            two.approve {operation : message.operation, person : message.user, station : src_sid}
        }
        request dst=Desk method=Carry { two.check {operation : message.operation} }
        assert {
            sequence {
                grant request src=Panel dst=Desk method=Propose { operation : "open 7", user : "ann" }
                deny  request src=Panel dst=Desk method=Approve { operation : "open 7", user : "bob" }
                deny  request src=Office dst=Desk method=Approve { operation : "open 7", user : "ann" }
                deny  request src=Panel dst=Desk method=Carry { operation : "open 7" }
                grant request src=Office dst=Desk method=Approve { operation : "open 7", user : "bob" }
                deny  request src=Panel dst=Desk method=Carry { operation : "open 8" }
                grant request src=Panel dst=Desk method=Carry { operation : "open 7" }
                deny  request src=Panel dst=Desk method=Carry { operation : "open 7" }
            }
        }

    Source:
        IEC 62443-3-3 SR 2.1 RE 4, Dual approval.
    """

    kind = "Dual"

    def __init__(self, name: str, *, ttl_ms: int, pending: int) -> None:
        super().__init__(name)
        self._ttl_ns = ttl_ms * NS_PER_MS
        self._limit = pending
        self.pending: dict[str, Pending] = {}
        operation = {"operation": Shape("integers, Booleans, texts, or lists or dictionaries of those", _is_plain)}
        by = {**operation, "person": IDENTITY, "station": IDENTITY}
        self.rules = {
            "propose": Operation(self._propose, by),
            "approve": Operation(self._approve, by),
            "check": Operation(self._check, operation),
        }

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check the numbers."""
        configuration.types()
        keys = configuration.keys(configuration.config(), ("ttl_ms", "pending"))
        return partial(
            cls,
            configuration.name,
            ttl_ms=configuration.integer(keys.get("ttl_ms"), 1, MAX_MS),
            pending=configuration.integer(keys.get("pending"), 1, _MAX_PENDING),
        )

    def snapshot(self) -> Any:  # noqa: ANN401
        """What is pending, by the digest of the operation."""
        return {digest: list(self.pending[digest]) for digest in sorted(self.pending)}

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self.pending.clear()
        self.pending.update((digest, Pending(*row)) for digest, row in state.items())

    def _propose(self, event: Event, undo: Undo, operation: object, person: Identity, station: Identity) -> str | None:
        digest = _digest(operation)
        before = self._alive(digest, event.at_ns)
        if before is not None and (before.person, before.station) != (person, station):
            return f"`{self.name}`: `{before.person}` at `{before.station}` has proposed this already"
        if digest not in self.pending and len(self.pending) >= self._limit:
            self._forget(event.at_ns, undo)
            if len(self.pending) >= self._limit:
                return f"`{self.name}`: {self._limit} operations are pending already"
        put(undo, self.pending, digest, Pending(person, station, event.at_ns, None))
        return None

    def _approve(self, event: Event, undo: Undo, operation: object, person: Identity, station: Identity) -> str | None:
        digest = _digest(operation)
        before = self._alive(digest, event.at_ns)
        if before is None:
            return f"`{self.name}`: nobody has proposed this operation, or too long ago"
        if before.person == person:
            return f"`{self.name}`: `{person}` has proposed this and cannot approve it too"
        if before.station == station:
            return f"`{self.name}`: this was proposed at `{station}` and must be approved elsewhere"
        if before.approved_ns is None:
            put(undo, self.pending, digest, before._replace(approved_ns=event.at_ns))
        return None

    def _check(self, event: Event, undo: Undo, operation: object) -> str | None:
        digest = _digest(operation)
        before = self._alive(digest, event.at_ns)
        if before is None:
            return f"`{self.name}`: this operation was not proposed, or too long ago"
        if before.approved_ns is None:
            return f"`{self.name}`: a second person has not approved this operation"
        drop(undo, self.pending, digest)
        return None

    def _alive(self, digest: str, at_ns: int) -> Pending | None:
        row = self.pending.get(digest)
        return None if row is None or self._is_over(row, at_ns) else row

    def _is_over(self, row: Pending, at_ns: int) -> bool:
        since_ns = row.proposed_ns if row.approved_ns is None else row.approved_ns
        return at_ns - since_ns > self._ttl_ns

    def _forget(self, at_ns: int, undo: Undo) -> None:
        for digest in [digest for digest, row in self.pending.items() if self._is_over(row, at_ns)]:
            drop(undo, self.pending, digest)


def _digest(operation: object) -> str:
    text = json.dumps(operation, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _is_plain(kind: ValueType) -> bool:
    match kind:
        case ListType():
            return all(map(_is_plain, kind.items))
        case RecordType():
            return all(map(_is_plain, kind.fields.values()))
        case StructType():
            return all(_is_plain(field.type) for field in kind.fields)
        case SequenceType() | ArrayType():
            return _is_plain(kind.item)
    return is_integer(kind) or is_text(kind) or is_boolean(kind)
