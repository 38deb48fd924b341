"""Formulas of past-time temporal logic: reading them, and computing them step by step."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from secureos.policy.models.measured import MAX_MS, NS_PER_MS
from secureos.xdl.source import near

MAX_LENGTH: Final = 2000
"""Characters of a formula."""

MAX_NESTING: Final = 50

_UNITS_MS: Final = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
_TOKEN: Final = re.compile(r"\s*(==>|&&|\|\||[!()]|[A-Za-z_][A-Za-z0-9_]*|[0-9]+)")
_WORDS: Final = frozenset({"once", "historically", "previously", "lasting", "since", "within"})


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula or a part of one.

    Attributes:
        sign: `atom`, `!`, `&&`, `||`, `==>`, `once`, `historically`, `previously`, `since` or `lasting`.
        parts: What it is made of.
        name: Of an atom.
        within_ns: The time bound of a temporal operator (ns), None without one; of `lasting` the least time.
    """

    sign: str
    parts: tuple[Formula, ...] = ()
    name: str = ""
    within_ns: int | None = None


def parse_formula(text: str, atoms: Collection[str]) -> Formula:
    """Read a formula over the named atoms.

    Loosest first: `==>` (to the right), `||`, `&&`, `since` (no chains), and the prefixes `!`, `previously`,
    `once`, `historically`, `lasting TIME`. `within TIME` after `once`, `historically` and `since` bounds them. A time
    is a number with `ms`, `s`, `min` or `h`.

    Raises:
        ValueError: It is none; the text is a sentence.
    """
    return _Parser(text, atoms).formula()


class Trace:
    """What must be remembered of the past to know the truth of some formulas now, and nothing more.

    A part that stands in several formulas is computed once. The memory is one number per temporal part: for `once`
    (and so for `historically`) the time of the last step at which its part held, for `previously` the truth before,
    for `since` the time of the last step at which the right side held with the left side holding ever after, for
    `lasting` the time since which its part has held. After Havelund and Roşu, Synthesizing monitors for safety
    properties, TACAS 2002.
    """

    def __init__(self, formulas: Mapping[str, Formula]) -> None:
        self._parts: list[Formula] = []
        self._at: dict[Formula, int] = {}
        self._roots = {name: self._add(formula) for name, formula in formulas.items()}
        self._inputs = [tuple(self._at[part] for part in formula.parts) for formula in self._parts]
        self.memory: list[int | None] = [None] * len(self._parts)
        self.truth: list[bool] = [False] * len(self._parts)

    def step(self, atoms: Mapping[str, bool], at_ns: int, *, gap: bool) -> tuple[list[int | None], list[bool]]:
        """Memory and truths after a step; nothing here changes. After a gap, `lasting` begins anew."""
        memory: list[int | None] = list(self.memory)
        truth: list[bool] = []
        for number, part in enumerate(self._parts):
            inputs = [truth[each] for each in self._inputs[number]]
            if part.sign in _REMEMBER:
                before = None if gap and part.sign == "lasting" else self.memory[number]
                memory[number] = _REMEMBER[part.sign](inputs, before, at_ns)
            elif part.sign == "previously":
                memory[number] = int(inputs[0])
                truth.append(self.memory[number] == 1)
                continue
            truth.append(_truth(part, inputs, memory[number], at_ns, atoms))
        return memory, truth

    def holds(self, name: str, atoms: Mapping[str, bool], at_ns: int) -> bool:
        """Whether a formula is true now, some time after the last step: time bounds are measured from now."""
        return self._holds(self._roots[name], atoms, at_ns)

    def _holds(self, number: int, atoms: Mapping[str, bool], at_ns: int) -> bool:
        part = self._parts[number]
        if part.sign == "previously":
            return self.truth[number]
        inputs: list[bool] = []
        if part.sign not in _REMEMBER:
            inputs = [self._holds(each, atoms, at_ns) for each in self._inputs[number]]
        return _truth(part, inputs, self.memory[number], at_ns, atoms)

    def _add(self, formula: Formula) -> int:
        for part in formula.parts:
            self._add(part)
        if formula not in self._at:
            self._at[formula] = len(self._parts)
            self._parts.append(formula)
        return self._at[formula]


def _once(inputs: list[bool], before: int | None, at_ns: int) -> int | None:
    return at_ns if inputs[0] else before


def _not_always(inputs: list[bool], before: int | None, at_ns: int) -> int | None:
    return before if inputs[0] else at_ns


def _since(inputs: list[bool], before: int | None, at_ns: int) -> int | None:
    left, right = inputs
    return at_ns if right else before if left else None


def _lasting(inputs: list[bool], before: int | None, at_ns: int) -> int | None:
    if not inputs[0]:
        return None
    return at_ns if before is None else before


_REMEMBER: Final[Mapping[str, Callable[[list[bool], int | None, int], int | None]]] = {
    "once": _once,
    "historically": _not_always,
    "since": _since,
    "lasting": _lasting,
}


_CONNECT: Final[Mapping[str, Callable[[list[bool]], bool]]] = {
    "!": lambda inputs: not inputs[0],
    "&&": all,
    "||": any,
    "==>": lambda inputs: not inputs[0] or inputs[1],
}


def _truth(part: Formula, inputs: list[bool], remembered: int | None, at_ns: int, atoms: Mapping[str, bool]) -> bool:
    if part.sign == "atom":
        return atoms[part.name]
    if part.sign in _CONNECT:
        return _CONNECT[part.sign](inputs)
    if part.sign == "lasting":
        return remembered is not None and at_ns - remembered >= (part.within_ns or 0)
    recent = remembered is not None and (part.within_ns is None or at_ns - remembered <= part.within_ns)
    # `historically f` is: not once not f; what is remembered is when f last failed.
    return not recent if part.sign == "historically" else recent


class _Parser:
    def __init__(self, text: str, atoms: Collection[str]) -> None:
        if len(text) > MAX_LENGTH:
            message = f"a formula has at most {MAX_LENGTH} characters, this one has {len(text)}"
            raise ValueError(message)
        self._atoms = atoms
        self._depth = 0
        self._tokens: list[str] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                message = f"`{text[at:].lstrip()[:1]}` has no meaning in a formula"
                raise ValueError(message)
            self._tokens.append(found[1])
            at = found.end()
        self._tokens.reverse()

    def formula(self) -> Formula:
        found = self._implication()
        if self._tokens:
            raise self._unexpected("`&&`, `||`, `==>`, `since` or the end")
        return found

    def _implication(self) -> Formula:
        # What nests passes here or through a prefix, so this bounds the depth of every formula.
        self._deeper()
        left = self._disjunction()
        if self._take("==>"):
            left = Formula("==>", (left, self._implication()))
        self._depth -= 1
        return left

    def _disjunction(self) -> Formula:
        parts = [self._conjunction()]
        while self._take("||"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else Formula("||", tuple(parts))

    def _conjunction(self) -> Formula:
        parts = [self._since()]
        while self._take("&&"):
            parts.append(self._since())
        return parts[0] if len(parts) == 1 else Formula("&&", tuple(parts))

    def _since(self) -> Formula:
        left = self._prefix()
        if not self._take("since"):
            return left
        within_ns = self._bound()
        found = Formula("since", (left, self._prefix()), within_ns=within_ns)
        if self._next() == "since":
            message = "`since` does not chain; put brackets around one of them"
            raise ValueError(message)
        return found

    def _prefix(self) -> Formula:
        self._deeper()
        found = self._prefixed()
        self._depth -= 1
        return found

    def _prefixed(self) -> Formula:
        if self._take("("):
            found = self._implication()
            if not self._take(")"):
                raise self._unexpected("`)`")
            return found
        for sign in ("!", "previously"):
            if self._take(sign):
                return Formula(sign, (self._prefix(),))
        for sign in ("once", "historically"):
            if self._take(sign):
                within_ns = self._bound()
                return Formula(sign, (self._prefix(),), within_ns=within_ns)
        if self._take("lasting"):
            within_ns = self._time()
            return Formula("lasting", (self._prefix(),), within_ns=within_ns)
        return self._atom()

    def _atom(self) -> Formula:
        name = self._next()
        if name is None or name in _WORDS or not (name[0].isalpha() or name[0] == "_"):
            raise self._unexpected("a name, `!`, `(`, `once`, `historically`, `previously` or `lasting`")
        if name not in self._atoms:
            message = f"unknown atom `{name}`{near(name, self._atoms)}"
            raise ValueError(message)
        self._tokens.pop()
        return Formula("atom", name=name)

    def _bound(self) -> int | None:
        return self._time() if self._take("within") else None

    def _time(self) -> int:
        number, unit = self._next(), self._tokens[-2] if len(self._tokens) > 1 else ""
        if number is None or not number.isdigit() or unit not in _UNITS_MS:
            raise self._unexpected("a time, e.g. `5 s` (`ms`, `s`, `min`, `h`)")
        del self._tokens[-2:]
        milliseconds = int(number) * _UNITS_MS[unit] if len(number) < 12 else MAX_MS + 1
        if milliseconds > MAX_MS:
            message = f"{number} {unit} is longer than 30 days"
            raise ValueError(message)
        return milliseconds * NS_PER_MS

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            message = f"a formula nests at most {MAX_NESTING} deep"
            raise ValueError(message)

    def _take(self, token: str) -> bool:
        if self._next() != token:
            return False
        self._tokens.pop()
        return True

    def _next(self) -> str | None:
        return self._tokens[-1] if self._tokens else None

    def _unexpected(self, expected: str) -> ValueError:
        found = f"`{self._tokens[-1]}`" if self._tokens else "the end"
        return ValueError(f"unexpected {found}; expected {expected}")
