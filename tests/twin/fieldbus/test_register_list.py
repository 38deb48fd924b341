"""The register map as CSV and Markdown: every point, where it is and how it travels."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from twin.core import PointTable, find_plant
from twin.fieldbus import RegisterMap, register_csv, register_markdown
from twin.fieldbus.commands import add_commands

EVERY = PointTable.load(Path(__file__).parent / "every_datatype.csv")


def test_the_csv_has_a_row_for_every_point_in_order() -> None:
    rows = list(csv.DictReader(io.StringIO(register_csv(RegisterMap(EVERY)))))
    assert {row["tag"] for row in rows} == set(EVERY.by_tag)
    places = [(int(row["unit"]), row["table"], int(row["address"])) for row in rows]
    assert places == sorted(places)
    by_tag = {row["tag"]: row for row in rows}
    wide = by_tag["M.U64"]
    assert (wide["registers"], wide["word_order"], wide["datatype"]) == ("4", "low_first", "uint64")
    assert (wide["reference"], by_tag["RUN.START"]["reference"], by_tag["S.I16"]["reference"]) == (
        "300011",
        "000001",
        "400001",
    )
    assert (by_tag["M.I16"]["scale"], by_tag["M.I16"]["word_order"]) == ("0.1", "")
    assert float(wide["high"]) == EVERY["M.U64"].high


def test_the_markdown_has_a_chapter_per_unit_and_table() -> None:
    text = register_markdown(RegisterMap(EVERY.side("scada")))
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Unit 1: Coils (read by function 1, written by 5 and 15)",
        "## Unit 1: Discrete inputs (read by function 2)",
        "## Unit 1: Input registers (read by function 4)",
        "## Unit 2: Discrete inputs (read by function 2)",
        "## Unit 2: Holding registers (read by function 3, written by 6, 16, 22 and 23)",
    ]
    assert (
        "| 10–13 | `M.U64` | Four unsigned words with the low word first | uint64, low word first | as it is |" in text
    )
    assert "| 0 | `M.I16` | A signed word | int16 | × 0.1 | -40 to 150 degC |" in text
    assert "S.FIELD" not in text, "the plant's side alone has it"


@pytest.mark.parametrize("side", ["scada", "field"])
def test_the_command_prints_a_plant_s_map(side: str) -> None:
    app = typer.Typer()
    add_commands(app)
    done = CliRunner().invoke(app, ["substation", "--side", side, "--format", "csv"], catch_exceptions=False)
    assert done.stdout == register_csv(RegisterMap(find_plant("substation").points().side(side)))  # type: ignore[arg-type]
