"""Reading the declaration of a policy object: every mistake is noted at its place, none stops the reading."""

from __future__ import annotations

from collections.abc import Iterable

from secureos.policy import syntax as psl
from secureos.xdl.source import Diagnostic, Span, near


class Configuration:
    """What stands in the braces of `policy object name : Model { … }`, and the mistakes found in it.

    Args:
        declaration: The object as the policy declares it.
        full_regex: Whether patterns match the whole text unless the object says otherwise.
    """

    def __init__(self, declaration: psl.ObjectDeclaration, *, full_regex: bool = True) -> None:
        self.declaration = declaration
        self.full_regex = full_regex
        self.name = declaration.name.text
        self.mistakes: list[Diagnostic] = []

    def say(self, span: Span, message: str) -> None:
        """Note a mistake."""
        self.mistakes.append(Diagnostic(span, message))

    def config(self) -> psl.Expression | None:
        """The value of `config`, which must be there, once, and alone."""
        found: psl.Expression | None = None
        for row in self.declaration.fields:
            if row.name.text != "config":
                self.say(row.name.span, f"unknown setting `{row.name.text}`{near(row.name.text, ['config'])}")
            elif found is not None:
                self.say(row.name.span, "`config` is given twice")
            else:
                found = row.value
        if found is None:
            self.say(self.declaration.name.span, f"`{self.name}` has no `config`")
        return found

    def no_fields(self) -> None:
        """For models without a `config`."""
        for row in self.declaration.fields:
            self.say(row.name.span, f"a `{self.declaration.model.text}` has no settings")

    def types(self, *known: str) -> dict[str, psl.TypeExpression]:
        """The types declared in the object; each of `known` must be there, and no other."""
        found: dict[str, psl.TypeExpression] = {}
        for row in self.declaration.types:
            if row.name.text not in known:
                self.say(row.name.span, f"unknown type `{row.name.text}`{near(row.name.text, known)}")
            elif row.name.text in found:
                self.say(row.name.span, f"type `{row.name.text}` is given twice")
            found.setdefault(row.name.text, row.type)
        for name in known:
            if name not in found:
                self.say(self.declaration.name.span, f"`{self.name}` has no `type {name}`")
        return found

    # Where a value is missing altogether, that was noted before: the readers below then return what is harmless.

    def keys(
        self, value: psl.Expression | None, required: Iterable[str], optional: Iterable[str] = ()
    ) -> dict[str, psl.Expression]:
        """A dictionary with exactly these keys; what is missing, unknown or repeated is noted."""
        found = self.entries(value)
        if not isinstance(value, psl.DictionaryLiteral):
            return found
        known = (*required, *optional)
        for entry in value.entries:
            if entry.key not in known:
                self.say(entry.span, f"unknown key `{entry.key}`{near(str(entry.key), known)}")
        for name in required:
            if name not in found:
                self.say(value.span, f"key `{name}` is missing")
        return found

    def entries(self, value: psl.Expression | None) -> dict[str, psl.Expression]:
        """A dictionary with any texts as keys."""
        if value is None:
            return {}
        if not isinstance(value, psl.DictionaryLiteral):
            self.say(value.span, "a dictionary `{…}` is due here")
            return {}
        found: dict[str, psl.Expression] = {}
        for entry in value.entries:
            if not isinstance(entry.key, str):
                self.say(entry.span, f"key `{entry.key}` must be a name or a text")
            elif entry.key in found:
                self.say(entry.span, f"key `{entry.key}` is given twice")
            else:
                found[entry.key] = entry.value
        return found

    def name_of(self, value: psl.Expression | None, what: str, known: Iterable[str]) -> str:
        """A text out of known ones."""
        name = self.text(value)
        if value is not None and name:
            self.known(value.span, what, name, known)
        return name

    def known(self, span: Span, what: str, name: str, known: Iterable[str]) -> None:
        """Note a name that does not exist."""
        names = tuple(known)
        if name not in names:
            self.say(span, f"unknown {what} `{name}`{near(name, names)}")

    def names_of(self, value: psl.Expression | None, what: str, known: Iterable[str]) -> tuple[str, ...]:
        """A list of such texts, none of them twice."""
        names = tuple(known)
        for item in self.items(value):
            self.name_of(item, what, names)
        return self.distinct_texts(value)

    def integer(self, value: psl.Expression | None, low: int, high: int) -> int:
        """An integer within bounds; `low` where it is not."""
        if value is None:
            return low
        if not isinstance(value, psl.Constant) or type(value.value) is not int:
            self.say(value.span, "an integer is due here")
        elif not low <= value.value <= high:
            self.say(value.span, f"{value.value} is outside {low} to {high}")
        else:
            return value.value
        return low

    def text(self, value: psl.Expression | None) -> str:
        """A text; empty where it is none."""
        if value is None:
            return ""
        if isinstance(value, psl.Constant) and isinstance(value.value, str) and value.value:
            return value.value
        self.say(value.span, "a text that is not empty is due here")
        return ""

    def items(self, value: psl.Expression | None) -> tuple[psl.Expression, ...]:
        """The items of a list."""
        if value is None:
            return ()
        if isinstance(value, psl.ListLiteral):
            return value.items
        self.say(value.span, "a list `[…]` is due here")
        return ()

    def distinct_texts(self, value: psl.Expression | None) -> tuple[str, ...]:
        """A list of texts, none of them twice."""
        found: list[str] = []
        for item in self.items(value):
            text = self.text(item)
            if text in found:
                self.say(item.span, f"`{text}` is listed twice")
            found.append(text)
        return tuple(found)
