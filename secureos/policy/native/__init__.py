"""The optional back end: decisions as small verified programs, in a part that is built with the package.

Nothing depends on it. Where it was not built, or is switched off, the plain decision functions decide alone; where it
is in force, it decides the same and asks them whenever a value is out of the ordinary. `HOLDFAST_POLICY_BACKEND` in the
environment says which it shall be: `python`, `native` (an error where it was not built), or unset: what there is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, Literal, Protocol

from secureos.policy.native.asked import Asked

Backend = Literal["python", "native"]

__all__ = ["VARIABLE", "Asked", "Backend", "backend", "denial", "quicken", "use"]

VARIABLE: Final = "HOLDFAST_POLICY_BACKEND"


def backend() -> Backend:
    """Which back end makes the decision functions."""
    return "python" if _Choice.programs is None else "native"


def use(name: str | None) -> None:
    """Choose the back end of the decision functions that are made from now on.

    Args:
        name: `python`, `native`, or None for what there is.

    Raises:
        ValueError: There is no such back end.
        ImportError: `native` was not built.
    """
    if name not in ("python", "native", None):
        message = f"there is no back end `{name}` for policies; set {VARIABLE} to `python` or `native`, or not at all"
        raise ValueError(message)
    _Choice.programs = None if name == "python" else _built(needed=name == "native")


def quicken(plain: Callable[..., int], asked: Asked) -> Callable[..., int]:
    """The decision function of the back end in force, made beside the plain one."""
    return plain if _Choice.programs is None else _Choice.programs.quicken(plain, asked)


def denial() -> Callable[..., int] | None:
    """What denies by default, if the back end in force has such a function."""
    return None if _Choice.programs is None else _Choice.programs.deny_by_default


class _Programs(Protocol):
    """The built back end."""

    def quicken(self, plain: Callable[..., int], asked: Asked, /) -> Callable[..., int]:
        """The decision function beside the plain one, or the plain one itself."""

    def deny_by_default(self, *_: object) -> int:
        """Denies whatever is asked."""


class _Choice:
    """The back end in force; None is the plain one."""

    programs: _Programs | None = None


def _built(*, needed: bool) -> _Programs | None:
    try:
        from secureos.policy.native import programs
    except ImportError as failure:
        if not needed:
            return None
        message = f"the built back end for policies is not there ({failure}); install the package where a C compiler is"
        raise ImportError(message) from failure
    return programs


use(os.environ.get(VARIABLE))
