"""The model `Temporal`: what must have happened before, in past-time temporal logic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from secureos.policy import syntax as psl
from secureos.policy.models.arguments import one_of
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.formula import Formula, Trace, parse_formula
from secureos.policy.models.measured import MAX_MS, NS_PER_MS
from secureos.policy.models.model import Incorrect, Model, Operation, Undo
from secureos.policy.values import BOOLEAN, BooleanType

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

MAX_ATOMS: Final = 64
MAX_FORMULAS: Final = 64


class Temporal(Model):
    """Follows the steps of a process and knows which formulas about its past are true.

    Parameters (`config = { … }`):
        atoms: The names of the facts that each step tells, 1 to 64.
        formulas: For each name a formula as a text, at most 64.
        max_age_ms: How old the last step may be when a formula is asked for, 1 ms to 30 days.

    Rules:
        step {…}: One step: takes a Boolean for each of the atoms, under its name. Always granted.
        require {formula}: Granted if the formula is true now; denied also if that is not known.

    Expressions:
        holds {formula}: Whether the formula is true now; without value (the event is denied) before the first step,
            and when the last one is older than `max_age_ms`.

    Semantics:
        Formulas, loosest first: `f ==> g`, `f || g`, `f && g`, `f since g`, and the prefixes `! f`, `previously f`,
        `once f`, `historically f`, `lasting 5 s f`. They speak of the steps so far: `once f` is true if f held at
        some step up to the last; `historically f`, if at all of them; `previously f`, if at the last but one;
        `f since g`, if g held at some step and f at all steps after it; `lasting T f`, if f held at a step at least
        T ago and at all steps after it. `once within T f`, `historically within T f` and `f since within T g`
        speak of the steps at most T ago. A bound at the outside is measured from the time of the question, one
        within another temporal operator from the step of which that speaks. If two steps lie further apart than
        `max_age_ms`, `lasting` begins anew with the second. Beware: `historically within T f` is true also if there
        are no steps; `lasting T f` is not.

    Errors:
        Refused at load: what is no formula, atoms that are not listed, formulas in the policy that do not exist,
        times beyond 30 days, nesting deeper than 50.

    Example::

        policy object burner : Temporal { config = {
            atoms : ["fan", "flame"],
            formulas : { "purged" : "lasting 0 s fan && !(once flame)" },
            max_age_ms : 1000
        } }
        security src=Sensor method=Burner {
            burner.step { fan : message.fan == 1, flame : message.flame == 1 }
        }
        request dst=Pump method=Fire { burner.require {formula : "purged"} }
        assert {
            sequence {
                deny  request src=Panel dst=Pump method=Fire
                grant security src=Sensor method=Burner { fan : 1, flame : 0 }
                grant request src=Panel dst=Pump method=Fire
                grant security src=Sensor method=Burner { fan : 1, flame : 1 }
                deny  request src=Panel dst=Pump method=Fire
            }
        }

    Source:
        O. Lichtenstein, A. Pnueli, L. Zuck, The glory of the past, 1985; computed after K. Havelund, G. Roşu,
        Synthesizing monitors for safety properties, TACAS 2002.
    """

    kind = "Temporal"

    def __init__(self, name: str, *, atoms: tuple[str, ...], formulas: Mapping[str, Formula], max_age_ms: int) -> None:
        super().__init__(name)
        self._names = atoms
        self._max_age_ns = max_age_ms * NS_PER_MS
        self._trace = Trace(formulas)
        self._atoms: Mapping[str, bool] = {}
        self._at_ns: int | None = None
        formula = {"formula": one_of("a formula", tuple(formulas))}
        self.rules = {
            "step": Operation(self._step, dict.fromkeys(atoms, BOOLEAN)),
            "require": Operation(self._require, formula),
        }
        self.expressions = {"holds": Operation(self._holds, formula, value=BooleanType())}

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Read the formulas."""
        configuration.types()
        keys = configuration.keys(configuration.config(), ("atoms", "formulas", "max_age_ms"))
        atoms = configuration.distinct_texts(keys.get("atoms"))
        if "atoms" in keys and not 1 <= len(atoms) <= MAX_ATOMS:
            configuration.say(keys["atoms"].span, f"there are 1 to {MAX_ATOMS} atoms, not {len(atoms)}")
        rows = configuration.entries(keys.get("formulas"))
        if len(rows) > MAX_FORMULAS:
            configuration.say(keys["formulas"].span, f"there are at most {MAX_FORMULAS} formulas, not {len(rows)}")
        return partial(
            cls,
            configuration.name,
            atoms=atoms,
            formulas={name: _formula(configuration, row, atoms) for name, row in rows.items()},
            max_age_ms=configuration.integer(keys.get("max_age_ms"), 1, MAX_MS),
        )

    def snapshot(self) -> Any:  # noqa: ANN401
        """The last step, and what is remembered of those before."""
        return {
            "at_ns": self._at_ns,
            "atoms": dict(self._atoms),
            "memory": list(self._trace.memory),
            "truth": list(self._trace.truth),
        }

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self._put(state["at_ns"], dict(state["atoms"]), list(state["memory"]), list(state["truth"]))

    def _step(self, event: Event, undo: Undo, *values: bool) -> None:
        atoms = dict(zip(self._names, values, strict=True))
        gap = self._at_ns is not None and event.at_ns - self._at_ns > self._max_age_ns
        memory, truth = self._trace.step(atoms, event.at_ns, gap=gap)
        undo.append(partial(self._put, self._at_ns, self._atoms, self._trace.memory, self._trace.truth))
        self._put(event.at_ns, atoms, memory, truth)

    def _require(self, event: Event, _undo: Undo, formula: str) -> str | None:
        why = self._unknown(event.at_ns)
        if why is None and not self._trace.holds(formula, self._atoms, event.at_ns):
            why = f"`{self.name}`: `{formula}` is not true"
        return why

    def _holds(self, event: Event, formula: str) -> bool:
        why = self._unknown(event.at_ns)
        if why is not None:
            raise Incorrect(why)
        return self._trace.holds(formula, self._atoms, event.at_ns)

    def _unknown(self, at_ns: int) -> str | None:
        if self._at_ns is None:
            return f"`{self.name}`: there was no step yet"
        age_ns = at_ns - self._at_ns
        if age_ns <= self._max_age_ns:
            return None
        most = self._max_age_ns // NS_PER_MS
        return f"`{self.name}`: the last step was {age_ns // NS_PER_MS} ms ago, at most {most} ms are allowed"

    def _put(self, at_ns: int | None, atoms: Mapping[str, bool], memory: list[int | None], truth: list[bool]) -> None:
        self._at_ns, self._atoms = at_ns, atoms
        self._trace.memory, self._trace.truth = memory, truth


def _formula(configuration: Configuration, row: psl.Expression, atoms: tuple[str, ...]) -> Formula:
    text = configuration.text(row)
    try:
        return parse_formula(text, atoms) if text else Formula("atom")
    except ValueError as failure:
        configuration.say(row.span, str(failure))
        return Formula("atom")
