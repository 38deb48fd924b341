"""From conditions to the steps of a program for the built back end.

A program compares whole numbers of 64 bits; it is written from its end to its beginning, so that every step knows
already where to go on. What cannot be said in steps is left to the plain decision function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from secureos.policy import syntax as psl
from secureos.policy.codegen_expressions import LeftToClosures, access, chain
from secureos.policy.language import language_kind
from secureos.policy.models import Model
from secureos.policy.models.point_set import PointSet
from secureos.xdl.types import IntegerType, Parameter

Step = tuple[int, int, int, int, int, int, int, int]
"""Operation, whether `right` is a constant, left, right, into, object; where to go on if so, and if not."""

GRANTED: Final = -1
"""Where to go on when all is well; the end with reason n is -1 - n."""

_OPERATIONS: Final = (
    *("<", "<=", "==", "!=", ">", ">=", "+", "-", "*", "&", "|"),
    *("load", "among", "in state", "within", "take", "put number", "put object"),
)
_CODES: Final[Mapping[str, int]] = {name: code for code, name in enumerate(_OPERATIONS)}
"""INVARIANT: in the order of `_decisions.c`."""

_MIRRORED: Final[Mapping[str, str]] = {"<": ">", "<=": ">=", "==": "==", "!=": "!=", ">": "<", ">=": "<="}
_ARITHMETIC: Final = frozenset({"+", "-", "*", "&", "|"})
_MAX_CONSTANT: Final = 2**63 - 1

# What a program can hold at most, as in `_decisions.c`.
_MAX_ARGUMENTS: Final = 32
_MAX_TEMPORARIES: Final = 32
_MAX_CONSTANTS: Final = 1024
_MAX_HELD: Final = 64
_MAX_STEPS: Final = 4096

_Before = Callable[[int], int]
"""Writes what must be computed before a step: from the label of that step to the label to begin at."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What like rule lists share: a program without its constants and objects."""

    arguments: int
    temporaries: int
    constants: int
    objects: int
    start: int
    steps: tuple[Step, ...]


@dataclass
class StepWriter:
    """Writes steps over the arguments `src_sid, dst_sid, field, field, …`.

    Every method raises `LeftToClosures` for what no program can say. INVARIANT: expressions are nested no deeper than
    the plain decision function takes them, which is made first.

    Attributes:
        fields: The fields of the message, in their order.
        objects: The policy objects.
        constants, held: What is bound to the program: numbers, and containers of the objects.
        temporaries: How many slots there are for what is computed on the way.
    """

    fields: Sequence[Parameter]
    objects: Mapping[str, Model]
    constants: list[int] = field(default_factory=list)
    held: list[object] = field(default_factory=list)
    temporaries: int = 0
    _steps: list[Step] = field(default_factory=list)

    # ---- steps -----------------------------------------------------------------------------------------------------

    def emit(
        self,
        operation: str,
        slots: tuple[int, int],
        *,
        yes: int,
        no: int = GRANTED,
        constant: bool = False,
        into: int = 0,
        held: int = 0,
    ) -> int:
        """Write one step before all that was written; the label of that step.

        Args:
            operation: One of `_OPERATIONS`.
            slots: Left and right.
            yes: The label of where to go on.
            no: The same for when a test fails.
            constant: Whether right is a constant.
            into: Where the result goes, or a second container.
            held: The container.
        """
        self._steps.append((_CODES[operation], int(constant), *slots, into, held, yes, no))
        return len(self._steps) - 1

    def shape(self, start: int) -> Shape:
        """All that was written, the first step first, beginning at a label."""
        last = len(self._steps) - 1

        def target(label: int) -> int:
            return label if label < 0 else last - label

        arguments = len(self.fields) + 2
        _bound((arguments, _MAX_ARGUMENTS), (self.temporaries, _MAX_TEMPORARIES), (len(self._steps), _MAX_STEPS))
        _bound((len(self.constants), _MAX_CONSTANTS), (len(self.held), _MAX_HELD))
        steps = tuple((*step[:6], target(step[6]), target(step[7])) for step in reversed(self._steps))
        return Shape(arguments, self.temporaries, len(self.constants), len(self.held), target(start), steps)

    def constant(self, value: int) -> int:
        """The place of a number."""
        if not -_MAX_CONSTANT <= value <= _MAX_CONSTANT:
            raise LeftToClosures
        self.constants.append(value)
        return len(self.constants) - 1

    def hold(self, container: object) -> int:
        """The place of a container."""
        self.held.append(container)
        return len(self.held) - 1

    def temporary(self) -> int:
        """A slot for what is computed on the way."""
        self.temporaries += 1
        return len(self.fields) + 1 + self.temporaries

    # ---- values ----------------------------------------------------------------------------------------------------

    def argument(self, part: psl.Expression) -> int:
        """The slot of a sid or of a whole field."""
        root, *steps = access(part)
        if not steps:
            return {"src_sid": 0, "dst_sid": 1}[str(root)]
        for position, known in enumerate(self.fields, start=2):
            if [known.name] == steps and isinstance(known.type, IntegerType):
                return position
        raise LeftToClosures

    def _value(self, part: psl.Expression) -> tuple[int, _Before]:
        """The slot of a number, and what must be computed before."""
        if isinstance(part, psl.Path | psl.Member | psl.Element):
            return self.argument(part), _nothing
        into, fixed = self.temporary(), number(part)
        if fixed is not None:
            right = self.constant(fixed)
            return into, lambda label: self.emit("load", (0, right), yes=label, constant=True, into=into)
        if not isinstance(part, psl.Binary) or part.operator not in _ARITHMETIC:
            raise LeftToClosures
        return into, self._binary(part.operator, part.left, part.right, into=into)

    def _binary(
        self, sign: str, left: psl.Expression, right: psl.Expression, *, into: int = 0, no: int = GRANTED
    ) -> _Before:
        """A sign between two numbers, and what must be computed before."""
        first, before_first = self._value(left)
        fixed = number(right)
        second, before_second = self._value(right) if fixed is None else (self.constant(fixed), _nothing)

        def write(label: int) -> int:
            constant = fixed is not None
            label = self.emit(sign, (first, second), yes=label, no=no, constant=constant, into=into)
            return before_first(before_second(label))

        return write

    # ---- conditions ------------------------------------------------------------------------------------------------

    def test(self, part: psl.Expression, *, yes: int, no: int) -> int:
        """Write a condition: where to begin, to go on at `yes` if it holds and at `no` if it does not."""
        match part:
            case psl.Constant(value=bool(truth)):
                return yes if truth else no
            case psl.Unary(operator="!"):
                return self.test(part.operand, yes=no, no=yes)
            case psl.Binary(operator="&&" | "||" as sign):
                return self._several(chain(part, sign), every=sign == "&&", yes=yes, no=no)
            case psl.Binary(operator="==>"):
                after = self.test(part.right, yes=yes, no=no)
                return self.test(part.left, yes=after, no=yes)
            case psl.Binary() if part.operator in _MIRRORED:
                return self.compare(part.operator, part.left, part.right, yes=yes, no=no)
        assert isinstance(part, psl.Application)  # nothing else is a Boolean
        return self._application(part, yes=yes, no=no)

    def compare(self, sign: str, left: psl.Expression, right: psl.Expression, *, yes: int, no: int) -> int:
        """Write a comparison of two numbers."""
        if number(left) is not None and number(right) is None:
            sign, left, right = _MIRRORED[sign], right, left
        return self._binary(sign, left, right, no=no)(yes)

    def _several(self, parts: Sequence[psl.Expression], *, every: bool, yes: int, no: int) -> int:
        """Conditions that must all hold, or of which one must."""
        for part in reversed(parts):
            if every:
                yes = self.test(part, yes=yes, no=no)
            else:
                no = self.test(part, yes=yes, no=no)
        return yes if every else no

    def _application(self, part: psl.Application, *, yes: int, no: int) -> int:
        *front, name = part.path.names
        holder = ".".join(front)
        match language_kind(holder, self.objects) if front else "", name, part.argument:
            case "Bool", "all" | "any", psl.ListLiteral(items=items):
                return self._several(items, every=name == "all", yes=yes, no=no)
            case "Bool", "cond", psl.DictionaryLiteral(entries=entries):
                given = {entry.key: entry.value for entry in entries}
                then = self.test(given["then"], yes=yes, no=no)
                other = self.test(given["else"], yes=yes, no=no)
                return self.test(given["if"], yes=then, no=other)
            case None, _, psl.DictionaryLiteral(entries=(entry,)) if isinstance(self.objects[holder], PointSet):
                return self._among(self.objects[holder], self.argument(entry.value), yes=yes, no=no)
        raise LeftToClosures

    def _among(self, model: Model, slot: int, *, yes: int, no: int) -> int:
        """Of a single point, to meet a set and to be covered by it are the same."""
        assert isinstance(model, PointSet)
        return self.emit("among", (slot, slot), yes=yes, no=no, held=self.hold(model._members))


def number(part: psl.Expression) -> int | None:
    """The value of a number that stands in the policy."""
    return part.value if isinstance(part, psl.Constant) and type(part.value) is int else None


def _nothing(label: int) -> int:
    return label


def _bound(*sizes: tuple[int, int]) -> None:
    if any(size > most for size, most in sizes):
        raise LeftToClosures
