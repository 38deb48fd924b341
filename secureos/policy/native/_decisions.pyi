"""The part that is built; see the head of `_decisions.c`."""

from collections.abc import Callable
from typing import final

@final
class Program:
    """The verified code of a rule list.

    Raises:
        ValueError: It is too large, or an operand or a jump leaves its bounds.
    """

    def __new__(
        cls,
        *,
        arguments: int,
        temporaries: int,
        constants: int,
        objects: int,
        start: int,
        steps: tuple[tuple[int, int, int, int, int, int, int, int], ...],
    ) -> Program: ...

@final
class Decision:
    """A program with its constants and objects, called like the plain decision function and answering the same.

    Raises:
        ValueError: They are not what the program wants, or a constant does not fit 64 bits.
    """

    plain: Callable[..., int]

    def __new__(
        cls, program: Program, constants: tuple[int, ...], objects: tuple[object, ...], plain: Callable[..., int]
    ) -> Decision: ...
    def __call__(self, *arguments: object) -> int: ...

def deny_by_default(*_: object) -> int: ...
