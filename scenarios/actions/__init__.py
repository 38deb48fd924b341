"""What actors can do: one file per kind of action, found by itself.

An action kind is a pydantic model named `Step` with a literal `kind`. Its `acts` lays the step out in time, and
its `perform` carries one act out. A new kind is one new file here.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import reduce
from operator import or_
from typing import Annotated, Any

from pydantic import Field

from scenarios.actions.step import Act, Stage, StepBase

__all__ = ["KINDS", "Act", "AnyStep", "Stage", "StepBase"]

KINDS: dict[str, type[StepBase]] = {}
for _module in pkgutil.iter_modules(__path__):
    if _module.name != "step":
        _step = importlib.import_module(f"{__name__}.{_module.name}").Step
        KINDS[_step.model_fields["kind"].default] = _step

AnyStep: Any = (
    Annotated[reduce(or_, KINDS.values()), Field(discriminator="kind")]
    if len(KINDS) > 1
    else next(iter(KINDS.values()))
)
