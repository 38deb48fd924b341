"""Which rules answer always the same."""

from __future__ import annotations

from typing import Literal

from secureos.policy import syntax as psl

Constant = Literal["grant", "deny"]


def constant_answer(item: psl.Call | psl.Choice) -> Constant | None:
    """What a rule answers whatever the event: `grant ()`, `deny (true)`, `assert (false)` …; None if it depends.

    Only what stands in the rule itself is looked at: `assert (1 == 1)` depends, as far as this goes.
    """
    if isinstance(item, psl.Choice) or not isinstance(item.argument, psl.Constant):
        return None
    value = item.argument.value
    match item.path.names[-1] if len(item.path.names) == 1 or item.path.names[0] == "base" else "":
        case "grant" if value is None:
            return "grant"
        case "assert" if isinstance(value, bool):
            return "grant" if value else "deny"
        case "deny" if value is None or isinstance(value, bool):
            return "grant" if value is False else "deny"
    return None
