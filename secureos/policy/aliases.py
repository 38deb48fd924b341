"""`type Name = …` at the top of a file: names for types, which policy objects may then use."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from secureos.policy import syntax as psl
from secureos.xdl.source import Diagnostic, PolicyError, near
from secureos.xdl.types import INTEGERS

_MAX_PARTS: Final = 1000
_MAX_DEPTH: Final = 32

KNOWN: Final = frozenset(
    {name for name in INTEGERS if name[4:].isdigit()}
    | {"Boolean", "Text", "Unsigned", "Signed", "Number", "ScalarLiteral", "Literal", "Sid", "Handle", "HandleDesc"}
    | {"Set", "List", "Map", "Array", "Sequence"}
)
"""The types that need no declaration."""


class Aliases:
    """The types that a policy declares, by name."""

    def __init__(self) -> None:
        self._declared: dict[str, psl.TypeDeclaration] = {}
        self._parts = 0

    def add(self, declaration: psl.TypeDeclaration) -> None:
        """Take over a declaration.

        Raises:
            PolicyError: The name is taken.
        """
        name = declaration.name
        if name.text in KNOWN or name.text in self._declared:
            raise PolicyError([Diagnostic(name.span, f"type `{name.text}` is declared already")])
        self._declared[name.text] = declaration

    def check(self) -> list[Diagnostic]:
        """What is wrong with the declarations themselves."""
        mistakes: list[Diagnostic] = []
        for declaration in self._declared.values():
            try:
                self._parts = 0
                self._type(declaration.type, (declaration.name.text,), strict=True)
            except PolicyError as failure:
                mistakes.extend(failure.diagnostics)
        return mistakes

    def resolve(self, declaration: psl.TypeDeclaration) -> psl.TypeDeclaration:
        """The declaration with every declared name replaced by what it stands for; of others the model judges.

        Raises:
            PolicyError: A name stands for itself, or for something too large.
        """
        self._parts = 0
        return replace(declaration, type=self._type(declaration.type, (), strict=False))

    def _type(self, part: psl.TypeExpression, inside: tuple[str, ...], *, strict: bool) -> psl.TypeExpression:
        self._parts += 1
        if self._parts > _MAX_PARTS or len(inside) > _MAX_DEPTH:
            message = f"a type has at most {_MAX_PARTS} parts and {_MAX_DEPTH} names within names"
            raise PolicyError([Diagnostic(part.span, message)])
        within = partial(self._type, inside=inside, strict=strict)
        match part:
            case psl.NamedType() if part.name in self._declared:
                return self._declared_type(part, inside, strict=strict)
            case psl.NamedType():
                if strict and part.name not in KNOWN:
                    hint = near(part.name, (*KNOWN, *self._declared))
                    raise PolicyError([Diagnostic(part.span, f"unknown type `{part.name}`{hint}")])
                return replace(part, arguments=tuple(map(within, part.arguments)))
            case psl.TupleType():
                return replace(part, items=tuple(map(within, part.items)))
            case psl.VariantType():
                return replace(part, options=tuple(map(within, part.options)))
            case psl.DictionaryType():
                return replace(part, fields=tuple((name, within(kind)) for name, kind in part.fields))
        return part

    def _declared_type(self, part: psl.NamedType, inside: tuple[str, ...], *, strict: bool) -> psl.TypeExpression:
        if part.arguments:
            raise PolicyError([Diagnostic(part.span, f"type `{part.name}` takes no types")])
        if part.name in inside:
            raise PolicyError([Diagnostic(part.span, f"type `{part.name}` stands for itself")])
        return self._type(self._declared[part.name].type, (*inside, part.name), strict=strict)
