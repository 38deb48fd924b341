"""How a naive model says no, and two things that all of them need."""

from __future__ import annotations


class Denied(Exception):
    """A rule denies; on its way out it gathers what the rules in a choice have said."""

    def __init__(self, said=()):
        super().__init__()
        self.said = list(said)


class Incorrect(Exception):
    """An expression has no value."""


def need(truth: object) -> None:
    if not truth:
        raise Denied


def without(table, key):
    return {name: value for name, value in table.items() if name != key}


def look(table, key):
    if key not in table:
        raise Incorrect
    return table[key]
