"""The model `HashSet`: a set of values per subject."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from secureos.policy.models.changes import drop, put
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.entries import Entry, EntryKind
from secureos.policy.models.model import Incorrect, Model, Operation, Undo
from secureos.policy.values import INTEGER, BooleanType

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

MAX_ENTRIES: Final = 1 << 20
"""`set_size` times `pool_size` is at most that."""

_MAX: Final = 65_536


class HashSet(Model):
    """A set of entries per security identifier, out of a pool of tables, so that memory is bounded.

    Parameters:
        type Entry: An integer type, `Boolean`, or a dictionary `{ a : UInt8 }` or tuple `[UInt8, Boolean]` of those;
            also a variant of them.
        config = { set_size, pool_size }: How many entries a set holds, and how many sets there are; 1 to 65,536
            each, at most 1,048,576 entries in all.

    Rules:
        init {sid}: Gives `sid` an empty set; denied if it has one or none is free.
        fini {sid}: Takes it away.
        add {sid, entry}: Granted also if the entry is in already; denied if the set is full.
        remove {sid, entry}: Granted also if the entry is not in.

    Expressions:
        contains {sid, entry}: Whether the entry is in.

    Semantics:
        Without a set for `sid`, the rules deny, and `contains` has no value: the event is denied. So it is with an
        integer outside the entry's type.

    Errors:
        Refused at load: another type of entry, e.g. a text; numbers outside their bounds; an argument that does not
        fit the entry's type.

    Example::

        policy object ports : HashSet { type Entry = UInt16  config = { set_size : 2, pool_size : 2 } }
        execute dst=Net { ports.init {sid : dst_sid} }
        request dst=Net method=Open { ports.add {sid : dst_sid, entry : message.port} }
        request dst=Net method=Dial { assert (ports.contains {sid : dst_sid, entry : message.port}) }
        assert {
            setup { net <- execute src=Einit dst=Net }
            sequence {
                deny  request src=Panel dst=net method=Dial { host : "a", port : 502 }
                grant request src=Panel dst=net method=Open { port : 502 }
                grant request src=Panel dst=net method=Dial { host : "a", port : 502 }
                grant request src=Panel dst=net method=Open { port : 503 }
                deny  request src=Panel dst=net method=Open { port : 504 }
            }
        }

    Source:
        The security model HashSet of KasperskyOS Community Edition.
    """

    kind = "HashSet"

    def __init__(self, name: str, *, entry: EntryKind, set_size: int, pool_size: int) -> None:
        super().__init__(name)
        self._entry = entry
        self.set_size = set_size
        self.pool_size = pool_size
        self.sets: dict[int, set[Entry]] = {}
        parameters = {"sid": INTEGER, "entry": entry.shape}
        self.rules = {
            "init": Operation(self._init, {"sid": INTEGER}),
            "fini": Operation(self._fini, {"sid": INTEGER}),
            "add": Operation(self._add, parameters),
            "remove": Operation(self._remove, parameters),
        }
        self.expressions = {"contains": Operation(self._contains, parameters, value=BooleanType())}

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check the type of the entries and the sizes."""
        entry = EntryKind.read(configuration, configuration.types("Entry").get("Entry"))
        config = configuration.config()
        keys = configuration.keys(config, ("set_size", "pool_size"))
        sizes = {name: configuration.integer(keys.get(name), 1, _MAX) for name in ("set_size", "pool_size")}
        if config is not None and sizes["set_size"] * sizes["pool_size"] > MAX_ENTRIES:
            configuration.say(config.span, f"`set_size` times `pool_size` is more than {MAX_ENTRIES}")
        return partial(cls, configuration.name, entry=entry, **sizes)

    def snapshot(self) -> Any:  # noqa: ANN401
        """Each set by its sid."""
        return [
            [sid, sorted(self.sets[sid], key=lambda entry: (isinstance(entry, str), entry))]
            for sid in sorted(self.sets)
        ]

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self.sets.clear()
        self.sets.update((sid, set(entries)) for sid, entries in state)

    def _init(self, _event: Event, undo: Undo, sid: int) -> str | None:
        if sid in self.sets:
            return f"`{self.name}`: subject {sid} has a set already"
        if len(self.sets) >= self.pool_size:
            return f"`{self.name}`: all {self.pool_size} sets are in use"
        put(undo, self.sets, sid, set())
        return None

    def _fini(self, _event: Event, undo: Undo, sid: int) -> str | None:
        if sid not in self.sets:
            return self._unknown(sid)
        drop(undo, self.sets, sid)
        return None

    def _add(self, _event: Event, undo: Undo, sid: int, value: object) -> str | None:
        found = self.sets.get(sid)
        if found is None:
            return self._unknown(sid)
        entry = self._entry.freeze(value)
        if entry is None:
            return self._unfit(value)
        if entry in found:
            return None
        if len(found) >= self.set_size:
            return f"`{self.name}`: the set of subject {sid} is full, it has {self.set_size} entries"
        undo.append(partial(found.discard, entry))
        found.add(entry)
        return None

    def _remove(self, _event: Event, undo: Undo, sid: int, value: object) -> str | None:
        found = self.sets.get(sid)
        if found is None:
            return self._unknown(sid)
        entry = self._entry.freeze(value)
        if entry is None:
            return self._unfit(value)
        if entry in found:
            undo.append(partial(found.add, entry))
            found.discard(entry)
        return None

    def _contains(self, _event: Event, sid: int, value: object) -> bool:
        found, entry = self.sets.get(sid), self._entry.freeze(value)
        if found is None:
            raise Incorrect(self._unknown(sid))
        if entry is None:
            raise Incorrect(self._unfit(value))
        return entry in found

    def _unknown(self, sid: int) -> str:
        return f"`{self.name}`: subject {sid} has no set"

    def _unfit(self, value: object) -> str:
        return f"`{self.name}`: {value} is not {self._entry.shape.words}"
