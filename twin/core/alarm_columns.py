"""The columns of `points.csv` that say what an alarm is, beside its limits: the plant's master alarm database.

Every alarm asks an operator for a response (ISA-18.2-2016, clause 3.1), so why it comes, what follows if nobody acts
and what is to be done stand in the same row as the point that raises it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args

Priority = Literal["low", "medium", "high", "urgent"]

ALARM_COLUMNS: Final = (
    "alarm_when",
    "alarm_priority",
    "alarm_outer_priority",
    "alarm_deadband",
    "alarm_on_delay_s",
    "alarm_off_delay_s",
    "alarm_latched",
    "alarm_group",
    "alarm_suppressed_by",
    "alarm_cause",
    "alarm_consequence",
    "alarm_response",
    "alarm_respond_within_s",
)
_LIMITS: Final = ("alarm_lolo", "alarm_lo", "alarm_hi", "alarm_hihi")


def read_alarm_columns(row: Mapping[str, str], datatype: str, say: Callable[[str], None]) -> dict[str, Any]:
    """The alarm columns of one row as attributes of its point; what is left out or empty takes its default.

    Args:
        row: The cells of the row, by column.
        datatype: Of the row's point.
        say: Is told each mistake.
    """
    cell = {name: (row.get(name) or "").strip() for name in (*_LIMITS, *ALARM_COLUMNS)}
    is_bool = datatype == "bool"
    if cell["alarm_when"] and not is_bool:
        say(f"alarm_when is for bool points; a {datatype} has alarm_lolo, alarm_lo, alarm_hi, alarm_hihi")
    if is_bool and any(cell[name] for name in _LIMITS):
        say("a bool point has no alarm limits; alarm_when says which of its values is the alarm")
    read: dict[str, Any] = {
        name: cell[name]
        for name in ("alarm_group", "alarm_suppressed_by", "alarm_cause", "alarm_consequence", "alarm_response")
    }
    for name in ("alarm_deadband", "alarm_on_delay_s", "alarm_off_delay_s", "alarm_respond_within_s"):
        if cell[name]:
            read[name] = _amount(name, cell[name], say)
    for name in ("alarm_when", "alarm_latched"):
        if cell[name]:
            read[name] = _switch(name, cell[name], say)
    for name in ("alarm_priority", "alarm_outer_priority"):
        if cell[name]:
            read[name] = _priority(name, cell[name], say)
    return read


def _switch(column: str, text: str, say: Callable[[str], None]) -> bool:
    if text not in ("0", "1"):
        say(f"{column} `{text}` is neither 0 nor 1")
    return text == "1"


def _priority(column: str, text: str, say: Callable[[str], None]) -> str:
    if text not in get_args(Priority):
        say(f"{column} `{text}` is none of {', '.join(get_args(Priority))}")
    return text


def _amount(column: str, text: str, say: Callable[[str], None]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        say(f"{column} `{text}` is not a number of 0 or more")
    return value
