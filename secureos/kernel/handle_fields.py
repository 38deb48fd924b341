"""Handles in messages: where they stand, and how each is exchanged for another.

In a sender's message a handle is its own number and the rights that the receiver shall have; for the security module
the number is the security identifier behind it; in the receiver's message it is the receiver's number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from secureos.kernel.program import Fields
from secureos.xdl import HandleType, Parameter
from secureos.xdl.types import ArrayType, FieldType, SequenceType, StructType, UnionType

Swap = Callable[[Mapping[str, int]], dict[str, int]]
"""Makes `{"handle": …, "rights": …}` of another such pair."""

SwapAll = Callable[[Fields, Swap], dict[str, Any]]
"""A message with every handle in it exchanged, in the order of the description."""

_Walk = Callable[[Any, Swap], Any]


def handle_walk(parameters: tuple[Parameter, ...]) -> SwapAll | None:
    """What exchanges the handles of messages of one kind; None if there can be none in them."""
    walks = {one.name: walk for one in parameters if (walk := _walk(one.type)) is not None}
    if not walks:
        return None

    def swap_all(fields: Fields, swap: Swap) -> dict[str, Any]:
        swapped = dict(fields)
        for name, walk in walks.items():
            if name in swapped:  # of a union there is one field only
                swapped[name] = walk(swapped[name], swap)
        return swapped

    return swap_all


def _walk(kind: FieldType) -> _Walk | None:
    match kind:
        case HandleType():
            return lambda pair, swap: swap(pair)
        case SequenceType() | ArrayType():
            each = _walk(kind.item)
            return None if each is None else lambda items, swap: tuple(each(item, swap) for item in items)
        case StructType() | UnionType():
            return handle_walk(kind.fields)
        case _:
            return None
