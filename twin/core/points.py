"""One table of points per plant: the only place where a tag, its unit, its range and its address are written.

`points.csv` drives the Modbus map, the pages, the documentation and (later) the OPC UA tree and the alarms.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from twin.core.alarm_columns import ALARM_COLUMNS, Priority, read_alarm_columns

Kind = Literal["measurement", "status", "setpoint", "command", "setting"]
Datatype = Literal["bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
WordOrder = Literal["high_first", "low_first"]
Table = Literal["coil", "discrete", "input", "holding"]
Side = Literal["field", "scada", "both"]
Limit = Literal["lolo", "lo", "hi", "hihi"]

REGISTERS: Final[dict[Datatype, int]] = {
    "bool": 1,
    "int16": 1,
    "uint16": 1,
    "int32": 2,
    "uint32": 2,
    "int64": 4,
    "uint64": 4,
    "float32": 2,
    "float64": 4,
}
_INTEGER_RANGE: Final = {
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}

REQUIRED_COLUMNS: Final = (
    "tag",
    "description",
    "unit",
    "low",
    "high",
    "kind",
    "datatype",
    "scale",
    "modbus_unit",
    "modbus_table",
    "modbus_address",
    "opcua_path",
    "field",
)
ALARM_LIMITS: Final = ("alarm_lolo", "alarm_lo", "alarm_hi", "alarm_hihi")
OPTIONAL_COLUMNS: Final = (*ALARM_LIMITS, *ALARM_COLUMNS, "selected_by", "feedback", "word_order")


class PointsError(Exception):
    """A points table is wrong; the message lists each mistake as `file:line: what, why, what to do`."""


@dataclass(frozen=True)
class Point:
    """One point of a plant.

    Attributes:
        tag: Unique name, e.g. `F6.P`.
        description: What it is, for people.
        unit: Engineering unit of the value; empty for a status or command.
        low, high: Engineering range of the value, in `unit`.
        kind: measurement and status are read; setpoint, command (a one-shot pulse) and setting are written.
        datatype: How it travels; `bool` lives in coils and discrete inputs, the rest in registers, 32 bits in two
            and 64 bits in four of them.
        scale: Engineering units per count: value = register x scale. 1 for floats and bool.
        modbus_unit: Unit identifier, 1 to 247.
        modbus_table: coil, discrete (input), input (register), holding (register).
        modbus_address: Zero-based address of the first coil or register.
        opcua_path: Browse path of the same point in an OPC UA server.
        field: On which side of the controller it is seen: field, scada or both.
        alarm_lolo, alarm_lo, alarm_hi, alarm_hihi: Alarm limits in `unit`, rising, or None.
        alarm_when: The value of a bool point that is the alarm; None for no such alarm.
        alarm_priority: Of the alarms at `alarm_lo`, `alarm_hi` and `alarm_when`.
        alarm_outer_priority: Of the alarms at `alarm_lolo` and `alarm_hihi`.
        alarm_deadband: How far behind its limit a value must come back (in `unit`, 0 and up).
        alarm_on_delay_s, alarm_off_delay_s: How long it must stand beyond, or back, before that counts (s).
        alarm_latched: Whether an alarm that has gone stays until it is acknowledged and reset.
        alarm_group: Alarms of one group may have one cause: the first to come is marked; empty for none.
        alarm_suppressed_by: Tag of a bool point that suppresses the alarm by design while it is 1; empty for none.
        alarm_cause, alarm_consequence, alarm_response: What is told to the operator.
        alarm_respond_within_s: The time that there is to respond (s); None where nobody has said.
        selected_by: Tag of the bool point that must be written 1 before this command, and then reads 1 until the
            command came or its time is over (select-before-operate); empty where the command is direct.
        feedback: Tag of the bool point that becomes 1 once this command is carried out; empty where none tells.
        word_order: Which of several registers comes first, the one with the highest bits or the one with the lowest;
            within a register the high byte is always first.
    """

    tag: str
    description: str
    unit: str
    low: float
    high: float
    kind: Kind
    datatype: Datatype
    scale: float
    modbus_unit: int
    modbus_table: Table
    modbus_address: int
    opcua_path: str
    field: Side
    alarm_lolo: float | None = None
    alarm_lo: float | None = None
    alarm_hi: float | None = None
    alarm_hihi: float | None = None
    alarm_when: bool | None = None
    alarm_priority: Priority = "low"
    alarm_outer_priority: Priority = "medium"
    alarm_deadband: float = 0.0
    alarm_on_delay_s: float = 0.0
    alarm_off_delay_s: float = 0.0
    alarm_latched: bool = False
    alarm_group: str = ""
    alarm_suppressed_by: str = ""
    alarm_cause: str = ""
    alarm_consequence: str = ""
    alarm_response: str = ""
    alarm_respond_within_s: float | None = None
    selected_by: str = ""
    feedback: str = ""
    word_order: WordOrder = "high_first"

    @property
    def width(self) -> int:
        """How many coils or registers it takes."""
        return REGISTERS[self.datatype]

    @property
    def alarm_limits(self) -> list[tuple[Limit, float]]:
        """The alarm limits that it has, from low to high."""
        limits: dict[Limit, float | None] = {
            "lolo": self.alarm_lolo,
            "lo": self.alarm_lo,
            "hi": self.alarm_hi,
            "hihi": self.alarm_hihi,
        }
        return [(name, limit) for name, limit in limits.items() if limit is not None]

    @property
    def writable(self) -> bool:
        """Whether a client may ask to write it (whether the write is granted is the policy's matter)."""
        return self.modbus_table in ("coil", "holding")

    def seen_from(self, side: Side) -> bool:
        """Whether it is in the map of that side of the controller."""
        return self.field in ("both", side)


class PointTable:
    """All points of a plant, in the order of the file.

    Raises:
        PointsError: A column is unknown or missing, a tag appears twice, addresses overlap, or a value is impossible.
    """

    def __init__(self, points: Iterable[Point], *, source: str = "points") -> None:
        self.points: tuple[Point, ...] = tuple(points)
        self.source = source
        self.by_tag: dict[str, Point] = {point.tag: point for point in self.points}

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, tag: str) -> Point:
        return self.by_tag[tag]

    def __contains__(self, tag: str) -> bool:
        return tag in self.by_tag

    def side(self, side: Side) -> PointTable:
        """The points that are seen from one side of the controller."""
        return PointTable((p for p in self.points if p.seen_from(side)), source=self.source)

    @classmethod
    def load(cls, path: Path) -> PointTable:
        """Read `points.csv` (UTF-8, comma separated, one header line)."""
        reader = _Reader(path)
        points = reader.read()
        if reader.mistakes:
            raise PointsError("\n".join(reader.mistakes))
        return cls(points, source=str(path))


class _Reader:
    """Reads one file and collects every mistake in it, so that a person mends them in one go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mistakes: list[str] = []
        self._tags: dict[str, int] = {}
        self._cells: dict[tuple[int, str, int], tuple[str, int]] = {}

    def read(self) -> list[Point]:
        try:
            text = self.path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as failure:
            self.mistakes.append(f"{self.path}: cannot be read: {failure}")
            return []
        rows = csv.DictReader(text.splitlines(), restkey="\0more", restval="\0less")
        columns = rows.fieldnames or ()
        self._check_columns(columns)
        if self.mistakes:
            return []
        points = []
        for row in rows:
            point = self._point(row, rows.line_num)
            if point is not None:
                points.append(point)
        if not self.mistakes:  # a row that is wrong is missing here, and would be missed everywhere
            self._check_references({point.tag: point for point in points})
        return points

    def _say(self, line: int, message: str) -> None:
        self.mistakes.append(f"{self.path}:{line}: {message}")

    def _check_columns(self, columns: Iterable[str]) -> None:
        present = list(columns)
        known = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
        for name in present:
            if name not in known:
                self._say(1, f"unknown column `{name}`; the columns are {', '.join(known)}")
            elif present.count(name) > 1:
                self._say(1, f"column `{name}` appears twice")
        for name in REQUIRED_COLUMNS:
            if name not in present:
                self._say(1, f"column `{name}` is missing")

    def _point(self, row: dict[str, str], line: int) -> Point | None:
        if "\0more" in row or "\0less" in row.values():
            self._say(line, f"this row has {'more' if chr(0) + 'more' in row else 'fewer'} cells than the header")
            return None
        before = len(self.mistakes)
        tag = row["tag"].strip()
        kind = self._choice(line, "kind", row["kind"], get_args(Kind))
        datatype = self._choice(line, "datatype", row["datatype"], get_args(Datatype))
        table = self._choice(line, "modbus_table", row["modbus_table"], get_args(Table))
        side = self._choice(line, "field", row["field"], get_args(Side))
        low, high = self._number(line, "low", row["low"]), self._number(line, "high", row["high"])
        scale = self._number(line, "scale", row["scale"])
        unit = self._integer(line, "modbus_unit", row["modbus_unit"], 1, 247)
        address = self._integer(line, "modbus_address", row["modbus_address"], 0, 65535)
        word_order = row.get("word_order", "").strip() or "high_first"
        self._choice(line, "word_order", word_order, get_args(WordOrder))
        limits: dict[str, Any] = {
            name: self._number(line, name, row[name]) if row.get(name, "").strip() else None for name in ALARM_LIMITS
        }
        alarms = read_alarm_columns(row, datatype, lambda message: self._say(line, f"`{tag}`: {message}"))
        if not tag:
            self._say(line, "the tag is empty")
        if len(self.mistakes) > before:
            return None
        point = Point(
            tag=tag,
            description=row["description"].strip(),
            unit=row["unit"].strip(),
            low=low,
            high=high,
            kind=cast("Kind", kind),
            datatype=cast("Datatype", datatype),
            scale=scale,
            modbus_unit=unit,
            modbus_table=cast("Table", table),
            modbus_address=address,
            opcua_path=row["opcua_path"].strip(),
            field=cast("Side", side),
            **limits,
            **alarms,
            selected_by=row.get("selected_by", "").strip(),
            feedback=row.get("feedback", "").strip(),
            word_order=cast("WordOrder", word_order),
        )
        self._check(point, line)
        return point

    def _check_references(self, points: dict[str, Point]) -> None:
        """The tags that stand in other points' columns are those of bool points."""
        for point in points.values():
            named = {
                "selected_by": point.selected_by,
                "feedback": point.feedback,
                "alarm_suppressed_by": point.alarm_suppressed_by,
            }
            for column, tag in named.items():
                other = points.get(tag)
                if tag and (other is None or other.datatype != "bool"):
                    self._say(self._tags[point.tag], f"`{point.tag}`: {column} `{tag}` is no bool point of this table")

    def _check(self, point: Point, line: int) -> None:
        if point.tag in self._tags:
            self._say(line, f"tag `{point.tag}` is used twice; line {self._tags[point.tag]} has it already")
        self._tags.setdefault(point.tag, line)
        if point.low > point.high:
            self._say(line, f"`{point.tag}`: low {point.low:g} is above high {point.high:g}")
        limits = [limit for _, limit in point.alarm_limits]
        if any(one >= other for one, other in pairwise(limits)):
            self._say(line, f"`{point.tag}`: its alarm limits do not rise: {', '.join(f'{n:g}' for n in limits)}")
        if point.scale <= 0:
            self._say(line, f"`{point.tag}`: scale must be positive, not {point.scale:g}")
            return
        bits = point.modbus_table in ("coil", "discrete")
        if bits != (point.datatype == "bool"):
            self._say(line, f"`{point.tag}`: datatype {point.datatype} cannot live in table {point.modbus_table}")
        if point.writable != (point.kind in ("setpoint", "command", "setting")):
            self._say(line, f"`{point.tag}`: a {point.kind} cannot live in table {point.modbus_table}")
        if point.datatype in _INTEGER_RANGE:
            least, most = _INTEGER_RANGE[point.datatype]
            if not least <= point.low / point.scale <= most or not least <= point.high / point.scale <= most:
                self._say(line, f"`{point.tag}`: the range does not fit {point.datatype} at scale {point.scale:g}")
        if point.modbus_address + point.width > 65536:
            self._say(line, f"`{point.tag}`: {point.width} registers from {point.modbus_address} end beyond 65535")
        for offset in range(point.width):
            cell = (point.modbus_unit, point.modbus_table, point.modbus_address + offset)
            if cell in self._cells:
                other, other_line = self._cells[cell]
                self._say(
                    line,
                    f"`{point.tag}` overlaps `{other}` (line {other_line}) at unit {cell[0]}, {cell[1]} {cell[2]}",
                )
            self._cells[cell] = (point.tag, line)

    def _choice(self, line: int, column: str, text: str, known: tuple[str, ...]) -> str:
        value = text.strip()
        if value not in known:
            self._say(line, f"{column} `{value}` is none of {', '.join(known)}")
        return value

    def _number(self, line: int, column: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            self._say(line, f"{column} `{text.strip()}` is not a number")
            return 0.0
        if not math.isfinite(value):
            self._say(line, f"{column} `{text.strip()}` is not a finite number")
            return 0.0
        return value

    def _integer(self, line: int, column: str, text: str, low: int, high: int) -> int:
        try:
            value = int(text)
        except ValueError:
            self._say(line, f"{column} `{text.strip()}` is not a whole number")
            return low
        if not low <= value <= high:
            self._say(line, f"{column} {value} is outside {low} to {high}")
        return value
