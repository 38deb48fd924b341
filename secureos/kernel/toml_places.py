"""Reading TOML with the place of each table and key, so that a mistake can be pointed at."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from secureos.xdl.source import Diagnostic, PolicyError, Source, Span

MAX_BYTES: Final = 256 << 10

TomlPath = tuple[str | int, ...]
"""Names of tables and keys, and positions in arrays of tables, from the outside in."""

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_-]+)(\s*\.[^=]*)?\s*=")
_AT: Final = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")


class Places:
    """Where tables and keys stand in a text that is TOML."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._spans: dict[TomlPath, Span] = {}
        self._counts: dict[str, int] = {}
        table: TomlPath = ()
        for number, line in enumerate(source.lines, start=1):
            if header := _HEADER.match(line):
                table = self._table(header)
                self._note(table, number, header.start(1), len(header[0]))
            elif key := _KEY.match(line):
                self._note((*table, key[1]), number, key.start(1), key.end(1))

    def find(self, path: TomlPath) -> Span:
        """The place of a table or key, or of the nearest around it that has a line of its own."""
        while path and path not in self._spans:
            path = path[:-1]
        return self._spans.get(path) or self._source.span()

    def _table(self, header: re.Match[str]) -> TomlPath:
        first, *inner = (part.strip().strip("\"'") for part in header[2].split("."))
        if header[1] == "[[" and not inner:
            self._counts[first] = self._counts.get(first, -1) + 1
        return (first, *((self._counts[first],) if first in self._counts else ()), *inner)

    def _note(self, path: TomlPath, line: int, start: int, end: int) -> None:
        self._spans.setdefault(path, self._source.span(line, start + 1, end_column=end + 1))


def read_toml(source: Source) -> tuple[Mapping[str, Any], Places]:
    """What a text says, and where.

    Raises:
        PolicyError: It is too long, or no TOML.
    """
    if len(source.text) > MAX_BYTES:
        raise PolicyError([Diagnostic(source.span(), f"has more than {MAX_BYTES} characters")])
    try:
        return tomllib.loads(source.text), Places(source)
    except (ValueError, RecursionError) as failure:
        raise PolicyError([_no_toml(source, str(failure))]) from None


def _no_toml(source: Source, why: str) -> Diagnostic:
    at = _AT.search(why)
    plain = why[: at.start()] if at else why
    span = source.span(int(at[1]), int(at[2])) if at and at[1] else source.span(len(source.lines))
    return Diagnostic(span, f"is not TOML: {plain[:1].lower()}{plain[1:]}")
