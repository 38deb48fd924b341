"""The command `registers`: a plant's register map, for whoever configures a client."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from twin.core import find_plant
from twin.fieldbus.modbus.register_list import register_csv, register_markdown
from twin.fieldbus.modbus.registers import RegisterMap


class _Side(StrEnum):
    SCADA = "scada"
    FIELD = "field"


class _Format(StrEnum):
    MARKDOWN = "markdown"
    CSV = "csv"


def add_commands(app: typer.Typer) -> None:
    """Enter the command into the root command line."""
    app.command("registers")(_registers)


def _registers(
    plant: Annotated[str, typer.Argument(help="Name of the plant.")],
    side: Annotated[_Side, typer.Option(help="Which side of the controller.")] = _Side.SCADA,
    layout: Annotated[_Format, typer.Option("--format", help="For people, or for tools.")] = _Format.MARKDOWN,
) -> None:
    """Print what stands at which Modbus address."""
    registers = RegisterMap(find_plant(plant).points().side(side.value))
    written = register_csv(registers) if layout is _Format.CSV else register_markdown(registers)
    typer.echo(written, nl=False)
