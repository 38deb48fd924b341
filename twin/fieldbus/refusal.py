"""Why a station says no, in words that every protocol has a code of its own for."""

from __future__ import annotations

from typing import Literal

from twin.fieldbus.errors import FieldbusError

ReasonKind = Literal[
    "not_allowed",
    "unknown",
    "not_readable",
    "not_writable",
    "wrong_type",
    "out_of_range",
    "wrong_state",
    "busy",
    "unreachable",
    "failed",
]


class Refusal(FieldbusError):
    """The wire worked, and the answer was no.

    Attributes:
        reason_kind: What the native code is made of: `not_allowed` (this caller may not), `unknown` (there is no such
            thing), `not_readable`, `not_writable`, `wrong_type`, `out_of_range`, `wrong_state` (not now), `busy`,
            `unreachable` (nothing behind the station answers) or `failed`.
        reason: A sentence for people; it does not travel.
    """

    def __init__(self, reason_kind: ReasonKind, reason: str = "") -> None:
        self.reason_kind = reason_kind
        self.reason = reason
        super().__init__(f"refused ({reason_kind.replace('_', ' ')}){': ' if reason else ''}{reason}")
