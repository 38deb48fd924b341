"""From `safety.toml` to `Safety`: every mistake in it is found in one pass and told with its place.

    [classes]
    gateways = ["Gateway"]                     # who is sent what strangers write

    [[never_block]]
    purpose = "emergency-stop"                 # or trip, shed, read, acknowledge, sign-of-life
    src = "Gateway"
    dst = "Logic"                              # without dst and endpoint: a message to the security module
    endpoint = "commands"
    method = "Stop"
    where = { tag = "M1" }                     # values that fields must have; the others are free

    [[denial]]                                 # the first that fits says what a denial does
    dst = "Drive"                              # src may be left out: whoever sends
    endpoint = "drive"
    method = "Set"
    act = "clamp"                              # or deny, hold, substitute, defer, shutdown, observe
    field = "rpm"
    fallback = { rpm = 0 }

    [stopped.logic]                            # while a task is stopped: hold = true, or messages
    hold = true

    [safe_state.logic]                         # once it has failed for good
    messages = [{ from = "logic", to = "drive", endpoint = "drive", method = "Stop", fields = { tag = "M1" } }]

    [audit]
    on_failure = "refuse"                      # or go-on

Keys of the acts: hold `per`, `fallback`, `fallback_method`; clamp `field`, `fallback`; substitute `fallback`,
`fallback_method`; defer `bound_ms`, `queue`; shutdown `sequence`, `reset`; observe `until`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from secureos.kernel.handle_fields import handle_walk
from secureos.kernel.safety import (
    ACTS,
    OF_GATEWAYS,
    PURPOSES,
    Act,
    Denial,
    NeverBlock,
    OnAuditFailure,
    Pattern,
    Purpose,
    Reaction,
    Safety,
    Sending,
    plain,
)
from secureos.kernel.toml_places import Places, TomlPath, read_toml
from secureos.xdl import Method, Parameter, TaskClass
from secureos.xdl.message import checker
from secureos.xdl.source import Diagnostic, PolicyError, Source, near
from secureos.xdl.types import IntegerType, StringType

if TYPE_CHECKING:
    from secureos.kernel.image import TaskSpec

MAX_ENTRIES: Final = 256
"""Of each list."""

MAX_BOUND_MS: Final = 3_600_000
MAX_QUEUE: Final = 256

_TOP: Final = ("classes", "never_block", "denial", "stopped", "safe_state", "audit")
_NAMES: Final = ("src", "dst", "endpoint", "method", "where")
_ACT_KEYS: Final[Mapping[Act, tuple[str, ...]]] = {
    "deny": (),
    "hold": ("per", "fallback", "fallback_method"),
    "clamp": ("field", "fallback"),
    "substitute": ("fallback", "fallback_method"),
    "defer": ("bound_ms", "queue"),
    "shutdown": ("sequence", "reset"),
    "observe": ("until",),
}
_SENDING_KEYS: Final = ("from", "to", "endpoint", "method", "fields")

Wanted = TypeVar("Wanted")


def read_safety(source: Source, specs: Sequence[TaskSpec]) -> Safety:
    """The content of a `safety.toml`, for the tasks of an image.

    Raises:
        PolicyError: It is no TOML, or something in it is wrong; each mistake with file, line and column.
    """
    tree, places = read_toml(source)
    reader = _Reader(tree, places, specs)
    safety = reader.read()
    if reader.mistakes:
        order = sorted(reader.mistakes, key=lambda one: (one.span.line, one.span.column))
        raise PolicyError(order)
    return safety


class _Reader:
    def __init__(self, tree: Mapping[str, Any], places: Places, specs: Sequence[TaskSpec]) -> None:
        self._tree = tree
        self._places = places
        self._specs = {spec.task: spec for spec in specs}
        self._classes: dict[str, TaskClass] = {spec.task_class.name: spec.task_class for spec in specs}
        self._gateways: frozenset[str] = frozenset()
        self.mistakes: list[Diagnostic] = []

    def read(self) -> Safety:
        self._known((), self._tree, _TOP)
        self._gateways = self._read_gateways()
        never_block = tuple(
            entry
            for number, row in enumerate(self._rows("never_block"), start=1)
            if (entry := self._never_block(number, row)) is not None
        )
        denials = [self._denial(path, row, never_block) for path, row in self._numbered("denial")]
        return Safety(
            gateways=self._gateways,
            never_block=never_block,
            denials=tuple(one for one in denials if one is not None),
            stopped=self._reactions("stopped"),
            safe_state=self._reactions("safe_state"),
            on_audit_failure=self._on_audit_failure(),
        )

    # ---- who is who ------------------------------------------------------------------------------------------------

    def _read_gateways(self) -> frozenset[str]:
        table = self._table((), self._tree, "classes")
        self._known(("classes",), table, ("gateways",))
        names = self._texts(("classes",), table, "gateways")
        for name in names:
            self._class(("classes", "gateways"), name)
        return frozenset(names)

    def _never_block(self, number: int, row: Mapping[str, Any]) -> NeverBlock | None:
        path: TomlPath = ("never_block", number - 1)
        self._known(path, row, ("purpose", *_NAMES))
        purpose = self._one_of(path, row, "purpose", PURPOSES)
        if "src" not in row:
            self._say(path, "key `src` is missing: the class that sends it")
        found = self._pattern(path, row)
        if found is None or purpose is None:
            return None
        pattern, method = found
        if pattern.src in self._gateways:
            self._check_gateway(path, purpose, pattern, method)
        return NeverBlock(number, pattern, purpose, self._places.find(path))

    def _check_gateway(self, path: TomlPath, purpose: Purpose, pattern: Pattern, method: Method) -> None:
        """A gateway says what strangers want: only what does no harm whoever wants it is never blocked."""
        free = [one.name for one in method.inputs if one.name not in pattern.where]
        if purpose not in OF_GATEWAYS:
            allowed = ", ".join(f"`{one}`" for one in OF_GATEWAYS)
            self._say((*path, "purpose"), f"`{pattern.src}` is a gateway; from one only {allowed} is never blocked")
        elif purpose == "read" and free:
            self._say((*path, "method"), f"a gateway's read must carry nothing free, and `{free[0]}` is")
        elif purpose != "read" and method.inputs and not pattern.where:
            self._say(path, f"a gateway's {purpose} must say of what: name a field and its value in `where`")

    # ---- which messages --------------------------------------------------------------------------------------------

    def _pattern(self, path: TomlPath, row: Mapping[str, Any]) -> tuple[Pattern, Method] | None:
        """The pattern of a table and the method that it speaks of; None if that cannot be found."""
        src, dst = self._text(path, row, "src", ""), self._text(path, row, "dst", "")
        endpoint, name = self._text(path, row, "endpoint", ""), self._text(path, row, "method")
        if src is None or dst is None or endpoint is None or name is None:
            return None
        sender = self._class((*path, "src"), src) if src else None
        if src and sender is None:
            return None
        if not dst:
            method = self._security_method(path, sender, endpoint, name)
        else:
            method = self._method(path, dst, endpoint, name)
        if method is None:
            return None
        where = self._constants((*path, "where"), row.get("where", {}), method.inputs)
        return Pattern(src or None, dst or None, endpoint, name, where), method

    def _class(self, path: TomlPath, name: str) -> TaskClass | None:
        found = self._classes.get(name)
        if found is None:
            self._say(path, f"no task of the image is of class `{name}`{near(name, self._classes)}")
        return found

    def _method(self, path: TomlPath, dst: str, endpoint: str, name: str, *, key: str = "method") -> Method | None:
        server = self._class((*path, "dst"), dst)
        if server is None:
            return None
        found = server.endpoints.get(endpoint)
        if found is None:
            known = near(endpoint, server.endpoints)
            self._say((*path, "endpoint"), f"class `{dst}` has no endpoint `{endpoint}`{known}")
            return None
        method = found.interface.methods.get(name)
        if method is None:
            known = near(name, found.interface.methods)
            self._say((*path, key), f"endpoint `{endpoint}` of `{dst}` has no method `{name}`{known}")
        return method

    def _security_method(self, path: TomlPath, sender: TaskClass | None, endpoint: str, name: str) -> Method | None:
        if sender is None or endpoint:
            self._say(path, "key `dst` is missing; only a message to the security module has none, and no `endpoint`")
            return None
        methods = {} if sender.security is None else sender.security.methods
        if name not in methods:
            self._say((*path, "method"), f"class `{sender.name}` has no security method `{name}`{near(name, methods)}")
        return methods.get(name)

    def _constants(self, path: TomlPath, row: object, parameters: Iterable[Parameter]) -> dict[str, Any]:
        """Values for some of the fields, each checked against the field's type."""
        if not isinstance(row, dict):
            self._say(path, f"must be a table of fields, not `{row}`")
            return {}
        types = {one.name: one for one in parameters}
        for name, value in row.items():
            if name not in types:
                self._say((*path, name), f"the message has no field `{name}`{near(name, types)}")
            elif handle_walk((types[name],)) is not None:
                self._say((*path, name), f"field `{name}` holds a handle, and no handle is known beforehand")
            elif wrong := checker((types[name],))({name: value}):
                self._say((*path, name), wrong)
        return {name: plain(value) for name, value in row.items()}

    # ---- what a denial does ----------------------------------------------------------------------------------------

    def _denial(self, path: TomlPath, row: Mapping[str, Any], never_block: Sequence[NeverBlock]) -> Denial | None:
        act = cast("Act | None", self._one_of(path, row, "act", ACTS))
        self._known(path, row, (*_NAMES, "act", *_ACT_KEYS.get(act or "deny", ())))
        if "dst" not in row:
            self._say(path, "key `dst` is missing: the class that is asked")
            return None
        found = self._pattern(path, row)
        if found is None or act is None:
            return None
        pattern, method = found
        for entry in never_block:
            if entry.pattern.covers(pattern):
                self._say(path, f"it never comes to a denial: {entry.span.place} says that this is never blocked")
        if act != "deny" and handle_walk(method.inputs) is not None:
            self._say((*path, "act"), f"`{pattern.method}` passes on handles; a denial of it can only be `deny`")
        parts = self._parts(act, path, row, pattern, method)
        return Denial(pattern, act, self._places.find(path), **parts)

    def _parts(
        self, act: Act, path: TomlPath, row: Mapping[str, Any], pattern: Pattern, method: Method
    ) -> dict[str, Any]:
        match act:
            case "hold" | "substitute":
                per = self._texts(path, row, "per") if act == "hold" else ()
                self._fields((*path, "per"), per, method)
                return {"per": per, **self._fallback(path, row, pattern, method)}
            case "clamp":
                return self._clamp(path, row, pattern, method)
            case "defer":
                bound_ms = self._number(path, row, "bound_ms", MAX_BOUND_MS)
                return {"bound_ms": bound_ms, "queue": self._number(path, row, "queue", MAX_QUEUE)}
            case "shutdown":
                sequence = self._sendings((*path, "sequence"), row.get("sequence"))
                return {"sequence": sequence, "reset": self._reset(path, row)}
            case "observe":
                return {"until": self._day(path, row)}
        return {}

    def _fallback(self, path: TomlPath, row: Mapping[str, Any], pattern: Pattern, method: Method) -> dict[str, Any]:
        name = self._text(path, row, "fallback_method", pattern.method)
        if name is None:
            return {}
        called = self._method(path, pattern.dst or "", pattern.endpoint, name, key="fallback_method")
        if called is None:
            return {}
        if "fallback" not in row and called is method:
            self._say(path, "key `fallback` is missing: the fields in which the fallback differs from what was asked")
        fields = self._constants((*path, "fallback"), row.get("fallback", {}), called.inputs)
        asked = {one.name: one.type for one in method.inputs}
        for one in called.inputs:
            if one.name not in fields and asked.get(one.name) != one.type:
                self._say((*path, "fallback"), f"`{name}` needs field `{one.name}`, which the denied message lacks")
        return {"fallback": fields, "fallback_method": name}

    def _clamp(self, path: TomlPath, row: Mapping[str, Any], pattern: Pattern, method: Method) -> dict[str, Any]:
        name = self._text(path, row, "field")
        varied = next((one for one in method.inputs if one.name == name), None)
        if name is None:
            return {}
        if varied is None or not isinstance(varied.type, IntegerType):
            numbers = [one.name for one in method.inputs if isinstance(one.type, IntegerType)]
            self._say((*path, "field"), f"the message has no integer field `{name}`{near(name, numbers)}")
        fields = self._constants((*path, "fallback"), row.get("fallback", {}), method.inputs)
        if set(fields) != {name}:
            self._say((*path, "fallback"), f"the fallback of a clamp is one value for `{name}`, and nothing else")
        return {"varied": name, "fallback": fields, "fallback_method": pattern.method}

    def _reset(self, path: TomlPath, row: Mapping[str, Any]) -> Pattern | None:
        inner = row.get("reset")
        path = (*path, "reset")
        if not isinstance(inner, dict):
            self._say(path, "key `reset` is missing: the request that ends the shutdown, once it is granted")
            return None
        self._known(path, inner, _NAMES)
        if "dst" not in inner:
            self._say(path, "key `dst` is missing: the class that is asked")
            return None
        found = self._pattern(path, inner)
        return None if found is None else found[0]

    def _day(self, path: TomlPath, row: Mapping[str, Any]) -> date | None:
        day = row.get("until")
        if isinstance(day, date) and not isinstance(day, datetime):
            return day
        self._say((*path, "until"), "`until` must be the last day on which it is allowed: YYYY-MM-DD")
        return None

    # ---- what the kernel sends -------------------------------------------------------------------------------------

    def _reactions(self, section: str) -> dict[str, Reaction]:
        found = {}
        for task, row in self._table((), self._tree, section).items():
            path: TomlPath = (section, task)
            if task not in self._specs:
                self._say(path, f"the image has no task `{task}`{near(task, self._specs)}")
            if not isinstance(row, dict):
                self._say(path, "must be a table with `hold = true` or `messages`")
                continue
            self._known(path, row, ("hold", "messages"))
            if (row.get("hold") is True) == ("messages" in row):
                self._say(path, "says either `hold = true`, or which `messages` are sent")
            messages = self._sendings((*path, "messages"), row["messages"]) if "messages" in row else ()
            found[task] = Reaction(self._places.find(path), messages)
        return found

    def _sendings(self, path: TomlPath, rows: object) -> tuple[Sending, ...]:
        if not isinstance(rows, list) or not 0 < len(rows) <= MAX_ENTRIES:
            self._say(path, f"must be a list of 1 to {MAX_ENTRIES} messages")
            return ()
        return tuple(one for row in rows if (one := self._sending(path, row)) is not None)

    def _sending(self, path: TomlPath, row: object) -> Sending | None:
        if not isinstance(row, dict):
            self._say(path, f"a message is a table with {', '.join(f'`{key}`' for key in _SENDING_KEYS)}")
            return None
        self._known(path, row, _SENDING_KEYS)
        source, target = self._text(path, row, "from"), self._text(path, row, "to")
        endpoint, name = self._text(path, row, "endpoint"), self._text(path, row, "method")
        if source is None or target is None or endpoint is None or name is None:
            return None
        if not self._linked(path, source, target):
            return None
        method = self._method(path, self._specs[target].task_class.name, endpoint, name)
        if method is None:
            return None
        fields = self._constants(path, row.get("fields", {}), method.inputs)
        for one in method.inputs:
            if one.name not in fields:
                self._say(path, f"field `{one.name}` of `{name}` is missing; there is no other message to take it from")
        return Sending(source, target, endpoint, name, fields)

    def _linked(self, path: TomlPath, source: str, target: str) -> bool:
        for task in (source, target):
            if task not in self._specs:
                self._say(path, f"the image has no task `{task}`{near(task, self._specs)}")
                return False
        if target in (one.target for one in self._specs[source].connections):
            return True
        self._say(path, f"task `{source}` has no channel to `{target}`; a message goes only where its task could send")
        return False

    def _on_audit_failure(self) -> OnAuditFailure:
        table = self._table((), self._tree, "audit")
        self._known(("audit",), table, ("on_failure",))
        if "on_failure" not in table:
            return "go-on"
        return cast("OnAuditFailure", self._one_of(("audit",), table, "on_failure", ("go-on", "refuse")) or "go-on")

    # ---- values ----------------------------------------------------------------------------------------------------

    def _say(self, path: TomlPath, message: str) -> None:
        self.mistakes.append(Diagnostic(self._places.find(path), message))

    def _known(self, path: TomlPath, table: Mapping[str, Any], keys: Sequence[str]) -> None:
        for key in table:
            if key not in keys:
                hint = near(key, keys) or f"; known are {', '.join(f'`{one}`' for one in keys)}"
                self._say((*path, key), f"unknown key `{key[:80]}`{hint}")

    def _table(self, path: TomlPath, outer: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        table = outer.get(key, {})
        if isinstance(table, dict):
            return table
        self._say((*path, key), f"`{key}` must be a table: `[{key}]`")
        return {}

    def _rows(self, key: str) -> list[Mapping[str, Any]]:
        rows = self._tree.get(key, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            self._say((key,), f"`{key}` must be a list of tables: `[[{key}]]`")
            return []
        if len(rows) > MAX_ENTRIES:
            self._say((key, MAX_ENTRIES), f"more than {MAX_ENTRIES} entries `[[{key}]]`")
        return rows[:MAX_ENTRIES]

    def _numbered(self, key: str) -> Iterable[tuple[TomlPath, Mapping[str, Any]]]:
        return (((key, number), row) for number, row in enumerate(self._rows(key)))

    def _text(self, path: TomlPath, row: Mapping[str, Any], key: str, default: str | None = None) -> str | None:
        value = row.get(key, default)
        if isinstance(value, str):
            return value
        self._say((*path, key), f"key `{key}` is missing" if value is None else f"`{key}` must be a text")
        return None

    def _texts(self, path: TomlPath, row: Mapping[str, Any], key: str) -> tuple[str, ...]:
        value = row.get(key, [])
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        self._say((*path, key), f"`{key}` must be a list of texts")
        return ()

    def _fields(self, path: TomlPath, names: Iterable[str], method: Method) -> None:
        known = [one.name for one in method.inputs if isinstance(one.type, IntegerType | StringType)]
        for name in names:
            if name not in known:
                self._say(path, f"the message has no integer or text field `{name}`{near(name, known)}")

    def _number(self, path: TomlPath, row: Mapping[str, Any], key: str, most: int) -> int:
        value = row.get(key)
        if type(value) is int and 1 <= value <= most:
            return value
        self._say((*path, key), f"`{key}` must be a whole number from 1 to {most}")
        return 1

    def _one_of(self, path: TomlPath, row: Mapping[str, Any], key: str, words: Sequence[Wanted]) -> Wanted | None:
        value = row.get(key)
        if value in words:
            return cast("Wanted", value)
        hint = near(str(value), map(str, words)) or f"; known are {', '.join(f'`{word}`' for word in words)}"
        said = f"`{value}` is no {key}" if key in row else f"key `{key}` is missing"
        self._say((*path, key), f"{said}{hint}")
        return None
