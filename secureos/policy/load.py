"""From files to a checked policy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from secureos.policy import syntax as psl
from secureos.policy.absent import Absent
from secureos.policy.aliases import Aliases
from secureos.policy.assertions import check_test_set
from secureos.policy.bulk import without_collection
from secureos.policy.checked import Checked
from secureos.policy.compile import compile_bindings
from secureos.policy.language import OBJECTS, Language
from secureos.policy.mentions import class_names
from secureos.policy.models import MODELS, Base, Configuration, Model
from secureos.policy.models.regex import Regex
from secureos.policy.parse import parse
from secureos.policy.preprocess import preprocess
from secureos.policy.profiles import EMPTY, MAX_LEVEL, Profile, read_profile
from secureos.xdl import Catalogue, TaskClass
from secureos.xdl.catalogue import KERNEL, Missing
from secureos.xdl.source import Diagnostic, PolicyError, Source, Span, is_slip_of, near, read_source

BUILTIN: Final = Path(__file__).with_name("builtin")
"""The modules of the language itself: `nk.…` and `nonsecurity`."""

MAX_INCLUDE_DEPTH: Final = 16
"""How deep files may include one another."""

MAX_FILES: Final = 256

_MAX_PATH: Final = 200

EXECUTE_INTERFACE: Final = "kl.core.Execute"

_TAKEN: Final = frozenset({"base", "message", "src_sid", "dst_sid", *OBJECTS})
_LANGUAGE_MODELS: Final = frozenset(OBJECTS.values())


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
        profiles: The audit profiles by name; `empty` is always there.
        default_profile, default_level: The audit profile and level to begin with.
        tests: The test sets in text order.
        warnings: What was taken as it is named because no description is at hand.
    """

    name: str
    sources: tuple[Source, ...]
    sha256: str
    classes: Mapping[str, TaskClass]
    objects: Mapping[str, Callable[[], Model]]
    bindings: tuple[psl.Binding, ...]
    profiles: Mapping[str, Profile]
    default_profile: str = EMPTY
    default_level: int = 0
    tests: tuple[psl.TestSet, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


def load_policy(
    path: Path,
    catalogue: Catalogue,
    *,
    include: Sequence[Path] = (),
    missing: Missing = "error",
    definitions: Mapping[str, str] | None = None,
    full_regex: bool = True,
) -> Policy:
    """Read a policy file, the files that it includes, and the classes that it uses.

    Args:
        path: The top-level file.
        catalogue: Where the classes are described.
        include: Where `use a.b._` looks for `a/b.psl`, after the folder of the top-level file.
        missing: What a class, component, package, module or placeholder means that is not at hand: an error, or
            (`opaque`) a warning, and whatever the policy says of it is accepted.
        definitions: The values of `@NAME@` placeholders and of variables in `{% if … %}` lines.
        full_regex: Whether a regular expression must match a whole text, or any piece of it.

    Raises:
        PolicyError: Anything is wrong; as many mistakes as can be told apart are listed.
    """
    return compile_policy(
        read_source(path),
        catalogue,
        include=(path.parent, *include),
        missing=missing,
        definitions=definitions,
        full_regex=full_regex,
    )


def compile_policy(
    source: Source,
    catalogue: Catalogue,
    *,
    include: Sequence[Path] = (),
    missing: Missing = "error",
    definitions: Mapping[str, str] | None = None,
    full_regex: bool = True,
) -> Policy:
    """The same for a text that is already in memory.

    Raises:
        PolicyError: As `load_policy`.
    """
    with without_collection():
        descriptions = catalogue if missing == catalogue.missing else catalogue.tolerant()
        loader = _Loader(descriptions, include, definitions or {}, full_regex=full_regex)
        loader.add(source)
        loader.finish(source)
    if loader.mistakes:
        raise PolicyError(loader.mistakes)
    return loader.policy(source)


def _digest(sources: Sequence[Source]) -> str:
    if len(sources) == 1:
        return sources[0].sha256
    lines = "".join(f"{source.sha256}  {source.name}\n" for source in sources)
    return hashlib.sha256(lines.encode()).hexdigest()


class _Loader:
    """Collects what the files declare; every mistake is noted and the reading goes on."""

    def __init__(
        self, catalogue: Catalogue, include: Sequence[Path], definitions: Mapping[str, str], *, full_regex: bool
    ) -> None:
        self.sources: list[Source] = []
        self.classes: dict[str, TaskClass] = {}
        self.objects: dict[str, Callable[[], Model]] = {"base": lambda: Base("base")}
        self.bindings: list[psl.Binding] = []
        self.checked = Checked()
        self.tests: list[psl.TestSet] = []
        self.mistakes: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self._catalogue = catalogue
        self._include = include
        self._definitions = definitions
        self._full_regex = full_regex
        self._kinds = {"base": Base.kind, **OBJECTS}
        self._declared: dict[str, psl.ObjectDeclaration] = {}
        self._aliases = Aliases()
        self._profiles: dict[str, psl.AuditProfile] = {}
        self._made_profiles: dict[str, Profile] = {EMPTY: {}}
        self._default: psl.AuditDefault | None = None
        self._execute: Span | None = None
        self._under_way: list[Path] = []
        self._done: set[Path] = set()
        self._names_missing = False
        self._incomplete = False

    def policy(self, source: Source) -> Policy:
        """The policy, once there is no mistake left."""
        default = self._default
        return Policy(
            name=source.name,
            sources=tuple(self.sources),
            sha256=_digest(self.sources),
            classes=self.classes,
            objects=self.objects,
            bindings=self.checked,
            profiles=self._made_profiles,
            default_profile=EMPTY if default is None else default.profile.text,
            default_level=0 if default is None else default.level,
            tests=tuple(self.tests),
            warnings=(*self.warnings, *self._catalogue.warnings),
        )

    def add(self, source: Source) -> None:
        """Take over a file; a file that it includes counts as if its text stood in the place of the `use` line."""
        self.sources.append(source)
        if len(self.sources) == 1:
            self._under_way.append(Path(source.path).resolve())
        try:
            expanded = preprocess(source, self._definitions, missing=self._catalogue.missing)
            self.warnings.extend(expanded.warnings)
            self._incomplete |= bool(expanded.warnings)
            file = parse(expanded.source)
        except PolicyError as failure:
            self.mistakes.extend(failure.diagnostics)
            self._names_missing = True
            return
        for declaration in file.declarations:
            self._declare(declaration)

    def finish(self, source: Source) -> None:
        """What can be judged only when everything is read."""
        if self._execute is None and not self._names_missing:
            message = f"no line says `execute: {EXECUTE_INTERFACE}`; it is taken as said"
            self.warnings.append(Diagnostic(source.span(), message))
        self.mistakes.extend(self._aliases.check())
        for declaration in self._declared.values():
            self._configure(declaration)
        self._add_regex()
        if self._catalogue.missing == "opaque":
            self._look_elsewhere()
        # Where a class, an object or a whole file is missing, its absence alone is told: errors that follow from it
        # would only hide it.
        if self._names_missing:
            return
        self._check_profiles()
        self._check_bindings()
        for tests in self.tests:
            self.mistakes.extend(check_test_set(tests, self.classes))

    def _check_bindings(self) -> None:
        """Compile all bindings against fresh objects, to find every mistake in them."""
        objects = {name: make() for name, make in self.objects.items()}
        try:
            rules = compile_bindings(self.bindings, self.classes, objects, profiles=self._made_profiles)
            self.checked = rules.checked
        except PolicyError as failure:
            self.mistakes.extend(failure.diagnostics)

    def _say(self, span: Span, message: str) -> None:
        self.mistakes.append(Diagnostic(span, message))

    # ---- declarations ----------------------------------------------------------------------------------------------

    def _declare(self, declaration: psl.Declaration) -> None:
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
                self._execute_interface(declaration)
            case psl.TypeDeclaration():
                self._type(declaration)
            case psl.TestSet():
                self.tests.append(declaration)
            case _:
                self._audit(declaration)

    def _execute_interface(self, declaration: psl.ExecuteInterface) -> None:
        name = declaration.interface
        if self._execute is not None and self._execute.source is declaration.span.source:
            self._say(declaration.span, f"the execute interface is named in {self._execute.place} already")
        elif name.text != EXECUTE_INTERFACE:
            self._say(name.span, f"the execute interface is `{EXECUTE_INTERFACE}`, not `{name.text}`")
        self._execute = declaration.span

    def _type(self, declaration: psl.TypeDeclaration) -> None:
        try:
            self._aliases.add(declaration)
        except PolicyError as failure:
            self.mistakes.extend(failure.diagnostics)

    def _audit(self, declaration: psl.AuditProfile | psl.AuditDefault) -> None:
        if isinstance(declaration, psl.AuditProfile):
            name = declaration.name
            if name.text == EMPTY or name.text in self._profiles:
                self._say(name.span, f"audit profile `{name.text}` is declared already")
            else:
                self._profiles[name.text] = declaration
        elif self._default is not None:
            self._say(declaration.span, f"the default is given in {self._default.span.place} already")
        else:
            self._default = declaration
            if declaration.level > MAX_LEVEL:
                self._say(declaration.span, f"an audit level is a number from 0 to {MAX_LEVEL}")

    def _check_profiles(self) -> None:
        for name, declaration in self._profiles.items():
            self._made_profiles[name] = {}
            try:
                self._made_profiles[name] = read_profile(declaration, self._kinds)
            except PolicyError as failure:
                self.mistakes.extend(failure.diagnostics)
        if self._default is not None and self._default.profile.text not in self._made_profiles:
            name = self._default.profile.text
            self._say(self._default.profile.span, f"unknown audit profile `{name}`{near(name, self._made_profiles)}")

    # ---- classes and files -----------------------------------------------------------------------------------------

    def _use_class(self, declaration: psl.UseClass) -> None:
        name = declaration.name
        try:
            self.classes[name.text] = self._catalogue.task_class(name.text, at=name.span)
        except PolicyError as failure:
            self.mistakes.extend(failure.diagnostics)
            self._names_missing = True

    def _look_elsewhere(self) -> None:
        """Text that is not at hand may say more: what this includes, what fills its template, what includes it.

        A whole policy names the kernel's class; a text that does not is part of another.
        """
        is_part = self._incomplete or KERNEL not in self.classes
        self._take_classes_as_named("" if is_part else _VENDOR)
        if is_part:
            self._leave_out_what_is_absent()

    def _take_classes_as_named(self, beginning: str) -> None:
        """The classes that only selectors name; one that is but a slip of another stays a mistake."""
        known = tuple(self.classes)
        for name in class_names(self.bindings, self.tests):
            wanted = name.text.startswith(beginning) and name.text not in self.classes
            if wanted and not is_slip_of(name.text, known):
                self._use_class(psl.UseClass(name, name.span))

    def _leave_out_what_is_absent(self) -> None:
        """Another file may declare policy objects and audit profiles, too."""
        absent = Absent(self._kinds, (EMPTY, *self._profiles))
        self.bindings = absent.bindings(self.bindings)
        self._profiles = {name: absent.profile(profile) for name, profile in self._profiles.items()}
        self._default = absent.default(self._default)
        self.warnings.extend(absent.warnings)

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
        """The file of a module; None if there is nothing to read, for whichever reason."""
        relative = Path(*path.names)
        if path.names[0] == "nk" and _exists(BUILTIN, relative, ".psl") is not None:
            return None  # the models are always known
        # No file system takes longer names; asking for one would be an error of another kind.
        for folder in (*self._include, BUILTIN) if len(path.text) <= _MAX_PATH else ():
            for ending in (".psl", ".psl.in"):
                file = _exists(folder, relative, ending)
                if file is not None:
                    return file
        shown, wanted = path.text[:_MAX_PATH], f"{relative.as_posix()[:_MAX_PATH]}.psl"
        if self._catalogue.missing == "opaque":
            message = f"policy file `{shown}` is passed over: no folder holds `{wanted}`"
            self.warnings.append(Diagnostic(path.span, message))
            self._incomplete = True
            return None
        folders = (*self._include, BUILTIN)
        known = [".".join(f.relative_to(d).with_suffix("").parts) for d in folders for f in d.rglob("*.psl")]
        self._say(path.span, f"unknown policy file `{shown}`: no folder holds `{wanted}`{near(path.text, known)}")
        self._names_missing = True
        return None

    # ---- objects ---------------------------------------------------------------------------------------------------

    def _object(self, declaration: psl.ObjectDeclaration) -> None:
        name, model = declaration.name, declaration.model.text
        if name.text in _TAKEN:
            self._say(name.span, f"`{name.text}` has a meaning of its own; choose another name")
        elif name.text in self._declared:
            self._say(name.span, f"policy object `{name.text}` is declared already")
        elif model not in MODELS and model not in _LANGUAGE_MODELS:
            hint = near(model, (*MODELS, *_LANGUAGE_MODELS))
            self._say(declaration.model.span, f"model `{model}` does not exist{hint}")
            self._names_missing = True
        else:
            self._declared[name.text] = declaration
            self._kinds[name.text] = model

    def _configure(self, declaration: psl.ObjectDeclaration) -> None:
        name, kind = declaration.name.text, declaration.model.text
        try:
            types = tuple(_usual_name(kind, self._aliases.resolve(each)) for each in declaration.types)
        except PolicyError as failure:
            self.mistakes.extend(failure.diagnostics)
            types = declaration.types
        configuration = Configuration(replace(declaration, types=types), full_regex=self._full_regex)
        model = Language if kind in _LANGUAGE_MODELS else MODELS[kind]
        self.objects[name] = model.configure(configuration)
        self.mistakes.extend(configuration.mistakes)

    def _add_regex(self) -> None:
        """The object `re` is there without declaration, in policies that speak of it."""
        if "re" not in self.objects and any(_RE.search(source.text) for source in self.sources):
            self.objects["re"] = partial(Regex, "re", whole=self._full_regex)
            self._kinds["re"] = Regex.kind


_VENDOR: Final = "kl."
"""How the classes of the vendor's own programs begin; published policies name them without `use EDL`, too."""

_RE: Final = re.compile(r"\bre\b")


def _usual_name(kind: str, declaration: psl.TypeDeclaration) -> psl.TypeDeclaration:
    """Published policies call the states of a Flow `State` or `States`; the model knows the one of the documents."""
    if kind == "Flow" and declaration.name.text == "States":
        return replace(declaration, name=replace(declaration.name, text="State"))
    return declaration


def _exists(folder: Path, relative: Path, ending: str) -> Path | None:
    file = folder / relative.with_name(relative.name + ending)
    return file.resolve() if file.is_file() else None
