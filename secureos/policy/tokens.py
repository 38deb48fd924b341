"""Words and signs of a policy text, as `psl.lark` defines them, found by one regular expression."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from lark import Lark, Token
from lark.lexer import Lexer, PatternStr

from secureos.xdl.grammar import strange_character
from secureos.xdl.source import Diagnostic, PolicyError, Source

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STRANGE: Final = "\0"
NAME: Final = "\1"
INT: Final = "\2"
TEXT: Final = "\3"


@dataclass(frozen=True, slots=True)
class Words:
    """The words and signs of a piece of a source, without comments.

    Attributes:
        source: The file.
        texts: Each as it is written.
        starts: Where each begins, in characters from the beginning of the file.
    """

    source: Source
    texts: list[str]
    starts: list[int]


class _AsGiven(Lexer):
    """What Lark reads instead of a text: tokens that were found already."""

    def __init__(self, _conf: object) -> None:
        pass

    def lex(self, given: Any) -> Iterator[Token]:  # type: ignore[override]  # noqa: ANN401
        """The tokens themselves."""
        return iter(given)


class Vocabulary:
    """The grammar of PSL, and the kinds of words that it knows.

    Each kind is one character, so that the kinds of a row of words are one text, quickly compared: words of the
    language and signs have a character each, names, numbers and texts share one.
    """

    def __init__(self, path: Path) -> None:
        self.lark = Lark(
            path.read_text(encoding="utf-8"), parser="lalr", start="start", propagate_positions=True, lexer=_AsGiven
        )
        patterns = {terminal.name: terminal.pattern for terminal in self.lark.terminals}
        fixed = {pattern.value: name for name, pattern in patterns.items() if isinstance(pattern, PatternStr)}
        signs = sorted((word for word in fixed if not _WORD.fullmatch(word)), key=len, reverse=True)
        self._terminals = ["NAME", "INT", "TEXT", *fixed.values()]
        self._fixed = {word: chr(4 + position) for position, word in enumerate(fixed)}
        comment, text, number = (patterns[name].value for name in ("COMMENT", "TEXT", "INT"))
        ordered = (comment, text, number, _WORD.pattern, *map(re.escape, signs), r"[^ \t\f\n]")
        self._word = re.compile("|".join(ordered))
        self._outline = re.compile("|".join((comment, text, r"[{}]")))
        self._comment = re.compile("|".join((text, f"({comment})")))

    def kinds(self) -> Kinds:
        """The kinds of words, to be asked for all words of one file."""
        return Kinds(self._fixed)

    def texts(self, source: Source, start: int, end: int) -> list[str]:
        """The words in a piece of a source, without comments."""
        found: list[str] = self._word.findall(source.text, start, end)
        piece = source.text[start:end]
        if "//" in piece or "/*" in piece:
            return [text for text in found if not text.startswith(("//", "/*"))]
        return found

    def words(self, source: Source, start: int, end: int) -> Words:
        """The words in a piece of a source with their places."""
        found = [
            (match[0], match.start())
            for match in self._word.finditer(source.text, start, end)
            if not match[0].startswith(("//", "/*"))
        ]
        return Words(source, [text for text, _ in found], [position for _, position in found])

    def check(self, words: Words, kinds: str) -> None:
        """Whether all of the words are words of the language.

        Raises:
            PolicyError: One is not; it says which and why.
        """
        position = kinds.find(_STRANGE)
        if position >= 0:
            start = words.starts[position]
            start -= words.source.text[max(start - 1, 0) : start + 1] == "{%"
            message = strange_character(words.source.text[start:])
            raise PolicyError([Diagnostic(words.source.between(start, start + 1), message)])

    def tokens(self, words: Words, kinds: str) -> list[Token]:
        """What Lark reads: the place of a token is its position among the words."""
        found = []
        for position, (text, kind) in enumerate(zip(words.texts, kinds, strict=True)):
            name = self._terminals[ord(kind) - 1]
            found.append(Token(name, text, position, 1, position, 1, position + 1, position + 1))
        return found

    def pieces(self, source: Source) -> Iterator[tuple[int, int]]:
        """Where a source can be cut: behind every closing brace that ends a declaration. All of it is covered."""
        begin, depth = 0, 0
        for match in self._outline.finditer(source.text):
            if match[0] not in ("{", "}"):
                continue
            depth += 1 if match[0] == "{" else -1
            if depth <= 0 and not self._goes_on(source.text, match.end()):
                yield begin, match.end()
                begin, depth = match.end(), 0
        yield begin, len(source.text)

    def comments(self, source: Source) -> Iterator[tuple[str, int, int]]:
        """Every comment, and from where to where it goes."""
        for match in self._comment.finditer(source.text):
            if match[1] is not None:
                yield match[1], match.start(), match.end()

    def _goes_on(self, text: str, position: int) -> bool:
        """Whether what stands behind a brace goes on with the declaration of a type: `type T = { … } | …`."""
        match = self._word.search(text, position)
        while match is not None and match[0].startswith(("//", "/*")):
            match = self._word.search(text, match.end())
        return match is not None and match[0] in ("|", ",", "]", ">")


class Kinds(dict[str, str]):
    """The kind of each word; what is asked for the first time is looked at and remembered."""

    def of(self, texts: Iterable[str]) -> str:
        """The kinds of some words, one character each."""
        return "".join(map(self.__getitem__, texts))

    def __missing__(self, text: str) -> str:
        if _WORD.fullmatch(text):
            kind = NAME
        elif text[0] in "0123456789":
            kind = INT
        else:
            kind = TEXT if len(text) > 1 and text[0] == '"' else _STRANGE
        self[text] = kind
        return kind


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary of PSL; made once."""
    return Vocabulary(Path(__file__).with_name("psl.lark"))
