"""From files to a checked policy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from secureos.policy import syntax as psl
from secureos.policy.compile import compile_bindings
from secureos.policy.models import LATER_MODELS, LATER_OBJECTS, MODELS, Base, Configuration, Model
from secureos.policy.parse import parse
from secureos.xdl import Catalogue, TaskClass
from secureos.xdl.source import Diagnostic, PolicyError, Source, Span, near, read_source

MAX_INCLUDE_DEPTH: Final = 16
"""How deep files may include one another."""

MAX_FILES: Final = 256

_MAX_PATH: Final = 200

EXECUTE_INTERFACE: Final = "kl.core.Execute"

_TAKEN: Final = LATER_OBJECTS | {"base", "message", "src_sid", "dst_sid"}


@dataclass(frozen=True)
class Policy:
    """A policy that was read and checked; it holds no state and never changes.

    Attributes:
        name: Short name of the top-level file.
        sources: All files in the order in which they were included.
        sha256: Of the only file's bytes; of several files, over the lines `<sha256>  <name>` of each.
        classes: The task classes that it uses, by name.
        objects: What makes each policy object afresh, by name.
        bindings: All bindings in text order.
    """

    name: str
    sources: tuple[Source, ...]
    sha256: str
    classes: Mapping[str, TaskClass]
    objects: Mapping[str, Callable[[], Model]]
    bindings: tuple[psl.Binding, ...]


def load_policy(path: Path, catalogue: Catalogue, *, include: Sequence[Path] = ()) -> Policy:
    """Read a policy file, the files that it includes, and the classes that it uses.

    Args:
        path: The top-level file.
        catalogue: Where the classes are described.
        include: Where `use a.b._` looks for `a/b.psl`, after the folder of the top-level file.

    Raises:
        PolicyError: Anything is wrong; as many mistakes as can be told apart are listed.
    """
    return compile_policy(read_source(path), catalogue, include=(path.parent, *include))


def compile_policy(source: Source, catalogue: Catalogue, *, include: Sequence[Path] = ()) -> Policy:
    """The same for a text that is already in memory.

    Raises:
        PolicyError: As `load_policy`.
    """
    loader = _Loader(catalogue, include)
    loader.add(source)
    loader.check_execute(source)
    loader.check_bindings()
    if loader.mistakes:
        raise PolicyError(loader.mistakes)
    return Policy(
        name=source.name,
        sources=tuple(loader.sources),
        sha256=_digest(loader.sources),
        classes=loader.classes,
        objects=loader.objects,
        bindings=tuple(loader.bindings),
    )


def _digest(sources: Sequence[Source]) -> str:
    if len(sources) == 1:
        return sources[0].sha256
    lines = "".join(f"{source.sha256}  {source.name}\n" for source in sources)
    return hashlib.sha256(lines.encode()).hexdigest()


class _Loader:
    """Collects what the files declare; every mistake is noted and the reading goes on."""

    def __init__(self, catalogue: Catalogue, include: Sequence[Path]) -> None:
        self.sources: list[Source] = []
        self.classes: dict[str, TaskClass] = {}
        self.objects: dict[str, Callable[[], Model]] = {"base": lambda: Base("base")}
        self.bindings: list[psl.Binding] = []
        self.mistakes: list[Diagnostic] = []
        self._catalogue = catalogue
        self._include = include
        self._execute: Span | None = None
        self._under_way: list[Path] = []
        self._done: set[Path] = set()
        self._names_missing = False

    def add(self, source: Source) -> None:
        """Take over a file; a file that it includes counts as if its text stood in the place of the `use` line."""
        self.sources.append(source)
        top = len(self.sources) == 1
        if top:
            self._under_way.append(Path(source.path).resolve())
        try:
            file = parse(source)
        except PolicyError as failure:
            self.mistakes.extend(failure.diagnostics)
            self._names_missing = True
            return
        for declaration in file.declarations:
            self._declare(declaration, top=top)

    def check_execute(self, source: Source) -> None:
        """`execute: kl.core.Execute` must be there."""
        if self._execute is None and not self._names_missing:
            self._say(source.span(), f"the line `execute: {EXECUTE_INTERFACE}` is missing")

    def check_bindings(self) -> None:
        """Compile all bindings against fresh objects, to find every mistake in them.

        Where a class, an object or a whole file is missing, its absence alone is told: errors that follow from it
        would only hide it.
        """
        if self._names_missing:
            return
        try:
            compile_bindings(self.bindings, self.classes, {name: make() for name, make in self.objects.items()})
        except PolicyError as failure:
            self.mistakes.extend(failure.diagnostics)

    def _say(self, span: Span, message: str) -> None:
        self.mistakes.append(Diagnostic(span, message))

    def _declare(self, declaration: psl.Declaration, *, top: bool) -> None:
        match declaration:
            case psl.Binding():
                self.bindings.append(declaration)
            case psl.UseClass():
                self._use_class(declaration)
            case psl.UseFile():
                self._use_file(declaration)
            case psl.ObjectDeclaration():
                self._object(declaration)
            case psl.ExecuteInterface():
                self._execute_interface(declaration, top=top)
            case _:
                self._say(declaration.span, f"{_LATER[type(declaration)]} not supported yet")

    def _execute_interface(self, declaration: psl.ExecuteInterface, *, top: bool) -> None:
        name = declaration.interface
        if not top:
            self._say(declaration.span, "the execute interface is named in the top-level file only")
        elif self._execute is not None:
            self._say(declaration.span, f"the execute interface is named in line {self._execute.line} already")
        elif name.text != EXECUTE_INTERFACE:
            self._say(name.span, f"the execute interface is `{EXECUTE_INTERFACE}`, not `{name.text}`")
        self._execute = self._execute or declaration.span

    def _use_class(self, declaration: psl.UseClass) -> None:
        name = declaration.name
        try:
            self.classes[name.text] = self._catalogue.task_class(name.text, at=name.span)
        except PolicyError as failure:
            self.mistakes.extend(failure.diagnostics)
            self._names_missing = True

    def _use_file(self, declaration: psl.UseFile) -> None:
        path = self._found(declaration.path)
        if path is None or path in self._done:
            return
        if path in self._under_way:
            circle = [step.name for step in self._under_way[self._under_way.index(path) :]]
            self._say(declaration.span, f"files include one another in a circle: {' → '.join([*circle, path.name])}")
            return
        if len(self._under_way) > MAX_INCLUDE_DEPTH or len(self.sources) >= MAX_FILES:
            message = f"more than {MAX_INCLUDE_DEPTH} includes deep, or more than {MAX_FILES} files"
            self._say(declaration.span, message)
            return
        self._under_way.append(path)
        try:
            self.add(read_source(path, name=f"{'/'.join(declaration.path.names)}.psl"))
        except PolicyError as failure:
            self.mistakes.extend(failure.diagnostics)
            self._names_missing = True
        self._under_way.pop()
        self._done.add(path)

    def _found(self, path: psl.Path) -> Path | None:
        relative = Path(*path.names)
        # No file system takes longer names; asking for one would be an error of another kind.
        for folder in self._include if len(path.text) <= _MAX_PATH else ():
            file = (folder / relative).with_suffix(".psl")
            if file.is_file():
                return file.resolve()
        known = [".".join(f.relative_to(d).with_suffix("").parts) for d in self._include for f in d.rglob("*.psl")]
        shown, wanted, hint = path.text[:_MAX_PATH], f"{relative.as_posix()[:_MAX_PATH]}.psl", near(path.text, known)
        self._say(path.span, f"unknown policy file `{shown}`: no folder holds `{wanted}`{hint}")
        self._names_missing = True
        return None

    def _object(self, declaration: psl.ObjectDeclaration) -> None:
        name, model = declaration.name, declaration.model.text
        if name.text in _TAKEN:
            self._say(name.span, f"`{name.text}` has a meaning of its own; choose another name")
        elif name.text in self.objects:
            self._say(name.span, f"policy object `{name.text}` is declared already")
        elif model not in MODELS:
            why = "is not supported yet" if model in LATER_MODELS else f"does not exist{near(model, MODELS)}"
            self._say(declaration.model.span, f"model `{model}` {why}")
            self._names_missing = True
        else:
            self._configure(declaration, MODELS[model])

    def _configure(self, declaration: psl.ObjectDeclaration, model: type[Model]) -> None:
        configuration = Configuration(declaration)
        self.objects[declaration.name.text] = model.configure(configuration)
        self.mistakes.extend(configuration.mistakes)


_LATER: Final[Mapping[type, str]] = {
    psl.TypeDeclaration: "`type` outside a policy object is",
    psl.AuditProfile: "`audit profile` is",
    psl.AuditDefault: "`audit default` is",
    psl.TestSet: "policy tests are",
}
