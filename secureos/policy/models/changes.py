"""Changing a table so that the change can be taken back."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from secureos.policy.models.model import Undo

Key = TypeVar("Key")
Value = TypeVar("Value")


def put(undo: Undo, table: dict[Key, Value], key: Key, value: Value) -> None:
    """Enter or replace a row."""
    if key in table:
        undo.append(partial(table.__setitem__, key, table[key]))
    else:
        undo.append(partial(table.__delitem__, key))
    table[key] = value


def drop(undo: Undo, table: dict[Key, Value], key: Key) -> None:
    """Take out a row that is there."""
    undo.append(partial(table.__setitem__, key, table[key]))
    del table[key]
