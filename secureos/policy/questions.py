"""Events written down by a person, e.g. `{"event": "request", "src": …, "message": {…}}`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final, NoReturn, get_args

from secureos.policy.candidates import Candidate, UnknownNames, selected, sids_of
from secureos.policy.samples import default_message
from secureos.policy.syntax import EventKind
from secureos.policy.verdict import Event
from secureos.xdl import ArrayType, BytesType, Parameter, SequenceType, StructType, TaskClass, UnionType
from secureos.xdl.source import near

KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)

_KEYS: Final = ("event", "src", "dst", "endpoint", "method", "message", "at")
_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class Question:
    """An event as somebody described it; nothing in it is checked yet.

    Attributes:
        event: Which kind.
        src, dst: The classes.
        endpoint, method: What is called; what is left out must follow from the rest.
        message: Its fields; those left out have the default of their type, bytes are written as hex digits.
        at_s: When, in seconds.
    """

    event: str
    src: str | None
    dst: str | None = None
    endpoint: str | None = None
    method: str | None = None
    message: Mapping[str, Any] = field(default_factory=dict)
    at_s: float = 0.0


def resolve(question: Question, classes: Mapping[str, TaskClass]) -> tuple[Candidate, Event]:
    """The event that is meant; its values may still not fit their description. One process per class.

    Raises:
        UnknownNames: Something is called what the policy does not know, or several events could be meant.
    """
    candidate = _candidate(question, classes)
    if not isinstance(question.message, Mapping):
        raise UnknownNames(['a message is a dictionary of fields, e.g. {"session": 7}'])
    if not isinstance(question.at_s, int | float) or not isfinite(question.at_s) or not 0 <= question.at_s < 1e9:
        raise UnknownNames([f"`{question.at_s}` is no time; seconds from 0 to 1e9 are due"])
    sids = sids_of(classes)
    message = _message(candidate, question.message)
    dst_sid = None if candidate.dst is None else sids[candidate.dst]
    return candidate, candidate.event(round(question.at_s * 1e9), (sids[candidate.src], dst_sid), message)


def _candidate(question: Question, classes: Mapping[str, TaskClass]) -> Candidate:
    if question.event not in KINDS:
        known = ", ".join(f"`{kind}`" for kind in KINDS)
        raise UnknownNames([f"unknown event `{question.event}`{near(str(question.event), KINDS)}; there are {known}"])
    kind: EventKind = next(kind for kind in KINDS if kind == question.event)
    named = {key: getattr(question, key) for key in ("src", "dst", "endpoint", "method")}
    needed = ("src",) if kind == "security" else ("src", "dst")
    mistakes = [f"`{key}` is missing: a `{kind}` has one" for key in needed if named[key] is None]
    mistakes += [f"`{key}` must be a text" for key, name in named.items() if not isinstance(name, str | None)]
    if mistakes:
        raise UnknownNames(mistakes)
    found = [one for one in selected(kind, named, classes) if not one.is_open]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(f"`{candidate.called}`" for candidate in found[:_SHOWN])
    more = ", …" if len(found) > _SHOWN else ""
    if not found:
        raise UnknownNames(["what is called is not described at hand; name endpoint and method"])
    raise UnknownNames([f"which method? {len(found)} fit: {shown}{more}"])


def _message(candidate: Candidate, given: Mapping[str, Any]) -> dict[str, Any]:
    types = {parameter.name: parameter.type for parameter in candidate.parameters}
    if candidate.is_opaque:
        return dict(given)
    unknown = [name for name in given if name not in types]
    if unknown:
        raise UnknownNames([f"{candidate} has no field `{name}`{near(str(name), types)}" for name in unknown])
    return default_message(candidate.parameters) | {name: _value(types[name], value) for name, value in given.items()}


def _value(kind: object, value: Any) -> Any:  # noqa: ANN401
    """JSON knows no bytes, so these are written as hex digits."""
    if isinstance(kind, BytesType) and isinstance(value, str):
        try:
            return bytes.fromhex(value)
        except ValueError:
            raise UnknownNames([f"`{value[:40]}` is no row of hex digits"]) from None
    if isinstance(kind, SequenceType | ArrayType) and isinstance(value, list):
        return [_value(kind.item, item) for item in value]
    if isinstance(kind, StructType | UnionType) and isinstance(value, dict):
        types = {field.name: field.type for field in kind.fields}
        return {name: _value(types.get(name), item) for name, item in value.items()}
    return value


def message_from_json(text: str) -> Mapping[str, Any]:
    """The fields of a message.

    Raises:
        UnknownNames: It is no JSON dictionary.
    """
    try:
        value = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as failure:
        raise UnknownNames([f"the message is no JSON: {failure}"]) from None
    if not isinstance(value, dict):
        raise UnknownNames(['a message is a dictionary of fields, e.g. {"session": 7}'])
    return value


def _distinct(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which each name stands once: of two values nobody could say which is meant."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            message = f"`{name[:40]}` is given twice"
            raise ValueError(message)
        found[name] = value
    return found


def _no_number(word: str) -> NoReturn:
    message = f"`{word}` is no number"
    raise ValueError(message)


def _finite(text: str) -> float:
    value = float(text)
    return value if isfinite(value) else _no_number(text[:40])


def questions_from_lines(lines: Iterable[str]) -> list[Question]:
    """Events from JSON lines with the keys event, src, dst, endpoint, method, message, at.

    Raises:
        UnknownNames: A line is none; it is named.
    """
    questions = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = dict(message_from_json(line))
            unknown = [f"unknown key `{key}`{near(key, _KEYS)}" for key in row if key not in _KEYS]
            if unknown:
                raise UnknownNames(unknown)
            row["at_s"] = row.pop("at", 0.0)
            questions.append(Question(**{"event": "request", "src": None, **row}))
        except UnknownNames as failure:
            raise UnknownNames([f"line {number}: {failure}"]) from None
    return questions


def field_names(parameters: Iterable[Parameter]) -> str:
    """The fields of a message with their types, for people."""
    return ", ".join(f"{parameter.name}: {parameter.type}" for parameter in parameters) or "no fields"
