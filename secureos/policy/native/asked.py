"""What a back end is asked to decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from secureos.policy.compile import Rule
from secureos.policy.models import Model
from secureos.xdl.types import Parameter


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be decided.

    Attributes:
        rules: The rules in text order.
        objects: The policy objects.
        fields: The fields of the message, in their order.
        moment: Holds the time of the event as `at_ns`.
        kept: Whether a later rule looks at the object of the rule at a position, so that it cannot put off its changes.
    """

    rules: Sequence[Rule]
    objects: Mapping[str, Model]
    fields: Sequence[Parameter]
    moment: object
    kept: Callable[[int], bool]
