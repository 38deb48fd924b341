"""The model `StaticMap`: a table of fixed keys per subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from secureos.policy import syntax as psl
from secureos.policy.models.arguments import TEXT
from secureos.policy.models.changes import drop, put
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.model import Incorrect, Model, Operation, Undo
from secureos.policy.values import INTEGER, LiteralType, Shape, ValueType, is_integer, is_run_of
from secureos.xdl import IntegerType
from secureos.xdl.source import near
from secureos.xdl.types import INTEGERS

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

MAX_KEYS: Final = 4096
MAX_VALUES: Final = 1 << 20
"""Keys times `pool_size` is at most that."""

_MAX_POOL: Final = 65_536
_Tables = dict[int, dict[str, int]]


class StaticMap(Model):
    """A table from fixed keys to integers per security identifier, in two copies: base and working.

    Parameters:
        type Value: An integer type.
        config = { keys : { "k" : default, … }, pool_size }: The keys with the values that a new table has, 1 to
            4,096 of them; how many tables there are, 1 to 65,536; at most 1,048,576 values in all.

    Rules:
        init {sid}: Gives `sid` a table with the default values in both copies; denied if it has one or none is free.
        fini {sid}: Takes it away.
        set {sid, key, value}: Changes the working copy; denied if the key is unknown or the value is outside the type.
        commit {sid}: Copies working to base.
        rollback {sid}: Copies base to working.

    Expressions:
        get {sid, key}: The value in the base copy.
        get_uncommited {sid, key}: The value in the working copy (spelt so).

    Semantics:
        Without a table for `sid` the rules deny, and the expressions have no value: the event is denied. So it is
        with an unknown key. A key is a text, or a list of integers: its bytes in UTF-8.

    Errors:
        Refused at load: a value that is no integer or outside the type; a key that stands in the policy and that the
        table has not; numbers outside their bounds.

    Example::

        policy object window : StaticMap {
            type Value = SInt32
            config = { keys : { "low" : 0, "high" : 100 }, pool_size : 1 }
        }
        execute dst=Pump { window.init {sid : dst_sid} }
        request dst=Pump method=Limit { window.set {sid : dst_sid, key : message.bound, value : message.value} }
        request dst=Pump method=Arm { window.commit {sid : dst_sid} }
        request dst=Pump method=Set {
            assert (message.rpm >= window.get {sid : dst_sid, key : "low"})
            assert (message.rpm <= window.get {sid : dst_sid, key : "high"})
        }
        assert {
            setup { pump <- execute src=Einit dst=Pump }
            sequence {
                grant request src=Panel dst=pump method=Limit { bound : "high", value : 50 }
                grant request src=Panel dst=pump method=Set { rpm : 80 }
                grant request src=Panel dst=pump method=Arm
                deny  request src=Panel dst=pump method=Set { rpm : 80 }
                deny  request src=Panel dst=pump method=Limit { bound : "width", value : 50 }
            }
        }

    Source:
        The security model StaticMap of KasperskyOS Community Edition.
    """

    kind = "StaticMap"

    def __init__(self, name: str, *, value: IntegerType, keys: Mapping[str, int], pool_size: int) -> None:
        super().__init__(name)
        self._value = value
        self._keys = keys
        self.pool_size = pool_size
        self.base: _Tables = {}
        self.working: _Tables = {}
        sid = {"sid": INTEGER}
        cell = {**sid, "key": _key_shape(keys)}
        self.rules = {
            "init": Operation(self._init, sid),
            "fini": Operation(self._fini, sid),
            "set": Operation(self._set, {**cell, "value": _value_shape(value)}),
            "commit": Operation(self._commit, sid),
            "rollback": Operation(self._rollback, sid),
        }
        self.expressions = {
            "get": Operation(partial(self._get, self.base), cell, value=value),
            "get_uncommited": Operation(partial(self._get, self.working), cell, value=value),
        }

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check the type, and that every default is of it."""
        value = _value_type(configuration, configuration.types("Value").get("Value"))
        config = configuration.config()
        rows = configuration.keys(config, ("keys", "pool_size"))
        keys = {
            key: configuration.integer(default, value.low, value.high)
            for key, default in configuration.entries(rows.get("keys")).items()
        }
        pool_size = configuration.integer(rows.get("pool_size"), 1, _MAX_POOL)
        if "keys" in rows and not 1 <= len(keys) <= MAX_KEYS:
            configuration.say(rows["keys"].span, f"a table has 1 to {MAX_KEYS} keys, not {len(keys)}")
        elif config is not None and len(keys) * pool_size > MAX_VALUES:
            configuration.say(config.span, f"the number of keys times `pool_size` is more than {MAX_VALUES}")
        return partial(cls, configuration.name, value=value, keys=keys, pool_size=pool_size)

    def snapshot(self) -> Any:  # noqa: ANN401
        """Both copies of each table, by sid."""
        return [
            [sid, dict(sorted(self.base[sid].items())), dict(sorted(self.working[sid].items()))]
            for sid in sorted(self.base)
        ]

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self.base.clear()
        self.working.clear()
        for sid, base, working in state:
            self.base[sid], self.working[sid] = dict(base), dict(working)

    def _init(self, _event: Event, undo: Undo, sid: int) -> str | None:
        if sid in self.base:
            return f"`{self.name}`: subject {sid} has a table already"
        if len(self.base) >= self.pool_size:
            return f"`{self.name}`: all {self.pool_size} tables are in use"
        put(undo, self.base, sid, dict(self._keys))
        put(undo, self.working, sid, dict(self._keys))
        return None

    def _fini(self, _event: Event, undo: Undo, sid: int) -> str | None:
        if sid not in self.base:
            return self._unknown(sid)
        drop(undo, self.base, sid)
        drop(undo, self.working, sid)
        return None

    def _set(self, _event: Event, undo: Undo, sid: int, key: str | Sequence[int], value: int) -> str | None:
        table, name = self.working.get(sid), _text(key)
        if table is None:
            return self._unknown(sid)
        if name is None or name not in table:
            return f"`{self.name}`: there is no key `{key}`"
        if not self._value.low <= value <= self._value.high:
            return f"`{self.name}`: {value} is outside {self._value.low} to {self._value.high}"
        put(undo, table, name, value)
        return None

    def _commit(self, _event: Event, undo: Undo, sid: int) -> str | None:
        return self._copy(undo, sid, source=self.working, target=self.base)

    def _rollback(self, _event: Event, undo: Undo, sid: int) -> str | None:
        return self._copy(undo, sid, source=self.base, target=self.working)

    def _copy(self, undo: Undo, sid: int, *, source: _Tables, target: _Tables) -> str | None:
        if sid not in source:
            return self._unknown(sid)
        put(undo, target, sid, dict(source[sid]))
        return None

    def _get(self, tables: _Tables, _event: Event, sid: int, key: str | Sequence[int]) -> int:
        table, name = tables.get(sid), _text(key)
        if table is None:
            raise Incorrect(self._unknown(sid))
        if name is None or name not in table:
            raise Incorrect(f"`{self.name}`: there is no key `{key}`")
        return table[name]

    def _unknown(self, sid: int) -> str:
        return f"`{self.name}`: subject {sid} has no table"


def _text(key: str | Sequence[int]) -> str | None:
    """A key as a text; None if its bytes are none."""
    if isinstance(key, str):
        return key
    try:
        return bytes(key).decode()
    except ValueError:
        return None


def _key_shape(keys: Mapping[str, int]) -> Shape:
    of_bytes = is_run_of(is_integer)

    def fits(kind: ValueType) -> bool:
        if isinstance(kind, LiteralType):
            return kind.value in keys
        return TEXT.fits(kind) or of_bytes(kind)

    return Shape("a key of the table or a text of the message", fits, tuple(keys))


def _value_shape(value: IntegerType) -> Shape:
    def fits(kind: ValueType) -> bool:
        if isinstance(kind, LiteralType):
            return isinstance(kind.value, int) and value.low <= kind.value <= value.high
        return is_integer(kind)

    return Shape(f"of the type {value}", fits)


def _value_type(configuration: Configuration, kind: psl.TypeExpression | None) -> IntegerType:
    if isinstance(kind, psl.NamedType) and not kind.arguments and kind.name in INTEGERS:
        return INTEGERS[kind.name]
    if kind is not None:
        text = " ".join(kind.span.text.split())
        configuration.say(kind.span, f"the values of a table are integers, not `{text}`{near(text, INTEGERS)}")
    return INTEGERS["SInt64"]
