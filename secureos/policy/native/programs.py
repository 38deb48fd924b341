"""Programs of the built back end, one for each shape of a rule list; importing it needs the part that is built."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from secureos.policy.codegen_expressions import LeftToClosures
from secureos.policy.native._decisions import Decision, Program, deny_by_default
from secureos.policy.native.asked import Asked
from secureos.policy.native.rules import RuleWriter
from secureos.policy.native.writer import Shape

__all__ = ["deny_by_default", "quicken"]

_MAX_SHAPES: Final = 4096


def quicken(plain: Callable[..., int], asked: Asked) -> Callable[..., int]:
    """A decision function that answers what the plain one answers, or the plain one itself."""
    writer = RuleWriter(asked)
    try:
        shape = writer.shape()
    except LeftToClosures:
        return plain
    return Decision(_program(shape), tuple(writer.steps.constants), tuple(writer.steps.held), plain)


@lru_cache(maxsize=_MAX_SHAPES)
def _program(shape: Shape) -> Program:
    return Program(
        arguments=shape.arguments,
        temporaries=shape.temporaries,
        constants=shape.constants,
        objects=shape.objects,
        start=shape.start,
        steps=shape.steps,
    )
