"""Templates: `@MACRO@` placeholders and `{% if … %}` lines, expanded before a policy is parsed.

Both come from the vendor's tools: CMake fills in placeholders, the policy compiler's own pre-processor reads the
conditional lines (a dialect of Jinja2). Lines keep their numbers, so that errors point into the file as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from secureos.xdl.catalogue import Missing
from secureos.xdl.source import Diagnostic, PolicyError, Source, near

MAX_NESTING: Final = 32
MAX_EXPANSION: Final = 1 << 16
"""How long a definition is at most."""

_PLACEHOLDER: Final = re.compile(r"@([A-Za-z_]\w*)@")
_LINE: Final = re.compile(r"[ \t]*\{%-?[ \t]*(\w+)\b[ \t]*(.*?)[ \t]*-?%\}[ \t]*(?://.*)?")
_TOKEN: Final = re.compile(r"""\s*(?:(==|!=|\(|\)|\w+)|"([^"\\]*)"|'([^'\\]*)')""")


@dataclass(frozen=True)
class Expanded:
    """A source without template marks, and what was passed over on the way."""

    source: Source
    warnings: tuple[Diagnostic, ...] = ()


def preprocess(source: Source, definitions: Mapping[str, str], *, missing: Missing = "error") -> Expanded:
    """Expand one file.

    Args:
        source: As it was read; its hash stays that of the file.
        definitions: The value of each placeholder and variable.
        missing: With `opaque`, a placeholder without a value is left out (inside of a qualified name its own name
            stands for it), and a variable without a value is undefined: it is not true and equals nothing.

    Raises:
        PolicyError: A condition is wrong or never closed, or a value is missing; all mistakes are listed.
    """
    if "@" not in source.text and "{%" not in source.text:
        return Expanded(source)
    expansion = _Expansion(source, definitions, missing)
    lines = [expansion.line(number, text) for number, text in enumerate(source.lines, start=1)]
    expansion.finish()
    if expansion.mistakes:
        raise PolicyError(expansion.mistakes)
    return Expanded(replace(source, text="\n".join(lines)), tuple(expansion.warnings))


@dataclass
class _Branch:
    """One `{% if %}` that is open: whether its lines count now, and whether one of its parts did already."""

    line: int
    outer: bool
    counts: bool
    done: bool
    closed: bool = False


@dataclass
class _Expansion:
    source: Source
    definitions: Mapping[str, str]
    missing: Missing
    mistakes: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    branches: list[_Branch] = field(default_factory=list)
    in_comment: bool = False
    number: int = 1

    def line(self, number: int, text: str) -> str:
        """The text of a line after expansion."""
        self.number = number
        directive = None if self.in_comment else _LINE.fullmatch(text)
        counts = not self.branches or self.branches[-1].counts
        if directive is not None:
            self._directive(number, directive)
            return ""
        if not counts:
            return ""
        comments = self._comments(text)
        return _PLACEHOLDER.sub(lambda found: self._placeholder(number, text, found, comments), text)

    def finish(self) -> None:
        """Every condition must be closed."""
        for branch in self.branches:
            self._say(branch.line, "this `{% if %}` is never closed; write `{% endif %}`")

    def _comments(self, text: str) -> list[tuple[int, int]]:
        """From where to where a line is comment; it is remembered whether a comment goes on in the next."""
        found, position = [], 0
        if self.in_comment:
            end = text.find("*/")
            if end < 0:
                return [(0, len(text))]
            self.in_comment, position = False, end + 2
            found.append((0, position))
        for mark in _COMMENTS.finditer(text, position):
            if mark[0].startswith(("//", "/*")):
                found.append(mark.span())
                self.in_comment = mark[0].startswith("/*") and not _CLOSED.fullmatch(mark[0])
        return found

    def _placeholder(self, number: int, text: str, found: re.Match[str], comments: list[tuple[int, int]]) -> str:
        name = found[1]
        if any(start <= found.start() < end for start, end in comments):
            return found[0]
        if name in self.definitions:
            # One line stays one line, so that what follows keeps its number.
            return " ".join(self.definitions[name][:MAX_EXPANSION].split("\n"))
        before, behind = text[: found.start()][-1:], text[found.end() :][:1]
        message = f"the placeholder `{found[0]}` has no value"
        if self.missing == "error":
            hint = near(name, self.definitions) or "; define it"
            self._say(number, f"{message}{hint}", found.start() + 1, found.end() + 1)
            return ""
        joined = before in (".", "_") or before.isalnum() or behind in (".", "_") or behind.isalnum()
        outcome = f"`{name}` stands for it" if joined else "it is left out"
        span = self.source.span(number, found.start() + 1, end_column=found.end() + 1)
        self.warnings.append(Diagnostic(span, f"{message}: {outcome}"))
        return name if joined else ""

    # ---- conditions ------------------------------------------------------------------------------------------------

    def _directive(self, number: int, found: re.Match[str]) -> None:
        word, condition = found[1], found[2]
        if word == "if":
            if len(self.branches) >= MAX_NESTING:
                raise PolicyError([self._diagnostic(number, f"conditions nest more than {MAX_NESTING} deep")])
            outer = not self.branches or self.branches[-1].counts
            met = self._condition(number, condition) and outer
            self.branches.append(_Branch(number, outer, met, met))
        elif word not in ("elif", "else", "endif"):
            hint = near(word, ("if", "elif", "else", "endif"))
            self._say(number, f"unknown directive `{word}`; `if`, `elif`, `else` and `endif` are known{hint}")
        elif not self.branches:
            self._say(number, f"`{word}` without `{{% if %}}` before it")
        elif word == "endif":
            self.branches.pop()
        else:
            self._next_part(number, word, condition)

    def _next_part(self, number: int, word: str, condition: str) -> None:
        branch = self.branches[-1]
        if branch.closed:
            self._say(number, f"`{word}` behind `else`")
        met = word == "else" or self._condition(number, condition)
        branch.counts = branch.outer and met and not branch.done
        branch.done |= branch.counts
        branch.closed |= word == "else"

    def _condition(self, number: int, text: str) -> bool:
        try:
            return _Condition(text, self).value()
        except _WrongCondition as failure:
            self._say(number, f"`{text}` is no condition: {failure}")
            return False

    def variable(self, name: str) -> str | None:
        """The value of a variable; None if it has none."""
        if name not in self.definitions:
            if self.missing == "error":
                raise _WrongCondition(f"the variable `{name}` has no value{near(name, self.definitions)}")
            message = f"the variable `{name}` has no value and is taken as undefined"
            if message not in {warning.message for warning in self.warnings}:
                self.warnings.append(self._diagnostic(self.number, message))
            return None
        return self.definitions[name]

    def _say(self, line: int, message: str, column: int = 1, end_column: int = 0) -> None:
        self.mistakes.append(self._diagnostic(line, message, column, end_column))

    def _diagnostic(self, line: int, message: str, column: int = 1, end_column: int = 0) -> Diagnostic:
        end = end_column or len(self.source.line(line)) + 1
        return Diagnostic(self.source.span(line, column, end_column=end), message)


_COMMENTS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|//.*|/\*.*?\*/|/\*.*')
_CLOSED: Final = re.compile(r"/\*.*\*/")


class _WrongCondition(Exception):
    """The text of a condition has no meaning."""


class _Condition:
    """`or` binds loosest, then `and`, `not`, and `==` or `!=`, which do not chain."""

    def __init__(self, text: str, expansion: _Expansion) -> None:
        self._expansion = expansion
        self._tokens = self._split(text)
        self._next = 0
        self._depth = 0

    def value(self) -> bool:
        found = self._or()
        if self._next < len(self._tokens):
            raise _WrongCondition(f"`{self._tokens[self._next][0]}` was not expected")
        return found

    def _split(self, text: str) -> list[tuple[str, str | None]]:
        """Tokens as they are written, and for a text in quotes what is in it."""
        found, position = [], 0
        while position < len(text):
            token = _TOKEN.match(text, position)
            if token is None:
                raise _WrongCondition(f"`{text[position:].strip()[:1]}` has no meaning here")
            quoted = token[2] if token[2] is not None else token[3]
            found.append((token[0].strip(), quoted))
            position = token.end()
        return found

    def _take(self, *words: str) -> str | None:
        if self._next < len(self._tokens):
            text, quoted = self._tokens[self._next]
            if quoted is None and text in words:
                self._next += 1
                return text
        return None

    def _or(self) -> bool:
        value = self._and()
        while self._take("or"):
            right = self._and()
            value = value or right
        return value

    def _and(self) -> bool:
        value = self._not()
        while self._take("and"):
            right = self._not()
            value = value and right
        return value

    def _not(self) -> bool:
        turned = False
        while self._take("not"):
            turned = not turned
        return self._comparison() != turned

    def _comparison(self) -> bool:
        if self._take("("):
            self._depth += 1
            if self._depth > MAX_NESTING:
                raise _WrongCondition(f"brackets nest more than {MAX_NESTING} deep")
            value = self._or()
            if not self._take(")"):
                raise _WrongCondition("`)` is missing")
            return value
        left = self._operand()
        sign = self._take("==", "!=")
        if sign is None:
            return bool(left) and str(left).lower() not in ("false", "off", "no", "0")
        return (left == self._operand()) == (sign == "==")

    def _operand(self) -> str | None:
        if self._next >= len(self._tokens):
            raise _WrongCondition("something is missing at its end")
        text, quoted = self._tokens[self._next]
        if quoted is None and not text[0].isalnum() and text[0] != "_":
            raise _WrongCondition(f"`{text}` was not expected")
        self._next += 1
        if quoted is not None or text.isdigit():
            return text if quoted is None else quoted
        return self._expansion.variable(text)
