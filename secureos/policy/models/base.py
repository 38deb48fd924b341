"""The model `Base`: grant, deny, assert."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from secureos.policy.models.configuration import Configuration
from secureos.policy.models.model import Model, Operation, Undo
from secureos.policy.values import BOOLEAN, INTEGER

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

MAX_LEVEL: Final = 255
"""Levels of audit profiles are UInt8."""


class Base(Model):
    """Grants, denies, and asks whether something is true.

    Parameters:
        None. The object `base` is always there, and rules without an object are its rules. Further objects serve to
        give some rules an audit row of their own.

    Rules:
        grant (): Granted.
        assert (b): Granted if `b` is true, else denied.
        deny (): Denied.
        deny (b): Denied if `b` is true, else granted.
        set_level (n): Sets the level of audit profiles that is in force, 0 to 255; denied outside. Of `base` alone.

    Expressions:
        None.

    Semantics:
        Rules without state, but for the audit level. A level that was set in an event that is denied after all is
        as if it had not been set.

    Errors:
        Any setting or type in the object is refused at load.

    Example::

        request dst=Pump method=Set {
            assert (message.rpm <= 1500)
            deny (message.rpm == 777)
        }
        assert {
            sequence {
                grant request src=Panel dst=Pump method=Set { rpm : 1500 }
                deny  request src=Panel dst=Pump method=Set { rpm : 1501 }
                deny  request src=Panel dst=Pump method=Set { rpm : 777 }
            }
        }

    Source:
        The security model Base of KasperskyOS Community Edition; `set_level` is our reading of its name.
    """

    kind = "Base"

    def __init__(self, name: str, *, level: int = 0) -> None:
        super().__init__(name)
        self.level = level
        self.rules = {
            "grant": Operation(_grant, unit=True),
            "assert": Operation(_assert, single=BOOLEAN),
            "deny": Operation(_deny, single=BOOLEAN, unit=True),
        }
        if name == "base":
            self.rules["set_level"] = Operation(self._set_level, single=INTEGER)

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """It has nothing to configure."""
        configuration.no_fields()
        configuration.types()
        return partial(cls, configuration.name)

    def snapshot(self) -> Any:  # noqa: ANN401
        """The audit level."""
        return self.level

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self.level = state

    def _set_level(self, _event: Event, undo: Undo, level: int) -> str | None:
        if not 0 <= level <= MAX_LEVEL:
            return f"an audit level goes from 0 to {MAX_LEVEL}, not {level}"
        undo.append(partial(setattr, self, "level", self.level))
        self.level = level
        return None


def _grant(_event: Event, _undo: Undo) -> None:
    return None


def _assert(_event: Event, _undo: Undo, value: bool) -> str | None:
    return None if value is True else ""


def _deny(_event: Event, _undo: Undo, value: bool = True) -> str | None:
    return None if value is False else ""
