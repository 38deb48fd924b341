"""The model `TypeEnforcement`: every subject and object has a type, and a table says what types do to types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from secureos.policy import syntax as psl
from secureos.policy.models.arguments import WORD, case_out_of, name_out_of, one_of
from secureos.policy.models.changes import drop, put
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.model import Incorrect, Model, Operation, Undo
from secureos.policy.values import INTEGER, BooleanType

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

MAX_LABELS: Final = 65_536
"""How many security identifiers can have a type."""

Table = dict[tuple[str, str], frozenset[str]]


class TypeEnforcement(Model):
    """Types for security identifiers, and a table of what a type may do to a type.

    Parameters (`config = { … }`):
        types: The names of the types.
        allow: For each source type, for each target type, the list of permissions.
        never: Optionally in the same form, what `allow` must not hold.
        transitions: Optionally, from each type the list of the types that may follow it.

    Rules:
        label {sid, type}: Gives a type; denied if `sid` has one.
        unlabel {sid}: Takes it away.
        transition {sid, type}: Changes the type; denied unless that transition is listed.
        check {source, target, permission}: Granted if the table allows it.

    Expressions:
        allows {source, target, permission}: Whether the table allows it.
        type_of {sid}: The type, for a `choice` whose cases are types.

    Semantics:
        Default deny: what is not in `allow` is denied. A `sid` without a type is denied, and an expression about it
        has no value. At most 65,536 identifiers have a type.

    Errors:
        Refused at load: types that do not exist, a type listed twice, permissions in the policy that the table
        never gives, and every permission that `never` forbids and `allow` gives.

    Example::

        policy object te : TypeEnforcement { config = {
            types : ["field", "office"],
            allow : { "office" : { "field" : ["read"] }, "field" : { "field" : ["read", "write"] } },
            never : { "office" : { "field" : ["write"] } }
        } }
        execute dst=Net { te.label {sid : dst_sid, type : "office"} }
        execute dst=Pump { te.label {sid : dst_sid, type : "field"} }
        request dst=Pump method=Set { te.check {source : src_sid, target : dst_sid, permission : "write"} }
        request dst=Pump method=Fire { te.check {source : src_sid, target : dst_sid, permission : "read"} }
        assert {
            setup {
                net <- execute src=Einit dst=Net
                pump <- execute src=Einit dst=Pump
            }
            sequence {
                grant request src=net dst=pump method=Fire
                deny  request src=net dst=pump method=Set { rpm : 1 }
                deny  request src=Panel dst=pump method=Fire
            }
        }

    Source:
        W. E. Boebert, R. Y. Kain, A Practical Alternative to Hierarchical Integrity Policies, 8th National Computer
        Security Conference, 1985; `never` after `neverallow` of SELinux.
    """

    kind = "TypeEnforcement"

    def __init__(
        self, name: str, *, types: tuple[str, ...], allow: Table, transitions: Mapping[str, frozenset[str]]
    ) -> None:
        super().__init__(name)
        self._allow = allow
        self._transitions = transitions
        self.types: dict[int, str] = {}
        kind = one_of("one of the types", types)
        permissions = name_out_of("a permission", sorted(set().union(*allow.values())))
        access = {"source": INTEGER, "target": INTEGER, "permission": permissions}
        self.rules = {
            "label": Operation(self._label, {"sid": INTEGER, "type": kind}),
            "unlabel": Operation(self._unlabel, {"sid": INTEGER}),
            "transition": Operation(self._transition, {"sid": INTEGER, "type": kind}),
            "check": Operation(self._check, access),
        }
        self.expressions = {
            "allows": Operation(self._allows, access, value=BooleanType()),
            "type_of": Operation(self._type_of, {"sid": INTEGER}, value=WORD, choose=case_out_of("type", types)),
        }

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check the names, and that nothing is allowed which is never to be."""
        configuration.types()
        keys = configuration.keys(configuration.config(), ("types", "allow"), ("never", "transitions"))
        types = configuration.distinct_texts(keys.get("types"))
        allow = _table(configuration, keys.get("allow"), types)
        never = _table(configuration, keys.get("never"), types)
        for pair in sorted(never):
            for permission in sorted(never[pair] & allow.get(pair, frozenset())):
                source, target = pair
                message = f"`{source}` may `{permission}` `{target}`, which `never` forbids"
                configuration.say(keys["allow"].span, message)
        transitions = {
            source: frozenset(configuration.names_of(targets, "type", types))
            for source, targets in _rows(configuration, keys.get("transitions"), types).items()
        }
        return partial(cls, configuration.name, types=types, allow=allow, transitions=transitions)

    def snapshot(self) -> Any:  # noqa: ANN401
        """The types, by sid."""
        return [[sid, self.types[sid]] for sid in sorted(self.types)]

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self.types.clear()
        self.types.update(state)

    def _label(self, _event: Event, undo: Undo, sid: int, kind: str) -> str | None:
        if sid in self.types:
            return f"`{self.name}`: {sid} has the type `{self.types[sid]}` already"
        if len(self.types) >= MAX_LABELS:
            return f"`{self.name}`: {MAX_LABELS} identifiers have a type already"
        put(undo, self.types, sid, kind)
        return None

    def _unlabel(self, _event: Event, undo: Undo, sid: int) -> str | None:
        if sid not in self.types:
            return self._unknown(sid)
        drop(undo, self.types, sid)
        return None

    def _transition(self, _event: Event, undo: Undo, sid: int, kind: str) -> str | None:
        before = self.types.get(sid)
        if before is None:
            return self._unknown(sid)
        if kind not in self._transitions.get(before, frozenset()):
            return f"`{self.name}`: {sid} cannot go from type `{before}` to `{kind}`"
        put(undo, self.types, sid, kind)
        return None

    def _check(self, _event: Event, _undo: Undo, source: int, target: int, permission: str) -> str | None:
        one, other = self.types.get(source), self.types.get(target)
        if one is None or other is None:
            return self._unknown(source if one is None else target)
        if permission in self._allow.get((one, other), frozenset()):
            return None
        return f"`{self.name}`: type `{one}` may not `{permission}` type `{other}`"

    def _allows(self, _event: Event, source: int, target: int, permission: str) -> bool:
        one, other = self._type_of(_event, source), self._type_of(_event, target)
        return permission in self._allow.get((one, other), frozenset())

    def _type_of(self, _event: Event, sid: int) -> str:
        if sid not in self.types:
            raise Incorrect(self._unknown(sid))
        return self.types[sid]

    def _unknown(self, sid: int) -> str:
        return f"`{self.name}`: {sid} has no type"


def _rows(
    configuration: Configuration, value: psl.Expression | None, types: tuple[str, ...]
) -> dict[str, psl.Expression]:
    """A dictionary whose keys are types."""
    found = configuration.entries(value)
    for name, row in found.items():
        configuration.known(row.span, "type", name, types)
    return found


def _table(configuration: Configuration, value: psl.Expression | None, types: tuple[str, ...]) -> Table:
    return {
        (source, target): frozenset(configuration.distinct_texts(permissions))
        for source, row in _rows(configuration, value, types).items()
        for target, permissions in _rows(configuration, row, types).items()
    }
