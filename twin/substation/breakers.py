"""Circuit breakers as mechanisms: travel, auxiliary contacts, trip-free, anti-pump.

A command moves the mechanism; the main contacts change at the end of the travel. Until then both auxiliary contacts
show nothing. An open command always wins: it turns a closing breaker round (trip-free). A close pulse acts once, at
its edge, and only on a breaker that rests open; one that comes while the breaker still opens is spent and not
remembered, so a standing close command cannot pump it (IEC 62271-100, anti-pumping device and trip-free operation).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from twin.core.clock import Clock, Phase

Position = Literal["open", "closed", "moving"]
Cause = Literal["command", "emergency_stop"]

_MS: Final = 1_000_000
OPEN_NS: Final = {False: 60 * _MS, True: 60 * _MS}
"""From the trip coil to the interrupted current (ns), of a 20 kV and of a 110 kV breaker (the key: high voltage)."""

CLOSE_NS: Final = {False: 70 * _MS, True: 90 * _MS}
"""From the close coil to touching contacts (ns), of a 20 kV and of a 110 kV breaker."""


@dataclass
class Mechanism:
    """The state of one breaker.

    Attributes:
        conducting: Whether the main contacts touch.
        moving: Whether it travels; `target` says where to.
        target: Whether it rests, or will rest, closed.
        operation: Counts travels begun; a pending end of an older travel is void.
        cause: Why it last moved; empty before the first time.
        tripped_ns: When its trip coil was last energised; a close pulse of the same instant is spent.
    """

    conducting: bool
    moving: bool = False
    target: bool = False
    operation: int = 0
    cause: Cause | Literal[""] = ""
    tripped_ns: int = -1

    @property
    def position(self) -> Position:
        """What the pair of auxiliary contacts says."""
        if self.moving:
            return "moving"
        return "closed" if self.conducting else "open"

    @property
    def contact_52a(self) -> bool:
        """Made when closed."""
        return self.conducting and not self.moving

    @property
    def contact_52b(self) -> bool:
        """Made when open."""
        return not self.conducting and not self.moving


@dataclass(frozen=True)
class Kind:
    """What is fixed about a breaker: its name, whether it is of the 110 kV side, its position at the start."""

    name: str
    high_voltage: bool
    closed: bool


class Breakers:
    """All breakers of a station, moving on the clock's agenda (rows named `breaker.travel`).

    Args:
        clock: Where travels end.
        kinds: The breakers, in the order of their numbers.
        moved: Called when one begins or ends a travel, with its number, after the state has changed.
    """

    def __init__(self, clock: Clock, kinds: Sequence[Kind], moved: Callable[[int], None]) -> None:
        self.kinds = tuple(kinds)
        self.mechanisms = [Mechanism(kind.closed, target=kind.closed) for kind in kinds]
        self._clock = clock
        self._moved = moved
        clock.on("breaker.travel", self._arrive)

    def open(self, number: int, cause: Cause) -> None:
        """Energise the trip coil; nothing happens to a breaker that is open or opening."""
        mechanism = self.mechanisms[number]
        mechanism.tripped_ns = self._clock.now_ns
        if mechanism.target:
            self._begin(number, cause, closing=False)

    def close(self, number: int, cause: Cause) -> None:
        """Give one pulse to the close coil; it is spent on a breaker that does not rest open."""
        mechanism = self.mechanisms[number]
        rests_open = not mechanism.target and not mechanism.moving
        if rests_open and mechanism.tripped_ns != self._clock.now_ns:
            self._begin(number, cause, closing=True)

    def positions(self) -> str:
        """One character per breaker: `1` closed, `0` open, `-` moving."""
        return "".join("-" if m.moving else "1" if m.conducting else "0" for m in self.mechanisms)

    def snapshot(self) -> list[dict[str, Any]]:
        """The state of every breaker as plain values; ends of travel are in the clock's agenda."""
        return [asdict(mechanism) for mechanism in self.mechanisms]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Take over what `snapshot` gave."""
        self.mechanisms = [Mechanism(**row) for row in state]

    def _begin(self, number: int, cause: Cause, *, closing: bool) -> None:
        mechanism = self.mechanisms[number]
        mechanism.moving, mechanism.target, mechanism.cause = True, closing, cause
        mechanism.operation += 1
        travel_ns = (CLOSE_NS if closing else OPEN_NS)[self.kinds[number].high_voltage]
        self._clock.after(travel_ns, "breaker.travel", [number, mechanism.operation], phase=Phase.PLANT)
        self._moved(number)

    def _arrive(self, payload: list[int]) -> None:
        number, operation = payload
        mechanism = self.mechanisms[number]
        if operation != mechanism.operation:  # turned round on its way
            return
        mechanism.moving, mechanism.conducting = False, mechanism.target
        self._moved(number)
