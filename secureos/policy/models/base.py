"""The model `Base`: grant, deny, assert."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from secureos.policy.models.configuration import Configuration
from secureos.policy.models.model import Model, Operation, Undo
from secureos.policy.values import BOOLEAN

if TYPE_CHECKING:
    from secureos.policy.verdict import Event


class Base(Model):
    """Rules without state. The object `base` is always there, and rules without an object are its rules.

    Parameters: none.

    Rules:
        grant (): Granted.
        assert (b): Granted if `b` is true, else denied.
        deny (): Denied.
        deny (b): Denied if `b` is true, else granted.

    Example::

        request dst=Pump endpoint=speed method=Set { assert (message.rpm <= 1500) }
    """

    kind = "Base"
    unsupported = frozenset({"set_level"})

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.rules = {
            "grant": Operation(_grant, unit=True),
            "assert": Operation(_assert, single=BOOLEAN),
            "deny": Operation(_deny, single=BOOLEAN, unit=True),
        }

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """It has nothing to configure."""
        configuration.no_fields()
        configuration.types()
        return partial(cls, configuration.name)


def _grant(_event: Event, _undo: Undo) -> None:
    return None


def _assert(_event: Event, _undo: Undo, value: bool) -> str | None:
    return None if value is True else ""


def _deny(_event: Event, _undo: Undo, value: bool = True) -> str | None:
    return None if value is False else ""
