"""Parsing with bounds, and errors that say what was expected."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedToken
from lark.lexer import PatternStr

from secureos.xdl.source import Diagnostic, PolicyError, Source, Span

MAX_DEPTH: Final = 100
"""How deep brackets, operators and sections may nest."""

TOO_DEEP: Final = f"this is nested more than {MAX_DEPTH} levels deep; split it"

MAX_INTEGER: Final = 2**64 - 1
MIN_INTEGER: Final = -(2**63)

_WORDS: Final = {"NAME": "a name", "INT": "a number", "TEXT": "a text in quotes", "$END": "the end of the file"}
_SHOWN_EXPECTATIONS: Final = 6
_SHOWN_SIGN: Final = 40


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment without its signs, and where it begins and ends."""

    text: str
    line: int
    column: int
    end_line: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parse tree, the text it was made from, and the comments between."""

    source: Source
    tree: Tree[Token]
    comments: tuple[Comment, ...]


class Grammar:
    """A Lark grammar file beside the module that uses it."""

    def __init__(self, path: Path, starts: Iterable[str]) -> None:
        self._comments: list[Comment] = []
        self._lark = Lark(
            path.read_text(encoding="utf-8"),
            parser="lalr",
            start=list(starts),
            propagate_positions=True,
            lexer_callbacks={"COMMENT": self._remember},
        )

    def parse(self, source: Source, start: str) -> Parsed:
        """Parse a whole source.

        Raises:
            PolicyError: It does not follow the grammar or nests deeper than `MAX_DEPTH`.
        """
        self._comments.clear()
        try:
            tree = self._lark.parse(source.text, start=start)
        except (UnexpectedCharacters, UnexpectedToken) as failure:
            raise PolicyError([self._explain(source, failure)]) from None
        deep = too_deep(tree)
        if deep is not None:
            raise PolicyError([Diagnostic(span_of(source, deep), TOO_DEEP)])
        return Parsed(source, tree, tuple(self._comments))

    def _remember(self, token: Token) -> Token:
        line, column, end_line = token.line or 1, token.column or 1, token.end_line or 1
        body = token[2:] if token.startswith("//") else token[2:-2]
        words = " ".join(part.strip().strip("*").strip() for part in body.split("\n"))
        self._comments.append(Comment(words.strip(" /"), line, column, end_line))
        return token

    def _explain(self, source: Source, failure: UnexpectedCharacters | UnexpectedToken) -> Diagnostic:
        position = failure.pos_in_stream
        rest = source.text[position:] if isinstance(position, int) else ""
        if isinstance(failure, UnexpectedToken) and failure.token.type != "$END":
            what = known_slip(rest) or unexpected(self._lark, failure)
            return Diagnostic(span_of(source, failure.token), what)
        if isinstance(failure, UnexpectedToken):
            where = source.span(len(source.lines), len(source.lines[-1]) + 1)
            return Diagnostic(where, unexpected(self._lark, failure))
        return Diagnostic(source.span(failure.line, failure.column), strange_character(rest))


def unexpected(lark: Lark, failure: UnexpectedToken) -> str:
    """What is said of a word or sign in the wrong place: what it is, and what was expected."""
    sign = failure.token[:_SHOWN_SIGN]
    what = "the end of the file" if failure.token.type == "$END" else f"`{sign}`"
    names: Iterable[str] = failure.accepts or failure.expected
    expected = {_shown(lark, name) for name in names}
    if _WORDS["NAME"] not in expected and "`&&`" in expected and sign in _COMPARISONS:
        return f"unexpected {what}; comparisons do not chain: write `a < b && b < c`"
    if _WORDS["NAME"] not in expected and sign in _OPERATORS and expected & _SIGNS:
        return f"unexpected {what}; beside another operator `&` and `|` need parentheses around them"
    return f"unexpected {what}; expected {_listed(expected)}"


def strange_character(rest: str) -> str:
    """What is said of a text that begins with what no word or sign begins with."""
    shown = f"`{rest[0]}`" if rest[0].isprintable() else f"U+{ord(rest[0]):04X}"
    return known_slip(rest) or f"unexpected {shown}; this character has no meaning here"


def _shown(lark: Lark, terminal: str) -> str:
    if terminal in _WORDS:
        return _WORDS[terminal]
    pattern = lark.get_terminal(terminal).pattern
    return f"`{pattern.value}`" if isinstance(pattern, PatternStr) else terminal.lower()


_COMPARISONS: Final = frozenset({"<", ">", "<=", ">=", "==", "!="})
_OPERATORS: Final = _COMPARISONS | {"+", "-", "*", "&&", "||", "==>", "&", "|"}
_SIGNS: Final = frozenset(f"`{operator}`" for operator in _OPERATORS)


def known_slip(rest: str) -> str | None:
    """A better word on a text that cannot be read where it begins so; None if there is none."""
    if rest.startswith("/*"):
        return "this comment is never closed; write `*/` where it ends"
    if rest.startswith('"'):
        return 'this text is never closed; write `"` where it ends, in the same line'
    if placeholder := re.match(r"@[A-Za-z_]\w*@|\{%", rest):
        return f"`{placeholder[0]}` belongs to a template; expand the template first"
    return None


def _listed(expected: set[str]) -> str:
    if _WORDS["NAME"] in expected:  # most words of the language may then stand as names; listing them helps nobody
        expected = {shown for shown in expected if not shown.strip("`").isidentifier()}
    words = sorted(expected, key=lambda word: (word[0] == "`", word))
    more = " or something else" if len(words) > _SHOWN_EXPECTATIONS else ""
    return ", ".join(words[:_SHOWN_EXPECTATIONS]) + more


@cache
def xdl_grammar() -> Grammar:
    """The grammar of EDL, CDL and IDL; made once."""
    return Grammar(Path(__file__).with_name("xdl.lark"), ("edl", "cdl", "idl"))


def span_of(source: Source, part: Tree[Token] | Token) -> Span:
    """Where a piece of the parse tree stands."""
    if isinstance(part, Token):
        line, column = part.line or 1, part.column or 1
        return Span(source, line, column, part.end_line or line, part.end_column or column + 1)
    meta = part.meta
    return Span(source, meta.line, meta.column, meta.end_line, meta.end_column)


def integer(source: Source, token: Token) -> int:
    """The value of a number (decimal, `0x…`, `0o…`).

    Raises:
        PolicyError: It does not fit 64 bits.
    """
    return number(token, span_of(source, token))


def number(text: str, span: Span) -> int:
    """The value of a number that is written at `span`.

    Raises:
        PolicyError: It does not fit 64 bits.
    """
    digits = text.lower()
    base = {"0x": 16, "0o": 8}.get(digits[:2], 10)
    body = (digits[2:] if base != 10 else digits).lstrip("0") or "0"
    if len(body) > 22 or int(body, base) > MAX_INTEGER:
        raise PolicyError([Diagnostic(span, f"`{text[:40]}` does not fit 64 bits")])
    return int(body, base)


def too_deep(tree: Tree[Token]) -> Tree[Token] | None:
    """A piece that is nested deeper than `MAX_DEPTH`, if there is one.

    An explicit stack, so that a hostile text cannot exhaust Python's own.
    """
    waiting: list[tuple[Tree[Token], int]] = [(tree, 0)]
    while waiting:
        part, depth = waiting.pop()
        if depth > MAX_DEPTH:
            return part
        waiting.extend((child, depth + 1) for child in part.children if isinstance(child, Tree))
    return None
