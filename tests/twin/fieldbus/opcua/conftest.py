"""One server for all tests of OPC UA, since its address space takes a second to make, and a plant that notes it all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asyncua import Client, ua

from tests.twin.fieldbus.opcua.people import Person, person
from twin.core import Point, PointTable
from twin.fieldbus import Peer, Reading, Write
from twin.fieldbus.opcua import (
    AccessRules,
    AlarmAct,
    FileEntry,
    HostTime,
    OpcUaLimits,
    OpcUaServer,
    Security,
    ServerIdentity,
    Users,
)
from twin.fieldbus.opcua.certificates import private_folder_under
from twin.fieldbus.refusal import Refusal

HERE = Path(__file__).parent
PASSWORD = "correct horse battery"


class Plant:
    """A station, alarm desk and keeper of files that does what it is asked and notes who asked."""

    def __init__(self) -> None:
        self.table = PointTable.load(HERE / "tiny.csv")
        self.now_ns = 7_000_000_000
        self.reset()

    def reset(self) -> None:
        self.values: dict[str, bool | int | float] = {
            p.tag: False if p.datatype == "bool" else (p.low if p.scale != 1 else int(p.low)) for p in self.table
        }
        self.qualities: dict[str, str] = {}
        self.writes: list[tuple[str, object, Peer]] = []
        self.acts: list[tuple[AlarmAct, Peer]] = []
        self.refuse_with: Exception | None = None
        self.files = {"program": b"old program", "manual": b"x" * 200_000}
        self.stored: list[tuple[str, bytes, Peer]] = []

    def read(self, points: Sequence[Point], peer: Peer) -> list[Reading | Refusal]:
        return [
            Refusal("not_allowed")
            if p.tag == "SECRET" and peer.role != "engineer"
            else Reading(self.values[p.tag], self.qualities.get(p.tag, "good"), 5_000_000_000)
            for p in points
        ]

    def write(self, writes: tuple[Write, ...], peer: Peer) -> None:
        if self.refuse_with is not None:
            raise self.refuse_with
        for write in writes:
            if write.point.tag == "V2.SP" and peer.role != "engineer":
                raise Refusal("not_allowed", "engineers alone trim")
            self.writes.append((write.point.tag, write.value, peer))
            self.values[write.point.tag] = write.value

    def attend(self, act: AlarmAct, peer: Peer) -> None:
        if peer.role == "observer":
            raise Refusal("not_allowed")
        self.acts.append((act, peer))

    entries = (
        FileEntry("program", "The program", writable=True, max_bytes=100_000),
        FileEntry("manual", "The manual"),
    )

    def fetch(self, name: str, peer: Peer) -> bytes:
        return self.files[name]

    def store(self, name: str, content: bytes, peer: Peer) -> None:
        if peer.role != "engineer":
            raise Refusal("not_allowed", "engineers alone download")
        self.files[name] = content
        self.stored.append((name, content, peer))


class WallClock:
    """The wall clock, which tests can put on."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now_s(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead_s

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)


class Rig:
    """A running server, and how to come to it."""

    def __init__(self, folder: Path) -> None:
        self.plant = Plant()
        self.folder = folder
        self.wall = WallClock()
        for name in ("own", "trusted", "issuers", "crl", "rejected"):
            private_folder_under(folder, name)
        self.people = folder / "people"
        self.people.mkdir()
        self.application = self.person("application", trusted=True)
        self.engineer = self.person("engineer", trusted=False)
        self.users = Users()
        self.users.add("maria", "operator", PASSWORD)
        self.users.add("erik", "engineer", PASSWORD)
        self.users.add("olga", "observer", PASSWORD)

    def person(self, name: str, *, trusted: bool, **how: object) -> Person:
        made = person(self.people, name, **how)
        if trusted:
            self.trust(made)
        return made

    def trust(self, whom: Person) -> None:
        (self.folder / "trusted" / f"{whom.name}.der").write_bytes(whom.der)

    def distrust(self, whom: Person) -> None:
        (self.folder / "trusted" / f"{whom.name}.der").unlink()

    async def start(self, **limits: object) -> None:
        rules = AccessRules(
            anonymous_role="observer",
            certificate_roles={self.engineer.thumbprint: "engineer"},
            unsecured=True,
            unsecured_writes=False,
        )
        self.server = OpcUaServer(
            self.plant.table,
            "scada",
            self.plant,
            identity=ServerIdentity("tiny", "Tiny plant", "1.2.3"),
            host_time=HostTime(lambda: self.plant.now_ns),
            security=Security(rules, self.users, self.folder, now_s=self.wall.now_s, now=self.wall.now),
            limits=OpcUaLimits(**limits),
            desk=self.plant,
            files=self.plant,
        )
        self.url = await self.server.start("127.0.0.1", 0)
        self.port = int(self.url.rpartition(":")[2])

    def plain(self) -> Client:
        """A client over a channel without security."""
        return Client(self.url, timeout=10)

    async def secured(
        self,
        user: str = "erik",
        password: str = PASSWORD,
        *,
        policy: str = "Basic256Sha256,SignAndEncrypt",
        whom: Person | None = None,
    ) -> Client:
        """A client over a secured channel, not connected yet; no user where `user` is empty."""
        who = whom or self.application
        client = Client(self.url, timeout=10)
        client.application_uri = who.uri
        name, mode = policy.split(",")
        await client.set_security_string(f"{name},{mode},{who.certificate},{who.key}")
        if user:
            client.set_user(user)
            client.set_password(password)
        return client


@pytest.fixture(scope="session")
def rig_of_the_session(tmp_path_factory):
    """The server in a thread of its own, so that each test can have its own event loop."""
    rig = Rig(tmp_path_factory.mktemp("opcua"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    rig.run = run
    # Tests need many connections from one address, and short waits.
    run(
        rig.start(
            connections=200, connections_per_address=150, sessions=100, sessions_per_address=90, activation_s=20.0
        )
    )
    yield rig
    run(rig.server.stop())
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def rig(rig_of_the_session):
    """The server, as if nothing had happened yet."""
    rig = rig_of_the_session
    rig.plant.reset()
    rig.wall.ahead_s = 0.0
    before = rig.server.stats.failures
    yield rig
    assert rig.server.stats.failures == before, rig.server.stats.last_failure


def tag(name: str) -> ua.NodeId:
    return ua.NodeId(name, 2)
