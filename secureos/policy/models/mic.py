"""The model `Mic`: mandatory integrity control."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from secureos.policy import syntax as psl
from secureos.policy.models.arguments import WORD
from secureos.policy.models.changes import drop, put
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.model import Incorrect, Model, Operation, Undo
from secureos.policy.values import (
    INTEGER,
    ListType,
    LiteralType,
    RecordType,
    Shape,
    UnitType,
    ValueType,
    is_integer,
)
from secureos.xdl.source import near

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

MAX_OBJECTS: Final = 65_536
"""How many processes and resources can have a level."""

MAX_DEGREES: Final = 256
MAX_CATEGORIES: Final = 64


class Level(NamedTuple):
    """A level of integrity: the number of its degree, and its categories as bits."""

    degree: int
    categories: int = 0

    def within(self, other: Level) -> bool:
        """Whether this level is lower than the other or equal; of incomparable levels neither is."""
        return self.degree <= other.degree and not self.categories & ~other.categories


_LOWEST: Final = Level(0)


class Mic(Model):
    """No influence from lower to higher integrity, unless the receiver is trusted to deal with it.

    Parameters:
        config = ["LOW", "MID", "HIGH"]: The degrees from the lowest to the highest, or
        config = { degrees : […], categories : […] }: A level is then a degree with a set of categories. One level
            is within another if its degree is not higher and its categories are a part of the other's. At most 256
            degrees and 64 categories.

    Rules:
        execute {image, target, level, levelR}: A process `target` is started from `image`. It gets `level`, by
            default that of the image, which must not be exceeded; and `levelR`, the lowest level that it may receive
            from, by default its level, which must not be exceeded either.
        create {source, target, container, driver, level}: The process `source` creates the resource `target` within
            `container`, served by the process `driver`. It gets `level`, by default that of the source, within the
            levels of source, driver and container.
        delete {source, target, container, driver}: Takes the level away; it must be within those of source, driver
            and container.
        upgrade {source, target, container, driver, level}: Raises the level of the resource `target` to `level`,
            within the levels of source, driver and container.
        call {source, target}: Asks and gets an answer: granted if the level or the levelR of the source is within
            the level of the target.
        invoke {source, target}: Tells, without answer: granted if the level of the target is within the source's.
        read {source, target}: As `call`, of a resource.
        write {source, target}: As `invoke`, of a resource.

    Expressions:
        query_level {source}: The level, for a `choice` whose cases are levels.

    Semantics:
        `image`, `container`, `level` and `levelR` may be `()`: there is none, or the default. Without an image a
        level must be given. A level in the policy is a degree (without categories), or `{degree, categories}`, where
        `()` stands for no categories; as a case of a `choice` with categories it reads `"HIGH: a, b"`. Whoever has no
        level gets no rule granted. What has a level is not given another by `execute` or `create`. At most 65,536
        processes and resources have a level.

    Errors:
        Refused at load: unknown degrees and categories, wherever they are named; names given twice; no degree at
        all.

    Example::

        policy object mic : Mic { config = ["LOW", "HIGH"] }
        execute dst=Net { mic.execute {image : (), target : dst_sid, level : "LOW", levelR : ()} }
        execute dst=Pump { mic.execute {image : (), target : dst_sid, level : "HIGH", levelR : ()} }
        request { mic.call {source : src_sid, target : dst_sid} }
        assert {
            setup {
                net <- execute src=Einit dst=Net
                pump <- execute src=Einit dst=Pump
            }
            sequence {
                grant request src=net dst=pump method=Fire
                deny  request src=pump dst=net method=Open { port : 1 }
                deny  request src=Panel dst=pump method=Fire
            }
        }

    Source:
        The security model Mic of KasperskyOS Community Edition, after K. J. Biba, Integrity Considerations for Secure
        Computer Systems, MTR-3153, 1977. Where its documents are silent: `delete` asks for what `create` asks for.
    """

    kind = "Mic"

    def __init__(self, name: str, *, degrees: Sequence[str], categories: Sequence[str]) -> None:
        super().__init__(name)
        self._degrees = tuple(degrees)
        self._categories = tuple(categories)
        self.level: dict[int, Level] = {}
        self.level_r: dict[int, Level] = {}
        level = Shape("a level, `()` for the default", self._is_level, self._degrees)
        optional = Shape("an integer or `()`", lambda kind: isinstance(kind, UnitType) or is_integer(kind))
        around = {"source": INTEGER, "driver": INTEGER, "container": optional}
        pair = {"source": INTEGER, "target": INTEGER}
        start = {"image": optional, "target": INTEGER, "level": level, "levelR": level}
        self.rules = {
            "create": Operation(self._create, {"target": INTEGER, "level": level, **around}),
            "delete": Operation(self._delete, {"target": INTEGER, **around}),
            "execute": Operation(self._execute, start),
            "upgrade": Operation(self._upgrade, {"target": INTEGER, "level": level, **around}),
            "call": Operation(self._call, pair),
            "invoke": Operation(self._invoke, pair),
            "read": Operation(self._call, pair),
            "write": Operation(self._invoke, pair),
        }
        query = Operation(self._query_level, {"source": INTEGER}, value=WORD, choose=self._choose)
        self.expressions = {"query_level": query}

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """A list of degrees, or degrees and categories."""
        configuration.types()
        config = configuration.config()
        degrees: psl.Expression | None = config
        categories: psl.Expression | None = None
        if isinstance(config, psl.DictionaryLiteral):
            keys = configuration.keys(config, ("degrees", "categories"))
            degrees, categories = keys.get("degrees"), keys.get("categories")
        names = configuration.distinct_texts(degrees)
        parts = configuration.distinct_texts(categories)
        if degrees is not None and not 1 <= len(names) <= MAX_DEGREES:
            configuration.say(degrees.span, f"there are 1 to {MAX_DEGREES} degrees, not {len(names)}")
        if categories is not None and len(parts) > MAX_CATEGORIES:
            configuration.say(categories.span, f"there are at most {MAX_CATEGORIES} categories, not {len(parts)}")
        return partial(cls, configuration.name, degrees=names, categories=parts)

    def snapshot(self) -> Any:  # noqa: ANN401
        """The levels, by sid."""
        tables = {"level": self.level, "levelR": self.level_r}
        return {name: [[sid, *table[sid]] for sid in sorted(table)] for name, table in tables.items()}

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        for name, table in (("level", self.level), ("levelR", self.level_r)):
            table.clear()
            table.update((sid, Level(degree, categories)) for sid, degree, categories in state[name])

    # ---- rules -----------------------------------------------------------------------------------------------------

    def _execute(
        self, _event: Event, undo: Undo, image: int | None, target: int, level: _Given, level_r: _Given
    ) -> str | None:
        above = None if image is None else self.level.get(image)
        given = above if level is None else self._read(level)
        if image is not None and above is None:
            return self._without(image)
        if given is None:
            return f"`{self.name}`: without an image a level must be given"
        receives = given if level_r is None else self._read(level_r)
        if above is not None and not given.within(above):
            return self._not_within(f"the level {self._shown(given)}", f"that of the image, {self._shown(above)}")
        if not receives.within(given):
            return self._not_within(f"levelR {self._shown(receives)}", f"the level {self._shown(given)}")
        why = self._assign(undo, target, given)
        if why is None:
            put(undo, self.level_r, target, receives)
        return why

    # What is around a resource: its source, its driver, and its container if it has one.

    def _create(self, _event: Event, undo: Undo, target: int, level: _Given, *around: int | None) -> str | None:
        given = self._given(level, around)
        return self._bounded(given, around) or self._assign(undo, target, given)

    def _delete(self, _event: Event, undo: Undo, target: int, *around: int | None) -> str | None:
        before = self.level.get(target)
        if before is None:
            return self._without(target)
        why = self._bounded(before, around)
        if why is None:
            drop(undo, self.level, target)
            if target in self.level_r:
                drop(undo, self.level_r, target)
        return why

    def _upgrade(self, _event: Event, undo: Undo, target: int, level: _Given, *around: int | None) -> str | None:
        before, given = self.level.get(target), self._given(level, around)
        if before is None:
            return self._without(target)
        why = self._bounded(given, around)
        if why is None and not before.within(given):
            why = self._not_within(f"the level {self._shown(before)} of {target}", f"the new one, {self._shown(given)}")
        if why is None:
            put(undo, self.level, target, given)
        return why

    def _call(self, _event: Event, _undo: Undo, source: int, target: int) -> str | None:
        own, other = self.level.get(source), self.level.get(target)
        if own is None or other is None:
            return self._without(source if own is None else target)
        if own.within(other) or self.level_r.get(source, own).within(other):
            return None
        return (
            f"`{self.name}`: {source} with level {self._shown(own)} must not receive"
            f" from {target} with level {self._shown(other)}"
        )

    def _invoke(self, _event: Event, _undo: Undo, source: int, target: int) -> str | None:
        own, other = self.level.get(source), self.level.get(target)
        if own is None or other is None:
            return self._without(source if own is None else target)
        if other.within(own):
            return None
        return (
            f"`{self.name}`: {source} with level {self._shown(own)} must not influence"
            f" {target} with level {self._shown(other)}"
        )

    def _query_level(self, _event: Event, source: int) -> Level:
        level = self.level.get(source)
        if level is None:
            raise Incorrect(self._without(source))
        return level

    # ---- parts -----------------------------------------------------------------------------------------------------

    def _given(self, level: _Given, around: Sequence[int | None]) -> Level:
        """The level that was given, or the source's. Where the source has none, `_bounded` denies."""
        return self.level.get(around[0] or 0, _LOWEST) if level is None else self._read(level)

    def _bounded(self, level: Level, around: Sequence[int | None]) -> str | None:
        """Why a level is not within those of the processes and the container around a resource."""
        for what, sid in zip(("the source", "the driver", "the container"), around, strict=True):
            if sid is None:
                continue
            bound = self.level.get(sid)
            if bound is None:
                return self._without(sid)
            if not level.within(bound):
                return self._not_within(f"the level {self._shown(level)}", f"that of {what}, {self._shown(bound)}")
        return None

    def _assign(self, undo: Undo, sid: int, level: Level) -> str | None:
        if sid in self.level:
            return f"`{self.name}`: {sid} has a level already, {self._shown(self.level[sid])}"
        if len(self.level) >= MAX_OBJECTS:
            return f"`{self.name}`: {MAX_OBJECTS} processes and resources have a level already"
        put(undo, self.level, sid, level)
        return None

    def _read(self, given: str | Mapping[str, Any]) -> Level:
        if isinstance(given, str):
            return Level(self._degrees.index(given))
        bits = sum(1 << self._categories.index(name) for name in set(given["categories"] or ()))
        return Level(self._degrees.index(given["degree"]), bits)

    def _is_level(self, kind: ValueType) -> bool:
        if isinstance(kind, RecordType):
            return kind.fields.keys() == {"degree", "categories"} and (
                self._is_name(kind.fields["degree"], self._degrees) and self._are_categories(kind.fields["categories"])
            )
        return isinstance(kind, UnitType) or self._is_name(kind, self._degrees)

    def _are_categories(self, kind: ValueType) -> bool:
        """Whether it is a list of categories; `()` is none of them."""
        if isinstance(kind, UnitType):
            return True
        return isinstance(kind, ListType) and all(self._is_name(item, self._categories) for item in kind.items)

    def _is_name(self, kind: ValueType, names: Sequence[str]) -> bool:
        return isinstance(kind, LiteralType) and kind.value in names

    def _choose(self, case: str) -> Callable[[Level], bool]:
        degree, colon, rest = case.partition(":")
        categories = [part.strip() for part in rest.split(",")] if colon else []
        for name, known, what in (
            (degree.strip(), self._degrees, "degree"),
            *((name, self._categories, "category") for name in categories),
        ):
            if name not in known:
                message = f"unknown {what} `{name}`{near(name, known)}"
                raise ValueError(message)
        return self._read({"degree": degree.strip(), "categories": categories}).__eq__

    def _shown(self, level: Level) -> str:
        parts = [name for bit, name in enumerate(self._categories) if level.categories >> bit & 1]
        return self._degrees[level.degree] + (f": {', '.join(parts)}" if parts else "")

    def _without(self, sid: int) -> str:
        return f"`{self.name}`: {sid} has no level"

    def _not_within(self, one: str, other: str) -> str:
        return f"`{self.name}`: {one} is not within {other}"


_Given = str | Mapping[str, Any] | None
"""A level as an argument: a degree, a degree with categories, or None for `()`."""
