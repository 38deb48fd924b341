"""Taps on the wires of a run, and the capture that they feed.

While a run goes on, a tap only puts messages aside, in a file without a name; frames are built around them when the
capture is written. A capture that grows too large keeps what changes something and leaves out reads from then on.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from twin.fieldbus.impairments import Link
from twin.fieldbus.modbus.identity import DeviceIdentity
from twin.fieldbus.modbus.mbap import HEADER, frame
from twin.fieldbus.modbus.responder import Responder
from twin.fieldbus.modbus.station import Station
from twin.fieldbus.pcapng import PcapngWriter
from twin.fieldbus.peer import Peer
from twin.fieldbus.segments import FRAME_OVERHEAD, Connection, End

MODBUS_PORT: Final = 502
"""The port of every server in a capture: the real one, which a lock-step run never has."""

MOST_OCTETS: Final = 128 * 2**20

_FIRST_PORT: Final = 49152  # of the dynamic ports (RFC 6335)
_WRITES: Final = frozenset({5, 6, 15, 16, 22, 23})
_ROW: Final = struct.Struct("<QIHHH")  # instant, connection, lengths of request, answer and comment


class Witness(Protocol):
    """Knows what was decided about a request."""

    def mark(self) -> int:
        """A mark to ask `since` with; taken before the request is carried out."""
        ...

    def since(self, mark: int) -> str:
        """What was decided since the mark, in one line; empty if nothing was."""
        ...


@dataclass(frozen=True)
class _Seen:
    at_ns: int
    connection: int
    request: bytes
    answer: bytes
    comment: str


class Capture:
    """What several taps have seen, in the order in which they saw it.

    Args:
        most_octets: Of messages put aside (bytes); beyond, only writes are.
    """

    def __init__(self, *, most_octets: int = MOST_OCTETS) -> None:
        self.left_out = 0
        self._most_octets = most_octets
        self._taps: list[tuple[str, str]] = []
        self._connections: dict[tuple[int, str, str, int], int] = {}
        self._aside: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 -- it lives as long as the capture
        self._octets = 0

    def tap(self, name: str, description: str) -> int:
        """Enter a tap; the answer is its number."""
        self._taps.append((name, description))
        return len(self._taps) - 1

    def add(
        self, at_ns: int, connection: tuple[int, str, str, int], request: bytes, answer: bytes | None, comment: str
    ) -> None:
        """Put one exchange aside.

        Args:
            at_ns: When (simulated ns).
            connection: The tap, the addresses of client and server, and the number of the session.
            request: The ADU.
            answer: The ADU, or None where there was none.
            comment: What is to be told beside it.
        """
        if self._octets > self._most_octets and request[HEADER] not in _WRITES:
            self.left_out += 1
            return
        number = self._connections.setdefault(connection, len(self._connections))
        told, remark = answer or b"", comment.encode()[:0xFFFF]
        self._octets += self._aside.write(
            _ROW.pack(at_ns, number, len(request), len(told), len(remark)) + request + told + remark
        )

    def write(self, path: Path, until_ns: int) -> None:
        """Write the capture as pcapng; simulated time counts from 1970, which stands for the start of the run.

        Args:
            path: Of the file.
            until_ns: The end of the run, when every connection is closed.

        Raises:
            OSError: The file cannot be written.
        """
        with path.open("wb") as file:
            writer = PcapngWriter(file, application=f"holdfast {version('holdfast')}", comment=self._about())
            for name, description in self._taps:
                writer.interface(name, description)
            open_ = self._write_messages(writer)
            for tap, connection in open_.values():
                for octets in connection.closing():
                    writer.packet(tap, until_ns, octets)

    def close(self) -> None:
        """Forget everything."""
        self._aside.close()

    def _about(self) -> str:
        about = (
            "Time is simulated and counts from the start of the run. The Modbus messages are those that were exchanged;"
            " the frames around them were made for this file."
        )
        return about + (f" {self.left_out} reads were left out for want of room." if self.left_out else "")

    def _write_messages(self, writer: PcapngWriter) -> dict[int, tuple[int, Connection]]:
        """Write every exchange; what comes back are the connections that were opened on the way, with their taps."""
        known = list(self._connections)
        opened: dict[int, tuple[int, Connection]] = {}
        for seen in self._rows():
            if seen.connection not in opened:
                tap, client, server, _ = known[seen.connection]
                port = _FIRST_PORT + seen.connection % (2**16 - _FIRST_PORT)
                opened[seen.connection] = (tap, Connection(End(client, port), End(server, MODBUS_PORT)))
                for octets in opened[seen.connection][1].opening():
                    writer.packet(tap, seen.at_ns, octets)
            tap, connection = opened[seen.connection]
            alone = not seen.answer
            writer.packet(tap, seen.at_ns, connection.message(True, seen.request), seen.comment if alone else "")
            if not alone:
                writer.packet(tap, seen.at_ns, connection.message(False, seen.answer), seen.comment)
        return opened

    def _rows(self) -> Iterator[_Seen]:
        self._aside.flush()
        self._aside.seek(0)
        while head := self._aside.read(_ROW.size):
            at_ns, number, request, answer, comment = _ROW.unpack(head)
            read = self._aside.read
            yield _Seen(at_ns, number, read(request), read(answer), read(comment).decode("utf-8", "ignore"))
        self._aside.seek(0, 2)


class Tap:
    """One place of a wire where its traffic is seen: counted for the link, and put aside for a capture if there is one.

    Args:
        link: What is tapped.
        server: The address of the server.
        now_ns: Simulated time.
        capture: Who keeps what is seen; left out, nobody.
        place: Where the tap is, in a few words.
        witness: Who knows the verdicts; left out, nobody.
    """

    def __init__(
        self,
        link: Link,
        server: str,
        *,
        now_ns: Callable[[], int],
        place: str,
        capture: Capture | None = None,
        witness: Witness | None = None,
    ) -> None:
        self.witness = witness
        self._link = link
        self._server = server
        self._now_ns = now_ns
        self._capture = capture
        self._number = capture.tap(link.name, place) if capture is not None else 0

    def ask(self, adu: bytes, peer: Peer, respond: Callable[[bytes, Peer], bytes | None]) -> bytes | None:
        """What `respond` answers to a request, seen from the server's end."""
        if self._capture is None:
            answer = respond(adu, peer)
            self._count(adu, answer)
            return answer
        asks_witness = self.witness is not None and len(adu) > HEADER and adu[HEADER] in _WRITES
        mark = self.witness.mark() if self.witness is not None and asks_witness else 0
        answer = respond(adu, peer)
        verdict = self.witness.since(mark) if self.witness is not None and asks_witness else ""
        self._count(adu, answer)
        if len(adu) > HEADER:
            self._keep(peer.address, peer.session, adu, answer, verdict)
        return answer

    def client_end(self, address: str, session: int) -> Callable[[int, bytes, bytes | None], None]:
        """The same wire seen from one client's end: who is to be told of its requests by unit and PDU."""
        sent = 0

        def tell(unit: int, pdu: bytes, answer: bytes | None) -> None:
            nonlocal sent
            sent = sent % 0xFFFF + 1
            request = frame(sent, unit, pdu)
            told = None if answer is None else frame(sent, unit, answer)
            self._count(request, told)
            if self._capture is not None:
                self._keep(
                    address, session, request, told, "" if answer is not None else "lost: no answer came in time"
                )

        return tell

    def _count(self, request: bytes, answer: bytes | None) -> None:
        self._link.carried += FRAME_OVERHEAD + len(request)
        if answer is not None:
            self._link.carried += FRAME_OVERHEAD + len(answer)

    def _keep(self, address: str, session: int, request: bytes, answer: bytes | None, verdict: str) -> None:
        assert self._capture is not None
        comment = "; ".join(part for part in (verdict, self._link.circumstance) if part)
        self._capture.add(self._now_ns(), (self._number, address, self._server, session), request, answer, comment)


class TappedResponder(Responder):
    """A responder whose wire is tapped at its end.

    Args:
        station, identity: Of the responder.
        tap: Sees every request and its answer.
    """

    def __init__(self, station: Station, identity: DeviceIdentity, tap: Tap) -> None:
        super().__init__(station, identity)
        self._tap = tap

    def respond(self, adu: bytes, peer: Peer) -> bytes | None:
        """The response to one request; never raises."""
        return self._tap.ask(adu, peer, super().respond)
