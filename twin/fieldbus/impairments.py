"""What a simulated wire does to the exchanges that pass over it: delay, scatter, lose, reorder, cut, throttle.

An impairment acts on a whole exchange (a request and its answer) in simulated time; no byte is held back on a real
socket. So it is the same over TCP and in memory, and costs no wall time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from twin.core import NS_PER_S, Streams, ns

WireSide = Literal["field", "scada"]
"""The wire between controller and plant, or the one between supervision and controller."""

_LONGEST_S: Final = 3600.0


@dataclass(frozen=True)
class Impairment:
    """What is wrong with a wire; several effects may come together, and each that is left out is absent.

    Attributes:
        latency_s: Added on the way there and again on the way back (s, up to an hour).
        jitter_s: Up to so much more each way, uniformly at random (s, up to an hour).
        loss: Probability that a request, or an answer, is lost (0 to 1).
        reorder: Probability that a request, or an answer, is held back so that later ones overtake it (0 to 1).
        reorder_s: For how long it is held back (s, up to an hour).
        partition: Whether nothing passes at all, what is under way included.
        bandwidth_bit_s: What passes in a second (bit/s, above 0), headers included; None without a bound.

    Raises:
        ValueError: A value is out of its range, or nothing is impaired.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.0
    partition: bool = False
    bandwidth_bit_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("latency_s", "jitter_s", "reorder_s"):
            _check(name, getattr(self, name), _LONGEST_S)
        for name in ("loss", "reorder"):
            _check(name, getattr(self, name), 1.0)
        rate = self.bandwidth_bit_s
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"bandwidth_bit_s must be above 0, not {rate:g}")
        if bool(self.reorder) != bool(self.reorder_s):
            raise ValueError("reorder (how often) and reorder_s (for how long) come together")
        if not self.effects:
            raise ValueError(f"it impairs nothing; set at least one of {', '.join(asdict(self))}")

    @property
    def effects(self) -> dict[str, float | bool]:
        """What is set, by name."""
        return {name: value for name, value in asdict(self).items() if value}


def _check(name: str, value: float, high: float) -> None:
    if not 0 <= value <= high:
        raise ValueError(f"{name} must be within 0 to {high:g}, not {value:g}")


class Link:
    """One simulated wire and what is wrong with it at present.

    Without an impairment a link is not noticed: nothing waits, nothing is drawn. Requests and answers each keep
    their order unless a reordering holds one back.

    Args:
        name: Which wire.
        streams: Of the twin; the link draws from its stream `wire.<name>`.

    Attributes:
        carried: Octets that passed since the start, headers included; who sees the traffic counts them here.
        cut: Whether requests are to be lost at the moment, as `lose` says.
        circumstance: What befell the exchange that is under way just now, for the capture; empty if nothing.
    """

    def __init__(self, name: WireSide, streams: Streams) -> None:
        self.name: WireSide = name
        self.carried = 0
        self.cut = False
        self.circumstance = ""
        self._streams = streams
        self._active: dict[str, Impairment] = {}
        self._busy_until_ns = 0
        self._last_ns = {"request": 0, "answer": 0}

    @property
    def active(self) -> dict[str, Impairment]:
        """The impairments at present, by the names they were begun under."""
        return dict(self._active)

    @property
    def impaired(self) -> bool:
        """Whether anything is wrong."""
        return bool(self._active)

    @property
    def parted(self) -> bool:
        """Whether nothing passes."""
        return any(one.partition for one in self._active.values())

    def begin(self, name: str, impairment: Impairment) -> None:
        """Impair the wire, under a name by which it can be mended; the same name again replaces the first."""
        self._active[name] = impairment

    def end(self, name: str) -> bool:
        """Mend what was begun under a name; whether there was such a thing."""
        return self._active.pop(name, None) is not None

    def request(self, now_ns: int, *, round_trip: bool = False) -> int | None:
        """When a request that is sent now arrives (ns), or None if it is lost.

        Args:
            now_ns: The instant.
            round_trip: Whether a loss of its answer is drawn here too, because nothing happens at the other end of
                an exchange whose first answer is lost.
        """
        if self.parted or self._is_lost() or (round_trip and self._is_lost()):
            return None
        return self._passed("request", max(now_ns, self._busy_until_ns))

    def answer(self, now_ns: int, octets: int, *, may_be_lost: bool = True) -> int | None:
        """When the answer of an exchange of `octets` in all is back with the caller (ns), or None if it is lost."""
        if self.parted or (may_be_lost and self._is_lost()):
            return None
        rates = [one.bandwidth_bit_s for one in self._active.values() if one.bandwidth_bit_s is not None]
        begins_ns = max(now_ns, self._busy_until_ns)
        if rates:
            begins_ns += round(octets * 8 * NS_PER_S / min(rates))
            self._busy_until_ns = begins_ns
        return self._passed("answer", begins_ns)

    @contextmanager
    def lose(self) -> Iterator[None]:
        """Let every request be lost meanwhile: what the caller finds when its time-out has passed."""
        self.cut = True
        try:
            yield
        finally:
            self.cut = False

    def snapshot(self) -> dict[str, Any]:
        """The state as plain values."""
        return {
            "active": {name: asdict(one) for name, one in self._active.items()},
            "carried": self.carried,
            "busy_until_ns": self._busy_until_ns,
            "last_ns": dict(self._last_ns),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self._active = {name: Impairment(**one) for name, one in state["active"].items()}
        self.carried = state["carried"]
        self._busy_until_ns = state["busy_until_ns"]
        self._last_ns = dict(state["last_ns"])

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._chance() < probability

    def _chance(self) -> float:
        return float(self._streams[f"wire.{self.name}"].random())

    def _is_lost(self) -> bool:
        return any(self._happens(one.loss) for one in self._active.values())

    def _passed(self, way: Literal["request", "answer"], begins_ns: int) -> int:
        """When what begins its way at `begins_ns` has passed."""
        arrives_ns, held_ns = begins_ns, 0
        for one in self._active.values():
            arrives_ns += ns(one.latency_s)
            if one.jitter_s:
                arrives_ns += ns(one.jitter_s * self._chance())
            if self._happens(one.reorder):
                held_ns += ns(one.reorder_s)
        if held_ns:  # whoever comes later may be there before it
            return arrives_ns + held_ns
        self._last_ns[way] = max(arrives_ns, self._last_ns[way])
        return self._last_ns[way]
