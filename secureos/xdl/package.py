"""Reading one IDL package: constants, types, and at most one interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeVar

from lark import Token, Tree

from secureos.xdl.constants import evaluate
from secureos.xdl.grammar import Parsed, span_of
from secureos.xdl.model import Interface, Method
from secureos.xdl.source import Diagnostic, PolicyError, Span, near
from secureos.xdl.types import (
    INTEGERS,
    MAX_BYTES_TOGETHER,
    MAX_DEPTH,
    MAX_WEIGHT,
    ArrayType,
    BytesType,
    FieldType,
    HandleType,
    IntegerType,
    OpaqueType,
    Parameter,
    SequenceType,
    StringType,
    StructType,
    UnionType,
    is_too_large,
    least_bytes,
)

MAX_LIMIT: Final = MAX_BYTES_TOGETHER
"""No field is longer, for a whole message holds no more."""

_DIRECTIONS: Final = ("in", "out", "error")

Imported = TypeVar("Imported")


@dataclass
class Package:
    """What one IDL file declares, imported names included (plain and with their package before them).

    `opaque` says that it, or something that it imports, is not at hand: other names may exist. `own` are the names that
    it declares itself.
    """

    name: str
    types: dict[str, FieldType] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)
    interface: Interface | None = None
    opaque: bool = False
    own: set[str] = field(default_factory=set)


class PackageReader:
    """Turns the parse tree of one IDL file into a `Package` and collects every mistake in it.

    Names are declared before they are used, so no type can contain itself.
    """

    def __init__(self, parsed: Parsed, fetch: Callable[[str, Tree[Token]], Package]) -> None:
        self.source = parsed.source
        self.mistakes: list[Diagnostic] = []
        self._tree = parsed.tree
        self._fetch = fetch
        self._names = {*INTEGERS, "Handle"}
        self._imported: set[str] = set()

    def read(self) -> Package:
        """The package; what is wrong in it is left out and in `mistakes`."""
        name, *declarations = trees(self._tree)
        package = Package(self.text(name), dict(INTEGERS))
        package.types["Handle"] = HandleType()
        for declaration in declarations:
            try:
                self._declare(package, declaration)
            except PolicyError as failure:
                self.mistakes.extend(failure.diagnostics)
        return package

    def text(self, part: Tree[Token]) -> str:
        """A qualified name without the spaces that may stand in it."""
        return ".".join(str(token) for token in part.scan_values(lambda value: isinstance(value, Token)))

    def _declare(self, package: Package, part: Tree[Token]) -> None:
        match part.data:
            case "import":
                self._import(package, part)
            case "constant":
                self._constant(package, part)
            case "typedef":
                of_type, name = trees(part)
                self._name_type(package, name, self._type(package, of_type))
            case "struct" | "union":
                self._structure(package, part)
            case _:
                self._interface(package, part)

    def _import(self, package: Package, part: Tree[Token]) -> None:
        (name,) = trees(part)
        other = self._fetch(self.text(name), name)
        package.opaque |= other.opaque
        # What a package declares itself comes before what another only passes on, whichever is imported first.
        first = other.own - self._imported
        self._imported |= first
        _import_names(package.types, other.types, other, first=first)
        _import_names(package.constants, other.constants, other, first=first)

    def _constant(self, package: Package, part: Tree[Token]) -> None:
        of_type, name, expression = trees(part)
        kind = self._type(package, of_type)
        if not isinstance(kind, IntegerType | OpaqueType):
            self._fail(of_type, f"a constant is an integer, not {kind}")
        value = self._value(package, expression)
        if value is None:
            return
        if isinstance(kind, IntegerType) and not kind.low <= value <= kind.high:
            self._fail(expression, f"{value} is outside {kind.low} to {kind.high} ({kind.name})")
        self._own(package, name)
        package.constants[self.text(name)] = value

    def _name_type(self, package: Package, name: Tree[Token], kind: FieldType) -> None:
        self._own(package, name)
        package.types[self.text(name)] = kind

    def _own(self, package: Package, name: Tree[Token]) -> None:
        """A name of this package; it may hide an imported one, but no other of this package."""
        text = self.text(name)
        if text in self._names:
            self._fail(name, f"`{text}` is declared already")
        self._names.add(text)
        package.own.add(text)

    def _structure(self, package: Package, part: Tree[Token]) -> None:
        name, *rows = trees(part)
        fields: dict[str, Parameter] = {}
        for row in rows:
            of_type, field_name = trees(row)
            self._distinct(field_name, fields, "field")
            fields[self.text(field_name)] = Parameter(self.text(field_name), self._type(package, of_type))
        if not fields and part.data == "union":
            self._fail(name, f"`{self.text(name)}` has no fields, so it could hold nothing")
        make = StructType if part.data == "struct" else UnionType
        kind = make(f"{package.name}.{self.text(name)}", tuple(fields.values()))
        self._name_type(package, name, self._bounded(name, kind))

    def _interface(self, package: Package, part: Tree[Token]) -> None:
        if package.interface is not None:
            self._fail(part, "a package has at most one interface")
        methods: dict[str, Method] = {}
        for row in trees(part):
            if row.data != "method":  # the interface's own name, which only the oldest files have
                continue
            name, *parameters = trees(row)
            self._distinct(name, methods, "method")
            check_name(span_of(self.source, name))
            methods[self.text(name)] = self._method(package, len(methods), name, parameters)
        package.interface = Interface(package.name, methods)

    def _method(self, package: Package, number: int, name: Tree[Token], parameters: Iterable[Tree[Token]]) -> Method:
        by_direction: dict[str, dict[str, Parameter]] = {direction: {} for direction in _DIRECTIONS}
        reached = 0
        for row in parameters:
            direction, of_type, parameter = trees(row)
            word = self.text(direction)
            if _DIRECTIONS.index(word) < reached:
                self._fail(direction, f"an `{word}` parameter stands behind an `{_DIRECTIONS[reached]}` parameter")
            reached = _DIRECTIONS.index(word)
            self._distinct(parameter, by_direction[word], "parameter")
            by_direction[word][self.text(parameter)] = Parameter(self.text(parameter), self._type(package, of_type))
            self._held(parameter, (field.type for field in by_direction[word].values()))
        inputs, outputs, errors = (tuple(by_direction[direction].values()) for direction in _DIRECTIONS)
        return Method(package.name, self.text(name), number, inputs, outputs, errors)

    def _type(self, package: Package, part: Tree[Token]) -> FieldType:
        return self._bounded(part, self._written_type(package, part))

    def _bounded(self, part: Tree[Token], kind: FieldType) -> FieldType:
        if is_too_large(kind):
            self._fail(part, f"a type has at most {MAX_DEPTH} levels and {MAX_WEIGHT} parts")
        self._held(part, (kind,))
        return kind

    def _held(self, part: Tree[Token], kinds: Iterable[FieldType]) -> None:
        """Whether some fields together fit a message."""
        if sum(map(least_bytes, kinds)) > MAX_BYTES_TOGETHER:
            self._fail(part, f"this takes more than {MAX_BYTES_TOGETHER} bytes; no message holds more")

    def _written_type(self, package: Package, part: Tree[Token]) -> FieldType:
        inner = trees(part)
        match part.data:
            case "bytes_type":
                return BytesType(self._limit(package, inner[0]))
            case "string_type":
                return StringType(self._limit(package, inner[0]))
            case "sequence_type":
                return SequenceType(self._type(package, inner[0]), self._limit(package, inner[1]))
            case "array_type":
                return ArrayType(self._type(package, inner[0]), self._limit(package, inner[1]))
            case "handle_type":
                return HandleType(self.text(inner[0]))
        return self._named_type(package, part)

    def _named_type(self, package: Package, part: Tree[Token]) -> FieldType:
        name = self.text(part)
        if name not in package.types:
            if package.opaque:
                return OpaqueType()
            self._fail(part, f"unknown type `{name}`{near(name, package.types)}")
        return package.types[name]

    def _limit(self, package: Package, part: Tree[Token]) -> int:
        value = self._value(package, part)
        if value is None:
            return MAX_LIMIT
        if not 1 <= value <= MAX_LIMIT:
            self._fail(part, f"a length of {value} is outside 1 to {MAX_LIMIT}")
        return value

    def _value(self, package: Package, part: Tree[Token]) -> int | None:
        """The value of an expression; None if it needs what is not at hand."""
        try:
            return evaluate(self.source, part, package.constants)
        except PolicyError:
            if package.opaque:
                return None
            raise

    def _distinct(self, name: Tree[Token], known: Iterable[str], what: str) -> None:
        if self.text(name) in known:
            self._fail(name, f"{what} `{self.text(name)}` is declared twice")

    def _fail(self, part: Tree[Token], message: str) -> NoReturn:
        raise PolicyError([Diagnostic(span_of(self.source, part), message)])


def _import_names(
    names: dict[str, Imported], others: Mapping[str, Imported], package: Package, *, first: Iterable[str]
) -> None:
    """Plain names also with their package before them; what is qualified already stays as it is.

    `first` are the names that count here whatever other imports have passed on before.
    """
    for key, value in others.items():
        if key in first:
            names[key] = value
        names.setdefault(key, value)
        if "." not in key:
            names[f"{package.name}.{key}"] = value


def check_name(span: Span) -> None:
    """Instances, endpoints and methods have no `_` in their names.

    Raises:
        PolicyError: This one has.
    """
    if "_" in span.text:
        raise PolicyError([Diagnostic(span, f"the name `{span.text}` may not contain `_`")])


def trees(part: Tree[Token]) -> list[Tree[Token]]:
    """The children of a piece of the parse tree that are trees themselves."""
    return [child for child in part.children if isinstance(child, Tree)]
