"""Text with places in it: sources, spans, and the errors that point at them."""

from __future__ import annotations

import difflib
import hashlib
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 4 << 20
"""No description and no policy is longer than 4 MiB; what is longer is refused unread."""

_SHOWN: Final = 160


@dataclass(frozen=True)
class Source:
    """One text as it was read.

    Attributes:
        name: Stable short name, independent of the machine; it goes into verdicts (`security.psl`).
        path: Where a person finds the file; it goes into error messages.
        text: The text with single newlines as line ends and without byte order mark.
        sha256: Hex digest of the bytes as they were read.
    """

    name: str
    path: str
    text: str
    sha256: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The text line by line."""
        return tuple(self.text.split("\n"))

    @cached_property
    def line_starts(self) -> Sequence[int]:
        """Where each line begins, counted in characters from 0."""
        return array("L", [0, *(match.end() for match in re.finditer("\n", self.text))])

    def line(self, number: int) -> str:
        """The text of one line (from 1), or an empty text where there is none."""
        if not 1 <= number <= len(self.line_starts):
            return ""
        start = self.line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]

    def span(self, line: int = 1, column: int = 1, *, end_line: int = 0, end_column: int = 0) -> Span:
        """A piece of this source; without an end it is one character long."""
        return Span(self, line, column, end_line or line, end_column or column + 1)

    def between(self, start: int, end: int) -> Span:
        """The piece from one character up to another, counted from 0."""
        line, end_line = bisect_right(self.line_starts, start), bisect_right(self.line_starts, end)
        starts = self.line_starts
        return Span(self, line, start - starts[line - 1] + 1, end_line, end - starts[end_line - 1] + 1)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a source: lines and columns from 1, the end column is the one behind the last character."""

    source: Source
    line: int
    column: int
    end_line: int
    end_column: int

    @property
    def text(self) -> str:
        """What stands there."""
        lines = [self.source.line(number) for number in range(self.line, self.end_line + 1)]
        lines[-1] = lines[-1][: self.end_column - 1]
        lines[0] = lines[0][self.column - 1 :]
        return "\n".join(lines)

    @property
    def place(self) -> str:
        """File name and line, e.g. `security.psl:41`."""
        return f"{self.source.name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake: where it is and what to do about it."""

    span: Span
    message: str

    def __str__(self) -> str:
        """`file:line:column: message`, the line, and a caret under the piece that is meant."""
        span = self.span
        head = f"{span.source.path}:{span.line}:{span.column}: {self.message}"
        line = span.source.line(span.line)
        if not line.strip() or span.column > _SHOWN:
            return head
        end = span.end_column if span.end_line == span.line else len(line) + 1
        end = min(max(end, span.column + 1), _SHOWN + 1)
        indent = "".join(character if character == "\t" else " " for character in line[: span.column - 1])
        return f"{head}\n    {line[:_SHOWN].rstrip()}\n    {indent}^{'~' * (end - span.column - 1)}"


class PolicyError(Exception):
    """A description or a policy is wrong; `diagnostics` lists each mistake found, in the order of the text."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(map(str, self.diagnostics)))


def near(name: str, known: Iterable[str]) -> str:
    """The end of an error message: `; did you mean …?` when a known name is close, else nothing."""
    close = difflib.get_close_matches(name[:_SHOWN], sorted(set(known)), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


def is_slip_of(name: str, known: Iterable[str]) -> bool:
    """Whether a name is one of the known but for a slip of the pen: one letter, two swapped, or capitals.

    Names that differ by a digit, or short ones, may well be meant as they are.
    """
    return len(name) >= _LEAST_SLIP and any(_one_slip(name, other) for other in known)


_LEAST_SLIP: Final = 4


def _one_slip(name: str, other: str) -> bool:
    if name.lower() == other.lower():
        return name != other
    begin = _alike(name, other)
    left, right = name[begin:], other[begin:]
    end = _alike(left[::-1], right[::-1])
    left, right = left[: len(left) - end], right[: len(right) - end]
    if len(left) == 2:
        return left == right[::-1]
    return max(len(left), len(right)) == 1 and (left + right).isalpha()


def _alike(left: str, right: str) -> int:
    """How many characters are the same at the beginning of both."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((position for position, (one, other) in pairs if one != other), min(len(left), len(right)))


def source_from_text(text: str, *, name: str = "text", path: str | None = None) -> Source:
    """A source that is already in memory (a test, a generated policy)."""
    return source_from_bytes(text.encode("utf-8", "surrogatepass"), name=name, path=path or name)


def source_from_bytes(content: bytes, *, name: str, path: str) -> Source:
    """Decode a file's bytes.

    Raises:
        PolicyError: It is longer than `MAX_BYTES` or is not UTF-8.
    """
    digest = hashlib.sha256(content).hexdigest()
    if len(content) > MAX_BYTES:
        raise PolicyError([_whole(name, path, f"the file has {len(content)} bytes; at most {MAX_BYTES} are read")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        good = content[: failure.start].decode("utf-8-sig")
        text = _newlines(content.decode("utf-8-sig", "replace"))
        source = Source(name, path, text, digest)
        line, column = _newlines(good).count("\n") + 1, len(_newlines(good).rpartition("\n")[2]) + 1
        message = f"byte 0x{content[failure.start]:02x} is not UTF-8; save the file as UTF-8"
        raise PolicyError([Diagnostic(source.span(line, column), message)]) from None
    return Source(name, path, _newlines(text), digest)


def read_source(path: Path, *, name: str | None = None) -> Source:
    """Read one file.

    Raises:
        PolicyError: It cannot be read, is too long, or is not UTF-8.
    """
    shown = name or path.name
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as failure:
        why = failure.strerror or type(failure).__name__
        raise PolicyError([_whole(shown, str(path), f"the file cannot be read: {why}")]) from None
    return source_from_bytes(content, name=shown, path=str(path))


def _whole(name: str, path: str, message: str) -> Diagnostic:
    return Diagnostic(Source(name, path, "", "").span(), message)


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
