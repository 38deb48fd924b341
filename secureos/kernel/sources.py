"""The source of a program: which modules its code stands in, how much that is, and one hash over all of it.

A program's source is the module of its class, and every module of the same top-level package that this one takes
something from, followed through. Where a name is taken from a package, its `__init__` is followed to the module that
makes the name. Nothing is imported to find this out. Third-party libraries and the secure OS beneath are no part of
it; neither is what a package's `__init__` loads beside what is taken from it.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import io
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from secureos.kernel.errors import ImageError

_NO_CODE: Final = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)


@dataclass(frozen=True)
class SourceModule:
    """One module's source.

    Attributes:
        name: Its full name.
        path: Its file.
        content: What stands in it.
    """

    name: str
    path: Path
    content: bytes

    @cached_property
    def lines(self) -> int:
        """How many lines hold code: not empty, no comment, no docstring."""
        return len(_lines_of_code(self.content))


@dataclass(frozen=True)
class ProgramSource:
    """All modules of one program: that of its class first, then the others by name."""

    modules: tuple[SourceModule, ...]

    @property
    def own(self) -> SourceModule:
        """The module that holds the program's class."""
        return self.modules[0]

    @property
    def lines(self) -> int:
        """Lines of code in all modules."""
        return sum(module.lines for module in self.modules)

    @property
    def bytes(self) -> int:
        """Bytes of all modules."""
        return sum(len(module.content) for module in self.modules)

    @cached_property
    def sha256(self) -> str:
        """Over the lines `<sha256>  <module>` of each."""
        rows = (f"{hashlib.sha256(one.content).hexdigest()}  {one.name}\n" for one in self.modules)
        return hashlib.sha256("".join(rows).encode()).hexdigest()


@cache
def source_of(program: type) -> ProgramSource:
    """The source of a program's class, as it stands when it is first asked for.

    Raises:
        ImageError: It has no source file, or one that is not Python.
    """
    try:
        file = inspect.getsourcefile(program)
    except (TypeError, OSError):  # built in; or of a module that was never read from a file
        file = None
    name = program.__module__
    if file is None or name == "__main__":
        raise ImageError(f"program `{program.__qualname__}` stands in no module's file, so nobody can sign for it")
    path = Path(file).resolve()
    root = path.parents[name.count(".") + (path.stem == "__init__")]
    return ProgramSource(tuple(_Following(root, name.partition(".")[0]).follow(name)))


class _Following:
    """Follows imports from one module through its top-level package."""

    def __init__(self, root: Path, package: str) -> None:
        self._root = root
        self._package = package
        self._modules: dict[str, SourceModule] = {}
        self._trees: dict[str, ast.Module] = {}
        self._done: set[tuple[str, str]] = set()

    def follow(self, name: str) -> list[SourceModule]:
        """The module and all that it reaches."""
        self._module(name)
        return [self._modules.pop(name), *(self._modules[key] for key in sorted(self._modules))]

    def _module(self, name: str) -> None:
        """Take in a whole module with all that it imports."""
        if ("", name) in self._done or not self._read(name):
            return
        self._done.add(("", name))
        for module, names in _imports(self._trees[name], name, is_package=self._path(name).stem == "__init__"):
            self._reach(module, names)

    def _reach(self, module: str, names: Sequence[str]) -> None:
        if module.partition(".")[0] != self._package:
            return
        for name in names:
            self._name(module, name)
        if not names:
            self._module(module)

    def _name(self, module: str, name: str) -> None:
        """Take in what makes `name`, which is taken from `module`."""
        if (module, name) in self._done or not self._read(module):
            return
        self._done.add((module, name))
        path = self._path(module)
        if self._path(f"{module}.{name}").is_file():
            self._module(f"{module}.{name}")
        elif path.stem != "__init__":
            self._module(module)
        elif (origin := _origin(self._trees[module], module, name)) is not None:
            self._reach(*origin)
        else:
            self._module(module)

    def _path(self, name: str) -> Path:
        place = self._root.joinpath(*name.split("."))
        return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")

    def _read(self, name: str) -> bool:
        """Read a module; whether there is one."""
        if name not in self._trees:
            path = self._path(name)
            if not path.is_file():
                return False
            content = path.read_bytes()
            try:
                self._trees[name] = ast.parse(content)
            except (SyntaxError, ValueError) as failure:
                raise ImageError(f"`{path}` is not Python: {failure}") from failure
            self._modules[name] = SourceModule(name, path, content)
        return True


def _imports(tree: ast.Module, name: str, *, is_package: bool) -> Iterator[tuple[str, list[str]]]:
    """What a module imports, wherever in it: modules, and the names that are taken from them (none: all of it)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            yield _absolute(node, name, is_package=is_package), [] if "*" in names else names


def _absolute(node: ast.ImportFrom, name: str, *, is_package: bool) -> str:
    """The full name of the module from which something is taken."""
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, *([node.module] if node.module else [])])


def _origin(tree: ast.Module, package: str, name: str) -> tuple[str, list[str]] | None:
    """Where a package's `__init__` has a name from; None if it makes the name itself."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _absolute(node, package, is_package=True), [alias.name]
    return None


def _lines_of_code(content: bytes) -> set[int]:
    documented = _docstring_lines(ast.parse(content))
    return {
        line
        for token in tokenize.tokenize(io.BytesIO(content).readline)
        if token.type not in _NO_CODE and token.type != tokenize.ENCODING
        for line in range(token.start[0], token.end[0] + 1)
        if line not in documented
    }


def _docstring_lines(tree: ast.Module) -> set[int]:
    """The lines of texts that are statements by themselves."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
