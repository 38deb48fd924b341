"""The model `Flow`: one automaton per subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from secureos.policy import syntax as psl
from secureos.policy.models.arguments import WORD, case_out_of
from secureos.policy.models.changes import drop, put
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.model import Incorrect, Model, Operation, Undo
from secureos.policy.values import INTEGER, LiteralType, Shape, ValueType, is_run_of

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

MAX_SUBJECTS: Final = 65_536


class Flow(Model):
    """Finite automata, one per security identifier, so that messages come in the right order.

    Parameters:
        type State: The states, `"a" | "b" | …`.
        config = { states, initial, transitions }: The list of states, the first one, and from each state the list
            of those that can follow. A state without transitions is final.

    Rules:
        init {sid}: Begins an automaton in the initial state; denied if `sid` has one.
        fini {sid}: Ends it.
        enter {sid, state}: Goes to `state`; denied unless that transition is listed.
        allow {sid, states}: Granted if the automaton is in one of `states`.

    Expressions:
        query {sid}: The state, for a `choice` whose cases are states.

    Semantics:
        All but `init` deny a `sid` that has no automaton. To stay in a state is a transition as any other: it must
        be listed. At most 65,536 automata are kept; `init` is denied beyond.

    Errors:
        Refused at load: a state that is not listed, wherever it is named; a state listed twice; `type State` and
        `states` that differ; a case of a `choice` that is no state.

    Example::

        policy object life : Flow {
            type State = "new" | "armed" | "fired"
            config = { states : ["new", "armed", "fired"], initial : "new",
                       transitions : { "new" : ["armed"], "armed" : ["fired"] } }
        }
        execute dst=Pump { life.init {sid : dst_sid} }
        request dst=Pump method=Arm { life.enter {sid : dst_sid, state : "armed"} }
        request dst=Pump method=Fire { life.enter {sid : dst_sid, state : "fired"} }
        assert {
            setup { pump <- execute src=Einit dst=Pump }
            sequence {
                deny  request src=Panel dst=pump method=Fire
                grant request src=Panel dst=pump method=Arm
                grant request src=Panel dst=pump method=Fire
                deny  request src=Panel dst=pump method=Fire
            }
        }

    Source:
        The security model Flow of KasperskyOS Community Edition.
    """

    kind = "Flow"

    def __init__(
        self, name: str, *, states: tuple[str, ...], initial: str, transitions: Mapping[str, frozenset[str]]
    ) -> None:
        super().__init__(name)
        self._initial = initial
        self._transitions = transitions
        self._state: dict[int, str] = {}
        words = f"one of the states {', '.join(states)}"
        state = Shape(words, partial(_is_state, frozenset(states)), states)
        some = Shape(f"a list of states out of {', '.join(states)}", is_run_of(state.fits), states)
        query = Operation(self._query, {"sid": INTEGER}, value=WORD, choose=case_out_of("state", states))
        self.expressions = {"query": query}
        self.rules = {
            "init": Operation(self._init, {"sid": INTEGER}),
            "fini": Operation(self._fini, {"sid": INTEGER}),
            "enter": Operation(self._enter, {"sid": INTEGER, "state": state}),
            "allow": Operation(self._allow, {"sid": INTEGER, "states": some}),
        }

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """Check that type, states and transitions agree."""
        kind = configuration.types("State").get("State")
        keys = configuration.keys(configuration.config(), ("states", "initial", "transitions"))
        states = configuration.distinct_texts(keys.get("states"))
        if kind is not None and states:
            _check_type(configuration, kind, states)
        initial = configuration.name_of(keys.get("initial"), "state", states)
        return partial(
            cls,
            configuration.name,
            states=states,
            initial=initial,
            transitions=_transitions(configuration, keys.get("transitions"), states),
        )

    def snapshot(self) -> Any:  # noqa: ANN401
        """The state of each automaton, by sid."""
        return sorted([sid, state] for sid, state in self._state.items())

    def restore(self, state: Any) -> None:  # noqa: ANN401
        """Take over what `snapshot` gave."""
        self._state.clear()
        self._state.update(map(tuple, state))

    def _init(self, _event: Event, undo: Undo, sid: int) -> str | None:
        if sid in self._state:
            return f"`{self.name}`: subject {sid} has begun already"
        if len(self._state) >= MAX_SUBJECTS:
            return f"`{self.name}`: there are {MAX_SUBJECTS} automata already"
        put(undo, self._state, sid, self._initial)
        return None

    def _fini(self, _event: Event, undo: Undo, sid: int) -> str | None:
        if sid not in self._state:
            return self._unknown(sid)
        drop(undo, self._state, sid)
        return None

    def _enter(self, _event: Event, undo: Undo, sid: int, state: str) -> str | None:
        before = self._state.get(sid)
        if before is None:
            return self._unknown(sid)
        if state not in self._transitions.get(before, frozenset()):
            return f"`{self.name}`: subject {sid} cannot go from `{before}` to `{state}`"
        put(undo, self._state, sid, state)
        return None

    def _allow(self, _event: Event, _undo: Undo, sid: int, states: Sequence[str]) -> str | None:
        now = self._state.get(sid)
        if now is None:
            return self._unknown(sid)
        return None if now in states else f"`{self.name}`: subject {sid} is in `{now}`, not in {' or '.join(states)}"

    def _query(self, _event: Event, sid: int) -> str:
        state = self._state.get(sid)
        if state is None:
            raise Incorrect(self._unknown(sid))
        return state

    def _unknown(self, sid: int) -> str:
        return f"`{self.name}`: subject {sid} has not begun"


def _is_state(states: frozenset[str], kind: ValueType) -> bool:
    return isinstance(kind, LiteralType) and kind.value in states


def _check_type(configuration: Configuration, kind: psl.TypeExpression, states: Sequence[str]) -> None:
    options = kind.options if isinstance(kind, psl.VariantType) else (kind,)
    declared = [option.value for option in options if isinstance(option, psl.Constant)]
    if len(declared) < len(options) or not all(isinstance(value, str) for value in declared):
        configuration.say(kind.span, 'the states are texts: `"a" | "b"`')
    elif set(declared) != set(states):
        configuration.say(kind.span, "`type State` and `states` list different states")


def _transitions(
    configuration: Configuration, value: psl.Expression | None, states: Sequence[str]
) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for source, targets in configuration.entries(value).items():
        configuration.known(targets.span, "state", source, states)
        items = configuration.items(targets)
        found[source] = frozenset(configuration.name_of(item, "state", states) for item in items)
    return found
