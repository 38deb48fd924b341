"""Who is at the other end of a connection, as far as the protocol could find out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Protocol = Literal["modbus", "opcua"]


@dataclass(frozen=True)
class Peer:
    """Who is at the other end of a connection.

    What is empty was not said: a plain Modbus client has an address and nothing else. Nothing here was believed
    without proof: `role` and `certificate` come out of a certificate that was verified, `user` was signed in.

    Attributes:
        address: IP address (on the memory wire: the one the client was given).
        port: TCP port, 0 on the memory wire.
        session: Number of the connection, 1 and up in the order in which they were made. Address and session are the
            same on both wires; the port belongs in no record.
        user: Name of the user.
        role: Role of the user or of the certificate.
        certificate: SHA-256 of the client's certificate (DER), in hexadecimal.
        protocol: What is spoken.
    """

    address: str
    port: int
    session: int
    user: str = ""
    role: str = ""
    certificate: str = ""
    protocol: Protocol = "modbus"
