"""The historian: every reading of every tag, the newest in memory, older ones in columnar files.

Each tag has a ring of its newest rows. When a ring is full of rows that are in no file yet, the new rows of all
tags go into one Parquet file together, one row group per tag, so that a query opens the files of its time range and
reads the rows of its tag. Memory is the rings, whatever the plant runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from twin.fieldbus import Quality, Reading

QUALITIES: Final[tuple[Quality, ...]] = ("good", "uncertain", "bad")
RING: Final = 4096
_SCHEMA: Final = pa.schema(
    [("tag", pa.string()), ("at_ns", pa.int64()), ("value", pa.float64()), ("quality", pa.uint8())]
)
# Instants come at even steps and values barely move, so these take a tenth of the room.
_ENCODING: Final = {
    "compression": "zstd",
    "use_dictionary": ["tag", "value"],
    "column_encoding": {"at_ns": "DELTA_BINARY_PACKED"},
}


@dataclass(frozen=True)
class Series:
    """Rows of one tag, oldest first; three arrays of one length.

    Attributes:
        at_ns: Instants, in simulated nanoseconds (int64).
        value: In the engineering unit of the point (float64; a bool is 0 or 1, a whole number is exact up to 2^53).
        quality: Index into `QUALITIES` (uint8).
    """

    at_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.at_ns)

    def between(self, start_ns: int, end_ns: int) -> Series:
        """The rows from `start_ns` on and before `end_ns`."""
        chosen = (self.at_ns >= start_ns) & (self.at_ns < end_ns)
        return Series(self.at_ns[chosen], self.value[chosen], self.quality[chosen])


class Ring:
    """The newest rows of one tag, in arrays that never grow.

    Attributes:
        count: How many rows ever came.
        spilled: How many of them are in files, or need not be.
        last: The newest row: instant, value, quality.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.count = 0
        self.spilled = 0
        self.last: tuple[int, float, int] | None = None
        self._at_ns = np.zeros(size, dtype=np.int64)
        self._value = np.zeros(size, dtype=np.float64)
        self._quality = np.zeros(size, dtype=np.uint8)

    @property
    def is_full(self) -> bool:
        """Whether one more row would push out a row that is in no file."""
        return self.count - self.spilled == self.size

    def add(self, at_ns: int, value: float, quality: int) -> None:
        """Write one row over the oldest."""
        place = self.count % self.size
        self._at_ns[place], self._value[place], self._quality[place] = at_ns, value, quality
        self.count += 1
        self.last = (at_ns, value, quality)

    def rows(self, since: int = 0) -> Series:
        """The rows that are still here, but for the first `since` of all that ever came; oldest first."""
        first = max(since, self.count - self.size, 0)
        place = np.arange(first, self.count) % self.size
        return Series(self._at_ns[place], self._value[place], self._quality[place])


@dataclass(frozen=True)
class _File:
    """A file with one row group per tag."""

    path: Path
    tags: tuple[str, ...]
    first_ns: int
    last_ns: int

    def read(self, tag: str) -> Series:
        """All rows of a tag."""
        with pq.ParquetFile(self.path) as file:
            table = file.read_row_group(self.tags.index(tag), columns=["at_ns", "value", "quality"])
        return Series(*(table.column(name).to_numpy() for name in ("at_ns", "value", "quality")))


class Historian:
    """Keeps readings by tag. Text is not kept.

    Args:
        folder: Where files go; without one, only the rings remember.
        ring: Rows per tag in memory.
        deadband: By tag: a value that differs from the last one kept by no more than this is left out, so that a
            value held from row to row is never further off than that. A tag without one keeps every reading.
        most_files: How many files stay; the oldest goes when one more comes. None keeps all.

    Attributes:
        files_dropped: How many files are gone.

    Raises:
        OSError: The folder cannot be made; later, a file cannot be written.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        ring: int = RING,
        deadband: Mapping[str, float] | None = None,
        most_files: int | None = None,
    ) -> None:
        if ring < 1:
            raise ValueError(f"a ring holds at least one row, not {ring}")
        self._folder = folder
        self._ring = ring
        self._deadband = dict(deadband or {})
        self._most_files = most_files
        self._rings: dict[str, Ring] = {}
        self._files: deque[_File] = deque()
        self._next_file = 1
        self.files_dropped = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def tags(self) -> list[str]:
        """Every tag that was ever heard of, sorted."""
        return sorted(self._rings)

    def add(self, readings: Mapping[str, Reading]) -> None:
        """Keep readings, by tag; one that is not newer than the last of its tag is left out."""
        for tag, reading in readings.items():
            if isinstance(reading.value, int | float):
                self._add(tag, reading.at_ns, float(reading.value), QUALITIES.index(reading.quality))

    def query(self, tag: str, start_ns: int, end_ns: int) -> Series:
        """The rows of a tag from `start_ns` on and before `end_ns`, oldest first.

        Raises:
            KeyError: Nothing was ever heard of the tag.
        """
        ring = self._rings[tag]
        inside = ring.rows()
        begins_ns = int(inside.at_ns[0])
        before_ns = min(end_ns, begins_ns)
        parts = [
            file.read(tag).between(start_ns, before_ns)
            for file in self._files
            if tag in file.tags and file.first_ns < before_ns and file.last_ns >= start_ns
        ]
        parts.append(inside.between(start_ns, end_ns))
        return Series(
            np.concatenate([part.at_ns for part in parts]),
            np.concatenate([part.value for part in parts]),
            np.concatenate([part.quality for part in parts]),
        )

    def flush(self) -> None:
        """Write every row that is in no file yet; without a folder, forget that there is anything to write."""
        fresh = {tag: ring.rows(ring.spilled) for tag, ring in sorted(self._rings.items())}
        for ring in self._rings.values():
            ring.spilled = ring.count
        rows = {tag: series for tag, series in fresh.items() if len(series)}
        if self._folder is not None and rows:
            self._write(self._folder, rows)

    def _add(self, tag: str, at_ns: int, value: float, quality: int) -> None:
        ring = self._rings.get(tag)
        if ring is None:
            ring = self._rings[tag] = Ring(self._ring)
        last = ring.last
        if last is not None and (at_ns <= last[0] or self._is_same(tag, last, value, quality)):
            return
        if ring.is_full:
            self.flush()
        ring.add(at_ns, value, quality)

    def _is_same(self, tag: str, last: tuple[int, float, int], value: float, quality: int) -> bool:
        band = self._deadband.get(tag)
        return band is not None and quality == last[2] and abs(value - last[1]) <= band

    def _write(self, folder: Path, rows: Mapping[str, Series]) -> None:
        path = folder / f"history-{self._next_file:06d}.parquet"
        unfinished = path.with_suffix(".unfinished")
        with pq.ParquetWriter(unfinished, _SCHEMA, **_ENCODING) as file:
            for tag, series in rows.items():
                columns = {"tag": np.full(len(series), tag), **vars(series)}
                file.write_table(pa.table(columns, schema=_SCHEMA))
        unfinished.replace(path)
        self._next_file += 1
        first_ns = min(int(series.at_ns[0]) for series in rows.values())
        last_ns = max(int(series.at_ns[-1]) for series in rows.values())
        self._files.append(_File(path, tuple(rows), first_ns, last_ns))
        if self._most_files is not None and len(self._files) > self._most_files:
            self._files.popleft().path.unlink(missing_ok=True)
            self.files_dropped += 1
