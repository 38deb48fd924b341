"""Zones and conduits of a plant's network (IEC 62443-3-2, clause 4): who is where, what connects them, who may intrude.

A file `network.toml` in the plant's folder says it, beside the image of its controller. What runs inside the controller
is not said there: tasks and their channels come from the image, and are checked against what the file names.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

NETWORK_FILE: Final = "network.toml"

_MOST_BYTES: Final = 256 << 10
_HEADER: Final = re.compile(r"^\s*\[\[\s*(\w+)\s*\]\]")

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=40)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Place = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*(/[a-z][a-z0-9_]*)?$", max_length=80)]
"""A host, or a task of the host that runs the image, as `host/task`."""


class NetworkError(Exception):
    """A network file is wrong; the message lists each mistake as `file:line: what`."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Zone(_Part):
    """Hosts with the same security requirements.

    Attributes:
        level: Of the functional hierarchy (IEC 62264-1): 0 the process, 1 control, 2 supervision, 3 and 4 above.
        addresses: The network it has in a twin; None where it has none of its own.
    """

    name: Name
    title: Text
    level: int = Field(ge=0, le=5)
    addresses: IPv4Network | None = None


class Host(_Part):
    """A device in a zone.

    Attributes:
        address: In a twin; None where it is given only when the twin is served.
        runs_image: Whether it is the controller, which runs the plant's image.
    """

    name: Name
    title: Text
    zone: Name
    address: IPv4Address | None = None
    runs_image: bool = False


class Channel(_Part):
    """Who opens connections to whom, and what they speak."""

    source: Place
    target: Place
    protocols: list[Literal["modbus", "opcua"]] = Field(min_length=1)


class Conduit(_Part):
    """The channels between two zones, protected as one.

    Attributes:
        wire: Which wire of a twin it is, for impairments and captures; None where it is none.
    """

    name: Name
    title: Text
    wire: Literal["field", "scada"] | None = None
    channels: list[Channel] = Field(min_length=1)


class AttackerPosition(_Part):
    """Where an attacker may sit.

    Attributes:
        at: The zone, the host or the task.
        reaches: What can be spoken to from there.
        meets: What stands in the way, in a sentence.
    """

    name: Name
    title: Text
    at: Place
    reaches: list[Place] = Field(default_factory=list)
    meets: Text


class _File(_Part):
    title: Text
    zone: list[Zone] = Field(min_length=1, max_length=50)
    host: list[Host] = Field(min_length=1, max_length=200)
    conduit: list[Conduit] = Field(default_factory=list, max_length=200)
    attacker: list[AttackerPosition] = Field(default_factory=list, max_length=100)


@dataclass(frozen=True)
class TaskChannel:
    """A channel inside the controller: the task that holds it, the task that serves it, and its name."""

    source: str
    target: str
    name: str


@dataclass(frozen=True)
class Wiring:
    """What the image has in it: its tasks, and who holds a channel to whom."""

    tasks: tuple[str, ...]
    channels: tuple[TaskChannel, ...]


@dataclass(frozen=True)
class Network:
    """The network of one plant.

    Attributes:
        title: The plant's.
        zones: From the highest level down.
        hosts, conduits, attackers: In the order of the file.
        wiring: What runs in the host that runs the image.
    """

    title: str
    zones: tuple[Zone, ...]
    hosts: tuple[Host, ...]
    conduits: tuple[Conduit, ...]
    attackers: tuple[AttackerPosition, ...]
    wiring: Wiring

    def hosts_of(self, zone: str) -> list[Host]:
        """The hosts of a zone."""
        return [host for host in self.hosts if host.zone == zone]

    def zone_of(self, place: str) -> str:
        """The zone in which a host or a task is."""
        name = place.partition("/")[0]
        return next(host.zone for host in self.hosts if host.name == name)

    def attackers_in(self, zone: str) -> list[AttackerPosition]:
        """Who has a place of their own in a zone."""
        return [attacker for attacker in self.attackers if attacker.at == zone]

    def guests(self) -> list[AttackerPosition]:
        """Who sits in a host or a task that is there anyway."""
        zones = {zone.name for zone in self.zones}
        return [attacker for attacker in self.attackers if attacker.at not in zones]

    def joined(self, conduit: Conduit) -> tuple[str, str]:
        """The two zones that a conduit joins: where its channels begin, and where they end."""
        first = conduit.channels[0]
        return self.zone_of(first.source), self.zone_of(first.target)


def network_file(image: Path) -> Path:
    """Where the network of a plant is described: beside the folder of its image."""
    return image.parent / NETWORK_FILE


def load_network(path: Path, wiring: Wiring) -> Network:
    """Read and check a network file.

    Args:
        path: Of the file.
        wiring: What the plant's image has in it.

    Raises:
        NetworkError: It cannot be read, is no TOML, or something in it does not fit together.
    """
    try:
        raw = path.read_bytes()
        if len(raw) > _MOST_BYTES:
            raise NetworkError(f"{path}: is larger than {_MOST_BYTES} bytes")
        text = raw.decode("utf-8")
        file = _File.model_validate(tomllib.loads(text))
    except OSError as failure:
        raise NetworkError(f"{path}: cannot be read: {failure.strerror}") from failure
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as failure:
        raise NetworkError(f"{path}: is not TOML: {failure}") from failure
    except ValidationError as failure:
        raise NetworkError("\n".join(_told(path, text, failure))) from failure
    lines = _header_lines(text)
    mistakes = [f"{path}:{lines.get((table, number), 1)}: {what}" for table, number, what in _Check(file, wiring).run()]
    if mistakes:
        raise NetworkError("\n".join(mistakes))
    zones = sorted(file.zone, key=lambda zone: -zone.level)
    return Network(file.title, tuple(zones), tuple(file.host), tuple(file.conduit), tuple(file.attacker), wiring)


def _header_lines(text: str) -> dict[tuple[str, int], int]:
    """The line on which each entry of each array of tables begins."""
    lines: dict[tuple[str, int], int] = {}
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = header[1]
            lines[table, counts.setdefault(table, 0)] = number
            counts[table] += 1
    return lines


def _told(path: Path, text: str, failure: ValidationError) -> Iterator[str]:
    lines = _header_lines(text)
    for error in failure.errors():
        place: Sequence[Any] = error["loc"]
        entry = tuple(place[:2])
        line = lines.get(entry, 1) if len(entry) == 2 else 1
        message = "this key is not known here" if error["type"] == "extra_forbidden" else str(error["msg"]).lower()
        yield f"{path}:{line}: {'.'.join(str(part) for part in place)}: {message}"


Mistake = tuple[str, int, str]


class _Check:
    """Whether the parts of a file fit together, and fit the image."""

    def __init__(self, file: _File, wiring: Wiring) -> None:
        self._file = file
        self._tasks = wiring.tasks
        self._zones = {zone.name: zone for zone in file.zone}
        self._hosts = {host.name: host for host in file.host}

    def run(self) -> Iterator[Mistake]:
        parts: Mapping[str, Sequence[Zone | Host | Conduit | AttackerPosition]] = {
            "zone": self._file.zone,
            "host": self._file.host,
            "conduit": self._file.conduit,
            "attacker": self._file.attacker,
        }
        for table, entries in parts.items():
            yield from _twice(table, [entry.name for entry in entries])
        # A place is a host or a zone by its name alone.
        yield from (
            ("host", number, f"`{host.name}` is the name of a zone already")
            for number, host in enumerate(self._file.host)
            if host.name in self._zones
        )
        yield from self._check_hosts()
        yield from self._check_conduits()
        yield from self._check_attackers()

    def _check_hosts(self) -> Iterator[Mistake]:
        running = [host.name for host in self._file.host if host.runs_image]
        if len(running) != 1:
            yield "host", 0, f"exactly one host runs the image, not {len(running)}"
        for number, host in enumerate(self._file.host):
            zone = self._zones.get(host.zone)
            if zone is None:
                yield "host", number, f"`{host.name}` is in zone `{host.zone}`, which is not there"
            elif host.address and zone.addresses and host.address not in zone.addresses:
                yield "host", number, f"`{host.name}` has {host.address}, which is not within {zone.addresses}"

    def _check_conduits(self) -> Iterator[Mistake]:
        wires = [conduit.wire for conduit in self._file.conduit]
        for number, conduit in enumerate(self._file.conduit):
            if conduit.wire is not None and conduit.wire in wires[:number]:
                yield "conduit", number, f"wire `{conduit.wire}` is another conduit's already"
            wrong = [
                told
                for channel in conduit.channels
                for place in (channel.source, channel.target)
                if (told := self._wrong(place, needs_task=True))
            ]
            yield from (("conduit", number, f"`{conduit.name}`: {told}") for told in wrong)
            if not wrong:
                yield from self._check_ends(number, conduit)

    def _check_ends(self, number: int, conduit: Conduit) -> Iterator[Mistake]:
        joined = {
            frozenset(self._hosts[place.partition("/")[0]].zone for place in (channel.source, channel.target))
            for channel in conduit.channels
        }
        if any(len(zones) == 1 for zones in joined):
            yield "conduit", number, f"`{conduit.name}`: a channel begins and ends in one zone, and needs no conduit"
        elif len(joined) > 1:
            yield "conduit", number, f"`{conduit.name}`: its channels do not join the same two zones"

    def _check_attackers(self) -> Iterator[Mistake]:
        for number, attacker in enumerate(self._file.attacker):
            places = [] if attacker.at in self._zones else [attacker.at]
            for place in (*places, *attacker.reaches):
                if told := self._wrong(place):
                    yield "attacker", number, f"`{attacker.name}`: {told}"

    def _wrong(self, place: str, *, needs_task: bool = False) -> str:
        """What is wrong with a place; empty if nothing is."""
        name, _, task = place.partition("/")
        host = self._hosts.get(name)
        if host is None:
            return f"there is no host `{name}`"
        if task and not host.runs_image:
            return f"`{name}` does not run the image, and has no task `{task}`"
        if task and task not in self._tasks:
            return f"the image has no task `{task}`; it has: {', '.join(self._tasks)}"
        if needs_task and host.runs_image and not task:
            return f"say which task of `{name}`, as `{name}/TASK`; the image has: {', '.join(self._tasks)}"
        return ""


def _twice(table: str, names: Iterable[str]) -> Iterator[Mistake]:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            yield table, number, f"the {table} `{name}` is there twice"
        seen.add(name)
