"""From a file that a person names to what is in it: policies, their tests, interface descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lark import Token, Tree

from secureos.policy import syntax as psl
from secureos.policy.load import Policy, load_policy
from secureos.policy.parse import parse
from secureos.policy.preprocess import preprocess
from secureos.xdl import Catalogue
from secureos.xdl.catalogue import Missing
from secureos.xdl.grammar import span_of, xdl_grammar
from secureos.xdl.package import trees
from secureos.xdl.source import Diagnostic, PolicyError, Source, Span, read_source

DESCRIPTIONS: Final = ("edl", "cdl", "idl")

_ENDINGS: Final = (".psl", ".psl.in", *(f".{kind}" for kind in DESCRIPTIONS))


@dataclass(frozen=True)
class Search:
    """Where and how to look for what a file refers to.

    Attributes:
        include: Folders, after that of the file itself.
        missing: Whether a class that is not at hand is an error, or anything may be said of it.
        definitions: Values for placeholders and conditional lines.
    """

    include: tuple[Path, ...] = ()
    missing: Missing = "error"
    definitions: Mapping[str, str] = field(default_factory=dict)

    def folders(self, path: Path) -> tuple[Path, ...]:
        """The folders for one file; those that installed packages offer come last."""
        return (path.parent, *self.include, *registered_folders())


def registered_folders() -> tuple[Path, ...]:
    """The folders with interface descriptions that installed packages offer.

    An entry point of the group `holdfast.interfaces` names package and folder, e.g. `plant.controller:xdl`. The
    package itself is not imported.
    """
    folders = []
    for entry in sorted(entry_points(group="holdfast.interfaces"), key=lambda entry: entry.name):
        package = find_spec(entry.module)
        places = package.submodule_search_locations if package is not None else None
        folders += [Path(place) / entry.attr for place in places or ()]
    return tuple(folders)


def open_policy(path: Path, search: Search) -> Policy:
    """A policy with everything that it includes, its tests among it.

    Tests may stand in the policy itself, or in a file of their own that includes the policy with `use`.

    Raises:
        PolicyError: Anything is wrong with it.
    """
    catalogue = Catalogue(search.folders(path), missing=search.missing)
    return load_policy(path, catalogue, include=search.include, missing=search.missing, definitions=search.definitions)


def parse_file(path: Path, search: Search) -> psl.File:
    """The syntax of one policy file; nothing in it is looked up.

    Raises:
        PolicyError: It does not follow the grammar, or a placeholder in it has no value.
    """
    return _parse(read_source(path), search)


def parsed_files(policy: Policy, search: Search) -> tuple[psl.File, ...]:
    """The syntax of every file of a policy that was loaded so."""
    return tuple(_parse(source, search) for source in policy.sources)


def _parse(source: Source, search: Search) -> psl.File:
    return parse(preprocess(source, search.definitions, missing=search.missing).source)


@dataclass(frozen=True)
class FileCheck:
    """What is known of a file in which nothing is wrong.

    Attributes:
        policy: The policy, if it was loaded.
        warnings: What was taken as it is named, and, of a description, that nobody will find it.
    """

    policy: Policy | None = None
    warnings: tuple[Diagnostic, ...] = ()


def check_file(path: Path, search: Search, *, syntax_only: bool) -> FileCheck:
    """Check one file by its kind.

    Raises:
        PolicyError: Anything is wrong with it.
    """
    kind = path.suffix.removeprefix(".")
    if kind in DESCRIPTIONS:
        return FileCheck(warnings=_check_description(path, kind, search, syntax_only=syntax_only))
    if syntax_only:
        parse_file(path, search)
        return FileCheck()
    policy = open_policy(path, search)
    return FileCheck(policy, policy.warnings)


def files_in(path: Path) -> list[Path]:
    """The policies and descriptions in a folder and all folders inside, by name; of a file, the file itself."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith(_ENDINGS))


def _check_description(path: Path, kind: str, search: Search, *, syntax_only: bool) -> tuple[Diagnostic, ...]:
    source = read_source(path)
    name = _declared(source, kind)
    if syntax_only:
        return ()
    place = path.resolve()
    folders = (_root(place, name), *search.include, *registered_folders())
    catalogue = Catalogue(folders, missing=search.missing, places={(name, kind): place})
    if kind == "edl":
        catalogue.task_class(name)
    elif kind == "cdl":
        at = source.span()
        catalogue.guarded(name, at, lambda: _check_component(catalogue, name, at))
    else:
        catalogue.package(name)
    return (*_misnamed(source, path, name), *catalogue.warnings)


def _misnamed(source: Source, path: Path, name: str) -> tuple[Diagnostic, ...]:
    wanted = f"{name.rpartition('.')[2]}{path.suffix}"
    if path.name == wanted:
        return ()
    message = f"this file declares `{name}`; it is found by that name only when it is called `{wanted}`"
    return (Diagnostic(source.span(), message),)


def _check_component(catalogue: Catalogue, name: str, at: Span) -> None:
    """Every interface and every component inside must be there; no class that has the component is needed for that."""
    parsed = catalogue.component(name, at)
    if parsed is None:
        return
    mistakes: list[Diagnostic] = []
    for part in trees(parsed.tree)[1:]:
        for row in [part] if part.data == "security" else trees(part):
            try:
                _check_part(catalogue, str(part.data), trees(row)[-1], parsed.source)
            except PolicyError as failure:
                mistakes.extend(failure.diagnostics)
    if mistakes:
        raise PolicyError(mistakes)


def _check_part(catalogue: Catalogue, kind: str, named: Tree[Token], source: Source) -> None:
    name, span = _text(named), span_of(source, named)
    if kind == "components":
        catalogue.guarded(name, span, lambda: _check_component(catalogue, name, span))
    else:
        catalogue.interface(name, at=span)


def _declared(source: Source, kind: str) -> str:
    return _text(trees(xdl_grammar().parse(source, kind).tree)[0])


def _text(part: Tree[Token]) -> str:
    return ".".join(str(token) for token in part.scan_values(lambda value: isinstance(value, Token)))


def _root(path: Path, name: str) -> Path:
    """The folder below which the file has the place that its name says."""
    packages = name.split(".")[:-1]
    above = path.parent
    if list(above.parts[len(above.parts) - len(packages) :]) == packages:
        return Path(*above.parts[: len(above.parts) - len(packages)])
    return above
