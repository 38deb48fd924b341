"""Who may be connected to a server, and who has to make room for whom."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from twin.fieldbus.modbus.connection import Connection

# A client that was silent for so long makes room for an address that holds fewer connections than its own does.
_QUIET_S: Final = 10.0


@dataclass(frozen=True)
class ServerLimits:
    """What strangers may take of a server.

    Attributes:
        connections: At one time, in all.
        connections_per_address: At one time, from one IP address.
        idle_s: Wall seconds without a whole request after which a connection is dropped; None never. Must be None
            where clients stand still with simulated time.
        requests_per_s: Per connection, in wall time; None is as fast as they come. Must be None in lock-step runs,
            which it would slow down.
        burst: Requests that may come at once before `requests_per_s` bites.
        known: Addresses whose connections never make room, and for which any other's does (messaging guide 1.0b,
            clause 4.3.1.2: the priority pool).
        handshake_s: Wall seconds that a TLS handshake may take.
    """

    connections: int = 32
    connections_per_address: int = 16
    idle_s: float | None = 60.0
    requests_per_s: float | None = None
    burst: int = 50
    known: frozenset[str] = frozenset()
    handshake_s: float = 5.0


@dataclass
class ServerStats:
    """What a server has seen since it was made.

    Attributes:
        accepted, refused: Connections taken, and turned away because of a cap.
        evicted: Connections dropped to make room for another address.
        untrusted: Connections whose TLS handshake failed.
        bad_frames: Connections dropped because their bytes could never become a frame.
        idle_closed: Connections dropped because no whole request came for too long.
        requests: Requests answered, refusals included.
    """

    accepted: int = 0
    refused: int = 0
    evicted: int = 0
    untrusted: int = 0
    bad_frames: int = 0
    idle_closed: int = 0
    requests: int = 0


class Roster:
    """The connections open at one server, and whether another may join.

    Two addresses that take every place do not keep a third out: the quietest connection of the address that holds most
    makes room (messaging guide 1.0b, clause 4.3.1.2: the oldest unused connection is closed).
    """

    def __init__(self, limits: ServerLimits) -> None:
        self.limits = limits
        self.stats = ServerStats()
        self.is_open = False
        self.connections: set[Connection] = set()
        self._by_address: Counter[str] = Counter()

    def join(self, connection: Connection, address: str) -> bool:
        """Enter a connection; False when it must be turned away."""
        hoarding = self._by_address[address] >= self.limits.connections_per_address
        if not self.is_open or hoarding or not self._has_room(address, now_s=connection.last_request_s):
            self.stats.refused += 1
            return False
        self.stats.accepted += 1
        self.connections.add(connection)
        self._by_address[address] += 1
        return True

    def leave(self, connection: Connection, address: str) -> None:
        """Strike a connection; one that has left already stays so."""
        if connection in self.connections:
            self.connections.remove(connection)
            self._by_address[address] -= 1
            self._by_address += Counter()  # drops the zeros, else every address ever seen stays

    def _has_room(self, address: str, *, now_s: float) -> bool:
        if len(self.connections) < self.limits.connections:
            return True
        quietest = self._quietest(address, now_s)
        if quietest is None:
            return False
        self.stats.evicted += 1
        self.leave(quietest, quietest.address)
        quietest.abort()
        return True

    def _quietest(self, newcomer: str, now_s: float) -> Connection | None:
        """Which connection makes room: of the address that holds most, the one longest without a request."""
        others = [each for each in self.connections if each.address not in self.limits.known]
        if not others:
            return None
        held = self._by_address
        quietest = max(others, key=lambda each: (held[each.address], -each.last_request_s))
        if newcomer in self.limits.known or held[quietest.address] >= held[newcomer] + 2:
            return quietest
        is_quiet = now_s - quietest.last_request_s >= _QUIET_S
        return quietest if is_quiet and held[quietest.address] > held[newcomer] else None
