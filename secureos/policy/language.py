"""The objects `pred`, `bool`, `math` and `struct`: expressions of the language that need no state.

Pred: `pred.empty (x)` of a text, a list, a dictionary or `()`.
Bool: `bool.all […]` (of nothing: true), `bool.any […]` (of nothing: false), `bool.cond {if : …, then : …, else : …}`.
Math: `math.neg (x)`, `math.abs (x)` of signed numbers, `math.sum […]` (of nothing: 0), `math.product […]` (of nothing:
1), and the casts `math.uint8 (x)` … `math.sint64 (x)`. A result that does not fit is incorrect: the event is denied.
Struct: `size (x)`, the length of a list.
Comparisons, `! && || ==>`, `+ - * & | ~` and `.field`, `.[n]` are their operators. Of `all`, `any` and `cond` only what
matters is computed, from the left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final

from secureos.policy import syntax as psl
from secureos.policy.models import Configuration, Incorrect, Model
from secureos.policy.operators import bounded, operand
from secureos.policy.typed import Compiled, Compiler, Evaluate, mistake, named_entries
from secureos.policy.values import (
    COMPUTED,
    INTEGERS,
    BooleanType,
    LiteralType,
    RecordType,
    UnitType,
    ValueType,
    is_boolean,
    is_integer,
    is_run,
    is_text,
)
from secureos.policy.verdict import Event
from secureos.xdl import types as xdl
from secureos.xdl.types import IntegerType

OBJECTS: Final[Mapping[str, str]] = {"pred": "Pred", "bool": "Bool", "math": "Math", "struct": "Struct"}
"""The objects that are always there, and their models."""

Function = Callable[[Compiler, psl.Application], Compiled]


class Language(Model):
    """A further object of one of these models, by another name; its expressions are the same."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(name)
        self.language = kind

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """It has nothing to configure."""
        configuration.no_fields()
        configuration.types()
        return partial(cls, configuration.name, configuration.declaration.model.text)


def language_kind(name: str, objects: Mapping[str, Model]) -> str | None:
    """The model of an object of the language; None if the object is none of these."""
    model = objects.get(name)
    if model is None:
        return OBJECTS.get(name)
    return model.language if isinstance(model, Language) else None


def _argument(compiler: Compiler, part: psl.Application, fits: Callable[[ValueType], bool], words: str) -> Compiled:
    return operand(compiler, part.path.text, part.argument, fits, words)


# ---- Pred and Struct -----------------------------------------------------------------------------------------------


def _can_be_empty(kind: ValueType) -> bool:
    return is_text(kind) or is_run(kind) or isinstance(kind, RecordType | UnitType)


def _empty(compiler: Compiler, part: psl.Application) -> Compiled:
    value = _argument(compiler, part, _can_be_empty, "a text, a list, a dictionary or `()`").evaluate
    return Compiled(BooleanType(), lambda event: not value(event))


def _size(compiler: Compiler, part: psl.Application) -> Compiled:
    value = _argument(compiler, part, is_run, "a list").evaluate
    return Compiled(COMPUTED, lambda event: len(value(event)))


# ---- Bool ----------------------------------------------------------------------------------------------------------


def _booleans(compiler: Compiler, part: psl.Application) -> list[Evaluate]:
    if not isinstance(part.argument, psl.ListLiteral):
        kind = compiler.compile(part.argument).type
        raise mistake(part.argument.span, f"`{part.path.text}` takes a list `[…]` of Booleans, not {kind}")
    return [operand(compiler, part.path.text, item, is_boolean, "Booleans").evaluate for item in part.argument.items]


def _all(compiler: Compiler, part: psl.Application) -> Compiled:
    values = _booleans(compiler, part)
    return Compiled(BooleanType(), lambda event: all(value(event) for value in values))


def _any(compiler: Compiler, part: psl.Application) -> Compiled:
    values = _booleans(compiler, part)
    return Compiled(BooleanType(), lambda event: any(value(event) for value in values))


_COND: Final = ("if", "then", "else")


def _cond(compiler: Compiler, part: psl.Application) -> Compiled:
    shown = part.path.text
    if not isinstance(part.argument, psl.DictionaryLiteral):
        raise mistake(part.argument.span, f"`{shown}` takes `{{if : …, then : …, else : …}}`")
    given = named_entries(part.argument, dict.fromkeys(_COND), shown)
    for name in _COND:
        if name not in given:
            raise mistake(part.argument.span, f"`{shown}` needs the parameter `{name}`")
    condition = operand(compiler, shown, given["if"], is_boolean, "a Boolean as `if`").evaluate
    then, other = compiler.compile(given["then"]), compiler.compile(given["else"])
    kind = _common(then.type, other.type)
    if kind is None:
        raise mistake(given["else"].span, f"`else` is {other.type}, but `then` is {then.type}")
    yes, no = then.evaluate, other.evaluate
    return Compiled(kind, lambda event: yes(event) if condition(event) else no(event))


def _common(left: ValueType, right: ValueType) -> ValueType | None:
    if left == right:
        return left
    if is_integer(left) and is_integer(right):
        return COMPUTED
    if is_text(left) and is_text(right):
        return xdl.StringType(_TEXT_LIMIT)
    return None


_TEXT_LIMIT: Final = 1 << 24


# ---- Math ----------------------------------------------------------------------------------------------------------


def _is_signed(kind: ValueType) -> bool:
    return is_integer(kind) and not (isinstance(kind, IntegerType) and kind.low == 0)


def _math(compiler: Compiler, part: psl.Application, *, compute: Callable[[int], int]) -> Compiled:
    value, shown = _argument(compiler, part, _is_signed, "a signed integer").evaluate, part.path.text
    return Compiled(COMPUTED, lambda event: bounded(compute(value(event)), shown))


def _fold(compiler: Compiler, part: psl.Application, *, compute: Callable[[Collection[int]], int]) -> Compiled:
    value, shown = _argument(compiler, part, INTEGERS.fits, "a list of integers").evaluate, part.path.text
    return Compiled(COMPUTED, lambda event: bounded(compute(value(event)), shown))


def _cast(compiler: Compiler, part: psl.Application, *, kind: IntegerType) -> Compiled:
    number = _argument(compiler, part, is_integer, "an integer")
    if isinstance(number.type, LiteralType):
        low = high = int(number.type.value)
        if not kind.low <= low <= high <= kind.high:
            raise mistake(part.argument.span, f"{low} is outside {kind.low} to {kind.high} ({kind})")
    value = number.evaluate

    def evaluate(event: Event) -> int:
        found: int = value(event)
        if not kind.low <= found <= kind.high:
            raise Incorrect(f"{found} does not fit {kind}")
        return found

    return Compiled(kind, evaluate)


def _product(numbers: Collection[int]) -> int:
    """Long lists of large numbers are not multiplied to their end: what does not fit is found on the way."""
    found = 1
    for number in [0] if 0 in numbers else numbers:
        found = bounded(found * number, "math.product")
    return found


_CASTS: Final = {name.lower(): partial(_cast, kind=kind) for name, kind in xdl.INTEGERS.items() if name[4:].isdigit()}

FUNCTIONS: Final[Mapping[tuple[str, str], Function]] = {
    ("Pred", "empty"): _empty,
    ("Bool", "all"): _all,
    ("Bool", "any"): _any,
    ("Bool", "cond"): _cond,
    ("Math", "neg"): partial(_math, compute=int.__neg__),
    ("Math", "abs"): partial(_math, compute=abs),
    ("Math", "sum"): partial(_fold, compute=sum),
    ("Math", "product"): partial(_fold, compute=_product),
    **{("Math", name): cast for name, cast in _CASTS.items()},
    ("Struct", "size"): _size,
    ("", "size"): _size,
}
"""Every expression of the language, by the model of its object (empty: it stands alone) and its name."""
