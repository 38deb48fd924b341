"""What declarations of the same shape have in common, so that each of a thousand like bindings costs little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from lark import Token, Tree

from secureos.policy import syntax as psl
from secureos.policy.tokens import INT, NAME, TEXT

Part = Tree[Token]
Kept = dict[Any, Any]

_SURE_DIGITS: Final = 18
"""So many characters of a number always fit 64 bits."""

_BETWEEN_NUMBERS: Final = frozenset(
    {"comparison", "binary_add", "binary_subtract", "binary_multiply", "bit_or", "bit_and"}
)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """Where in a binding the things stand in which it differs from others of its shape.

    Attributes:
        template: Shared by all bindings of the shape.
        event: The event.
        names: From which word to which each selector's value goes.
        fixed: The words that decide whether the rules are right.
        numbers: All numbers, those between operators too, which decide nothing.
    """

    template: psl.Template
    event: psl.EventKind
    names: tuple[tuple[int, int], ...]
    fixed: tuple[int, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """The parse tree of a piece of a file; places in it count words.

    Attributes:
        tree: Of the first piece of the shape.
        pattern: Set if the piece is one binding, and no section in it says again what one around it says.
    """

    tree: Part
    pattern: _Pattern | None

    @property
    def event(self) -> psl.EventKind:
        """The event of a shape with a pattern."""
        return cast("_Pattern", self.pattern).event

    def row(self, texts: Sequence[str], kept: Kept) -> psl.Row | None:
        """What a piece of this shape has of its own; None if it must be looked at whole.

        What is equal in many is there once: `kept` holds it.
        """
        pattern = self.pattern
        if pattern is None or any(len(texts[position]) > _SURE_DIGITS for position in pattern.numbers):
            return None
        names = tuple([kept.setdefault(name, name) for name in map("".join, [texts[a:b] for a, b in pattern.names])])
        fixed = tuple([texts[position] for position in pattern.fixed])
        return psl.Row(pattern.template, names, kept.setdefault(fixed, fixed))


def shape_of(tree: Part, kinds: str) -> Shape:
    """The shape of a parse tree whose words are of these kinds."""
    return Shape(tree, _pattern(tree, kinds))


def _pattern(tree: Part, kinds: str) -> _Pattern | None:
    parts = _trees(tree)
    if len(parts) != 1 or parts[0].data != "binding":
        return None
    event, *between, body = _trees(parts[0])
    selectors = [_trees(row) for part in between for row in _trees(part)]
    keys = tuple(_first_token(key) for key, _ in selectors)
    around = {*keys, "src", "dst"}
    if len(set(keys)) < len(keys) or not all(_stands_alone(item, around) for item in _trees(body)):
        return None
    inside = range(body.meta.start_pos, body.meta.end_pos)
    free = set(_free_numbers(body))
    return _Pattern(
        template=psl.Template(keys, has_sections=any(body.find_data("match"))),
        event=cast("psl.EventKind", _first_token(event)),
        names=tuple((name.meta.start_pos, name.meta.end_pos) for _, name in selectors),
        fixed=tuple(position for position in inside if kinds[position] in (NAME, INT, TEXT) and position not in free),
        numbers=tuple(position for position in inside if kinds[position] == INT),
    )


def _stands_alone(item: Part, around: set[str]) -> bool:
    """Whether the sections in an item choose by nothing that is chosen by around them, and not by classes.

    Then the same words are as right in them whatever the selectors of the binding say, if it meets the same methods.
    """
    if item.data == "choice":
        return not any(item.find_data("match"))
    if item.data != "match":
        return True
    selectors, body = _trees(item)
    keys = [_first_token(row) for row in _trees(selectors)]
    inside = around.union(keys)
    return len(inside) == len(around) + len(keys) and all(_stands_alone(each, inside) for each in _trees(body))


def _free_numbers(part: Part) -> Iterator[int]:
    """The numbers that stand beside an operator between numbers: any other would be as right there."""
    waiting = [part]
    while waiting:
        part = waiting.pop()
        for child in _trees(part):
            if part.data in _BETWEEN_NUMBERS and child.data in ("integer", "negative"):
                yield cast("int", cast("Token", child.children[-1]).start_pos)
            else:
                waiting.append(child)


def _trees(part: Part) -> list[Part]:
    return [child for child in part.children if isinstance(child, Tree)]


def _first_token(part: Part) -> str:
    return str(next(part.scan_values(lambda value: isinstance(value, Token))))
