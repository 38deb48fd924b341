"""Captures: read back by another library, and by tshark where it is installed."""

import asyncio
import shutil
import socket
import subprocess

import dpkt
import pytest

from twin.core import Streams
from twin.fieldbus import DeviceIdentity, MemoryWire, NoAnswer, Peer
from twin.fieldbus.impairments import Impairment, Link
from twin.fieldbus.linked_client import LinkedClient
from twin.fieldbus.taps import Capture, Tap, TappedResponder

READ = b"\0\x07\0\0\0\x06\x01\x03\0\0\0\x01"


class Verdicts:
    """A witness that has denied everything since the mark."""

    def mark(self):
        return 3

    def since(self, mark):
        return f"denied by test:{mark}: because"


class Bench:
    """A tapped responder on the rig's station, with a clock that is set by hand."""

    def __init__(self, rig, **options):
        self.now_ns = 0
        self.link = Link("scada", Streams(1))
        self.capture = Capture(**options)
        self.tap = Tap(
            self.link,
            "127.0.0.1",
            now_ns=lambda: self.now_ns,
            place="here",
            capture=self.capture,
            witness=Verdicts(),
        )
        self.responder = TappedResponder(rig.station, DeviceIdentity("HF-RTU", "1.2.3"), self.tap)

    def ask(self, adu, *, at_ns=0, session=1):
        self.now_ns = at_ns
        return self.responder.respond(adu, Peer("127.0.1.10", 0, session))

    def written(self, path, until_ns=9_000_000_000):
        self.capture.write(path, until_ns)
        self.capture.close()
        return path


def packets(path):
    """Time in seconds, Ethernet frame, for every packet; every checksum is found right."""
    with path.open("rb") as file:
        read = [(ts, dpkt.ethernet.Ethernet(octets)) for ts, octets in dpkt.pcapng.Reader(file)]
    for _, frame in read:
        packet, segment = frame.data, frame.data.data
        told = packet.sum, segment.sum
        packet.sum = segment.sum = 0
        again = dpkt.ip.IP(bytes(packet))  # computes what is 0
        assert (again.sum, again.data.sum) == told
    return read


def test_the_frames_form_whole_connections(rig, tmp_path):
    bench = Bench(rig)
    answers = [bench.ask(READ, at_ns=1_500_000_001), bench.ask(READ, at_ns=2_000_000_000, session=2), bench.ask(READ)]
    read = packets(bench.written(tmp_path / "n.pcapng"))
    flows = {}
    for _, frame in read:
        segment = frame.data.data
        client = segment.sport if segment.dport == 502 else segment.dport
        flows.setdefault(client, []).append((segment.dport == 502, segment))
    assert len(flows) == 2
    for segments in flows.values():
        expected = {True: None, False: None}
        for from_client, segment in segments:
            if expected[from_client] is not None:
                assert segment.seq == expected[from_client]
            if segment.flags & dpkt.tcp.TH_ACK:
                assert segment.ack == expected[not from_client]
            ends = bool(segment.flags & (dpkt.tcp.TH_SYN | dpkt.tcp.TH_FIN))
            expected[from_client] = segment.seq + len(segment.data) + ends
        flags = [segment.flags for _, segment in segments]
        assert flags[:3] == [dpkt.tcp.TH_SYN, dpkt.tcp.TH_SYN | dpkt.tcp.TH_ACK, dpkt.tcp.TH_ACK]
        assert flags[-3] & dpkt.tcp.TH_FIN
        assert flags[-2] & dpkt.tcp.TH_FIN
    told = [frame.data.data.data for _, frame in read if frame.data.data.data]
    assert told == [READ, answers[0], READ, answers[1], READ, answers[2]]
    assert {socket.inet_ntoa(frame.data.src) for _, frame in read} == {"127.0.1.10", "127.0.0.1"}


def test_times_are_nanoseconds_of_simulated_time(rig, tmp_path):
    bench = Bench(rig)
    bench.ask(READ, at_ns=1_500_000_001)
    path = bench.written(tmp_path / "n.pcapng")
    raw = path.read_bytes()
    assert b"\x09\x00\x01\x00\x09\x00\x00\x00" in raw  # if_tsresol, one octet, 10^-9
    assert (1_500_000_001).to_bytes(8)[4:][::-1] in raw
    assert packets(path)[0][0] == pytest.approx(1.500000001)
    assert packets(path)[-1][0] == 9.0


def test_what_is_no_request_is_not_kept_and_what_has_no_answer_is(rig, tmp_path):
    bench = Bench(rig)
    assert bench.ask(b"\0\x01\0\0") is None
    assert bench.ask(b"\0\x01\0\x05\0\x02\x01\x03") is None  # another protocol's
    read = packets(bench.written(tmp_path / "n.pcapng"))
    assert [frame.data.data.data for _, frame in read if frame.data.data.data] == [b"\0\x01\0\x05\0\x02\x01\x03"]


def test_a_full_capture_keeps_what_changes_something(rig, tmp_path):
    bench = Bench(rig, most_octets=100)
    for _ in range(10):
        bench.ask(READ)
    bench.ask(rig.adu("06 0000 0007"))
    assert bench.capture.left_out > 0
    path = bench.written(tmp_path / "n.pcapng")
    told = [frame.data.data.data for _, frame in packets(path) if frame.data.data.data]
    assert rig.adu("06 0000 0007") in told
    assert b"reads were left out" in path.read_bytes()
    assert len(told) < 22


def test_every_octet_is_counted_for_the_link(rig):
    bench = Bench(rig)
    answer = bench.ask(READ)
    assert bench.link.carried == 2 * 54 + len(READ) + len(answer)
    bench.capture.close()


def test_a_client_on_a_cut_link_leaves_a_lost_request_and_changes_nothing(rig, tmp_path):
    bench = Bench(rig)

    async def session():
        wire = MemoryWire()
        endpoint = await wire.serve(bench.responder)
        told = bench.tap.client_end("127.0.1.10", 1)
        client = LinkedClient(wire.client(endpoint, source_host="127.0.1.10"), bench.link, on_sent=told)
        await client.connect()
        await client.write_register(0, 5)
        with bench.link.lose(), pytest.raises(NoAnswer, match="whether the request was carried out is unknown"):
            await client.write_register(0, 6)
        await client.close()

    asyncio.run(session())
    assert len(rig.written) == 1
    path = bench.written(tmp_path / "n.pcapng")
    told = [frame.data.data.data for _, frame in packets(path) if frame.data.data.data]
    assert [message[7] for message in told] == [6, 6, 6]
    assert b"lost: no answer came in time" in path.read_bytes()


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_dissects_it_without_complaint(rig, tmp_path):
    bench = Bench(rig)
    bench.ask(READ, at_ns=1_500_000_001)
    bench.link.begin("slow", Impairment(latency_s=1))
    bench.link.circumstance = "sent 1 s earlier"
    bench.ask(rig.adu("06 ffff 0007"), at_ns=2_000_000_000)
    path = bench.written(tmp_path / "n.pcapng")

    def fields(filter_, *names):
        columns = [part for name in names for part in ("-e", name)]
        checked = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
        done = subprocess.run(
            ["tshark", "-r", str(path), *checked, "-Y", filter_, "-T", "fields", *columns],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return [line.split("\t") for line in done.stdout.splitlines()]

    assert fields("mbtcp && modbus.func_code == 3", "frame.time_epoch", "frame.interface_name")[0] == [
        "1.500000001",
        "scada",
    ]
    refused = fields("modbus.exception_code", "modbus.exception_code", "frame.comment")
    assert refused == [["2", "denied by test:3: because; sent 1 s earlier"]]
    assert (
        fields(
            "_ws.malformed || tcp.analysis.flags || tcp.checksum.status == 0 || ip.checksum.status == 0", "frame.number"
        )
        == []
    )
    assert fields("tcp.flags.fin == 1", "frame.number") != []
