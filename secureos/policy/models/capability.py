"""The model `Capability`: who holds which rights to which object, and from whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from secureos.policy.models.changes import drop, put
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.model import Model, Operation, Undo
from secureos.policy.values import INTEGER, BooleanType, LiteralType, Shape, ValueType, is_integer, is_run_of
from secureos.xdl import ArrayType, SequenceType

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

MAX_RIGHTS: Final = 32
"""A mask of rights has that many bits."""

_MAX_HELD: Final = 65_536


class Held(NamedTuple):
    """Rights to one object: a mask, and who gave them (None: the object's creator)."""

    mask: int
    giver: int | None


class Capability(Model):
    """Rights are held, passed on never wider than they are held, and taken back with all that was derived from them.

    Parameters (`config = { … }`):
        rights: The names of the rights; the first is bit 0 of a mask, and so on; 1 to 32.
        capacity: How many capabilities there are at most, 1 to 65,536.

    Rules:
        create {holder, object}: Gives all rights to a new object; denied if anybody holds one to it.
        grant {giver, taker, object, rights}: Passes rights on; denied unless the giver holds all of them. To have
            more from the same giver adds up; a second giver for the same object is denied.
        require {holder, object, rights}: Granted if the holder has all of the rights.
        revoke {giver, object}: Takes back whatever the giver passed on, and what was passed on from there.
        drop {holder, object}: Gives up the holder's own capability, and revokes what it passed on.

    Expressions:
        holds {holder, object, rights}: Whether the holder has all of the rights.

    Semantics:
        Holders and objects are integers, e.g. security identifiers. Rights are a list of names, or a mask such as
        the rights of a handle; an empty list and the mask 0 are always held by whoever has a capability to the
        object. What is passed on forms a tree per object, so a right can be traced to the creator. The kernel checks
        handles by itself; this model is for rights that the policy keeps, e.g. to points of a plant.

    Errors:
        Refused at load: rights that are not in the list; numbers outside their bounds. While deciding: a mask with
        bits beyond the list is denied.

    Example::

        policy object caps : Capability { config = { rights : ["read", "write"], capacity : 100 } }
        execute dst=Pump { caps.create {holder : dst_sid, object : dst_sid} }
        request dst=Pump method=Arm {
            caps.grant {giver : dst_sid, taker : src_sid, object : dst_sid, rights : ["write"]}
        }
        request dst=Pump method=Set { caps.require {holder : src_sid, object : dst_sid, rights : ["write"]} }
        request dst=Pump method=Stop { caps.revoke {giver : dst_sid, object : dst_sid} }
        assert {
            setup { pump <- execute src=Einit dst=Pump }
            sequence {
                deny  request src=Panel dst=pump method=Set { rpm : 5 }
                grant request src=Panel dst=pump method=Arm
                grant request src=Panel dst=pump method=Set { rpm : 5 }
                grant request src=Panel dst=pump method=Stop
                deny  request src=Panel dst=pump method=Set { rpm : 5 }
            }
        }

    Source:
        J. B. Dennis, E. C. Van Horn, Programming semantics for multiprogrammed computations, CACM 9(3), 1966; take-back
        of what was derived as in the capability derivation tree of seL4.
    """

    kind = "Capability"

    def __init__(self, name: str, *, rights: Sequence[str], capacity: int) -> None:
        super().__init__(name)
        self._rights = {right: 1 << bit for bit, right in enumerate(rights)}
        self._capacity = capacity
        self.held: dict[tuple[int, int], Held] = {}  # by object and holder
        shape = Shape(
            f"a list of rights ({', '.join(rights)}) or an integer as their mask", self._are_rights, tuple(rights)
        )
        one = {"holder": INTEGER, "object": INTEGER}
        self.rules = {
            "create": Operation(self._create, one),
            "grant": Operation(self._grant, {"giver": INTEGER, "taker": INTEGER, "object": INTEGER, "rights": shape}),
            "require": Operation(self._require, {**one, "rights": shape}),
            "revoke": Operation(self._revoke, {"giver": INTEGER, "object": INTEGER}),
            "drop": Operation(self._drop, one),
        }
        self.expressions = {"holds": Operation(self._holds, {**one, "rights": shape}, value=BooleanType())}

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check the rights and the capacity."""
        configuration.types()
        keys = configuration.keys(configuration.config(), ("rights", "capacity"))
        rights = configuration.distinct_texts(keys.get("rights"))
        if "rights" in keys and not 1 <= len(rights) <= MAX_RIGHTS:
            configuration.say(keys["rights"].span, f"there are 1 to {MAX_RIGHTS} rights, not {len(rights)}")
        capacity = configuration.integer(keys.get("capacity"), 1, _MAX_HELD)
        return partial(cls, configuration.name, rights=rights, capacity=capacity)

    def snapshot(self) -> Any:  # noqa: ANN401
        """Rows of object, holder, mask and giver."""
        return [[*key, *self.held[key]] for key in sorted(self.held)]

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self.held.clear()
        self.held.update(((thing, holder), Held(mask, giver)) for thing, holder, mask, giver in state)

    def _create(self, _event: Event, undo: Undo, holder: int, thing: int) -> str | None:
        if any(other == thing for other, _ in self.held):
            return f"`{self.name}`: object {thing} is held already"
        return self._put(undo, thing, holder, Held((1 << len(self._rights)) - 1, None))

    def _grant(self, _event: Event, undo: Undo, giver: int, taker: int, *what: Any) -> str | None:  # noqa: ANN401
        thing, rights = what
        why = self._lacks(giver, thing, rights)
        if why is not None:
            return why
        before = self.held.get((thing, taker))
        if before is not None and before.giver != giver:
            return f"`{self.name}`: {taker} holds a capability to {thing} already, not from {giver}"
        mask = self._mask(rights) | (0 if before is None else before.mask)
        return self._put(undo, thing, taker, Held(mask, giver))

    def _require(self, _event: Event, _undo: Undo, holder: int, thing: int, rights: Sequence[str] | int) -> str | None:
        return self._lacks(holder, thing, rights)

    def _revoke(self, _event: Event, undo: Undo, giver: int, thing: int) -> str | None:
        if (thing, giver) not in self.held:
            return self._without(giver, thing)
        self._take_back(undo, giver, thing)
        return None

    def _drop(self, _event: Event, undo: Undo, holder: int, thing: int) -> str | None:
        if (thing, holder) not in self.held:
            return self._without(holder, thing)
        self._take_back(undo, holder, thing)
        drop(undo, self.held, (thing, holder))
        return None

    def _holds(self, _event: Event, holder: int, thing: int, rights: Sequence[str] | int) -> bool:
        return self._lacks(holder, thing, rights) is None

    def _put(self, undo: Undo, thing: int, holder: int, held: Held) -> str | None:
        if (thing, holder) not in self.held and len(self.held) >= self._capacity:
            return f"`{self.name}`: there are {self._capacity} capabilities already"
        put(undo, self.held, (thing, holder), held)
        return None

    def _take_back(self, undo: Undo, giver: int, thing: int) -> None:
        givers = [giver]
        while givers:
            one = givers.pop()
            taken = [key for key, held in self.held.items() if key[0] == thing and held.giver == one]
            for key in taken:
                drop(undo, self.held, key)
                givers.append(key[1])

    def _lacks(self, holder: int, thing: int, rights: Sequence[str] | int) -> str | None:
        held = self.held.get((thing, holder))
        if held is None:
            return self._without(holder, thing)
        missing = self._mask(rights) & ~held.mask
        if not missing:
            return None
        names = [right for right, bit in self._rights.items() if bit & missing] or ["what is asked"]
        return f"`{self.name}`: {holder} has no right to {' and '.join(names)} of {thing}"

    def _mask(self, rights: Sequence[str] | int) -> int:
        # A negative mask has every bit set, also those that nobody holds.
        return rights if isinstance(rights, int) else sum(self._rights[right] for right in set(rights))

    def _are_rights(self, kind: ValueType) -> bool:
        if isinstance(kind, SequenceType | ArrayType):
            return False
        return is_integer(kind) or is_run_of(lambda item: isinstance(item, LiteralType) and item.value in self._rights)(
            kind
        )

    def _without(self, holder: int, thing: int) -> str:
        return f"`{self.name}`: {holder} holds no capability to {thing}"
