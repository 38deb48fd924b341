"""Policy tests made ready to run: every case with its events, processes, time and messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final, Literal, cast, get_args

from secureos.policy import syntax as psl
from secureos.policy.candidates import Candidate, candidates_in, sids_of
from secureos.policy.samples import default_message, default_value
from secureos.policy.scope import Scope
from secureos.policy.syntax import EventKind
from secureos.policy.verdict import Event
from secureos.xdl import (
    ArrayType,
    BytesType,
    FieldType,
    HandleType,
    IntegerType,
    Parameter,
    SequenceType,
    StringType,
    StructType,
    TaskClass,
    UnionType,
)
from secureos.xdl.catalogue import KERNEL
from secureos.xdl.source import Diagnostic, PolicyError, Span, near

Expectation = Literal["grant", "deny", "any"]

MAX_EVENTS: Final = 4096
"""So many events one case may stand for."""

_NS: Final = {"ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000, "h": 3_600_000_000_000}
_LATER: Final = re.compile(r"\+\s*(\d{1,9})(?:\.(\d{1,9}))?\s*(ms|s|min|h)\b\s*:?\s*")


@dataclass(frozen=True, slots=True)
class PalCase:
    """One case with all the events that it stands for.

    Attributes:
        syntax: As it is written.
        part: `setup`, `sequence` or `finally`.
        expected: The verdict on each of the events.
        label: What a person wrote about it, without the time at its beginning.
        events: In the order in which they happen, each with the names it is known by.
        one_is_enough: Whether the case is met by the first of the events that is granted, and the others do not
            happen: it says that a process can be started, but not by whom.
    """

    syntax: psl.TestCase
    part: str
    expected: Expectation
    label: str
    events: tuple[tuple[Candidate, Event], ...]
    one_is_enough: bool = False

    @property
    def place(self) -> str:
        """File and line."""
        return self.syntax.span.place


@dataclass(frozen=True, slots=True)
class PalSequence:
    """One test from a fresh state: the set's `setup`, the sequence itself, the set's `finally`."""

    test_set: str
    name: str
    place: str
    cases: tuple[PalCase, ...]

    @property
    def full_name(self) -> str:
        """Set and sequence."""
        return f"{self.test_set} / {self.name}"


def prepare(tests: Iterable[psl.TestSet], classes: Mapping[str, TaskClass]) -> tuple[PalSequence, ...]:
    """All sequences of some test sets, in text order.

    What a case leaves open it claims for every event that fits: without `src` for every sender, without `method` for
    every method whose message has the fields it gives. But a process is started once: that an `execute` without `src`
    is granted means that someone can start it, the kernel asked first, then the initial task. Fields that a case
    leaves out have the default of their type. A class name in `src` or `dst` is the first process of that class in
    the sequence; `name <- execute …` starts one more and gives it a name.

    The language knows no time. A label that begins with `+`, e.g. `"+60 s: the window is over"`, lets that much time
    pass before its case; everything else happens at the same instant.

    Raises:
        PolicyError: A name, a field or a value is wrong; all mistakes are listed.
    """
    sequences, mistakes = [], []
    # Made once for all cases, which then share what their selectors leave.
    scopes = {kind: Scope.of(kind, classes) for kind in get_args(EventKind)}
    for number, test_set in enumerate(tests, start=1):
        name = test_set.name or f"set {number}"
        around = {part: _blocks(test_set, part) for part in ("setup", "finally")}
        for position, block in enumerate(_blocks(test_set, "sequence"), start=1):
            preparation = _Preparation(classes, scopes)
            cases = preparation.cases([*around["setup"], block, *around["finally"]])
            mistakes.extend(preparation.mistakes)
            sequences.append(PalSequence(name, block.name or f"sequence {position}", block.span.place, cases))
    if mistakes:
        # `setup` is prepared anew for each sequence; its mistakes are told once.
        raise PolicyError({(str(mistake.span), mistake.message): mistake for mistake in mistakes}.values())
    return tuple(sequences)


def _blocks(test_set: psl.TestSet, part: str) -> list[psl.TestBlock]:
    return [block for block in test_set.blocks if block.part == part]


@dataclass
class _Preparation:
    """One sequence on its way: which processes there are, and what time it is."""

    classes: Mapping[str, TaskClass]
    scopes: Mapping[EventKind, Scope]
    mistakes: list[Diagnostic] = field(default_factory=list)
    at_ns: int = 0
    variables: dict[str, tuple[str, int]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sids = sids_of(self.classes)
        self._next_sid = len(self._sids) + 1

    def cases(self, blocks: Iterable[psl.TestBlock]) -> tuple[PalCase, ...]:
        found = []
        for block in blocks:
            for case in block.cases:
                try:
                    found.append(self._case(case, block.part))
                except PolicyError as failure:
                    self.mistakes.extend(failure.diagnostics)
        return tuple(found)

    def _case(self, case: psl.TestCase, part: str) -> PalCase:
        label = self._pass_time(case.label)
        named = {row.key: row.value.text for row in case.selectors if row.value.text in self.variables}
        selectors = [self._class_selector(row) for row in case.selectors]
        found = self._candidates(case, selectors)
        if case.variable is not None:
            self._start(case, found)
        events = tuple((candidate, self._event(candidate, case, named)) for candidate in found)
        return PalCase(case, part, cast("Expectation", case.expectation), label, events, _one_is_enough(case))

    def _candidates(self, case: psl.TestCase, selectors: Sequence[psl.Selector]) -> list[Candidate]:
        possible = (one for one in candidates_in(self.scopes[case.event], selectors) if not one.is_open)
        meant = possible if case.fields is None else _with_fields(possible, case.fields)
        found = list(islice(meant, MAX_EVENTS + 1))
        if _one_is_enough(case):
            found.sort(key=lambda candidate: _STARTERS.get(candidate.src, len(_STARTERS)))
        if not found:
            message = "what is called here is not described at hand; name `endpoint` and `method`"
            raise PolicyError([Diagnostic(case.span, message)])
        if len(found) > MAX_EVENTS:
            message = f"this stands for more than {MAX_EVENTS} events; name `src`, `dst` and `method`"
            raise PolicyError([Diagnostic(case.span, message)])
        return found

    def _pass_time(self, label: str) -> str:
        later = _LATER.match(label)
        if later is None:
            return label
        whole, fraction, unit = later.groups()
        self.at_ns += int(whole) * _NS[unit] + int((fraction or "").ljust(9, "0")) * _NS[unit] // 1_000_000_000
        return label[later.end() :]

    def _class_selector(self, row: psl.Selector) -> psl.Selector:
        if row.key not in ("src", "dst") or row.value.text not in self.variables:
            return row
        return replace(row, value=psl.Name(self.variables[row.value.text][0], row.value.span))

    def _start(self, case: psl.TestCase, found: Sequence[Candidate]) -> None:
        if case.event != "execute" or len({candidate.dst for candidate in found}) != 1:
            message = f"`{case.variable} <-` names the process that an `execute` with `dst` starts"
            raise PolicyError([Diagnostic(case.span, message)])
        started = cast("str", found[0].dst)
        sid = self._sids[started]
        if started in self.first:
            sid, self._next_sid = self._next_sid, self._next_sid + 1
        self.first[started] = self.first.get(started, sid)
        self.variables[cast("str", case.variable)] = (started, sid)

    def _event(self, candidate: Candidate, case: psl.TestCase, named: Mapping[str, str]) -> Event:
        src_sid = self._sid(candidate.src, named.get("src"))
        dst_sid = None if candidate.dst is None else self._sid(candidate.dst, case.variable or named.get("dst"))
        message = self._message(candidate, case.fields)
        wrong = candidate.check(message)
        if wrong is not None:
            place = case.span if case.fields is None else case.fields.span
            raise PolicyError([Diagnostic(place, f"the message of {candidate} does not fit: {wrong}")])
        return candidate.event(self.at_ns, (src_sid, dst_sid), message)

    def _sid(self, name: str, variable: str | None) -> int:
        return self.variables[variable][1] if variable is not None else self.first.setdefault(name, self._sids[name])

    # ---- messages --------------------------------------------------------------------------------------------------

    def _message(self, candidate: Candidate, fields: psl.DictionaryLiteral | None) -> dict[str, Any]:
        if fields is None:
            return default_message(candidate.parameters)
        if candidate.is_opaque:
            return cast("dict[str, Any]", _literal(fields))
        return self._fields(fields, candidate.parameters, str(candidate))

    def _fields(self, given: psl.DictionaryLiteral, known: Sequence[Parameter], where: str) -> dict[str, Any]:
        types = {parameter.name: parameter.type for parameter in known}
        message = default_message(known)
        for name, entry in _distinct(given).items():
            if name not in types:
                raise _mistake(entry.span, f"{where} has no field `{name}`{near(name, types)}")
            message[name] = self._value(entry.value, types[name], name)
        return message

    def _value(self, given: psl.Expression, kind: FieldType, name: str) -> Any:  # noqa: ANN401
        if isinstance(kind, HandleType):
            return self._handle(given, name)
        if type(kind) not in _EXAMPLE:
            return _literal(given)
        value: Any = None
        match kind, given:
            case (IntegerType(), psl.Constant(int() as value)) if not isinstance(value, bool):
                pass
            case (StringType(), psl.Constant(str() as value)):
                pass
            case (BytesType(), psl.Constant(str() as text)):
                value = text.encode()
            case (SequenceType(), psl.ListLiteral(items)):
                value = [self._value(item, kind.item, name) for item in items]
            case (ArrayType(), psl.ListLiteral(items)):
                value = [self._value(item, kind.item, name) for item in items]
                value += [default_value(kind.item)] * (kind.count - len(items))
            case (StructType(), psl.DictionaryLiteral()):
                value = self._fields(given, kind.fields, f"`{name}`")
            case (UnionType(), psl.DictionaryLiteral()) if len(given.entries) == 1:
                chosen = [option for option in kind.fields if option.name == given.entries[0].key]
                value = self._fields(given, chosen or kind.fields, f"`{name}`")
            case _:
                raise _mistake(given.span, f"field `{name}` is a {kind}; {_EXAMPLE[type(kind)]} is due here")
        return value

    def _handle(self, given: psl.Expression, name: str) -> dict[str, int]:
        """The SID behind a handle: a number, a process, a class; `{handle : …, rights : …}` if the rights matter."""
        match given:
            case psl.Constant(int(value)) if not isinstance(value, bool):
                return {"handle": value, "rights": 0}
            case psl.Path() if given.text in self.variables:
                return {"handle": self.variables[given.text][1], "rights": 0}
            case psl.Path() if given.text in self._sids:
                return {"handle": self._sid(given.text, None), "rights": 0}
            case psl.DictionaryLiteral():
                parts = {name: entry.value for name, entry in _distinct(given).items()}
                if parts.keys() <= {"handle", "rights"}:
                    rights = self._value(parts["rights"], _RIGHTS, "rights") if "rights" in parts else 0
                    inner = self._handle(parts["handle"], name) if "handle" in parts else {"handle": 0}
                    return {**inner, "rights": rights}
        raise _mistake(given.span, f"field `{name}` is a handle; a SID, a process or a class is due here")


_STARTERS: Final[Mapping[str, int]] = {KERNEL: 0, "Einit": 1}


def _one_is_enough(case: psl.TestCase) -> bool:
    keys = {row.key for row in case.selectors}
    return case.event == "execute" and case.expectation == "grant" and "dst" in keys and "src" not in keys


_RIGHTS: Final = IntegerType("UInt32", 0, 2**32 - 1)
_EXAMPLE: Final[Mapping[type, str]] = {
    IntegerType: "an integer",
    StringType: "a text",
    BytesType: "a text",
    SequenceType: "a list `[…]`",
    ArrayType: "a list `[…]`",
    StructType: "a dictionary `{…}`",
    UnionType: "a dictionary with one of its fields",
}


def _with_fields(possible: Iterable[Candidate], fields: psl.DictionaryLiteral) -> Iterator[Candidate]:
    """Those whose message can have these fields; the first one at least, so that a wrong name is told for it."""
    names = {str(entry.key) for entry in fields.entries}
    first: Candidate | None = None
    found = False
    for one in possible:
        first = first or one
        if one.is_opaque or names <= {parameter.name for parameter in one.parameters}:
            found = True
            yield one
    if first is not None and not found:
        yield first


def _literal(given: psl.Expression) -> Any:  # noqa: ANN401
    """What stands there, where no description says what it must be."""
    match given:
        case psl.Constant(int() | str() as value):
            return value
        case psl.ListLiteral(items):
            return [_literal(item) for item in items]
        case psl.DictionaryLiteral():
            return {name: _literal(entry.value) for name, entry in _distinct(given).items()}
    raise _mistake(given.span, "an integer, a text, a list or a dictionary is due here")


def _distinct(given: psl.DictionaryLiteral) -> dict[str, psl.Entry]:
    """The entries of a dictionary by their keys, each of which stands there once."""
    found: dict[str, psl.Entry] = {}
    for entry in given.entries:
        name = str(entry.key)
        if name in found:
            raise _mistake(entry.span, f"`{name}` is given twice")
        found[name] = entry
    return found


def _mistake(span: Span, message: str) -> PolicyError:
    return PolicyError([Diagnostic(span, message)])
