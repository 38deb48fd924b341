"""The command `network`: a plant's zones and conduits, drawn."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from secureos.kernel import Image, load_image
from twin.controller import INTERFACES
from twin.core import find_plant, plant_names
from twin.core.zones import Network, NetworkError, TaskChannel, Wiring, load_network, network_file
from twin.core.zones_svg import as_svg
from twin.core.zones_text import as_mermaid, as_text

SCHEMA: Final = 1

_INVALID: Final = 3
_ENVIRONMENT: Final = 6


class Form(StrEnum):
    """How a network is told."""

    text = "text"
    svg = "svg"
    mermaid = "mermaid"


_TELL: Final[dict[Form, Callable[[Network], str]]] = {Form.text: as_text, Form.svg: as_svg, Form.mermaid: as_mermaid}


def add_commands(root: typer.Typer) -> None:
    """Add `network` to the command line's root."""
    root.command("network")(network_command)


def network_command(
    plant: Annotated[str, typer.Argument(metavar="PLANT", autocompletion=plant_names)],
    *,
    form: Annotated[
        Form | None, typer.Option("--format", help="How it is told.", show_default="by the file's ending, else text")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write it to this file.", dir_okay=False)] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show a plant's zones and conduits, who holds a channel to whom, and where attackers may sit.

    Example: holdfast network substation --out network.svg
    """
    kind = find_plant(plant)
    wiring = wiring_of(load_image(kind.image, include=(INTERFACES,)))
    try:
        network = load_network(network_file(kind.image), wiring)
    except NetworkError as failure:
        print(failure, file=sys.stderr)
        raise typer.Exit(_INVALID) from failure
    told = json.dumps(as_json(plant, network), indent=2) + "\n" if json_ else _TELL[form or _form_of(out)](network)
    if out is None:
        print(told, end="")
        return
    try:
        out.write_text(told, encoding="utf-8")
    except OSError as failure:
        print(f"cannot write `{out}`: {failure.strerror}; choose another file with `--out`", file=sys.stderr)
        raise typer.Exit(_ENVIRONMENT) from failure


def wiring_of(image: Image) -> Wiring:
    """The tasks of an image, and who holds a channel to whom."""
    channels = [
        TaskChannel(spec.task, connection.target, connection.id)
        for spec in image.tasks
        for connection in spec.connections
    ]
    return Wiring(tuple(spec.task for spec in image.tasks), tuple(channels))


def as_json(plant: str, network: Network) -> dict[str, Any]:
    """The network as plain values (`schema: 1`)."""
    return {
        "schema": SCHEMA,
        "plant": plant,
        "title": network.title,
        "zones": [zone.model_dump(mode="json") for zone in network.zones],
        "hosts": [host.model_dump(mode="json") for host in network.hosts],
        "tasks": list(network.wiring.tasks),
        "task_channels": [{"source": c.source, "target": c.target, "name": c.name} for c in network.wiring.channels],
        "conduits": [
            {**conduit.model_dump(mode="json"), "joins": list(network.joined(conduit))} for conduit in network.conduits
        ],
        "attackers": [attacker.model_dump(mode="json") for attacker in network.attackers],
    }


def _form_of(out: Path | None) -> Form:
    endings = {".svg": Form.svg, ".mmd": Form.mermaid, ".mermaid": Form.mermaid}
    return endings.get(out.suffix.lower(), Form.text) if out is not None else Form.text
