"""Reading an image: `init.yaml` and the interface descriptions that its tasks need."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from secureos.kernel.errors import ImageError
from secureos.kernel.quota import NAMES, Quota, wrong_limits
from secureos.kernel.safety import NO_SAFETY, SAFETY_FILE, Safety
from secureos.kernel.safety_file import read_safety
from secureos.kernel.yaml_tree import YamlMistake, yaml_tree
from secureos.policy import PolicyError
from secureos.xdl import Catalogue, TaskClass
from secureos.xdl.source import read_source

SUFFIXES = (".yaml", ".edl", ".cdl", ".idl", ".st", ".toml")
"""What the files that make an image are called; policies are an artefact of their own."""

_MAX_BYTES = 1_000_000
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_ENTITY_KEYS = ("name", "task", "path", "connections", "args", "env", "quota")


@dataclass(frozen=True)
class Connection:
    """A channel from a task to `target`, found by the client under the name `id`.

    With `transfer` the client may pass it on to other tasks.
    """

    target: str
    id: str
    transfer: bool = False


@dataclass(frozen=True)
class TaskSpec:
    """One task of an image: its class, its name, its channels, its arguments, its limits."""

    task_class: TaskClass
    task: str
    connections: tuple[Connection, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    quota: Quota = field(default_factory=Quota)


@dataclass(frozen=True)
class Image:
    """What is started: tasks in the order of starting (servers before their clients).

    Attributes:
        folder: Where it was read from.
        catalogue: The interface descriptions, for the policy that goes with the image.
        tasks: In starting order.
        files: The SHA-256 of each of its files, by name: wiring, descriptions, control programs; not of any policy.
        programs: The SHA-256 of the source of each task class's program; empty as long as nothing was signed.
        safety: What its `safety.toml` says.
    """

    folder: Path
    catalogue: Catalogue
    tasks: tuple[TaskSpec, ...]
    files: Mapping[str, str]
    programs: Mapping[str, str] = field(default_factory=dict)
    safety: Safety = NO_SAFETY

    @cached_property
    def sha256(self) -> str:
        """One hash over the hashes of files and programs."""
        return image_sha256(self.files, self.programs)


def load_image(folder: Path, *, include: Sequence[Path] = ()) -> Image:
    """Read the image in `folder`; `include` are further folders with interface descriptions.

    Raises:
        ImageError: Something in it is wrong; the message lists all that was found.
    """
    catalogue = Catalogue((folder, *include))
    reader = _Reader(folder / "init.yaml", catalogue)
    specs = reader.read()
    if reader.mistakes:
        raise ImageError("\n".join(reader.mistakes))
    tasks = _in_starting_order(specs)
    return Image(folder, catalogue, tasks, file_hashes((folder, *include)), safety=_safety(folder / SAFETY_FILE, tasks))


def _safety(path: Path, tasks: Sequence[TaskSpec]) -> Safety:
    """What must stay safe; an image need not say it."""
    if not path.exists():
        return NO_SAFETY
    try:
        return read_safety(read_source(path), tasks)
    except PolicyError as failure:
        raise ImageError(str(failure)) from failure


def image_files(folders: Iterable[Path]) -> dict[str, Path]:
    """The files that make an image, by their names below its folders.

    Raises:
        ImageError: Two of the folders hold a file of the same name.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.suffix not in SUFFIXES or not path.is_file():
                continue
            if name in files:
                raise ImageError(f"`{name}` is in `{folder}` and in `{files[name].parent}`; an image has it once")
            files[name] = path
    return files


def file_hashes(folders: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of each file that makes an image, by name.

    Raises:
        ImageError: Two of the folders hold a file of the same name, or one cannot be read.
    """
    files = image_files(folders)
    try:
        return {name: hashlib.sha256(files[name].read_bytes()).hexdigest() for name in sorted(files)}
    except OSError as failure:
        raise ImageError(f"`{failure.filename}` cannot be read: {failure.strerror}") from failure


def image_sha256(files: Mapping[str, str], programs: Mapping[str, str]) -> str:
    """One hash over the hashes of files and programs."""
    text = json.dumps({"files": dict(files), "programs": dict(programs)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class _Reader:
    """Reads one `init.yaml` and collects every mistake in it."""

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        self.path = path
        self.catalogue = catalogue
        self.mistakes: list[str] = []

    def read(self) -> list[TaskSpec]:
        tree = self._tree()
        if not isinstance(tree, dict):
            if not self.mistakes:
                self._say("must be a mapping with a list `entities`")
            return []
        self._keys("init.yaml", tree, ("entities",))
        entities = tree.get("entities")
        if not isinstance(entities, list) or not entities:
            self._say("`entities` must be a list with at least one entry")
            return []
        specs = [spec for entity in entities if (spec := self._entity(entity)) is not None]
        self._check_wiring(specs)
        return specs

    def _tree(self) -> object:
        try:
            if self.path.exists() and not self.path.is_file():  # a pipe would keep the reader waiting for ever
                self._say("is no plain file")
                return None
            raw = self.path.read_bytes()
            if len(raw) > _MAX_BYTES:
                self._say(f"is larger than {_MAX_BYTES} bytes")
                return None
            return yaml_tree(raw)
        except OSError as failure:
            self._say(f"cannot be read: {failure.strerror}")
        except YamlMistake as failure:
            self._say(str(failure))
        return None

    def _say(self, message: str) -> None:
        self.mistakes.append(f"{self.path}: {message}")

    def _keys(self, where: str, tree: Mapping[Any, Any], known: Iterable[str]) -> None:
        for key in tree:
            if key not in known:
                near = difflib.get_close_matches(str(key), list(known), n=1)
                hint = f"; did you mean `{near[0]}`?" if near else f"; known are {', '.join(known)}"
                self._say(f"unknown key `{key}` in {where}{hint}")

    def _entity(self, entity: object) -> TaskSpec | None:
        if not isinstance(entity, dict) or not isinstance(entity.get("name"), str):
            self._say(f"each entry of `entities` needs a `name` (its class), which `{entity}` lacks")
            return None
        name: str = entity["name"]
        self._keys(f"`{name}`", entity, _ENTITY_KEYS)
        args, env = entity.get("args", []), entity.get("env", {})
        if not isinstance(args, list) or not isinstance(env, dict):
            self._say(f"`{name}`: `args` must be a list and `env` a mapping")
            return None
        try:
            task_class = self.catalogue.task_class(name)
        except PolicyError as failure:
            self._say(f"`{name}`: {failure}")
            return None
        return TaskSpec(
            task_class,
            self._name(name, "task", entity.get("task", name)),
            tuple(self._connections(name, entity.get("connections", []))),
            tuple(map(str, args)),
            {str(key): str(value) for key, value in env.items()},
            self._quota(name, entity.get("quota", {})),
        )

    def _name(self, entity: str, key: str, value: object) -> str:
        if isinstance(value, str) and _NAME.fullmatch(value):
            return value
        self._say(f"`{entity}`: `{key}` must be a name of letters, digits and `_.-`, not {str(value)[:80]!r}")
        return ""

    def _quota(self, name: str, limits: object) -> Quota:
        if not isinstance(limits, dict):
            self._say(f"`{name}`: `quota` must be a mapping")
            return Quota()
        before = len(self.mistakes)
        self._keys(f"`quota` of `{name}`", limits, NAMES)
        for wrong in wrong_limits(limits):
            self._say(f"`{name}`: {wrong}")
        return Quota(**limits) if len(self.mistakes) == before else Quota()

    def _connections(self, name: str, listed: object) -> list[Connection]:
        if not isinstance(listed, list):
            self._say(f"`{name}`: `connections` must be a list")
            return []
        found = []
        for row in listed:
            if not isinstance(row, dict) or set(row) - {"transfer"} != {"target", "id"}:
                self._say(f"`{name}`: a connection needs `target` and `id`, and may have `transfer`, not `{row}`")
                continue
            if not isinstance(row.get("transfer", False), bool):
                self._say(f"`{name}`: `transfer` of a connection is true or false, not `{row['transfer']}`")
                continue
            found.append(self._connection(name, row))
        return found

    def _connection(self, name: str, row: Mapping[str, Any]) -> Connection:
        target, channel = (self._name(name, key, row[key]) for key in ("target", "id"))
        return Connection(target, channel, row.get("transfer", False))

    def _check_wiring(self, specs: Sequence[TaskSpec]) -> None:
        names = [spec.task for spec in specs]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._say(f"two tasks are called `{name}`")
        for spec in specs:
            ids = [connection.id for connection in spec.connections]
            for channel in sorted({channel for channel in ids if ids.count(channel) > 1}):
                self._say(f"task `{spec.task}` has two channels called `{channel}`")
            for connection in spec.connections:
                if connection.target not in names:
                    near = difflib.get_close_matches(connection.target, names, n=1)
                    hint = f"; did you mean `{near[0]}`?" if near else ""
                    self._say(f"task `{spec.task}` is connected to `{connection.target}`, which is no task{hint}")


def _in_starting_order(specs: Sequence[TaskSpec]) -> tuple[TaskSpec, ...]:
    """Servers before their clients.

    Raises:
        ImageError: The channels form a circle, in which synchronous calls could wait for one another for ever.
    """
    waiting = {spec.task: spec for spec in specs}
    order: list[TaskSpec] = []
    while waiting:
        ready = [s for s in waiting.values() if not any(c.target in waiting for c in s.connections)]
        if not ready:
            raise ImageError(f"the channels of {', '.join(sorted(waiting))} form a circle; calls could wait for ever")
        for spec in ready:
            order.append(waiting.pop(spec.task))
    return tuple(order)
