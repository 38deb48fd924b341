"""From the text of a policy file to its parts."""

from __future__ import annotations

import re
from functools import cached_property, partial
from typing import cast

from lark import Token, Tree
from lark.exceptions import UnexpectedToken

from secureos.policy import syntax as psl
from secureos.policy.bulk import without_collection
from secureos.policy.templates import Kept, Shape, shape_of
from secureos.policy.tokens import Words, vocabulary
from secureos.xdl.grammar import TOO_DEEP, known_slip, number, too_deep, unexpected
from secureos.xdl.source import Diagnostic, PolicyError, Source, Span

Part = Tree[Token]

MAX_MISTAKES = 50
"""After so many mistakes the rest of a file is not looked at."""

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


def parse(source: Source) -> psl.File:
    """Parse one policy file; what is in it is not looked up yet.

    A file is cut into declarations. Of those that are written alike (the same words and signs, with other names,
    numbers and texts) the grammar reads the first; the others are of the same shape, and their parts are made when
    they are first looked at.

    Raises:
        PolicyError: It does not follow the grammar, nests too deep, or holds an integer beyond 64 bits.
    """
    with without_collection():
        return _Reader(source).file()


class _Reader:
    """Reads one file."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._vocabulary = vocabulary()
        self._kinds = self._vocabulary.kinds()
        self._shapes: dict[str, Shape] = {}
        self._kept: Kept = {}

    def file(self) -> psl.File:
        """All declarations; mistakes of several are told together."""
        mistakes: list[Diagnostic] = []
        declarations: list[psl.Declaration] = []
        for start, end in self._vocabulary.pieces(self.source):
            try:
                declarations.extend(self._piece(start, end))
            except PolicyError as failure:
                mistakes.extend(failure.diagnostics)
                if len(mistakes) >= MAX_MISTAKES:
                    break
        # The bindings that are made later keep this reader, but need no table of all words and shapes.
        self._kinds, self._kept, self._shapes = self._vocabulary.kinds(), {}, {}
        if mistakes:
            raise PolicyError(mistakes)
        return psl.File(self.source, tuple(declarations))

    @cached_property
    def notes(self) -> _Notes:
        """Which comment belongs to which rule."""
        return _Notes(self.source)

    def _piece(self, start: int, end: int) -> list[psl.Declaration]:
        texts = self._vocabulary.texts(self.source, start, end)
        kinds = self._kinds.of(texts)
        shape = self._shapes.get(kinds)
        if shape is None:
            shape = self._shapes[kinds] = self._shape(start, end, kinds)
        row = shape.row(texts, self._kept)
        if row is None:
            return self._declarations(shape, start, end)
        return [psl.Binding.later(shape.event, self.source, row, partial(self._binding, shape, start, end))]

    def _shape(self, start: int, end: int, kinds: str) -> Shape:
        words = self._vocabulary.words(self.source, start, end)
        self._vocabulary.check(words, kinds)
        try:
            tree = self._vocabulary.lark.parse(self._vocabulary.tokens(words, kinds))
        except UnexpectedToken as failure:
            raise PolicyError([self._explain(words, end, failure)]) from None
        deep = too_deep(tree)
        if deep is not None:
            raise PolicyError([Diagnostic(_Builder(self, words).span(deep), TOO_DEEP)])
        return shape_of(tree, kinds)

    def _explain(self, words: Words, end: int, failure: UnexpectedToken) -> Diagnostic:
        what = unexpected(self._vocabulary.lark, failure)
        if failure.token.type == "$END":
            return Diagnostic(self.source.between(end, end + 1), what)
        position = failure.token.start_pos or 0
        start = words.starts[position]
        slip = known_slip(self.source.text[start:])
        return Diagnostic(self.source.between(start, start + len(words.texts[position])), slip or what)

    def _declarations(self, shape: Shape, start: int, end: int) -> list[psl.Declaration]:
        return _Builder(self, self._vocabulary.words(self.source, start, end)).declarations(shape.tree)

    def _binding(self, shape: Shape, start: int, end: int) -> psl.Binding:
        (made,) = self._declarations(shape, start, end)
        return cast("psl.Binding", made)


class _Builder:
    """Turns a parse tree into `syntax`; the grammar has checked the shape already.

    The tree may be that of other words of the same shape: places in it count words, and what stands there is looked
    up among the words at hand.
    """

    def __init__(self, reader: _Reader, words: Words) -> None:
        self._reader = reader
        self._words = words

    def declarations(self, tree: Part) -> list[psl.Declaration]:
        """All declarations of a tree."""
        return [self._declaration(part) for part in _trees(tree)]

    def span(self, part: Part | Token) -> Span:
        """Where a part stands."""
        first, last = _extent(part)
        end = self._words.starts[last] + len(self._words.texts[last])
        return self._words.source.between(self._words.starts[first], end)

    def _tokens(self, part: Part) -> list[str]:
        texts = self._words.texts
        return [texts[_extent(token)[0]] for token in part.scan_values(lambda value: isinstance(value, Token))]

    def _text(self, token: Token) -> str:
        return self._words.texts[_extent(token)[0]]

    def _number(self, token: Token) -> int:
        return number(self._text(token), self.span(token))

    def _name(self, part: Part) -> psl.Name:
        return psl.Name(".".join(self._tokens(part)), self.span(part))

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
        span, (first, *rest) = self.span(part), _trees(part)
        match part.data:
            case "execute_interface":
                return psl.ExecuteInterface(self._name(first), span)
            case "use_class":
                return psl.UseClass(self._name(first), span)
            case "task_class":
                return self._task_class(self._name(first), self._name(rest[0]), span)
            case "use_file":
                return psl.UseFile(self._path(first), span)
            case "profile":
                return psl.AuditProfile(self._name(first), self._dictionary(rest[0]), span)
        return psl.AuditDefault(self._name(first), self._number(cast("Token", part.children[-1])), span)

    def _task_class(self, name: psl.Name, described: psl.Name, span: Span) -> psl.UseClass:
        """`task class Name : Name` says what `use EDL Name` says."""
        if name.text != described.text:
            message = f"class `{described.text}` keeps its name; write `use EDL {described.text}`"
            raise PolicyError([Diagnostic(name.span, message)])
        return psl.UseClass(described, span)

    def _type_declaration(self, part: Part) -> psl.TypeDeclaration:
        name, kind = _trees(part)
        return psl.TypeDeclaration(self._name(name), self._type(kind), self.span(part))

    def _object(self, part: Part) -> psl.ObjectDeclaration:
        name, model, *rest = _trees(part)
        types = tuple(self._type_declaration(row) for row in rest if row.data == "type_declaration")
        fields = tuple(self._field(row) for row in rest if row.data == "field")
        return psl.ObjectDeclaration(self._name(name), self._name(model), types, fields, self.span(part))

    def _field(self, part: Part) -> psl.Field:
        name, value = _trees(part)
        return psl.Field(self._name(name), self._expression(value), self.span(part))

    # ---- bindings --------------------------------------------------------------------------------------------------

    def _binding(self, part: Part) -> psl.Binding:
        event, *selectors, body = _trees(part)
        return psl.Binding(self._event(event), self._selectors(selectors), self._body(body), self.span(part))

    def _event(self, part: Part) -> psl.EventKind:
        return cast("psl.EventKind", self._tokens(part)[0])

    def _selectors(self, parts: list[Part]) -> tuple[psl.Selector, ...]:
        rows = [row for part in parts for row in _trees(part)]
        return tuple(
            psl.Selector(self._tokens(key)[0], self._name(value), self.span(row))
            for row in rows
            for key, value in [_trees(row)]
        )

    def _body(self, part: Part) -> tuple[psl.Item, ...]:
        rows = _trees(part) if part.data == "body" else [part]
        return tuple(self._item(row) for row in rows)

    def _item(self, part: Part) -> psl.Item:
        span, (first, *rest) = self.span(part), _trees(part)
        match part.data:
            case "audit":
                return psl.AuditUse(self._name(first), span)
            case "match":
                return psl.Match(self._selectors([first]), self._body(rest[0]), span)
            case "choice":
                return psl.Choice(self._expression(first), tuple(self._case(row) for row in rest), span)
        return psl.Call(self._path(first), self._expression(rest[0]), span, self._reader.notes.of(span))

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
        return psl.Case(found, self._body(body), self.span(part))

    # ---- expressions -----------------------------------------------------------------------------------------------

    def _expression(self, part: Part) -> psl.Expression:
        span, inner = self.span(part), _trees(part)
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
                return psl.Member(self._expression(inner[0]), self._tokens(inner[1])[0], span)
        index = self._number(cast("Token", part.children[-1]))
        return psl.Element(self._expression(inner[0]), index, span)

    def _operation(self, part: Part, inner: list[Part], span: Span) -> psl.Expression:
        match part.data:
            case "not" | "complement":
                sign = "!" if part.data == "not" else "~"
                return psl.Unary(sign, self._expression(inner[0]), span)
            case "comparison":
                left, sign_part, right = inner
                sign = self._tokens(sign_part)[0]
                return psl.Binary(sign, self._expression(left), self._expression(right), span)
        if part.data in _OPERATORS:
            return psl.Binary(_OPERATORS[part.data], self._expression(inner[0]), self._expression(inner[1]), span)
        return self._constant(part)

    def _constant(self, part: Part) -> psl.Constant:
        span = self.span(part)
        if part.data in ("true", "false", "unit"):
            return psl.Constant({"true": True, "false": False, "unit": None}[part.data], span)
        token = cast("Token", part.children[0])
        if part.data == "text":
            return psl.Constant(_unquoted(self._text(token)), span)
        value = self._number(token)
        return psl.Constant(self._negative(value, span) if part.data == "negative" else value, span)

    def _negative(self, value: int, span: Span) -> int:
        if value > 2**63:
            raise PolicyError([Diagnostic(span, f"`-{value}` does not fit 64 bits")])
        return -value

    def _path(self, part: Part) -> psl.Path:
        return psl.Path(tuple(self._tokens(part)), self.span(part))

    def _dictionary(self, part: Part) -> psl.DictionaryLiteral:
        entries = []
        for row in _trees(part):
            key, value = _trees(row)
            name = self._tokens(key)[0] if key.data == "key_name" else cast("int | str", self._constant(key).value)
            entries.append(psl.Entry(name, self._expression(value), self.span(key)))
        return psl.DictionaryLiteral(tuple(entries), self.span(part))

    def _type(self, part: Part) -> psl.TypeExpression:
        span, inner = self.span(part), _trees(part)
        match part.data:
            case "type":
                options = tuple(map(self._type, inner))
                return options[0] if len(options) == 1 else psl.VariantType(options, span)
            case "tuple_type":
                return psl.TupleType(tuple(map(self._type, inner)), span)
            case "dictionary_type":
                pairs = zip(inner[::2], inner[1::2], strict=True)
                return psl.DictionaryType(
                    tuple((self._tokens(name)[0], self._type(kind)) for name, kind in pairs), span
                )
            case "named_type":
                return psl.NamedType(self._name(inner[0]).text, tuple(map(self._type, inner[1:])), span)
        return self._constant(part)

    # ---- policy tests ----------------------------------------------------------------------------------------------

    def _test_set(self, part: Part) -> psl.TestSet:
        blocks = tuple(self._test_block(row) for row in _trees(part))
        return psl.TestSet(self._label(part), blocks, self.span(part))

    def _test_block(self, part: Part) -> psl.TestBlock:
        kind, *cases = _trees(part)
        rows = tuple(self._test_case(row) for row in cases)
        return psl.TestBlock(self._tokens(kind)[0], self._label(part), rows, self.span(part))

    def _test_case(self, part: Part) -> psl.TestCase:
        inner = {str(row.data): row for row in _trees(part)}
        fields = self._dictionary(inner["dictionary"]) if "dictionary" in inner else None
        if "event" in inner:
            event = self._event(inner["event"])
            selectors = self._selectors([inner["selectors"]] if "selectors" in inner else [])
        else:
            event, selectors = "request", self._arrow([row for row in _trees(part) if row.data == "qname"])
        expectation = self._tokens(inner["expectation"])[0] if "expectation" in inner else "grant"
        variable = self._tokens(inner["variable"])[0] if "variable" in inner else None
        return psl.TestCase(event, selectors, fields, expectation, self._label(part), variable, self.span(part))

    def _arrow(self, parts: list[Part]) -> tuple[psl.Selector, ...]:
        """`a ~> b:endpoint.method` means `request src=a dst=b endpoint=endpoint method=method`."""
        client, server, called = map(self._name, parts)
        endpoint, _, method = called.text.rpartition(".")
        named = {"src": client, "dst": server}
        if endpoint:
            named["endpoint"] = psl.Name(endpoint, called.span)
        named["method"] = psl.Name(method, called.span)
        return tuple(psl.Selector(key, name, name.span) for key, name in named.items())

    def _label(self, part: Part) -> str:
        texts = [child for child in part.children if isinstance(child, Token)]
        return _unquoted(self._text(texts[0])) if texts else ""


class _Notes:
    """Which comment belongs to which rule: the lines directly above it, and the end of its own line."""

    def __init__(self, source: Source) -> None:
        self._above: dict[int, tuple[str, int]] = {}
        self._behind: dict[int, tuple[str, int]] = {}
        for comment, start, end in vocabulary().comments(source):
            span, text = source.between(start, end), _plain(comment)
            self._behind[span.line] = (text, span.column)
            if not source.line(span.line)[: span.column - 1].strip():
                self._above[span.end_line] = (text, span.line)

    def of(self, span: Span) -> str:
        """The note of a rule."""
        lines: list[str] = []
        line = span.line - 1
        while line in self._above:
            text, first = self._above[line]
            lines.insert(0, text)
            line = first - 1
        text, column = self._behind.get(span.end_line, ("", 0))
        if column >= span.end_column:
            lines.append(text)
        return " ".join(filter(None, lines))


def _plain(comment: str) -> str:
    """A comment's words without its signs."""
    body = comment[2:] if comment.startswith("//") else comment[2:-2]
    words = " ".join(part.strip().strip("*").strip() for part in body.split("\n"))
    return words.strip(" /")


def _extent(part: Part | Token) -> tuple[int, int]:
    """The first and the last word of a part."""
    first, end = (part.start_pos, part.end_pos) if isinstance(part, Token) else (part.meta.start_pos, part.meta.end_pos)
    return cast("int", first), cast("int", end) - 1


def _trees(part: Part) -> list[Part]:
    return [child for child in part.children if isinstance(child, Tree)]


def _unquoted(text: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", text[1:-1])
