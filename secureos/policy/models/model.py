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


class Incorrect(Exception):
    """An expression has no value for this event; its text says why, and the event is denied."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A rule or an expression of a model.

    Attributes:
        run: A rule is called with event, undo list and arguments; it returns None (granted) or the reason of its
            denial as a sentence (empty: the argument says it all). Before it changes state it appends to the undo
            list what takes the change back. An expression is called with event and arguments; it returns its value or
            raises `Incorrect`.
        parameters: The fields of the argument `{…}`, in the order in which `run` takes them.
        single: What the argument `(…)` must be, if it takes one.
        unit: Whether it takes the argument `()`.
        value: The type of an expression's value; None for a rule.
        choose: For an expression that a `choice` can be made on: called at load with the text of a case, it raises
            ValueError with a sentence if that is no possible case, else it returns what tells at run time whether
            the expression's value falls into the case. An expression with it stands in a `choice` only.
    """

    run: Callable[..., Any]
    parameters: Mapping[str, Shape] = field(default_factory=dict)
    single: Shape | None = None
    unit: bool = False
    value: ValueType | None = None
    choose: Callable[[str], Callable[[Any], bool]] | None = None


class Model(ABC):
    """One policy object with its state. A model is one file in this folder; the registry finds it there.

    Containers that hold state keep their identity: what reads them without asking the model (code made for speed)
    sees every change, also those of `restore`.
    """

    kind: ClassVar[str]

    def __init__(self, name: str) -> None:
        self.name = name
        self.rules: dict[str, Operation] = {}
        self.expressions: dict[str, Operation] = {}

    @classmethod
    @abstractmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check the declaration, note its mistakes there, and return what makes a fresh object of it."""

    def snapshot(self) -> Any:  # noqa: ANN401
        """The state as plain JSON values; equal states give equal snapshots."""
        return None

    def restore(self, state: Any) -> None:  # noqa: ANN401, B027
        """Take over what `snapshot` gave."""
