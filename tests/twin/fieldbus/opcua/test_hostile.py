"""Bytes that no client of good will sends: no crash, no hang, no traceback, bounded memory, and service goes on."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import struct
import time
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.common.utils import NotEnoughData
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary, variant_from_binary

from tests.twin.fieldbus.opcua.conftest import tag
from tests.twin.fieldbus.opcua.fuzzing import Conversation, frame, hello, message, opening, play
from twin.fieldbus.opcua.seam import StrictBuffer


@pytest.fixture
def quiet(rig, caplog):
    """Afterwards the plant is untouched, the server serves, and nothing it did left a traceback in the log."""
    with caplog.at_level(logging.WARNING):
        yield rig
    ours = [r for r in caplog.records if not r.name.startswith("asyncua.client") and (r.exc_info or r.levelno >= 40)]
    assert ours == []
    assert rig.plant.writes == []
    assert rig.plant.acts == []

    async def still_there():
        async with rig.plain() as client:
            return await client.get_node(tag("T1.L")).read_value()

    assert asyncio.run(still_there()) == 0.0


def error_of(answer: bytes) -> str:
    assert answer[:3] == b"ERR"
    return ua.StatusCode(struct.unpack_from("<I", answer, 8)[0]).name


def memory_mb() -> float:
    resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(resident) * resource.getpagesize() / 1e6


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "BadTcpMessageTypeInvalid"),
        (b"HELX" + struct.pack("<I", 32) + bytes(24), "BadTcpMessageTypeInvalid"),
        (b"HELF" + struct.pack("<I", 200_000_000), "BadTcpMessageTooLarge"),
        (b"HELF" + struct.pack("<I", 4), "BadTcpMessageTooLarge"),
        (b"MSGF" + struct.pack("<I", 0xFFFFFFFF), "BadTcpMessageTooLarge"),
        (message(1, 1, 1, b""), "BadTcpMessageTypeInvalid"),
        (opening(), "BadTcpMessageTypeInvalid"),
        (hello(receive=1), "BadConnectionRejected"),
        (hello(send=0), "BadConnectionRejected"),
        (hello(url="x" * 5000), "BadTcpEndpointUrlInvalid"),
    ],
)
def test_what_cannot_be_a_beginning_ends_the_connection(quiet, content, expected):
    with Conversation(quiet.port) as talk:
        talk.send(content)
        assert error_of(talk.receive()) == expected
        assert talk.receive() == b""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (message(1, 13, 2, ua.ReadRequest()), "BadTcpSecureChannelUnknown"),
        (frame(b"CLO", struct.pack("<IIII", 0, 0, 1, 1)), "BadTcpSecureChannelUnknown"),
        (hello(), "BadTcpMessageTypeInvalid"),
        (opening().replace(b"#None", b"#Nine"), "BadSecurityPolicyRejected"),
        (opening()[:-6] + bytes(2) + opening()[-4:], None),
    ],
    ids=["a request", "a farewell", "a greeting", "an unknown policy", "a broken opening"],
)
def test_what_cannot_follow_a_greeting(quiet, content, expected):
    with Conversation(quiet.port) as talk:
        talk.send(hello())
        assert talk.receive()[:3] == b"ACK"
        talk.send(content)
        answer = talk.receive()
        if expected is None:
            assert answer[:3] in (b"ERR", b"OPN")
        else:
            assert error_of(answer) == expected


@pytest.mark.parametrize("token", [0, 14, 99])
def test_a_token_that_was_never_given(quiet, token):
    with Conversation(quiet.port) as talk:
        channel, _ = talk.open()
        talk.send(message(channel, token, 2, ua.GetEndpointsRequest()))
        assert talk.receive()[:3] == b"ERR"


def test_two_hundred_megabytes_are_not_kept(quiet):
    before = memory_mb()
    with Conversation(quiet.port) as talk:
        talk.send(b"HELF" + struct.pack("<I", 200_000_000))
        sent = 0
        try:
            for _ in range(3200):
                talk.send(bytes(65_536))
                sent += 65_536
        except ConnectionError:
            pass
    assert sent < 100_000_000
    assert memory_mb() - before < 30


def test_a_message_of_ever_more_chunks_is_not_kept(quiet):
    before = memory_mb()
    with Conversation(quiet.port) as talk:
        channel, token = talk.open()
        sent = 0
        try:
            for number in range(2, 400):
                chunk = struct.pack("<IIII", channel, token, number, 2) + bytes(60_000)
                talk.send(frame(b"MSG", chunk, b"C"))
                sent += 1
        except ConnectionError:
            pass
    assert sent < 399
    assert memory_mb() - before < 30


def test_a_good_request_behind_others_in_one_segment_is_answered(quiet):
    with Conversation(quiet.port) as talk:
        channel, token = talk.open()
        several = b"".join(message(channel, token, n, ua.GetEndpointsRequest()) for n in range(2, 12))
        talk.send(several + b"HELF" + struct.pack("<I", 200_000_000))
        kinds = []
        while answer := talk.receive():
            kinds.append(answer[:3])
        assert kinds[-1] == b"ERR"


def test_requests_in_one_segment_or_byte_by_byte_are_answered_in_order(quiet):
    with Conversation(quiet.port) as talk:
        channel, token = talk.open()
        several = b"".join(message(channel, token, n, ua.GetEndpointsRequest()) for n in range(2, 52))
        talk.send(several)
        numbers = [struct.unpack_from("<I", talk.receive(), 20)[0] for _ in range(50)]
        assert numbers == list(range(2, 52))
        for byte in message(channel, token, 52, ua.FindServersRequest()):
            talk.send(bytes([byte]))
        assert struct.unpack_from("<I", talk.receive(), 20) == (52,)


class TestDecoding:
    """What the library's decoder would do without end."""

    def test_a_length_below_zero_does_not_move_backwards(self):
        strings = struct.pack("<i", 1_000_000) + struct.pack("<i", -4)
        with pytest.raises(NotEnoughData):
            variant_from_binary(StrictBuffer(bytes([0x80 | 12]) + strings))

    def test_an_array_of_nulls_takes_room_as_well(self):
        began = time.monotonic()
        with pytest.raises(NotEnoughData):
            variant_from_binary(StrictBuffer(bytes([0x80]) + struct.pack("<i", 0x7FFFFFFF)))
        assert time.monotonic() - began < 5

    def test_a_message_has_so_many_parts_and_no_more(self):
        nested = bytes([0x80 | 23]) + struct.pack("<i", 200_000) + bytes(200_000)
        with pytest.raises(NotEnoughData):
            variant_from_binary(StrictBuffer(nested))

    def test_values_in_values_without_end(self, quiet):
        deep = bytes([24]) * 50_000
        with Conversation(quiet.port) as talk:
            channel, token = talk.open()
            header = struct_to_binary(ua.WriteRequest())[:-4]
            talk.send(message(channel, token, 2, header + deep))
            assert talk.receive()[:3] in (b"MSG", b"ERR")

    def test_honest_messages_fit(self):
        request = ua.ReadRequest()
        item = ua.ReadValueId()
        item.NodeId = ua.NodeId("x" * 50, 2)
        request.Parameters.NodesToRead = [item] * 1000
        content = struct_to_binary(request)
        decoded = struct_from_binary(ua.ReadRequest, StrictBuffer(content))
        assert len(decoded.Parameters.NodesToRead) == 1000


def test_one_address_cannot_take_all_the_room(quiet):
    taken = [socket.create_connection(("127.0.0.1", quiet.port), source_address=("127.0.0.5", 0)) for _ in range(170)]
    try:
        deadline = time.monotonic() + 10
        while len(quiet.server.connections) < 150 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        assert len(quiet.server.connections) == 150
        with Conversation(quiet.port, "127.0.0.6") as other:
            assert other.open()
    finally:
        for one in taken:
            one.close()


def test_who_says_nothing_is_hung_up_on(quiet):
    half = socket.create_connection(("127.0.0.1", quiet.port), timeout=10)
    slow = Conversation(quiet.port)
    slow.send(hello()[:10])
    deadline = time.monotonic() + 10
    while len(quiet.server.connections) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    quiet.wall.ahead_s = 25.0
    try:
        assert half.recv(1) == b""
        assert slow.receive() == b""
    except ConnectionResetError:
        pass
    finally:
        half.close()
        slow.socket.close()
        quiet.wall.ahead_s = 0.0


def test_a_client_that_does_not_read_is_hung_up_on(quiet):
    """Its answers wait up to a bound; then no request of its is looked at, and nobody else waits for it."""
    before = memory_mb()
    talk = Conversation(quiet.port)
    talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    channel, token = talk.open()
    talk.socket.settimeout(1)
    try:
        for number in range(2, 20_000):
            talk.send(message(channel, token, number, ua.GetEndpointsRequest()))
    except (TimeoutError, ConnectionError):
        pass
    finally:
        talk.socket.close()
    assert memory_mb() - before < 40


def test_thousands_of_bent_messages(quiet):
    before = memory_mb()
    assert play(quiet.port, 20, 4000) > 100
    assert memory_mb() - before < 40


@pytest.mark.soak
def test_a_hundred_thousand_bent_messages(quiet):
    before = memory_mb()
    for seed in range(25):
        play(quiet.port, seed, 4000)
    assert memory_mb() - before < 60
