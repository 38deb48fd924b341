"""What a page may ask of the session. Run control only: no order reaches the plant."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

Verb = Literal["run", "freeze", "step", "speed", "restart", "attack"]

SPEEDS: Final = (0.5, 1.0, 2.0, 4.0, 10.0, 20.0)
"""What the page offers (simulated seconds per wall second)."""

MAX_ORDER_BYTES: Final = 1024


class OrderError(Exception):
    """A page sent something that is no order."""


@dataclass(frozen=True)
class Order:
    """One order of the run bar; `speed` (simulated s per wall s) goes with the verb `speed` alone."""

    verb: Verb
    speed: float | None = None


def parse_order(text: str) -> Order:
    """The order that a page sent as JSON: `{"verb": "freeze"}`, `{"verb": "speed", "speed": 4}`.

    Raises:
        OrderError: It is no JSON object, the verb is unknown, or the speed is none of `SPEEDS`.
    """
    try:
        sent = json.loads(text[:MAX_ORDER_BYTES])
    except (ValueError, RecursionError) as failure:
        raise OrderError("an order is a JSON object, such as {`verb`: `freeze`}") from failure
    if not isinstance(sent, dict):
        raise OrderError("an order is a JSON object, such as {`verb`: `freeze`}")
    verb, speed = sent.get("verb"), sent.get("speed")
    if verb not in get_args(Verb):
        raise OrderError(f"`{str(verb)[:40]}` is no order; the orders are {', '.join(get_args(Verb))}")
    if verb != "speed":
        return Order(cast("Verb", verb))
    if isinstance(speed, bool) or speed not in SPEEDS:
        raise OrderError(f"speed `{str(speed)[:40]}` is none of {', '.join(f'{one:g}' for one in SPEEDS)}")
    return Order("speed", float(cast("float", speed)))
