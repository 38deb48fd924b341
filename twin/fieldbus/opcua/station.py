"""What stands behind an OPC UA server: the station that is read, asked to write, and asked to see to its alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from twin.core import Point
from twin.fieldbus.modbus.station import Write
from twin.fieldbus.peer import Peer
from twin.fieldbus.reading import Reading
from twin.fieldbus.refusal import Refusal

LimitState = Literal["low_low", "low", "high", "high_high"]
Shelving = Literal["unshelved", "timed", "one_shot"]
Act = Literal["acknowledge", "confirm", "comment", "shelve_timed", "shelve_once", "unshelve", "enable", "disable"]


class OpcUaStation(Protocol):
    """The device that a server speaks for; it answers at once and never waits.

    Every item of a request is decided for itself. Whoever may read a point may also watch it and read its history.
    """

    def read(self, points: Sequence[Point], peer: Peer) -> Sequence[Reading | Refusal]:
        """What each point shows, in the same order, or why this peer does not get it."""
        ...

    def write(self, writes: tuple[Write, ...], peer: Peer) -> None:
        """Carry out what one item of a request asks for (one write; all or nothing if there were several).

        Raises:
            Refusal: It was not done.
        """
        ...


@dataclass(frozen=True)
class AlarmEvent:
    """The state of one point's alarm after it changed.

    Attributes:
        tag: Of the point, which must have alarm limits.
        at_ns: When it changed, in simulated nanoseconds.
        active: Whether the condition holds.
        acknowledged, confirmed: What people did about it.
        severity: 1 to 1,000.
        message: For people.
        limit: Which limit it is beyond; None where it is within all of them, and for points of two states.
        enabled: Whether it is watched for at all.
        suppressed: Whether it is held back by design.
        shelving: Whether an operator put it aside.
        comment, user: What was last said about it, and by whom.
    """

    tag: str
    at_ns: int
    active: bool
    acknowledged: bool
    confirmed: bool
    severity: int
    message: str
    limit: LimitState | None = None
    enabled: bool = True
    suppressed: bool = False
    shelving: Shelving = "unshelved"
    comment: str = ""
    user: str = ""

    @property
    def retain(self) -> bool:
        """Whether a client that comes later must still be told (part 9, clause 5.5.2)."""
        return self.enabled and (self.active or not self.acknowledged or not self.confirmed)


@dataclass(frozen=True)
class AlarmAct:
    """What a client asks to be done about an alarm.

    Attributes:
        tag: Of the point whose alarm it is.
        act: What is asked.
        comment: What the person says about it.
        duration_s: How long a timed shelving is to last; 0 otherwise.
    """

    tag: str
    act: Act
    comment: str = ""
    duration_s: float = 0.0


class AlarmDesk(Protocol):
    """Who keeps the state of the alarms; a server only tells of it."""

    def attend(self, act: AlarmAct, peer: Peer) -> None:
        """Do what is asked.

        Raises:
            Refusal: It was not done, e.g. `wrong_state` where there is nothing to acknowledge.
        """
        ...


@dataclass(frozen=True)
class FileEntry:
    """A file that clients see.

    Attributes:
        name: Unique; the browse name.
        description: What it is, for people.
        writable: Whether a client may ask to replace it.
        max_bytes: How long its content may become.
    """

    name: str
    description: str
    writable: bool = False
    max_bytes: int = 1_000_000


class FileProvider(Protocol):
    """Who keeps the files. A file is read whole when it is opened, and replaced whole when it is closed."""

    @property
    def entries(self) -> Sequence[FileEntry]:
        """The files there are; always the same ones."""
        ...

    def fetch(self, name: str, peer: Peer) -> bytes:
        """What a file holds.

        Raises:
            Refusal: This peer does not get it.
        """
        ...

    def store(self, name: str, content: bytes, peer: Peer) -> None:
        """Replace what a file holds.

        Raises:
            Refusal: It was not done.
        """
        ...
