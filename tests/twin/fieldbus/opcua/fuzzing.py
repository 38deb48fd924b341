"""Messages that a client of OPC UA would never send, made by bending ones that it would."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator

from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

INTERESTING = [0, 1, -1, -2, 127, 128, 255, 256, 0x7FFF, 0xFFFF, 0x7FFFFFFF, -0x80000000]


def frame(kind: bytes, body: bytes, chunk: bytes = b"F") -> bytes:
    return kind + chunk + struct.pack("<I", len(body) + 8) + body


def hello(*, receive: int = 65535, send: int = 65535, url: str = "opc.tcp://x") -> bytes:
    return frame(b"HEL", struct.pack("<IIIIIi", 0, receive, send, 0, 0, len(url)) + url.encode())


def opening() -> bytes:
    """An OPN without security, as any client begins."""
    request = ua.OpenSecureChannelRequest()
    request.Parameters.SecurityMode = ua.MessageSecurityMode.None_
    request.Parameters.RequestType = ua.SecurityTokenRequestType.Issue
    request.Parameters.RequestedLifetime = 60_000
    uri = b"http://opcfoundation.org/UA/SecurityPolicy#None"
    security = struct.pack("<i", len(uri)) + uri + struct.pack("<ii", -1, -1)
    return frame(b"OPN", struct.pack("<I", 0) + security + struct.pack("<II", 1, 1) + struct_to_binary(request))


def message(channel: int, token: int, number: int, request: object) -> bytes:
    body = request if isinstance(request, bytes) else struct_to_binary(request)
    return frame(b"MSG", struct.pack("<IIII", channel, token, number, number) + body)


def requests() -> list[object]:
    """One of each kind, with something in it."""
    read = ua.ReadRequest()
    item = ua.ReadValueId()
    item.NodeId = ua.NodeId("T1.L", 2)
    read.Parameters.NodesToRead = [item] * 3
    write = ua.WriteRequest()
    value = ua.WriteValue()
    value.NodeId, value.Value = ua.NodeId("V3.SP", 2), ua.DataValue(ua.Variant([1, 2, 3], ua.VariantType.Int32))
    write.Parameters.NodesToWrite = [value]
    create = ua.CreateSessionRequest()
    create.Parameters.ClientDescription = ua.ApplicationDescription()
    activate = ua.ActivateSessionRequest()
    activate.Parameters.UserIdentityToken = ua.UserNameIdentityToken(UserName="maria", Password=b"x")
    call = ua.CallRequest()
    method = ua.CallMethodRequest()
    method.InputArguments = [ua.Variant(1), ua.Variant("x")]
    call.Parameters.MethodsToCall = [method]
    others = [ua.GetEndpointsRequest(), ua.FindServersRequest(), ua.BrowseRequest(), ua.PublishRequest()]
    return [read, write, create, activate, call, *others, ua.CreateMonitoredItemsRequest(), ua.HistoryReadRequest()]


class Conversation:
    """A raw connection that talks the first two messages as it should."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def receive(self) -> bytes:
        """One frame, or nothing once the server hung up."""
        try:
            head = self._exactly(8)
            return head + self._exactly(int.from_bytes(head[4:8], "little") - 8) if head else b""
        except ConnectionResetError:
            return b""

    def _exactly(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            part = self.socket.recv(count - len(content))
            if not part:
                return b""
            content += part
        return content

    def open(self) -> tuple[int, int]:
        """Numbers of the channel and of its token."""
        self.send(hello())
        assert self.receive()[:3] == b"ACK"
        self.send(opening())
        answer = self.receive()
        assert answer[:3] == b"OPN"
        (channel,) = struct.unpack_from("<I", answer, 8)
        return channel, 13


def bent(seed: int, cases: int) -> Iterator[tuple[str, bytes]]:
    """Cases by where they hit (`chunk`: from the first byte on; `body`: inside an open channel), and their bytes."""
    chance = random.Random(seed)
    bodies = [struct_to_binary(request) for request in requests()]
    chunks = [hello(), opening(), message(1, 13, 2, bodies[0])]
    for _ in range(cases):
        if chance.random() < 0.3:
            yield "chunk", _bend(chance, chance.choice(chunks))
        else:
            yield "body", _bend(chance, chance.choice(bodies))


def _bend(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(changed)) if changed else 0
        how = chance.randrange(6)
        if how == 0:
            changed[at : at + 1] = bytes([chance.randrange(256)])
        elif how == 1:
            changed[at : at + 4] = struct.pack("<i", chance.choice(INTERESTING))
        elif how == 2:
            del changed[at : at + chance.randint(1, 8)]
        elif how == 3:
            changed[at:at] = chance.randbytes(chance.randint(1, 8))
        elif how == 4:
            changed = changed[: at + 1]
        else:
            other = chance.randrange(len(changed)) if changed else 0
            changed[at:at] = changed[other : other + chance.randint(1, 32)]
    return bytes(changed)


def play(port: int, seed: int, cases: int) -> int:
    """Send them all; how many connections that took."""
    connections = 0
    talk: Conversation | None = None
    number, channel, token = 0, 0, 0
    for where, content in bent(seed, cases):
        try:
            if where == "chunk":
                with Conversation(port) as short:
                    short.send(content)
                connections += 1
                continue
            if talk is None:
                talk, number = Conversation(port), 1
                connections += 1
                channel, token = talk.open()
            number += 1
            talk.send(message(channel, token, number, content))
            if not talk.receive():
                talk.socket.close()
                talk = None
        except (ConnectionError, TimeoutError):
            if talk is not None:
                talk.socket.close()
            talk = None
    if talk is not None:
        talk.socket.close()
    return connections
