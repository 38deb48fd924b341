r"""Regular expressions that cannot run away: matching takes one step per character, whatever the pattern.

The patterns are those of the usual syntax that describe regular languages: characters, `.`, classes `[a-z]` and
`[^a-z]`, the escapes `\d \w \s` (ASCII) and their capitals, `\n \r \t \f \v \xHH \uHHHH`, groups `(…)` and `(?:…)`,
`|`, `* + ? {m} {m,} {m,n}` (an added `?` does not change what matches), and the anchors `^` and `$` for the beginning
and the very end of the text. Back references, look-around, flags and word boundaries are refused.

A pattern becomes a nondeterministic automaton (Thompson, Regular Expression Search Algorithm, CACM 11(6), 1968); its
deterministic states are made when first met and kept in a table of bounded size (as in Cox, 2007, and RE2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

MAX_LENGTH: Final = 1000
"""Characters of a pattern."""

MAX_NODES: Final = 4000
"""How large a pattern may grow when its repetitions are written out."""

MAX_KEPT: Final = 4096
"""How many steps of the deterministic automaton are kept before the table is begun anew."""

_MAX_NESTING: Final = 50
_MATCH: Final = 0
_ANY_BUT_NEWLINE: Final = ((0, 9), (11, 0x10FFFF))
_CLASSES: Final = {
    "d": ((48, 57),),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
    "s": ((9, 13), (32, 32)),
}
_CONTROLS: Final = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11}
_HEX_DIGITS: Final = {"x": 2, "u": 4}
_BOUNDS: Final = re.compile(r"\{(\d{1,6})?(,)?(\d{1,6})?\}")

Ranges = tuple[tuple[int, int], ...]
_Build = Callable[[int], int]
"""Given the node that follows, adds the nodes of a part and returns the first of them."""


@dataclass(slots=True)
class _Node:
    """A node of the automaton: takes a character out of `ranges`, branches without one, or is an anchor."""

    ranges: Ranges | None = None
    ways: tuple[int, ...] = ()
    anchor: str = ""


class _State:
    """A state of the deterministic automaton: the nodes that are active, and where each character leads."""

    __slots__ = ("final", "found", "members", "steps")

    def __init__(self, members: frozenset[int], *, found: bool, final: bool) -> None:
        self.members = members
        self.found = found
        self.final = final
        self.steps: dict[str, _State] = {}


class Pattern:
    """One pattern, ready to match.

    Args:
        text: The pattern.
        whole: Whether it must match the whole text, or a piece of it.

    Raises:
        ValueError: It is no pattern, or not one of those above; the text is a sentence.
    """

    def __init__(self, text: str, *, whole: bool) -> None:
        self._whole = whole
        self._nodes, self._entry = _Parser(text).nodes()
        self._begin()

    def matches(self, text: str) -> bool:
        """Whether a text matches; takes one step per character."""
        state = self._start
        if not text:
            return self._state(frozenset([self._entry]), start=True, end=True).found
        for character in text:
            if state.found and not self._whole:
                return True
            state = state.steps.get(character) or self._step(state, character)
        return state.final

    def _begin(self) -> None:
        self._states: dict[frozenset[int], _State] = {}
        self._kept = 0
        self._start = self._state(frozenset([self._entry]), start=True, end=False)

    def _step(self, state: _State, character: str) -> _State:
        if self._kept >= MAX_KEPT:
            self._begin()
        point = ord(character)
        after = {
            way
            for member in state.members
            for node in (self._nodes[member],)
            if any(low <= point <= high for low, high in node.ranges or ())
            for way in node.ways
        }
        if not self._whole:
            after.add(self._entry)
        target = self._state(frozenset(after), start=False, end=False)
        state.steps[character] = target
        self._kept += 1
        return target

    def _state(self, seeds: frozenset[int], *, start: bool, end: bool) -> _State:
        members = self._closure(seeds, start=start, end=end)
        if not start:
            known = self._states.get(members)
            if known is not None:
                return known
        final = _MATCH in self._closure(members, start=start, end=True)
        state = _State(members, found=_MATCH in members, final=final)
        if not start:
            self._states[members] = state
        return state

    def _closure(self, seeds: Iterable[int], *, start: bool, end: bool) -> frozenset[int]:
        """All nodes that are reached without a character."""
        found: set[int] = set()
        waiting = list(seeds)
        while waiting:
            number = waiting.pop()
            if number in found:
                continue
            found.add(number)
            node = self._nodes[number]
            held = (node.anchor == "^" and not start) or (node.anchor == "$" and not end)
            if node.ranges is None and not held:
                waiting.extend(node.ways)
        return frozenset(found)


@lru_cache(maxsize=1024)
def pattern(text: str, *, whole: bool) -> Pattern:
    """The pattern of that text, made once.

    Raises:
        ValueError: As `Pattern`.
    """
    return Pattern(text, whole=whole)


class _Parser:
    """Reads a pattern by recursive descent; what it reads becomes functions that add nodes."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            message = f"a pattern has at most {MAX_LENGTH} characters, this one has {len(text)}"
            raise ValueError(message)
        self._text = text
        self._at = 0
        self._depth = 0
        self._work = 0
        self._nodes: list[_Node] = [_Node()]

    def nodes(self) -> tuple[list[_Node], int]:
        """The automaton and its entry; node 0 is the match."""
        build = self._alternatives()
        if self._at < len(self._text):
            raise self._wrong("`)` without `(`")
        return self._nodes, build(_MATCH)

    def _alternatives(self) -> _Build:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        if len(options) == 1:
            return options[0]
        return lambda after: self._add(_Node(ways=tuple(option(after) for option in options)))

    def _sequence(self) -> _Build:
        parts: list[_Build] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated())

        def build(after: int) -> int:
            for part in reversed(parts):
                after = part(after)
            return after

        return build

    def _repeated(self) -> _Build:
        anchor = self._text[self._at] in "^$"
        part = self._atom()
        bounds = self._bounds()
        if bounds is None:
            return part
        if anchor:
            raise self._wrong("an anchor cannot be repeated")
        self._take("?")
        if self._text[self._at : self._at + 1] in ("*", "+", "?") or self._bounds() is not None:
            raise self._wrong("a repetition of a repetition needs a group `(…)`")
        low, high = bounds
        return lambda after: self._repeat(part, low, high, after)

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        found = _BOUNDS.match(self._text, self._at)
        if found is None or found[0] == "{}":
            return None
        self._at = found.end()
        low = int(found[1] or 0)
        high = (int(found[3]) if found[3] else None) if found[2] else low
        if high is not None and high < low:
            raise self._wrong(f"`{found[0]}` ends before it begins")
        return low, high

    def _repeat(self, part: _Build, low: int, high: int | None, after: int) -> int:
        if high is None:
            loop = self._add(_Node())
            self._nodes[loop].ways = (part(loop), after)
            after = loop
        else:
            for _ in range(high - low):
                after = self._add(_Node(ways=(part(after), after)))
        for _ in range(low):
            self._count()
            after = part(after)
        return after

    def _atom(self) -> _Build:
        sign = self._text[self._at]
        self._at += 1
        match sign:
            case "(":
                return self._group()
            case "[":
                return self._taking(self._bracket())
            case "\\":
                return self._taking(self._escape())
            case ".":
                return self._taking(_ANY_BUT_NEWLINE)
            case "^" | "$":
                return lambda after: self._add(_Node(ways=(after,), anchor=sign))
            case "*" | "+" | "?":
                raise self._wrong(f"nothing stands before `{sign}`")
        return self._taking(_only(sign))

    def _group(self) -> _Build:
        if self._take("?") and not self._take(":"):
            raise self._wrong("groups `(?…)` other than `(?:…)` (look-around, names, flags) are not supported")
        self._depth += 1
        if self._depth > _MAX_NESTING:
            raise self._wrong(f"groups nest more than {_MAX_NESTING} deep")
        inner = self._alternatives()
        self._depth -= 1
        if not self._take(")"):
            raise self._wrong("a `(` is not closed")
        return inner

    def _bracket(self) -> Ranges:
        negated = self._take("^")
        found: list[tuple[int, int]] = []
        first = True
        while first or not self._take("]"):
            first = False
            found.extend(self._bracket_item())
        return _negated(found) if negated else tuple(found)

    def _bracket_item(self) -> Ranges:
        low = self._bracket_character()
        follows = self._text[self._at : self._at + 2]
        if not follows.startswith("-") or follows == "-]":
            return low
        self._at += 1
        high = self._bracket_character()
        if len(low) != 1 or low[0][0] != low[0][1] or len(high) != 1 or high[0][0] != high[0][1]:
            raise self._wrong("a range goes from one character to another")
        if high[0][0] < low[0][0]:
            raise self._wrong("a range ends before it begins")
        return ((low[0][0], high[0][0]),)

    def _bracket_character(self) -> Ranges:
        if self._at >= len(self._text):
            raise self._wrong("a `[` is not closed")
        if self._text.startswith(("[:", "[.", "[="), self._at):
            raise self._wrong("classes `[:…:]` are not supported; write the characters, e.g. `a-z`")
        sign = self._text[self._at]
        self._at += 1
        return self._escape() if sign == "\\" else _only(sign)

    def _escape(self) -> Ranges:
        sign = self._text[self._at : self._at + 1]
        self._at += 1
        if sign.lower() in _CLASSES:
            ranges = _CLASSES[sign.lower()]
            return ranges if sign.islower() else _negated(ranges)
        if sign in _CONTROLS:
            return _only(chr(_CONTROLS[sign]))
        if sign in _HEX_DIGITS:
            digits = self._text[self._at : self._at + _HEX_DIGITS[sign]]
            self._at += len(digits)
            if re.fullmatch(f"[0-9A-Fa-f]{{{_HEX_DIGITS[sign]}}}", digits) is None:
                raise self._wrong(f"`\\{sign}` needs {_HEX_DIGITS[sign]} hexadecimal digits")
            return _only(chr(int(digits, 16)))
        if not sign or sign.isalnum():
            raise self._wrong(f"`\\{sign}` is not supported")
        return _only(sign)

    def _taking(self, ranges: Ranges) -> _Build:
        return lambda after: self._add(_Node(ranges, (after,)))

    def _add(self, node: _Node) -> int:
        self._count()
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _count(self) -> None:
        self._work += 1
        if self._work > MAX_NODES:
            raise self._wrong(f"written out it has more than {MAX_NODES} parts; repeat less")

    def _take(self, sign: str) -> bool:
        found = self._text.startswith(sign, self._at)
        self._at += found
        return found

    def _wrong(self, why: str) -> ValueError:
        shown = self._text if len(self._text) <= 60 else f"{self._text[:60]}…"
        return ValueError(f"the pattern `{shown}` cannot be used (character {self._at}): {why}")


def _only(character: str) -> Ranges:
    return ((ord(character), ord(character)),)


def _negated(ranges: Iterable[tuple[int, int]]) -> Ranges:
    found, begin = [], 0
    for low, high in sorted(ranges):
        if low > begin:
            found.append((begin, low - 1))
        begin = max(begin, high + 1)
    if begin <= 0x10FFFF:
        found.append((begin, 0x10FFFF))
    return tuple(found)
