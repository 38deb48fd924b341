"""TCP connections as they would have been on an Ethernet: headers around messages that travelled otherwise.

In a lock-step run nothing is captured from a network card, whose times, ports and cuts would be this machine's own.
What is captured are the messages; the frames around them are made here (RFC 791, RFC 9293), whole and with right
checksums, so that any dissector follows the conversation.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

SYN: Final = 0x02
FIN: Final = 0x01
PUSH: Final = 0x08
ACK: Final = 0x10

FRAME_OVERHEAD: Final = 54
"""Octets of the Ethernet, IPv4 and TCP headers around a message."""

_ETHERTYPE_IPV4: Final = b"\x08\x00"
_DONT_FRAGMENT: Final = 0x4000
_TIME_TO_LIVE: Final = 64
_TCP: Final = 6
_WINDOW: Final = 64240

_IP: Final = struct.Struct(">BBHHHBBH8s")
_SEGMENT: Final = struct.Struct(">HHIIBBHHH")
_WRAP: Final = 0xFFFFFFFF


@dataclass(frozen=True)
class End:
    """One end of a connection: where it is, and its TCP port.

    Raises:
        ValueError: The address is not IPv4.
    """

    address: str
    port: int
    octets: bytes = b""

    def __post_init__(self) -> None:
        object.__setattr__(self, "octets", IPv4Address(self.address).packed)


class Connection:
    """Builds the frames of one TCP connection, with rising sequence numbers from 0 on both sides.

    Args:
        client: Who connects.
        server: Who listens.
    """

    def __init__(self, client: End, server: End) -> None:
        # Locally administered addresses; the second octet tells the ends apart where both have one IP address.
        macs = (b"\x02\x01" + client.octets, b"\x02\x02" + server.octets)
        self._ethernet = {True: macs[1] + macs[0], False: macs[0] + macs[1]}
        self._ends = {True: (client, server), False: (server, client)}
        self._next = {True: 0, False: 0}
        self._packets = {True: 0, False: 0}

    def opening(self) -> list[bytes]:
        """The three frames of the handshake."""
        return [self.frame(True, SYN), self.frame(False, SYN | ACK), self.frame(True, ACK)]

    def closing(self) -> list[bytes]:
        """The frames of an orderly end, begun by the client."""
        return [self.frame(True, FIN | ACK), self.frame(False, FIN | ACK), self.frame(True, ACK)]

    def message(self, from_client: bool, payload: bytes) -> bytes:
        """The frame that carries a message (at most what one segment takes)."""
        return self.frame(from_client, PUSH | ACK, payload)

    def frame(self, from_client: bool, flags: int, payload: bytes = b"") -> bytes:
        """One frame; it acknowledges all that the other side has sent so far."""
        source, target = self._ends[from_client]
        addresses = source.octets + target.octets
        self._packets[from_client] = (self._packets[from_client] + 1) & 0xFFFF
        segment = self._segment(from_client, flags, addresses, payload, (source.port, target.port))
        self._next[from_client] = (self._next[from_client] + len(payload) + bool(flags & (SYN | FIN))) & _WRAP
        head = (0x45, 0, 20 + len(segment), self._packets[from_client], _DONT_FRAGMENT, _TIME_TO_LIVE, _TCP)
        unchecked = _IP.pack(*head, 0, addresses)
        packet = _IP.pack(*head, _checksum(unchecked), addresses)
        return self._ethernet[from_client] + _ETHERTYPE_IPV4 + packet + segment

    def _segment(
        self, from_client: bool, flags: int, addresses: bytes, payload: bytes, ports: tuple[int, int]
    ) -> bytes:
        acknowledged = self._next[not from_client] if flags & ACK else 0
        head = (*ports, self._next[from_client], acknowledged, 0x50, flags, _WINDOW)
        unchecked = _SEGMENT.pack(*head, 0, 0) + payload
        pseudo = addresses + struct.pack(">BBH", 0, _TCP, len(unchecked))
        return _SEGMENT.pack(*head, _checksum(pseudo + unchecked), 0) + payload


def _checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(octets) % 2:
        octets += b"\0"
    total: int = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
