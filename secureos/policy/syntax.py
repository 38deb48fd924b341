"""The parts of a policy text, as they stand there, each with its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from secureos.xdl.source import Source, Span

EventKind = Literal["execute", "request", "response", "error", "security"]

# ---- expressions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """A plain or qualified name, e.g. `holdfast.Gateway`."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Constant:
    """An integer, a text, a Boolean, or None for the unit value `()`."""

    value: int | str | bool | None
    span: Span


@dataclass(frozen=True, slots=True)
class ListLiteral:
    """`[…]`."""

    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Entry:
    """`key : value` in a dictionary; a name and a text as key mean the same."""

    key: int | str
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class DictionaryLiteral:
    """`{…}`; keys may repeat here, the checker refuses it."""

    entries: tuple[Entry, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Path:
    """Names joined by dots: a predefined value with fields, an object with a rule or an expression."""

    names: tuple[str, ...]
    span: Span

    @property
    def text(self) -> str:
        """As it is written, without spaces."""
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Member:
    """`of.name`, where `of` is no path."""

    of: Expression
    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Element:
    """`of.[index]`, counted from 0."""

    of: Expression
    index: int
    span: Span


@dataclass(frozen=True, slots=True)
class Application:
    """A model's expression with its argument."""

    path: Path
    argument: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """`!` or `~`."""

    operator: str
    operand: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands with a sign between them."""

    operator: str
    left: Expression
    right: Expression
    span: Span


Expression = Constant | ListLiteral | DictionaryLiteral | Path | Member | Element | Application | Unary | Binary

# ---- types ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NamedType:
    """A type by name, e.g. `UInt8` or `Set<UInt8>`."""

    name: str
    arguments: tuple[TypeExpression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class TupleType:
    """`[T, T]`."""

    items: tuple[TypeExpression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class DictionaryType:
    """`{ name : T }`."""

    fields: tuple[tuple[str, TypeExpression], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class VariantType:
    """`A | B`."""

    options: tuple[TypeExpression, ...]
    span: Span


TypeExpression = Constant | NamedType | TupleType | DictionaryType | VariantType

# ---- bindings ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selector:
    """`key=value`."""

    key: str
    value: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """A rule with its argument; `note` is the comment above it or behind it, for display only."""

    path: Path
    argument: Expression
    span: Span
    note: str = ""


@dataclass(frozen=True, slots=True)
class AuditUse:
    """`audit profile` inside a binding."""

    profile: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Match:
    """A section with further selectors."""

    selectors: tuple[Selector, ...]
    body: tuple[Item, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a `choice`; the key None is `_`."""

    key: Constant | Name | None
    body: tuple[Item, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Choice:
    """`choice expression { cases }`."""

    expression: Expression
    cases: tuple[Case, ...]
    span: Span


Item = Call | AuditUse | Match | Choice


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """What bindings have in common that are written alike.

    Attributes:
        keys: Those of their selectors, in their order.
        has_sections: Whether there are sections inside that choose by other keys.
    """

    keys: tuple[str, ...]
    has_sections: bool


@dataclass(frozen=True, slots=True)
class Row:
    """What a binding has of its own, beside what it shares with others like it.

    Attributes:
        template: Equal for bindings that are written alike.
        names: The values of the selectors.
        fixed: What else differs between bindings like it and decides whether they are right: all but `numbers`.
    """

    template: Template
    names: tuple[str, ...]
    fixed: tuple[str, ...]


class Binding:
    """An event with selectors and what is asked for it.

    Attributes:
        event: For which events.
        selectors, body, span: What is written there. In a long file of bindings that are written alike they are
            made when they are first looked at.
        source: The file.
        row: What tells it from bindings like it; None if nothing is known of such.
    """

    __slots__ = ("_make", "_parts", "event", "row", "source")

    def __init__(
        self,
        event: EventKind,
        selectors: tuple[Selector, ...],
        body: tuple[Item, ...],
        span: Span,
        row: Row | None = None,
    ) -> None:
        self.event: EventKind = event
        self.source = span.source
        self.row = row
        self._make: Callable[[], Binding] | None = None
        self._parts: tuple[tuple[Selector, ...], tuple[Item, ...], Span] | None = (selectors, body, span)

    @classmethod
    def later(cls, event: EventKind, source: Source, row: Row, make: Callable[[], Binding]) -> Binding:
        """A binding of which `make` makes the parts when they are first looked at."""
        found = cls.__new__(cls)
        found.event, found.source, found.row = event, source, row
        found._make, found._parts = make, None
        return found

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """The selectors as they are written."""
        return self._made()[0]

    @property
    def body(self) -> tuple[Item, ...]:
        """What is asked."""
        return self._made()[1]

    @property
    def span(self) -> Span:
        """The whole binding."""
        return self._made()[2]

    def forget(self) -> None:
        """Let go of the parts, if they can be made again from the text."""
        if self._make is not None:
            self._parts = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Binding):
            return NotImplemented
        return self.event == other.event and self._made() == other._made()

    def __hash__(self) -> int:
        return hash((self.event, self.span))

    def __repr__(self) -> str:
        return f"Binding({self.event!r}, {self.selectors!r}, {self.body!r}, {self.span!r})"

    def _made(self) -> tuple[tuple[Selector, ...], tuple[Item, ...], Span]:
        if self._parts is None:
            made = self._make() if self._make is not None else self
            self._parts = made._made()
        return self._parts


# ---- the other declarations ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExecuteInterface:
    """`execute: kl.core.Execute`."""

    interface: Name
    span: Span


@dataclass(frozen=True, slots=True)
class UseClass:
    """`use EDL class`."""

    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class UseFile:
    """`use path._`."""

    path: Path
    span: Span


@dataclass(frozen=True, slots=True)
class TypeDeclaration:
    """`type Name = type`, at the top or in an object."""

    name: Name
    type: TypeExpression
    span: Span


@dataclass(frozen=True, slots=True)
class Field:
    """`name = expression` in an object."""

    name: Name
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class ObjectDeclaration:
    """`policy object name : Model { … }`."""

    name: Name
    model: Name
    types: tuple[TypeDeclaration, ...]
    fields: tuple[Field, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class AuditProfile:
    """`audit profile name = { level : … }`."""

    name: Name
    levels: DictionaryLiteral
    span: Span


@dataclass(frozen=True, slots=True)
class AuditDefault:
    """`audit default = profile level`."""

    profile: Name
    level: int
    span: Span


@dataclass(frozen=True, slots=True)
class TestCase:
    """One event of a policy test with the verdict that is expected."""

    event: EventKind
    selectors: tuple[Selector, ...]
    fields: DictionaryLiteral | None
    expectation: str
    label: str
    variable: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class TestBlock:
    """`setup`, `finally` or one `sequence`."""

    part: str
    name: str
    cases: tuple[TestCase, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class TestSet:
    """`assert "name" { … }` at the top."""

    name: str
    blocks: tuple[TestBlock, ...]
    span: Span


Declaration = (
    ExecuteInterface
    | UseClass
    | UseFile
    | TypeDeclaration
    | ObjectDeclaration
    | AuditProfile
    | AuditDefault
    | Binding
    | TestSet
)


@dataclass(frozen=True, slots=True)
class File:
    """One policy file."""

    source: Source
    declarations: tuple[Declaration, ...]
