"""What every security model is: a configuration checked at load, state, rules and expressions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from secureos.policy.models.configuration import Configuration
from secureos.policy.values import Shape, ValueType

Undo = list[Callable[[], None]]
"""What takes back the effects of an event, oldest first; run backwards if the event is denied after all."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A rule or an expression of a model.

    Attributes:
        run: A rule is called with event, undo list and arguments; it returns None (granted) or the reason of its
            denial as a sentence (empty: the argument says it all). Before it changes state it appends to the undo
            list what takes the change back. An expression is called with event and arguments and returns its value.
        parameters: The fields of the argument `{…}`, in the order in which `run` takes them.
        single: What the argument `(…)` must be, if it takes one.
        unit: Whether it takes the argument `()`.
        value: The type of an expression's value; None for a rule.
    """

    run: Callable[..., Any]
    parameters: Mapping[str, Shape] = field(default_factory=dict)
    single: Shape | None = None
    unit: bool = False
    value: ValueType | None = None


class Model(ABC):
    """One policy object with its state. A model is one file; it registers in `secureos.policy.models`."""

    kind: ClassVar[str]
    unsupported: ClassVar[frozenset[str]] = frozenset()
    """Operations that the language has but this first cut has not."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rules: Mapping[str, Operation] = {}
        self.expressions: Mapping[str, Operation] = {}

    @classmethod
    @abstractmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check the declaration, note its mistakes there, and return what makes a fresh object of it."""

    def snapshot(self) -> Any:  # noqa: ANN401
        """The state as plain JSON values; equal states give equal snapshots."""
        return None

    def restore(self, state: Any) -> None:  # noqa: ANN401, B027
        """Take over what `snapshot` gave."""
