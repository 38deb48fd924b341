"""The model `PointSet`: a named set of points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from secureos.policy import syntax as psl
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.model import Model, Operation
from secureos.policy.values import BooleanType, Shape, is_integer, is_run_of, is_text

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

_Point = str | int


class PointSet(Model):
    """A set of tags (texts) or of integers that a message can be held against.

    Parameters:
        config = [ … ]: The members, all texts or all integers.

    Rules:
        None.

    Expressions:
        meets {points}: Whether some of the points are members; false for an empty list.
        covers {points}: Whether all of the points are members; true for an empty list.

    Semantics:
        It has no state. `points` is one point or a list of points of the members' type.

    Errors:
        Refused at load: no members, members of both types, a member listed twice, points of the other type.

    Example::

        policy object locked : PointSet { config = ["V7.open", "V7.close"] }
        request dst=Pump method=Write { deny (locked.meets {points : message.tags}) }
        assert {
            sequence {
                grant request src=Panel dst=Pump method=Write { tags : ["V8.open"], values : [1] }
                deny  request src=Panel dst=Pump method=Write { tags : ["V8.open", "V7.open"], values : [1, 1] }
            }
        }

    Source:
        Our own; a HashSet of KasperskyOS holds no texts, and its contents are state.
    """

    kind = "PointSet"

    def __init__(self, name: str, *, members: frozenset[_Point]) -> None:
        super().__init__(name)
        self._members = members
        fits = is_text if all(isinstance(member, str) for member in members) else is_integer
        what = "a text or a list of texts" if fits is is_text else "an integer or a list of integers"
        parameters = {"points": Shape(what, lambda kind: fits(kind) or is_run_of(fits)(kind))}
        self.expressions = {
            "meets": Operation(self._meets, parameters, value=BooleanType()),
            "covers": Operation(self._covers, parameters, value=BooleanType()),
        }

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """The list must hold at least one member, each of the same type, none twice."""
        configuration.types()
        config = configuration.config()
        items = configuration.items(config)
        if config is not None and not items and not configuration.mistakes:
            configuration.say(config.span, "a set of points needs at least one member")
        members: list[_Point] = []
        for item in items:
            value = item.value if isinstance(item, psl.Constant) else None
            if isinstance(value, bool) or not isinstance(value, str | int):
                configuration.say(item.span, "a member is a text or an integer")
            elif members and type(value) is not type(members[0]):
                configuration.say(item.span, "members are all texts or all integers")
            elif value in members:
                configuration.say(item.span, f"`{value}` is listed twice")
            else:
                members.append(value)
        return partial(cls, configuration.name, members=frozenset(members))

    def _meets(self, _event: Event, points: _Point | Sequence[_Point]) -> bool:
        return points in self._members if isinstance(points, str | int) else not self._members.isdisjoint(points)

    def _covers(self, _event: Event, points: _Point | Sequence[_Point]) -> bool:
        return points in self._members if isinstance(points, str | int) else self._members.issuperset(points)
