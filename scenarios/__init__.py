"""What happens to a twin, and how it is judged."""

from scenarios.catalogue import CatalogueEntry, ScenarioNotFound, find_scenario, list_scenarios
from scenarios.compare import compare
from scenarios.player import Run, RunSettings, play
from scenarios.schema import Scenario, ScenarioError, load_scenario

__all__ = [
    "CatalogueEntry",
    "Run",
    "RunSettings",
    "Scenario",
    "ScenarioError",
    "ScenarioNotFound",
    "compare",
    "find_scenario",
    "list_scenarios",
    "load_scenario",
    "play",
]
