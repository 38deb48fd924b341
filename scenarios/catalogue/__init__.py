"""All scenarios that ship with the product: one folder each, `<plant>/<name>/scenario.yaml`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from scenarios.schema import Scenario, load_scenario

ROOT = Path(__file__).parent


class ScenarioNotFound(Exception):
    """There is no such scenario; the message names near ones."""


@dataclass(frozen=True)
class CatalogueEntry:
    """A scenario and the folder it stands in."""

    scenario: Scenario
    folder: Path


def list_scenarios() -> list[CatalogueEntry]:
    """Every scenario of the catalogue, by id.

    Raises:
        ScenarioError: One of the files is wrong.
    """
    paths = sorted(ROOT.glob("*/*/scenario.yaml"))
    return [CatalogueEntry(load_scenario(path), path.parent) for path in paths]


def find_scenario(name: str) -> CatalogueEntry:
    """The scenario with the id `name`, or the one in the file `name`.

    Raises:
        ScenarioNotFound: There is none.
        ScenarioError: The file is wrong.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise ScenarioNotFound(f"there is no file `{name}`")
        return CatalogueEntry(load_scenario(path), path.parent)
    known = {f"{path.parent.parent.name}/{path.parent.name}": path for path in ROOT.glob("*/*/scenario.yaml")}
    if name in known:
        return CatalogueEntry(load_scenario(known[name]), known[name].parent)
    near = _near(name, list(known))
    hint = f"did you mean `{'` or `'.join(near)}`?" if near else "`holdfast list` shows them all"
    raise ScenarioNotFound(f"there is no scenario `{name}`; {hint}")


def _near(name: str, known: list[str]) -> list[str]:
    """Near ids; the part after the slash counts too, since people leave the plant away."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    tails = {one.partition("/")[2]: one for one in known}
    close += [tails[tail] for tail in difflib.get_close_matches(name, list(tails), n=3, cutoff=0.5)]
    return list(dict.fromkeys(close))
