"""The values of points as OPC UA carries them, and what a client's value must be to become one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from asyncua import ua

from twin.core import Point
from twin.fieldbus.modbus.codec import Value
from twin.fieldbus.reading import Quality, Reading
from twin.fieldbus.refusal import Refusal

_OF_DATATYPE: Final[dict[str, ua.VariantType]] = {
    "bool": ua.VariantType.Boolean,
    "int16": ua.VariantType.Int16,
    "uint16": ua.VariantType.UInt16,
    "int32": ua.VariantType.Int32,
    "uint32": ua.VariantType.UInt32,
    "int64": ua.VariantType.Int64,
    "uint64": ua.VariantType.UInt64,
    "float32": ua.VariantType.Float,
    "float64": ua.VariantType.Double,
    "string": ua.VariantType.String,
}
_WHOLE: Final = frozenset(
    {
        ua.VariantType.Int16,
        ua.VariantType.UInt16,
        ua.VariantType.Int32,
        ua.VariantType.UInt32,
        ua.VariantType.Int64,
        ua.VariantType.UInt64,
    }
)
_REAL: Final = frozenset({ua.VariantType.Float, ua.VariantType.Double})
_STATUS: Final[dict[Quality, int]] = {
    "good": ua.StatusCodes.Good,
    "uncertain": ua.StatusCodes.UncertainLastUsableValue,
    "bad": ua.StatusCodes.BadNoCommunication,
}


def variant_type(point: Point) -> ua.VariantType:
    """How a point's value travels: as its datatype, or as Double where counts are scaled to engineering units."""
    native = _OF_DATATYPE[point.datatype]
    return ua.VariantType.Double if native in _WHOLE and point.scale != 1 else native


@dataclass(frozen=True)
class ValueType:
    """The type and the bounds of one point's value."""

    point: Point
    type: ua.VariantType

    @classmethod
    def of(cls, point: Point) -> ValueType:
        """That of a point."""
        return cls(point, variant_type(point))

    def carry(self, value: Value) -> ua.Variant:
        """A value as it travels."""
        if self.type in _WHOLE:
            return ua.Variant(round(float(value)) if isinstance(value, float) else int(value), self.type)
        if self.type in _REAL:
            return ua.Variant(float(value), self.type)
        return ua.Variant(bool(value) if self.type is ua.VariantType.Boolean else value, self.type)

    def admit(self, variant: ua.Variant | None) -> Value:
        """The value that a client sent.

        Raises:
            Refusal: It is of another type (Bad_TypeMismatch), or outside the point's range (Bad_OutOfRange).
        """
        if variant is None or variant.VariantType is not self.type or variant.is_array:
            sent = "nothing" if variant is None else f"{variant.VariantType.name}{' array' if variant.is_array else ''}"
            raise Refusal("wrong_type", f"`{self.point.tag}` is {self.type.name}, not {sent}")
        value = variant.Value
        if not isinstance(value, bool | int | float):
            raise Refusal("wrong_type", f"`{self.point.tag}` is {self.type.name}, and no value was sent")
        if not (math.isfinite(value) and self.point.low <= value <= self.point.high):
            bounds = f"{self.point.low:g} to {self.point.high:g} {self.point.unit}".rstrip()
            raise Refusal("out_of_range", f"`{self.point.tag}` cannot be {value:g}; it is within {bounds}")
        return value

    def initial(self) -> ua.Variant:
        """What stands in the address space before anything is known."""
        return ua.Variant("" if self.type is ua.VariantType.String else self.carry(0).Value, self.type)


def status_of(reading: Reading) -> ua.StatusCode:
    """The status that a reading's quality is told by (part 8, clause 6.3.2)."""
    return ua.StatusCode(_STATUS[reading.quality])
