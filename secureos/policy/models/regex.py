"""The model `Regex`: texts against patterns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from secureos.policy.models.arguments import TEXT, WORD
from secureos.policy.models.configuration import Configuration
from secureos.policy.models.model import Model, Operation
from secureos.policy.models.patterns import pattern
from secureos.policy.values import BooleanType, LiteralType, Shape, ValueType, is_text

if TYPE_CHECKING:
    from secureos.policy.verdict import Event

_MODES: Final = ("whole", "search")


class Regex(Model):
    r"""Holds texts of a message against patterns that stand in the policy.

    Parameters:
        config = { mode }: Optional. `"whole"`: a pattern must match the whole text; `"search"`: a piece of it. What
            is not said here is as the policy is loaded, normally `"whole"`.

    Rules:
        None.

    Expressions:
        match {text, pattern}: Whether the text matches. The pattern is a text in the policy.
        select {text}: The text, for a `choice` whose cases are patterns.

    Semantics:
        Matching takes one step per character of the text whatever the pattern, so a message cannot make it slow.
        Patterns are characters, `.`, `[a-z]`, `[^a-z]`, `\d \w \s` (ASCII), groups, `|`, `* + ? {m,n}`, `^` and `$`
        (beginning and very end of the text). `.` is any character but a new line.

    Errors:
        Refused at load: what is no pattern; back references, look-around, word boundaries, flags; a pattern longer
        than 1,000 characters or of more than 4,000 parts when written out; an unknown mode.

    Example::

        policy object re : Regex {}
        request dst=Net method=Dial {
            choice (re.select {text : message.host}) {
                "[a-z]+[.]plant" : grant ()
                "10[.].*"        : assert (message.port == 502)
            }
        }
        request dst=Net method=Say { assert (re.match {text : message.line, pattern : "[ -~]{1,80}"}) }
        assert {
            sequence {
                grant request src=Panel dst=Net method=Dial { host : "pump.plant", port : 80 }
                grant request src=Panel dst=Net method=Dial { host : "10.0.0.7", port : 502 }
                deny  request src=Panel dst=Net method=Dial { host : "10.0.0.7", port : 80 }
                deny  request src=Panel dst=Net method=Dial { host : "pump.plant.example", port : 502 }
                grant request src=Panel dst=Net method=Say { line : "all is well" }
                deny  request src=Panel dst=Net method=Say { line : "" }
            }
        }

    Source:
        The security model Regex of KasperskyOS Community Edition. That patterns match the whole text is our choice
        where its documents are silent. Matching: Thompson, CACM 11(6), 1968.
    """

    kind = "Regex"

    def __init__(self, name: str, *, whole: bool = True) -> None:
        super().__init__(name)
        self.whole = whole
        parameters = {"text": TEXT, "pattern": _PatternShape("a pattern", is_text, whole=whole)}
        self.expressions = {
            "match": Operation(self._match, parameters, value=BooleanType()),
            "select": Operation(self._select, {"text": TEXT}, value=WORD, choose=self._choose),
        }

    @classmethod
    def configure(cls, configuration: Configuration) -> Callable[[], Model]:
        """The mode is optional."""
        configuration.types()
        whole = configuration.full_regex
        if configuration.declaration.fields:
            mode = configuration.keys(configuration.config(), ("mode",)).get("mode")
            whole = configuration.name_of(mode, "mode", _MODES) == "whole"
        return partial(cls, configuration.name, whole=whole)

    def _match(self, _event: Event, text: str, expression: str) -> bool:
        return pattern(expression, whole=self.whole).matches(text)

    def _select(self, _event: Event, text: str) -> str:
        return text

    def _choose(self, case: str) -> Callable[[str], bool]:
        return pattern(case, whole=self.whole).matches


@dataclass(frozen=True, slots=True)
class _PatternShape(Shape):
    """Also says why a text is no pattern."""

    whole: bool = True

    def refuse(self, kind: ValueType) -> str | None:
        """None for a pattern, else the end of a sentence."""
        if not isinstance(kind, LiteralType) or not isinstance(kind.value, str):
            return f"must be a text in the policy, not {kind}"
        try:
            pattern(kind.value, whole=self.whole)
        except ValueError as failure:
            return f"is wrong: {failure}"
        return None
