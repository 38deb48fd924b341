"""Fields and items: `message.point.x`, `message.items.[0]`, `message.handle.rights`."""

from __future__ import annotations

from typing import Any, Final

from secureos.policy import syntax as psl
from secureos.policy.models import Incorrect
from secureos.policy.scope import Scope, Target
from secureos.policy.typed import Evaluate, mistake
from secureos.policy.values import ListType, RecordType, ValueType
from secureos.policy.verdict import Event
from secureos.xdl import ArrayType, BytesType, HandleType, SequenceType, StructType, UnionType
from secureos.xdl.source import Span, near
from secureos.xdl.types import HANDLE_FIELDS, OpaqueType, Parameter

Steps = tuple[str | int, ...]
"""The names of fields and the indices of items, from the outside in."""

_OPAQUE: Final = OpaqueType()


def split(part: psl.Path | psl.Member | psl.Element) -> tuple[psl.Expression, Steps]:
    """What is looked into, and the steps inside; of a path its first name is what is looked into."""
    steps: Steps = ()
    root: psl.Expression = part
    while isinstance(root, psl.Member | psl.Element):
        steps = (root.name if isinstance(root, psl.Member) else root.index, *steps)
        root = root.of
    return root, (*root.names[1:], *steps) if isinstance(root, psl.Path) else steps


def walk(span: Span, kind: ValueType, steps: Steps, more: str = "") -> ValueType:
    """The type that the steps lead to.

    Args:
        span: Where the whole expression stands.
        kind: The type to begin with.
        steps: The steps.
        more: What could help if the very first field does not exist.

    Raises:
        PolicyError: There is no such field or item.
    """
    for step in steps:
        if isinstance(kind, OpaqueType):
            return kind
        kind = _item(span, kind, step) if isinstance(step, int) else _field(span, kind, step, more)
        more = ""
    return kind


def message_type(span: Span, scope: Scope, steps: Steps) -> ValueType:
    """The type of a piece of the message: it must be one type in all messages that can come.

    Raises:
        PolicyError: A message has no such piece, it has different types, or a policy cannot see it.
    """
    found: ValueType | None = None
    for fields, shown in scope.messages():
        kind = _in_message(span, scope, fields, shown, steps)
        if found is not None and kind != found:
            message = f"`{span.text}` has different types in the messages that can come here; add selectors"
            raise mistake(span, message)
        found = kind
    if found is None and not scope.is_opaque:
        raise mistake(span, "no message can come here")
    if isinstance(found, BytesType):
        raise mistake(span, f"`{span.text}` is {found}, which a policy cannot see")
    if isinstance(found, HandleType):
        raise mistake(span, f"`{span.text}` is {found}; name `.handle` (its security identifier) or `.rights`")
    return _OPAQUE if found is None else found


def _in_message(span: Span, scope: Scope, fields: tuple[Parameter, ...], shown: Target, steps: Steps) -> ValueType:
    whole = StructType(f"the {scope.kind} of `{shown.method.qualified_name}`", fields)
    return walk(span, whole, steps, "; add `method=…`" if len(scope.targets) > 1 else "")


def message_reader(steps: Steps) -> Evaluate:
    """What reads a piece of the message."""
    name, *inside = steps

    def read(event: Event) -> Any:  # noqa: ANN401
        return event.message[name]  # type: ignore[index]

    return reader(read, tuple(inside), "the message") if inside else read


def reader(whole: Evaluate, steps: Steps, shown: str = "the value") -> Evaluate:
    """What reads a piece of the value that `whole` computes."""

    def read(event: Event) -> Any:  # noqa: ANN401
        value = whole(event)
        for step in steps:
            if isinstance(step, int) and step >= len(value):
                raise Incorrect(f"{shown} has {len(value)} items where item {step} is asked for")
            if isinstance(step, str) and step not in value:
                raise Incorrect(f"{shown} has no field `{step}` this time")
            value = value[step]
        return value

    return read


def _field(span: Span, kind: ValueType, name: str, more: str) -> ValueType:
    fields = _fields(kind)
    if name not in fields:
        raise mistake(span, f"{kind} has no field `{name}`{near(name, fields) or more}")
    return fields[name]


def _fields(kind: ValueType) -> dict[str, ValueType]:
    if isinstance(kind, StructType | UnionType):
        return {field.name: field.type for field in kind.fields}
    if isinstance(kind, HandleType):
        return {field.name: field.type for field in HANDLE_FIELDS}
    return dict(kind.fields) if isinstance(kind, RecordType) else {}


def _item(span: Span, kind: ValueType, index: int) -> ValueType:
    if isinstance(kind, ListType):
        most, item = len(kind.items), kind.items[index] if index < len(kind.items) else _OPAQUE
    elif isinstance(kind, SequenceType | ArrayType):
        most, item = kind.limit if isinstance(kind, SequenceType) else kind.count, kind.item
    else:
        raise mistake(span, f"{kind} has no items")
    if index >= most:
        raise mistake(span, f"{kind} has no item {index}, the last is {most - 1}")
    return item
