"""What strangers may take of an OPC UA server, and what it has seen of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class OpcUaLimits:
    """Bounds of a server.

    Attributes:
        connections, connections_per_address: At one time.
        sessions, sessions_per_address: At one time, with those that outlive their connection.
        idle_s: Wall seconds without a whole message after which a connection is dropped; None never.
        activation_s: Wall seconds that a connection has to activate a session.
        session_timeout_s: The longest a session may ask for, in wall seconds.
        channel_lifetime_s: The longest a security token may ask for, in wall seconds.
        message_bytes_before, message_bytes: The longest message before and after a session is activated.
        requests_per_s, burst: Per connection, in wall time, and what may come at once; None is as fast as they come.
        operations: Items in one request.
        subscriptions: Of one session.
        monitored_items: Of one session.
        queue: Values or events that wait at one monitored item.
        unacknowledged: Messages of one subscription that are kept to be sent again.
        publishing_interval_ms: The shortest a subscription may have.
        continuation_points: Of one session, for browsing and for history each.
        history: Values that are kept of each point.
        files_open: By one session.
        unsent_bytes: What a client may leave unread before its connection is dropped.
    """

    connections: int = 64
    connections_per_address: int = 16
    sessions: int = 64
    sessions_per_address: int = 16
    idle_s: float | None = 120.0
    activation_s: float = 30.0
    session_timeout_s: float = 600.0
    channel_lifetime_s: float = 3600.0
    message_bytes_before: int = 65_536
    message_bytes: int = 262_144
    requests_per_s: float | None = None
    burst: int = 100
    operations: int = 1_000
    subscriptions: int = 16
    monitored_items: int = 4_000
    queue: int = 100
    unacknowledged: int = 50
    publishing_interval_ms: float = 50.0
    continuation_points: int = 16
    history: int = 10_000
    files_open: int = 4
    unsent_bytes: int = 4_000_000


@dataclass
class OpcUaStats:
    """What a server has seen since it was made.

    Attributes:
        accepted, refused: Connections taken, and turned away because of a cap.
        bad_frames: Connections dropped because of what they sent.
        idle_closed: Connections dropped because nothing came, or no session was activated.
        unread_closed: Connections dropped because the client did not read its answers.
        requests, faults: Requests answered, and those among them that were answered by a service fault.
        signed_in, denied: Sessions activated, and refused because of who asked.
        failures: Requests that failed for a reason of ours; each was answered Bad_InternalError.
        last_failure: The latest of them, or None.
    """

    accepted: int = 0
    refused: int = 0
    bad_frames: int = 0
    idle_closed: int = 0
    unread_closed: int = 0
    requests: int = 0
    faults: int = 0
    signed_in: int = 0
    denied: int = 0
    failures: int = 0
    last_failure: Exception | None = None


class Headcount:
    """How many there are, in all and from each address, and whether another may join."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._by_address: Counter[str] = Counter()

    def join(self, address: str) -> bool:
        """Count one more; False when it must be turned away."""
        if self._by_address.total() >= self._most or self._by_address[address] >= self._most_per_address:
            self._by_address += Counter()
            return False
        self._by_address[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Count one less."""
        self._by_address[address] -= 1
        self._by_address += Counter()  # drops the zeros, else every address ever seen stays
