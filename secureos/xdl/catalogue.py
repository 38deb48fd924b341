"""Finding and reading descriptions: from the name of a class, component or package to what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Final, Literal, TypeVar

from lark import Token, Tree

from secureos.xdl.grammar import Parsed, span_of, xdl_grammar
from secureos.xdl.model import (
    Endpoint,
    Interface,
    TaskClass,
    described_class,
    opaque_class,
    opaque_endpoints,
    opaque_interface,
    outlined_interface,
)
from secureos.xdl.package import Package, PackageReader, check_name, trees
from secureos.xdl.source import Diagnostic, PolicyError, Source, Span, near, read_source

BUILTIN: Final = Path(__file__).with_name("builtin")
"""The kernel's and the initial task's own descriptions; always on the search path, last."""

KERNEL: Final = "kl.core.Core"
"""The kernel's own class."""

_KERNEL_PACKAGES: Final = frozenset(
    ".".join(path.relative_to(BUILTIN).with_suffix("").parts) for path in BUILTIN.rglob("*.idl")
) - {"kl.core.Execute"}
"""Our own outlines of the kernel's interfaces: what their messages hold is not known for certain."""

MAX_ENDPOINTS: Final = 1024
MAX_INSTANCES: Final = 1024
"""How many component instances a class has, those inside others counted."""

Missing = Literal["error", "opaque"]
"""What a description means that is not at hand: an error, or a thing of which only the name is known."""

_MAX_NESTING: Final = 32
_QUALIFIED_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}(\.[A-Za-z_][A-Za-z0-9_]{0,99}){0,15}")

Found = TypeVar("Found")


class Catalogue:
    """The descriptions in some folders, read when they are first asked for.

    Class `a.b.Name` is in `a/b/Name.edl` or `Name.edl`, components are in `.cdl` and packages in `.idl` files
    of the same pattern; the first folder that has one counts.

    `places` says where single files are, by name and kind (`edl`, `cdl`, `idl`); they count before all folders.
    With `missing="opaque"` a description that no folder holds is taken as one of which only the name is known (it may
    have any endpoint, method, field), and `warnings` says so, once for each.
    """

    def __init__(
        self,
        folders: Iterable[Path] = (),
        *,
        missing: Missing = "error",
        places: Mapping[tuple[str, str], Path] | None = None,
    ) -> None:
        self.folders = (*folders, BUILTIN)
        self._places = places or {}
        self.missing = missing
        self.warnings: list[Diagnostic] = []
        self._classes: dict[str, TaskClass] = {}
        self._packages: dict[str, Package] = {}
        self._components: dict[str, Parsed | None] = {}
        self._under_way: list[str] = []

    def task_class(self, name: str, *, at: Span | None = None) -> TaskClass:
        """The class of that name; `at` is where it was asked for, for the error message.

        Raises:
            PolicyError: There is no such class, or its description is wrong.
        """
        if name not in self._classes:
            parsed = self._open(name, "edl", at)
            self._classes[name] = opaque_class(name) if parsed is None else _ClassReader(self, parsed).read()
        return self._classes[name]

    def interface(self, package: str, *, at: Span | None = None) -> Interface:
        """The interface of that package.

        Raises:
            PolicyError: There is no such package, it has no interface, or its description is wrong.
        """
        found = self.package(package, at=at)
        interface = found.interface
        if package in _KERNEL_PACKAGES and interface is not None:
            return outlined_interface(interface, whole=self.missing == "error")
        if interface is None and found.opaque:
            return opaque_interface(package)
        if interface is None:
            raise PolicyError([Diagnostic(_place(at, package), f"package `{package}` declares no interface")])
        return interface

    def package(self, name: str, *, at: Span | None = None) -> Package:
        """The package of that name.

        Raises:
            PolicyError: There is no such package, it imports itself, or it is wrong.
        """
        if name not in self._packages:
            self._packages[name] = self.guarded(name, at, lambda: self._read_package(name, at))
        return self._packages[name]

    def component(self, name: str, at: Span) -> Parsed | None:
        """The parse tree of a component; None if it is not at hand and need not be.

        Raises:
            PolicyError: There is no such component, or it does not follow the grammar.
        """
        if name not in self._components:
            self._components[name] = self._open(name, "cdl", at)
        return self._components[name]

    def guarded(self, name: str, at: Span | None, work: Callable[[], Found]) -> Found:
        """Do `work` for `name` unless it is under way already: a description that needs itself has no meaning.

        Raises:
            PolicyError: `name` is under way, or the descriptions nest too deep.
        """
        if name in self._under_way:
            circle = " → ".join((*self._under_way[self._under_way.index(name) :], name))
            raise PolicyError([Diagnostic(_place(at, name), f"`{name}` contains itself: {circle}")])
        if len(self._under_way) >= _MAX_NESTING:
            message = f"descriptions refer to one another more than {_MAX_NESTING} levels deep"
            raise PolicyError([Diagnostic(_place(at, name), message)])
        self._under_way.append(name)
        try:
            return work()
        finally:
            self._under_way.pop()

    def tolerant(self) -> Catalogue:
        """A catalogue of the same folders for which nothing needs to be at hand."""
        return Catalogue(self.folders[:-1], missing="opaque", places=self._places)

    def names(self, kind: str) -> list[str]:
        """The names of all files of one kind (`edl`, `cdl`, `idl`), for near matches in error messages."""
        found = set()
        for folder in self.folders:
            for path in folder.rglob(f"*.{kind}"):
                found.add(".".join(path.relative_to(folder).with_suffix("").parts))
        return sorted(found)

    def _read_package(self, name: str, at: Span | None) -> Package:
        parsed = self._open(name, "idl", at)
        if parsed is None:
            return Package(name, opaque=True)
        source = parsed.source

        def fetch(other: str, part: Tree[Token]) -> Package:
            return self.package(other, at=span_of(source, part))

        reader = PackageReader(parsed, fetch)
        package = reader.read()
        if reader.mistakes:
            raise PolicyError(reader.mistakes)
        package.opaque |= self.missing == "opaque" and name in _KERNEL_PACKAGES
        return package

    def _open(self, name: str, kind: str, at: Span | None) -> Parsed | None:
        """Find, read and parse the file of a class (`edl`), component (`cdl`) or package (`idl`)."""
        if not _QUALIFIED_NAME.fullmatch(name):
            raise PolicyError([Diagnostic(_place(at, "descriptions"), f"`{name[:80]}` is no name of a description")])
        if (name, kind) in self._places:
            place = self._places[name, kind]
            return _parsed(place, place.parent, kind)
        parts, misplaced = name.split("."), None
        for folder in self.folders:
            for relative in dict.fromkeys((Path(*parts), Path(parts[-1]))):
                path = folder / relative.with_name(f"{relative.name}.{kind}")
                if path.is_file():
                    parsed = _parsed_builtin(path, kind) if folder == BUILTIN else _parsed(path, folder, kind)
                    wrong = _own_name(parsed, name)
                    if wrong is None:
                        return parsed
                    if self.missing == "error" or relative == Path(*parts):
                        misplaced = misplaced or wrong
        if misplaced is not None:
            raise PolicyError([misplaced])
        self._not_at_hand(name, kind, at)
        return None

    def _not_at_hand(self, name: str, kind: str, at: Span | None) -> None:
        what = {"edl": "class", "cdl": "component", "idl": "package"}[kind]
        file = f"{name.replace('.', '/')}.{kind}"
        if self.missing == "error":
            message = f"unknown {what} `{name}`: no folder holds `{file}`{near(name, self.names(kind))}"
            raise PolicyError([Diagnostic(_place(at, name), message)])
        message = f"{what} `{name}` is taken as it is named: no folder holds `{file}`"
        self.warnings.append(Diagnostic(_place(at, name), message))


class _ClassReader:
    """Turns the parse tree of one EDL file, and those of its components, into a `TaskClass`."""

    def __init__(self, catalogue: Catalogue, parsed: Parsed) -> None:
        self._catalogue = catalogue
        self._parsed = parsed
        self._endpoints: dict[str, Endpoint] = {}
        self._unknown: list[Endpoint] = []
        self._instances = 0
        self._security: Interface | None = None
        self._mistakes: list[Diagnostic] = []

    def read(self) -> TaskClass:
        self._walk(self._parsed, "", None)
        if self._mistakes:
            raise PolicyError(self._mistakes)
        name, span = _declared_name(self._parsed)
        if name == KERNEL and self._catalogue.missing == "opaque":
            self._unknown.append(opaque_endpoints(""))
            message = f"the methods of `{KERNEL}` are listed here in part: others are taken as they are named"
            self._catalogue.warnings.append(Diagnostic(span, message))
        return described_class(name, self._endpoints, self._security, tuple(self._unknown))

    def _walk(self, parsed: Parsed, path: str, component: str | None) -> None:
        """Text order, depth first: this order numbers the endpoints."""
        for part in trees(parsed.tree)[1:]:
            if part.data == "security":
                self._try(partial(self._set_security, parsed.source, trees(part)[0]))
                continue
            enter = self._add_component if part.data == "components" else self._add_endpoint
            for member in trees(part):
                self._try(partial(enter, parsed.source, member, path, component))

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except PolicyError as failure:
            self._mistakes.extend(failure.diagnostics)

    def _set_security(self, source: Source, name: Tree[Token]) -> None:
        span = span_of(source, name)
        interface = self._catalogue.interface(_text(name), at=span)
        if self._security not in (None, interface):
            raise PolicyError([Diagnostic(span, "a class has at most one security interface, its components included")])
        for method in interface.methods.values():
            if method.outputs or method.errors:
                message = f"`{method.qualified_name}` has `out` or `error` parameters; a security interface has none"
                raise PolicyError([Diagnostic(span, message)])
        self._security = interface

    def _add_component(self, source: Source, member: Tree[Token], path: str, component: str | None) -> None:
        del component  # only endpoints belong to the component around them
        name, kind = trees(member)
        span, text = span_of(source, kind), _text(kind)
        check_name(span_of(source, name))
        self._instances += 1
        if self._instances > MAX_INSTANCES:
            raise PolicyError([Diagnostic(span, f"a class has at most {MAX_INSTANCES} component instances")])
        inner, inside = self._catalogue.component(text, span), f"{path}{_text(name)}."
        if inner is None:
            self._unknown.append(opaque_endpoints(inside))
        else:
            parsed = inner
            self._catalogue.guarded(text, span, lambda: self._walk(parsed, inside, text))

    def _add_endpoint(self, source: Source, member: Tree[Token], path: str, component: str | None) -> None:
        name, package = trees(member)
        span, full = span_of(source, name), f"{path}{_text(name)}"
        check_name(span)
        if full in self._endpoints:
            raise PolicyError([Diagnostic(span, f"endpoint `{full}` is declared twice")])
        if len(self._endpoints) >= MAX_ENDPOINTS:
            raise PolicyError([Diagnostic(span, f"a class has at most {MAX_ENDPOINTS} endpoints")])
        interface = self._catalogue.interface(_text(package), at=span_of(source, package))
        self._endpoints[full] = Endpoint(full, len(self._endpoints), interface, component)


def _text(part: Tree[Token]) -> str:
    return ".".join(str(token) for token in part.scan_values(lambda value: isinstance(value, Token)))


def _declared_name(parsed: Parsed) -> tuple[str, Span]:
    name = trees(parsed.tree)[0]
    return _text(name), span_of(parsed.source, name)


def _parsed(path: Path, folder: Path, kind: str) -> Parsed:
    return xdl_grammar().parse(read_source(path, name=path.relative_to(folder).as_posix()), kind)


@cache
def _parsed_builtin(path: Path, kind: str) -> Parsed:
    """Our own files do not change while the program runs, and every policy needs them."""
    return _parsed(path, BUILTIN, kind)


def _own_name(parsed: Parsed, name: str) -> Diagnostic | None:
    """What is wrong if a file declares another name than the one that led to it."""
    declared, span = _declared_name(parsed)
    if declared == name:
        return None
    return Diagnostic(span, f"this file declares `{declared}`, but its place is that of `{name}`")


def _place(at: Span | None, name: str) -> Span:
    return at if at is not None else Source(name, name, "", "").span()
