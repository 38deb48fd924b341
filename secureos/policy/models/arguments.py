"""What the rules of several models expect of their arguments."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from secureos.policy.values import INTEGERS, TEXTS, LiteralType, Shape, ValueType, is_integer, is_text
from secureos.xdl import StringType

TEXT: Final = Shape("a text", is_text)
IDENTITY: Final = Shape("a text or an integer", lambda kind: is_text(kind) or is_integer(kind))
"""Who or what, as a name or as a number; `7` and `"7"` are two different ones."""

COMMAND: Final = {"points": TEXTS, "values": INTEGERS}
"""What a command asks of which points: two lists of one length."""

REPORT: Final = {**COMMAND, "quality": INTEGERS}
"""What points were measured to be; quality 0 is good."""

WORD: Final = StringType(256)
"""The type of a text that a `choice` is made on."""


def one_of(what: str, names: Collection[str]) -> Shape:
    """One of the names, as it stands in the policy."""
    return Shape(f"{what}: {' or '.join(names)}", _is_in(frozenset(names)), tuple(names))


def name_out_of(what: str, names: Collection[str]) -> Shape:
    """One of the names if it stands in the policy, or any text of the message."""
    fits = _is_in(frozenset(names))
    words = f"{what}: {' or '.join(names)}, or a text of the message"
    return Shape(words, lambda kind: fits(kind) if isinstance(kind, LiteralType) else is_text(kind), tuple(names))


def case_out_of(what: str, names: Collection[str]) -> Callable[[str], Callable[[str], bool]]:
    """For `Operation.choose`: the cases are the names themselves."""

    def choose(case: str) -> Callable[[str], bool]:
        if case not in names:
            message = f"`{case}` is no {what}; there are {', '.join(sorted(names))}"
            raise ValueError(message)
        return case.__eq__

    return choose


def _is_in(names: Collection[str]) -> Callable[[ValueType], bool]:
    return lambda kind: isinstance(kind, LiteralType) and kind.value in names
