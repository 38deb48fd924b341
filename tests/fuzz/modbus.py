"""`python -m tests.fuzz.modbus [CASES] [SEED] [JOBS]`: hostile Modbus, against a whole server with and without sockets.

A case is what one client sends: requests made by the book, then bent, cut, joined and spoilt. A plain reading of the
standard (`reading`) says for each frame in it whether it may be answered by anything but an exception; so it is known
what a station may ever have been asked to write.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random

from twin.core import PointTable
from twin.fieldbus import BankStation, DeviceIdentity, ModbusServer, RegisterBank, RegisterMap, Responder, ServerLimits
from twin.fieldbus.modbus.connection import Connection, Roster

POINTS = PointTable.load(Path(__file__).parents[1] / "twin" / "fieldbus" / "every_datatype.csv")
CODES = (1, 2, 3, 4, 5, 6, 8, 15, 16, 22, 23, 43)
ECHO = bytes.fromhex("abcd 0000 0006 01 08 0000 1234")
WITH_SOCKETS = 20
"""One case in so many goes over a real connection."""

MOST_HELD = 70_000
"""What a connection may hold of a client's bytes: one read of the socket beyond where it stops reading."""


class Transport(asyncio.Transport):
    """A connection without a socket, which keeps what is written."""

    def __init__(self):
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.written = bytearray()
        self.closing = False
        self.reading = True

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = True

    abort = close

    def is_reading(self):
        return self.reading

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


def reading(pdu):
    """What the standard says of a request, without looking at addresses and values: "01", "03" or "fine"."""
    code, rest = pdu[0], pdu[1:]
    number = lambda at: int.from_bytes(rest[at : at + 2])  # noqa: E731
    if code in (1, 2, 3, 4):
        return "fine" if len(rest) == 4 and 1 <= number(2) <= (2000 if code < 3 else 125) else "03"
    if code == 5:
        return "fine" if len(rest) == 4 and rest[2:] in (b"\xff\0", b"\0\0") else "03"
    if code == 6:
        return "fine" if len(rest) == 4 else "03"
    if code in (15, 16):
        if len(rest) < 5 or len(rest) != 5 + rest[4]:
            return "03"
        most, size = (1968, (number(2) + 7) // 8) if code == 15 else (123, 2 * number(2))
        return "fine" if 1 <= number(2) <= most and rest[4] == size else "03"
    if code == 22:
        return "fine" if len(rest) == 6 else "03"
    if code == 23:
        if len(rest) < 9 or len(rest) != 9 + rest[8]:
            return "03"
        return "fine" if 1 <= number(2) <= 125 and 1 <= number(6) <= 121 and rest[8] == 2 * number(6) else "03"
    return "fine" if code in (8, 43) else "01"


def frames(stream):
    """The frames at the start of a stream, up to where it can be no Modbus; whether it ends the connection there."""
    found = []
    while len(stream) >= 3:
        if stream[2] or (len(stream) >= 4 and stream[3]):
            return found, True
        if len(stream) < 6:
            break
        length = int.from_bytes(stream[4:6])
        if not 2 <= length <= 254:
            return found, True
        if len(stream) < 6 + length:
            break
        found.append(bytes(stream[: 6 + length]))
        stream = stream[6 + length :]
    return found, False


class ModbusFuzzer:
    """Makes cases, plays them and looks at what comes back."""

    def __init__(self, chance: Random):
        self.chance = chance
        self.map = RegisterMap(POINTS)
        self.cases = self.requests = self.refused = self.hung_up = 0
        self.noise = []
        self._renew()

    def _renew(self):
        self.bank = RegisterBank(self.map)
        self.writes = []
        self.responder = Responder(BankStation(self.bank, self._take), DeviceIdentity("HF", "1"))

    def _take(self, writes, _peer):
        for write in writes:
            self.writes.append(write)
            self.bank.set(write.point.tag, write.value)

    def run(self, cases):
        """Play so many cases; what was found, as texts, each of which tells the bytes."""
        handler = logging.Handler()
        handler.emit = lambda record: self.noise.append(record.getMessage())
        logging.getLogger().addHandler(handler)
        try:
            return asyncio.run(self._run(cases))
        finally:
            logging.getLogger().removeHandler(handler)

    async def _run(self, cases):
        asyncio.get_running_loop().set_exception_handler(lambda _, told: self.noise.append(str(told)))
        server = ModbusServer(self.responder, limits=ServerLimits(idle_s=5.0))
        await server.start()
        found = []
        try:
            for n in range(cases):
                stream = self.stream()
                play = self._over_tcp(server, stream) if n % WITH_SOCKETS == 0 else self._without_sockets(stream)
                said = await asyncio.wait_for(play, 20)
                if said or self.noise:
                    found.append(f"{said or self.noise}\n  the bytes: {stream.hex()}")
                    self.noise.clear()
                if len(found) == 5:
                    break
        finally:
            await server.stop()
        return found

    async def _without_sockets(self, stream):
        roster = Roster(ServerLimits(idle_s=None))
        roster.is_open = True
        connection, transport = Connection(self.responder, roster), Transport()
        connection.connection_made(transport)
        for chunk in self.chunks(stream):
            if transport.closing:
                break
            connection.data_received(chunk)
            if len(connection._received) > MOST_HELD:
                return f"{len(connection._received)} bytes are held"
            await asyncio.sleep(0)
        turns = 0
        while connection._turn is not None and not transport.closing:
            turns += 1
            if turns > 10_000:
                return "it answers for ever"
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return self._judge(stream, bytes(transport.written), transport.closing)

    async def _over_tcp(self, server, stream):
        reader, writer = await asyncio.open_connection(server.host, server.port)
        with contextlib.suppress(OSError):
            for chunk in self.chunks(stream):
                writer.write(chunk)
                await asyncio.sleep(0)
            if self.chance.random() < 0.2:
                writer.transport.abort()
            else:
                writer.write_eof()
                while await reader.read(65536):
                    pass
        writer.transport.abort()
        if not await self._goes_on(server):
            return "a good client gets no answer any more"
        return self._judge(stream, None, None)

    async def _goes_on(self, server):
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(ECHO)
        try:
            return await reader.readexactly(len(ECHO)) == ECHO
        except (EOFError, OSError):
            return False
        finally:
            writer.transport.abort()

    def _judge(self, stream, answered, is_over):
        """What is wrong about how a stream was treated; None if nothing is."""
        self.cases += 1
        asked, must_end = frames(stream)
        self.requests += len(asked)
        self.hung_up += must_end
        writes, self.writes = self.writes, []
        if self.responder.failures:
            failure = self.responder.last_failure
            self._renew()
            return f"the station's side failed: {failure!r}"
        if writes and not any(reading(adu[7:]) == "fine" and adu[7] in (5, 6, 15, 16, 22, 23) for adu in asked):
            return f"{writes} were written, and nobody had asked so"
        for write in writes:
            if not write.point.low <= write.value <= write.point.high * (1 + 1e-6):
                return f"{write} lies outside its range"
        if answered is None:
            return None
        return self._compare(asked, must_end, answered, is_over)

    def _compare(self, asked, must_end, answered, is_over):
        answers, garbled = frames(answered)
        if garbled or sum(map(len, answers)) != len(answered) or len(answers) != len(asked):
            return f"{len(asked)} requests, {len(answers)} answers, {len(answered)} bytes"
        if is_over != must_end:
            return f"the connection is {'over' if is_over else 'open'}"
        for adu, answer in zip(asked, answers, strict=True):
            if answer[:4] != adu[:4] or answer[6] != adu[6] or answer[7] not in (adu[7], adu[7] | 0x80):
                return f"{adu.hex()} was answered {answer.hex()}"
            is_refused = answer[7] == adu[7] | 0x80 and len(answer) == 9
            self.refused += is_refused
            told = reading(adu[7:])
            if told != "fine" and not (is_refused and answer[8] in (int(told), 0x0B)):
                return f"{adu.hex()} was answered {answer.hex()}, and not by {told}"
        return None

    def chunks(self, stream):
        """A stream, cut anywhere."""
        if self.chance.random() < 0.5:
            return [stream]
        cuts = sorted(self.chance.randrange(len(stream) + 1) for _ in range(self.chance.randrange(1, 5)))
        return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    def stream(self):
        """What one client sends."""
        sent = b"".join(self.adu() for _ in range(self.chance.choice((1, 1, 2, 3, 6, 30))))
        return self.spoilt(sent) if self.chance.random() < 0.3 else sent

    def adu(self):
        pdu = self.pdu()
        if self.chance.random() < 0.4:
            pdu = self.spoilt(pdu) or b"\0"
        pdu = pdu[:253]
        unit = self.chance.choice((0, 1, 1, 1, 2, 2, 3, 255))
        length = len(pdu) + 1
        if self.chance.random() < 0.05:
            length = self.chance.choice((0, 1, 2, length - 1, length + 1, 254, 255, 256, 65535))
        return self.chance.randbytes(2) + b"\0\0" + length.to_bytes(2) + bytes([unit]) + pdu

    def pdu(self):
        pick = self.chance
        code = pick.choice(CODES) if pick.random() < 0.9 else pick.randrange(256)
        address = pick.choice((0, 1, 2, 6, 14, 16, 100, 0xFFFF)) if pick.random() < 0.8 else pick.randrange(65536)
        count = pick.choice((1, 2, 4, 8, 120, 125, 126, 0, 2000, 2001, 0xFFFF))
        two = lambda n: n.to_bytes(2)  # noqa: E731
        head = bytes([code]) + two(address)
        if code == 5:
            return head + pick.choice((b"\xff\0", b"\0\0", b"\0\1"))
        if code == 6:
            return head + two(pick.choice((0, 1, 0xFFFF, pick.randrange(65536))))
        if code == 8:
            return bytes([code]) + two(pick.choice((0, 0, 1, 4, 10, 11, 13, 14, 15, 17, 18))) + pick.randbytes(2)
        if code == 15:
            return head + two(count) + bytes([(count + 7) // 8 & 0xFF]) + pick.randbytes((count + 7) // 8)[:246]
        if code == 16:
            return head + two(count) + bytes([2 * count & 0xFF]) + pick.randbytes(2 * count)[:246]
        if code == 22:
            return head + pick.randbytes(4)
        if code == 23:
            n = pick.choice((1, 2, 4, 121, 122, 0))
            return head + two(count) + two(pick.choice((0, 2, 6))) + two(n) + bytes([2 * n & 0xFF]) + bytes(2 * n)
        if code == 43:
            return bytes([43, pick.choice((14, 14, 14, 13)), pick.randrange(6), pick.choice((0, 1, 2, 3, 0x80, 0xFF))])
        return head + two(count)

    def spoilt(self, whole):
        """Bytes, with something done to them."""
        pick, bytes_ = self.chance, bytearray(whole)
        at = pick.randrange(len(bytes_) + 1)
        how = pick.randrange(6)
        if how == 0:
            return whole[:at]
        if how == 1:
            return whole[:at] + pick.randbytes(pick.choice((1, 2, 7, 300))) + whole[at:]
        if how == 2:
            return whole + whole[:at]
        if how == 3:
            return whole[:at] + whole[at + pick.randrange(1, 4) :]
        for _ in range(pick.randrange(1, 4)):
            if bytes_:
                bytes_[pick.randrange(len(bytes_))] = pick.choice((0, 1, 0x7F, 0x80, 0xFF, pick.randrange(256)))
        return bytes(bytes_)


def fuzz(seed, cases):
    """Play so many cases: cases, requests in them, refusals, connections ended, and what was found."""
    fuzzer = ModbusFuzzer(Random(seed))
    found = fuzzer.run(cases)
    return fuzzer.cases, fuzzer.requests, fuzzer.refused, fuzzer.hung_up, found


def main(arguments):
    """Print the figures; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.modbus", description="hostile bytes at a Modbus port")
    parser.add_argument("cases", type=int, nargs="?", default=100_000)
    parser.add_argument("seed", type=int, nargs="?", default=int(time.time()))
    parser.add_argument("jobs", type=int, nargs="?", default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}, {given.jobs} processes", flush=True)
    began = time.monotonic()
    with ProcessPoolExecutor(given.jobs) as pool:
        share = -(-given.cases // given.jobs)
        done = list(pool.map(fuzz, range(given.seed, given.seed + given.jobs), [share] * given.jobs))
    cases, requests, refused, hung_up = (sum(each[at] for each in done) for at in range(4))
    found = [text for each in done for text in each[4]]
    print(
        f"{cases:,} streams in {time.monotonic() - began:.0f} s: {requests:,} requests, {refused:,} refused,"
        f" {hung_up:,} connections ended for what was no Modbus; {len(found)} failures"
    )
    print("\n\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
