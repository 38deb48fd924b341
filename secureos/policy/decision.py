"""What is asked for one kind of event between two classes: its rules, its decision function, its verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any

from secureos.policy.compile import CHOICE, Rule
from secureos.policy.shapes import Decide
from secureos.policy.syntax import EventKind
from secureos.policy.verdict import Verdict
from secureos.xdl import Interface, Method, Parameter, TaskClass

Key = tuple[EventKind, str, str | None, str, str]
"""Kind, source class, destination class, endpoint, method."""

Extract = Callable[[Mapping[str, Any]], tuple[Any, ...]]


@dataclass(slots=True)
class Decision:
    """All that is needed to decide one kind of event.

    Attributes:
        rules: The rules asked, in text order.
        decide: Their decision function.
        whole: Whether it takes the event as last argument.
        extract: Takes the fields, in their order, out of a message.
        verdicts: The verdict if all grant, by audit level, where it depends on nothing else.
        chooses: Whether a `choice` is among the rules: which rules are asked then depends on the event.
    """

    rules: tuple[Rule, ...]
    decide: Decide
    whole: bool
    extract: Extract
    verdicts: dict[int, Verdict] | None = None
    chooses: bool = field(init=False)

    def __post_init__(self) -> None:
        self.chooses = any(rule.operation == CHOICE for rule in self.rules)


@lru_cache(maxsize=1024)
def extractor(fields: tuple[Parameter, ...]) -> Extract:
    """What takes these fields out of a message; it raises KeyError where one is missing."""
    names = [field.name for field in fields]
    if len(names) > 1:
        return itemgetter(*names)
    if names:
        (name,) = names
        return lambda message: (message[name],)
    return lambda _: ()


def described(key: Key, classes: Mapping[str, TaskClass]) -> tuple[Method, Interface, str | None] | None:
    """The method of an event with its interface and component; None if the class that serves it has no such method."""
    kind, src, dst, path, name = key
    server = classes[dst if kind == "request" and dst is not None else src]
    endpoint = None if kind in ("execute", "security") else server.endpoints.get(path)
    if endpoint is not None:
        interface, component = endpoint.interface, endpoint.component
    elif kind == "security" and server.security is not None and not path:
        interface, component = server.security, None
    else:
        return None
    return (interface.methods[name], interface, component) if name in interface.methods else None


def fields_of(kind: str, method: Method) -> tuple[Parameter, ...]:
    """The fields of the message of an event."""
    if kind == "response":
        return method.outputs
    return method.errors if kind == "error" else method.inputs
