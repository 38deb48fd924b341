"""Text of unknown origin, made fit for a terminal and for a line of a log."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with everything that does not print (control characters, lone surrogates) as an escape."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
