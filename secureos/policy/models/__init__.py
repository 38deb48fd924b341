"""The security models, one file each: a new model is a new file here, and nothing else."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from secureos.policy.models.base import Base
from secureos.policy.models.budget import Budget
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.flow import Flow
from secureos.policy.models.model import Incorrect, Model, Operation, Undo
from secureos.policy.models.point_set import PointSet


def _models() -> Iterator[tuple[str, type[Model]]]:
    """Every model that a module of this folder defines, in the order of the file names."""
    names = sorted(found.name for found in iter_modules(__path__) if not found.name.startswith("_"))
    for module in (import_module(f"{__name__}.{name}") for name in names):
        for each in vars(module).values():
            own = isinstance(each, type) and issubclass(each, Model) and each.__module__ == module.__name__
            if own and "kind" in vars(each):
                yield each.kind, each


MODELS: Final[dict[str, type[Model]]] = dict(_models())
"""Every model by the name that a policy gives it."""

__all__ = [
    "MODELS",
    "Base",
    "Budget",
    "Configuration",
    "Flow",
    "Incorrect",
    "Model",
    "Operation",
    "PointSet",
    "Undo",
]
