"""How the value of one point becomes bits and registers, and back."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Final, Protocol

from twin.core import Point

Value = bool | int | float

_FLOAT32_MOST: Final = struct.unpack(">f", b"\x7f\x7f\xff\xff")[0]


class Codec(Protocol):
    """Encodes and decodes one point."""

    def encode(self, value: Value) -> list[int]:
        """The cells (bits as 0 or 1, registers 0 to 65535) that carry `value`, clamped to what the datatype holds."""
        ...

    def decode(self, cells: Sequence[int]) -> Value:
        """The value that the cells carry, in engineering units."""
        ...

    def admits(self, cells: Sequence[int]) -> bool:
        """Whether the value carried lies within the point's low and high."""
        ...


class BoolCodec:
    """A coil or a discrete input."""

    def __init__(self, point: Point) -> None:
        self._low, self._high = point.low, point.high

    def encode(self, value: Value) -> list[int]:
        """One bit."""
        return [1 if value else 0]

    def decode(self, cells: Sequence[int]) -> bool:
        """True for any bit that is set."""
        return bool(cells[0])

    def admits(self, cells: Sequence[int]) -> bool:
        """A point that may only ever be 1 (a pulse) has low 1."""
        return self._low <= bool(cells[0]) <= self._high


class IntegerCodec:
    """A scaled whole number in one register, or in two or four.

    The range is compared in counts, because engineering units do not always survive binary fractions: three counts
    of 0.1 are above a high of 0.3. For the same reason a scale of one over a whole number is applied by division.
    """

    def __init__(self, point: Point) -> None:
        bits = 16 * point.width
        signed = point.datatype.startswith("int")
        self._tag = point.tag
        self._is_narrow = point.width == 1
        # How far the bits of each register are shifted, register by register.
        self._shifts = tuple(_in_order(point, range(bits - 16, -1, -16)))
        self._most: int = 2 ** (bits - signed) - 1
        self._least: int = -(2 ** (bits - 1)) if signed else 0
        self._modulus: int = 2**bits
        self._scale = point.scale
        per_unit = round(1 / point.scale)
        self._per_unit = per_unit if per_unit and abs(per_unit * point.scale - 1) < 1e-12 else 0
        self._low, self._high = self._counts(point.low), self._counts(point.high)

    def encode(self, value: Value) -> list[int]:
        """Value / scale, rounded to the nearest count and clamped; a NaN cannot travel and raises `ValueError`."""
        counts = self._counts(value)
        return [(counts >> shift) & 0xFFFF for shift in self._shifts]

    def decode(self, cells: Sequence[int]) -> int | float:
        """A whole number when the scale is 1, else a float."""
        counts = self._signed(cells)
        if self._per_unit == 1:
            return counts
        return counts / self._per_unit if self._per_unit else counts * self._scale

    def admits(self, cells: Sequence[int]) -> bool:
        """Compared in counts."""
        return self._low <= self._signed(cells) <= self._high

    def _signed(self, cells: Sequence[int]) -> int:
        if self._is_narrow:
            counts = cells[0]
        else:
            counts = sum(cell << shift for cell, shift in zip(cells, self._shifts, strict=False))
        return counts - self._modulus if counts > self._most else counts

    def _counts(self, value: Value) -> int:
        counts: float = value * self._per_unit if self._per_unit else value / self._scale
        if math.isnan(counts):
            raise ValueError(
                f"`{self._tag}` is a whole number on the wire and cannot carry nan; send the last good value"
            )
        return round(min(max(counts, self._least), self._most))


class FloatCodec:
    """An IEEE 754 single in two registers, or a double in four."""

    def __init__(self, point: Point) -> None:
        self._value = ">f" if point.width == 2 else ">d"
        self._words = f">{point.width}H"
        self._width = point.width
        self._order = slice(None, None, 1 if point.word_order == "high_first" else -1)
        # The bounds are rounded as the value is, else a point could not be set to its own high.
        self._low, self._high = (self.decode(self.encode(bound)) for bound in (point.low, point.high))

    def encode(self, value: Value) -> list[int]:
        """The nearest float; finite values beyond the largest single are clamped to it."""
        try:
            packed = struct.pack(self._value, value)
        except OverflowError:
            packed = struct.pack(self._value, math.copysign(_FLOAT32_MOST, value))
        return list(struct.unpack(self._words, packed)[self._order])

    def decode(self, cells: Sequence[int]) -> float:
        """The float as a double, exactly."""
        words = cells[: self._width]
        value: float = struct.unpack(self._value, struct.pack(self._words, *words[self._order]))[0]
        return value

    def admits(self, cells: Sequence[int]) -> bool:
        """Neither NaN nor infinity lies within any range."""
        return self._low <= self.decode(cells) <= self._high


def _in_order(point: Point, highest_first: Sequence[int]) -> Sequence[int]:
    return highest_first if point.word_order == "high_first" else highest_first[::-1]


def codec_for(point: Point) -> Codec:
    """The codec of a point, by its datatype."""
    if point.datatype == "bool":
        return BoolCodec(point)
    return FloatCodec(point) if point.datatype.startswith("float") else IntegerCodec(point)
