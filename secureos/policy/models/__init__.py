"""The security models, one file each. A new model is a new file and one line here."""

from typing import Final

from secureos.policy.models.base import Base
from secureos.policy.models.budget import Budget
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.flow import Flow
from secureos.policy.models.model import Model, Operation, Undo
from secureos.policy.models.point_set import PointSet

MODELS: Final[dict[str, type[Model]]] = {model.kind: model for model in (Base, Budget, Flow, PointSet)}
"""Every model by the name that a policy gives it."""

LATER_MODELS: Final = frozenset({"Pred", "Bool", "Math", "Struct", "Regex", "HashSet", "StaticMap", "Mic"})
"""Models of the language that are not built yet; naming one is told as such, not as a slip."""

LATER_OBJECTS: Final = frozenset({"pred", "bool", "math", "struct"})
"""Objects that the language makes by itself and that are not built yet."""

__all__ = [
    "LATER_MODELS",
    "LATER_OBJECTS",
    "MODELS",
    "Base",
    "Budget",
    "Configuration",
    "Flow",
    "Model",
    "Operation",
    "PointSet",
    "Undo",
]
