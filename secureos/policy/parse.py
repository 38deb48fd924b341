"""From the text of a policy file to its parts."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path as FilePath
from typing import cast

from lark import Token, Tree

from secureos.policy import syntax as psl
from secureos.xdl.grammar import Comment, Grammar, Parsed, integer, span_of
from secureos.xdl.source import Diagnostic, PolicyError, Source, Span

Part = Tree[Token]

_OPERATORS = {
    "binary_implies": "==>",
    "binary_or": "||",
    "binary_and": "&&",
    "binary_add": "+",
    "binary_subtract": "-",
    "binary_multiply": "*",
    "bit_or": "|",
    "bit_and": "&",
}


@cache
def psl_grammar() -> Grammar:
    """The grammar of PSL; made once."""
    return Grammar(FilePath(__file__).with_name("psl.lark"), ("start",))


def parse(source: Source) -> psl.File:
    """Parse one policy file; what is in it is not looked up yet.

    Raises:
        PolicyError: It does not follow the grammar, nests too deep, or holds an integer beyond 64 bits.
    """
    return _Builder(psl_grammar().parse(source, "start")).file()


class _Builder:
    """Turns the parse tree of one file into `syntax`; the grammar has checked the shape already."""

    def __init__(self, parsed: Parsed) -> None:
        self._source = parsed.source
        self._tree = parsed.tree
        self._notes = _Notes(parsed.source, parsed.comments)

    def file(self) -> psl.File:
        mistakes: list[Diagnostic] = []
        declarations: list[psl.Declaration] = []
        for part in _trees(self._tree):
            try:
                declarations.append(self._declaration(part))
            except PolicyError as failure:
                mistakes.extend(failure.diagnostics)
        if mistakes:
            raise PolicyError(mistakes)
        return psl.File(self._source, tuple(declarations))

    def _span(self, part: Part | Token) -> Span:
        return span_of(self._source, part)

    def _name(self, part: Part) -> psl.Name:
        return psl.Name(".".join(_tokens(part)), self._span(part))

    # ---- declarations ----------------------------------------------------------------------------------------------

    def _declaration(self, part: Part) -> psl.Declaration:
        match part.data:
            case "binding":
                return self._binding(part)
            case "object":
                return self._object(part)
            case "type_declaration":
                return self._type_declaration(part)
            case "test_set":
                return self._test_set(part)
        return self._short_declaration(part)

    def _short_declaration(self, part: Part) -> psl.Declaration:
        span, (first, *rest) = self._span(part), _trees(part)
        match part.data:
            case "execute_interface":
                return psl.ExecuteInterface(self._name(first), span)
            case "use_class":
                return psl.UseClass(self._name(first), span)
            case "use_file":
                return psl.UseFile(self._path(first), span)
            case "profile":
                return psl.AuditProfile(self._name(first), self._dictionary(rest[0]), span)
        return psl.AuditDefault(self._name(first), integer(self._source, cast("Token", part.children[-1])), span)

    def _type_declaration(self, part: Part) -> psl.TypeDeclaration:
        name, kind = _trees(part)
        return psl.TypeDeclaration(self._name(name), self._type(kind), self._span(part))

    def _object(self, part: Part) -> psl.ObjectDeclaration:
        name, model, *rest = _trees(part)
        types = tuple(self._type_declaration(row) for row in rest if row.data == "type_declaration")
        fields = tuple(self._field(row) for row in rest if row.data == "field")
        return psl.ObjectDeclaration(self._name(name), self._name(model), types, fields, self._span(part))

    def _field(self, part: Part) -> psl.Field:
        name, value = _trees(part)
        return psl.Field(self._name(name), self._expression(value), self._span(part))

    # ---- bindings --------------------------------------------------------------------------------------------------

    def _binding(self, part: Part) -> psl.Binding:
        event, *selectors, body = _trees(part)
        return psl.Binding(self._event(event), self._selectors(selectors), self._body(body), self._span(part))

    def _event(self, part: Part) -> psl.EventKind:
        return cast("psl.EventKind", _tokens(part)[0])

    def _selectors(self, parts: list[Part]) -> tuple[psl.Selector, ...]:
        rows = [row for part in parts for row in _trees(part)]
        return tuple(
            psl.Selector(_tokens(key)[0], self._name(value), self._span(row))
            for row in rows
            for key, value in [_trees(row)]
        )

    def _body(self, part: Part) -> tuple[psl.Item, ...]:
        rows = _trees(part) if part.data == "body" else [part]
        return tuple(self._item(row) for row in rows)

    def _item(self, part: Part) -> psl.Item:
        span, (first, *rest) = self._span(part), _trees(part)
        match part.data:
            case "audit":
                return psl.AuditUse(self._name(first), span)
            case "match":
                return psl.Match(self._selectors([first]), self._body(rest[0]), span)
            case "choice":
                return psl.Choice(self._expression(first), tuple(self._case(row) for row in rest), span)
        return psl.Call(self._path(first), self._expression(rest[0]), span, self._notes.of(span))

    def _case(self, part: Part) -> psl.Case:
        key, body = _trees(part)
        found: psl.Constant | psl.Name | None
        match key.data:
            case "otherwise":
                found = None
            case "case_name":
                found = self._name(key)
            case _:
                found = self._constant(key)
        return psl.Case(found, self._body(body), self._span(part))

    # ---- expressions -----------------------------------------------------------------------------------------------

    def _expression(self, part: Part) -> psl.Expression:
        span, inner = self._span(part), _trees(part)
        match part.data:
            case "parenthesis":
                return self._expression(inner[0])
            case "dictionary":
                return self._dictionary(part)
            case "list":
                return psl.ListLiteral(tuple(map(self._expression, inner)), span)
            case "path" | "application" | "member" | "element":
                return self._access(part, inner, span)
        return self._operation(part, inner, span)

    def _access(self, part: Part, inner: list[Part], span: Span) -> psl.Expression:
        match part.data:
            case "path":
                return self._path(part)
            case "application":
                return psl.Application(self._path(inner[0]), self._expression(inner[1]), span)
            case "member":
                return psl.Member(self._expression(inner[0]), _tokens(inner[1])[0], span)
        index = integer(self._source, cast("Token", part.children[-1]))
        return psl.Element(self._expression(inner[0]), index, span)

    def _operation(self, part: Part, inner: list[Part], span: Span) -> psl.Expression:
        match part.data:
            case "not" | "complement":
                sign = "!" if part.data == "not" else "~"
                return psl.Unary(sign, self._expression(inner[0]), span)
            case "comparison":
                left, sign_part, right = inner
                sign = _tokens(sign_part)[0]
                return psl.Binary(sign, self._expression(left), self._expression(right), span)
        if part.data in _OPERATORS:
            return psl.Binary(_OPERATORS[part.data], self._expression(inner[0]), self._expression(inner[1]), span)
        return self._constant(part)

    def _constant(self, part: Part) -> psl.Constant:
        span = self._span(part)
        if part.data in ("true", "false", "unit"):
            return psl.Constant({"true": True, "false": False, "unit": None}[part.data], span)
        token = cast("Token", part.children[0])
        if part.data == "text":
            return psl.Constant(_unquoted(token), span)
        value = integer(self._source, token)
        return psl.Constant(self._negative(value, span) if part.data == "negative" else value, span)

    def _negative(self, value: int, span: Span) -> int:
        if value > 2**63:
            raise PolicyError([Diagnostic(span, f"`-{value}` does not fit 64 bits")])
        return -value

    def _path(self, part: Part) -> psl.Path:
        return psl.Path(tuple(_tokens(part)), self._span(part))

    def _dictionary(self, part: Part) -> psl.DictionaryLiteral:
        entries = []
        for row in _trees(part):
            key, value = _trees(row)
            name = _tokens(key)[0] if key.data == "key_name" else cast("int | str", self._constant(key).value)
            entries.append(psl.Entry(name, self._expression(value), self._span(key)))
        return psl.DictionaryLiteral(tuple(entries), self._span(part))

    def _type(self, part: Part) -> psl.TypeExpression:
        span, inner = self._span(part), _trees(part)
        match part.data:
            case "type":
                options = tuple(map(self._type, inner))
                return options[0] if len(options) == 1 else psl.VariantType(options, span)
            case "tuple_type":
                return psl.TupleType(tuple(map(self._type, inner)), span)
            case "dictionary_type":
                pairs = zip(inner[::2], inner[1::2], strict=True)
                return psl.DictionaryType(tuple((_tokens(name)[0], self._type(kind)) for name, kind in pairs), span)
            case "named_type":
                return psl.NamedType(self._name(inner[0]).text, tuple(map(self._type, inner[1:])), span)
        return self._constant(part)

    # ---- policy tests ----------------------------------------------------------------------------------------------

    def _test_set(self, part: Part) -> psl.TestSet:
        blocks = tuple(self._test_block(row) for row in _trees(part))
        return psl.TestSet(_label(part), blocks, self._span(part))

    def _test_block(self, part: Part) -> psl.TestBlock:
        kind, *cases = _trees(part)
        rows = tuple(self._test_case(row) for row in cases)
        return psl.TestBlock(_tokens(kind)[0], _label(part), rows, self._span(part))

    def _test_case(self, part: Part) -> psl.TestCase:
        inner = {str(row.data): row for row in _trees(part)}
        fields = self._dictionary(inner["dictionary"]) if "dictionary" in inner else None
        if "event" in inner:
            event = self._event(inner["event"])
            selectors = self._selectors([inner["selectors"]] if "selectors" in inner else [])
        else:
            event, selectors = "request", self._arrow([row for row in _trees(part) if row.data == "qname"])
        expectation = _tokens(inner["expectation"])[0] if "expectation" in inner else "grant"
        variable = _tokens(inner["variable"])[0] if "variable" in inner else None
        return psl.TestCase(event, selectors, fields, expectation, _label(part), variable, self._span(part))

    def _arrow(self, parts: list[Part]) -> tuple[psl.Selector, ...]:
        """`a ~> b:endpoint.method` means `request src=a dst=b endpoint=endpoint method=method`."""
        client, server, called = map(self._name, parts)
        endpoint, _, method = called.text.rpartition(".")
        named = {"src": client, "dst": server}
        if endpoint:
            named["endpoint"] = psl.Name(endpoint, called.span)
        named["method"] = psl.Name(method, called.span)
        return tuple(psl.Selector(key, name, name.span) for key, name in named.items())


class _Notes:
    """Which comment belongs to which rule: the lines directly above it, and the end of its own line."""

    def __init__(self, source: Source, comments: tuple[Comment, ...]) -> None:
        self._above = {c.end_line: c for c in comments if not source.line(c.line)[: c.column - 1].strip()}
        self._behind = {c.line: c for c in comments}

    def of(self, span: Span) -> str:
        lines: list[str] = []
        line = span.line - 1
        while line in self._above:
            lines.insert(0, self._above[line].text)
            line = self._above[line].line - 1
        behind = self._behind.get(span.end_line)
        if behind is not None and behind.column >= span.end_column:
            lines.append(behind.text)
        return " ".join(filter(None, lines))


def _trees(part: Part) -> list[Part]:
    return [child for child in part.children if isinstance(child, Tree)]


def _tokens(part: Part) -> list[str]:
    return [str(token) for token in part.scan_values(lambda value: isinstance(value, Token))]


def _label(part: Part) -> str:
    texts = [child for child in part.children if isinstance(child, Token)]
    return _unquoted(texts[0]) if texts else ""


def _unquoted(token: Token) -> str:
    return re.sub(r'\\(["\\])', r"\1", token[1:-1])
