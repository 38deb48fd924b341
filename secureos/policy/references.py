"""Walking through a policy's syntax: its sections, its rules, and the names that stand in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from secureos.policy import syntax as psl

Section = psl.Binding | psl.Match


def sections(bindings: Iterable[psl.Binding]) -> Iterator[Section]:
    """Every binding and every `match` in it, in text order."""
    for binding in bindings:
        yield from _sections(binding)


def _sections(section: Section) -> Iterator[Section]:
    yield section
    for item in section.body:
        if isinstance(item, psl.Match):
            yield from _sections(item)


def items(bindings: Iterable[psl.Binding]) -> Iterator[psl.Item]:
    """Everything in bodies, what is inside `match` and `choice` after what is around it."""
    for binding in bindings:
        yield from _items(binding.body)


def _items(body: Iterable[psl.Item]) -> Iterator[psl.Item]:
    for item in body:
        yield item
        if isinstance(item, psl.Match):
            yield from _items(item.body)
        elif isinstance(item, psl.Choice):
            for case in item.cases:
                yield from _items(case.body)


def inside(item: psl.Call | psl.Choice) -> Iterator[psl.Call | psl.Choice]:
    """The rules in the cases of a `choice`, those of choices inside after the choice itself; of a rule, none."""
    for case in item.cases if isinstance(item, psl.Choice) else ():
        for one in case.body:
            if isinstance(one, psl.Call | psl.Choice):
                yield one
                yield from inside(one)


def calls(bindings: Iterable[psl.Binding]) -> Iterator[psl.Call]:
    """Every rule, also those in the cases of a `choice`."""
    return (item for item in items(bindings) if isinstance(item, psl.Call))


def audit_uses(bindings: Iterable[psl.Binding]) -> Iterator[psl.AuditUse]:
    """Every `audit profile` in a binding."""
    return (item for item in items(bindings) if isinstance(item, psl.AuditUse))


def names_in(bindings: Iterable[psl.Binding]) -> set[str]:
    """Whatever stands before the last dot of a rule or an expression: the policy objects that are used."""
    return {name for item in items(bindings) if isinstance(item, psl.Call | psl.Choice) for name in names_of(item)}


def names_of(item: psl.Call | psl.Choice) -> set[str]:
    """The same for one rule, or for what is chosen on."""
    if isinstance(item, psl.Call):
        return {_holder(item.path), *_names(item.argument)}
    return set(_names(item.expression))


def _holder(path: psl.Path) -> str:
    return ".".join(path.names[:-1])


def _names(part: psl.Expression) -> Iterator[str]:
    match part:
        case psl.Application():
            yield _holder(part.path)
            yield from _names(part.argument)
        case psl.ListLiteral():
            for item in part.items:
                yield from _names(item)
        case psl.DictionaryLiteral():
            for entry in part.entries:
                yield from _names(entry.value)
        case psl.Member() | psl.Element():
            yield from _names(part.of)
        case psl.Unary():
            yield from _names(part.operand)
        case psl.Binary():
            yield from _names(part.left)
            yield from _names(part.right)
