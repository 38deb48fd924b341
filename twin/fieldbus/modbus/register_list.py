"""The register map as people and other tools want it: CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from twin.core import Point
from twin.core.points import Table
from twin.fieldbus.modbus.registers import RegisterMap

_TITLES: Final[dict[Table, str]] = {
    "coil": "Coils (read by function 1, written by 5 and 15)",
    "discrete": "Discrete inputs (read by function 2)",
    "input": "Input registers (read by function 4)",
    "holding": "Holding registers (read by function 3, written by 6, 16, 22 and 23)",
}
# Where each table begins in the old numbering, which counts from 1 and which many tools still ask for.
_REFERENCES: Final[dict[Table, int]] = {"coil": 1, "discrete": 100_001, "input": 300_001, "holding": 400_001}
_COLUMNS: Final = (
    "unit", "table", "address", "reference", "registers", "tag", "description", "datatype", "word_order", "scale",
    "engineering_unit", "low", "high", "kind",
)  # fmt: skip


def register_csv(registers: RegisterMap) -> str:
    """One row per point, by unit, table and address.

    `address` counts from 0 as it travels; `reference` from 1, with the table's digit before it. A value is
    register x scale; a point of several registers says which comes first.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    rows.writerows(_row(point) for point in _in_order(registers))
    return text.getvalue()


def register_markdown(registers: RegisterMap) -> str:
    """A chapter per unit and table."""
    return "\n".join(
        "\n".join(_chapter(unit, table, tuple(points)))
        for (unit, table), points in groupby(_in_order(registers), key=lambda p: (p.modbus_unit, p.modbus_table))
    )


def _chapter(unit: int, table: Table, points: tuple[Point, ...]) -> Iterator[str]:
    yield f"## Unit {unit}: {_TITLES[table]}\n"
    yield "| address | tag | what it is | travels as | value | range |"
    yield "|---:|---|---|---|---|---|"
    for point in points:
        end = "" if point.width == 1 else f"–{point.modbus_address + point.width - 1}"
        order = ", low word first" if point.word_order == "low_first" else ""
        value = "as it is" if point.scale == 1 else f"× {point.scale:g}"
        span = f"{point.low:g} to {point.high:g} {point.unit}".rstrip()
        cells = (
            f"{point.modbus_address}{end}",
            f"`{point.tag}`",
            point.description,
            point.datatype + order,
            value,
            span,
        )
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _row(point: Point) -> tuple[object, ...]:
    return (
        point.modbus_unit,
        point.modbus_table,
        point.modbus_address,
        f"{_REFERENCES[point.modbus_table] + point.modbus_address:06}",
        point.width,
        point.tag,
        point.description,
        point.datatype,
        point.word_order if point.width > 1 else "",
        f"{point.scale:g}",
        point.unit,
        f"{point.low:.15g}",
        f"{point.high:.15g}",
        point.kind,
    )


def _in_order(registers: RegisterMap) -> list[Point]:
    return [point for block in registers.blocks for point in block.points]
