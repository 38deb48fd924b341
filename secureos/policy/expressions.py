"""From an expression to a closure: types are checked here, once, so that deciding only computes."""

from __future__ import annotations

from collections.abc import Mapping

from secureos.policy import access, operators
from secureos.policy import syntax as psl
from secureos.policy.language import FUNCTIONS, language_kind
from secureos.policy.models import Incorrect, Model, Operation
from secureos.policy.scope import Scope
from secureos.policy.typed import Compiled, Evaluate, mistake, named_entries
from secureos.policy.values import SID, BooleanType, ListType, LiteralType, RecordType, UnitType
from secureos.xdl.source import PolicyError, near

__all__ = ["Compiled", "Evaluate", "ExpressionCompiler", "Incorrect", "mistake"]


class ExpressionCompiler:
    """Compiles expressions in one scope against the given objects.

    Every method raises `PolicyError` with the place of what is wrong.
    """

    def __init__(self, scope: Scope, objects: Mapping[str, Model]) -> None:
        self._scope = scope
        self._objects = objects

    def compile(self, part: psl.Expression) -> Compiled:
        """The closure of an expression."""
        found = self.selector(part)
        if found.operation is not None and found.operation.choose is not None:
            raise mistake(part.span, "this stands in a `choice` only: `choice (…) { case : rule … }`")
        return found

    def selector(self, part: psl.Expression) -> Compiled:
        """The closure of an expression, or of one that only a `choice` can be made on."""
        match part:
            case psl.Constant():
                return _constant(part)
            case psl.ListLiteral() | psl.DictionaryLiteral():
                return self._list(part) if isinstance(part, psl.ListLiteral) else self._dictionary(part)
            case psl.Path() | psl.Member() | psl.Element():
                return self._value(part)
            case psl.Application():
                return self._application(part)
        return operators.unary(self, part) if isinstance(part, psl.Unary) else operators.binary(self, part)

    def arguments(self, operation: Operation, shown: str, argument: psl.Expression) -> tuple[Compiled, ...]:
        """The arguments of a rule or expression, in the order in which it takes them."""
        if isinstance(argument, psl.Constant) and argument.value is None and not operation.parameters:
            if operation.unit:
                return ()
            raise mistake(argument.span, f"`{shown}` takes {_expected(operation)}, not `()`")
        if operation.parameters:
            return self._named_arguments(operation, shown, argument)
        if operation.single is None:
            raise mistake(argument.span, f"`{shown}` takes {_expected(operation)}")
        value = self.compile(argument)
        if wrong := operation.single.refuse(value.type):
            raise mistake(argument.span, f"the argument of `{shown}` {wrong}")
        return (value,)

    def _named_arguments(self, operation: Operation, shown: str, argument: psl.Expression) -> tuple[Compiled, ...]:
        if not isinstance(argument, psl.DictionaryLiteral):
            unit = isinstance(argument, psl.Constant) and argument.value is None
            raise mistake(argument.span, f"`{shown}` takes {_expected(operation)}{', not `()`' * unit}")
        given = named_entries(argument, operation.parameters, shown)
        found = []
        for name, shape in operation.parameters.items():
            if name not in given:
                raise mistake(argument.span, f"`{shown}` needs the parameter `{name}`")
            value = self.compile(given[name])
            if wrong := shape.refuse(value.type):
                raise mistake(given[name].span, f"`{name}` of `{shown}` {wrong}")
            found.append(value)
        return tuple(found)

    # ---- values ----------------------------------------------------------------------------------------------------

    def _list(self, part: psl.ListLiteral) -> Compiled:
        items = tuple(map(self.compile, part.items))
        evaluates = tuple(item.evaluate for item in items)
        return Compiled(ListType(tuple(item.type for item in items)), lambda event: [each(event) for each in evaluates])

    def _dictionary(self, part: psl.DictionaryLiteral) -> Compiled:
        found: dict[str, Compiled] = {}
        for entry in part.entries:
            if not isinstance(entry.key, str):
                raise mistake(entry.span, f"key `{entry.key}` must be a name or a text")
            if entry.key in found:
                raise mistake(entry.span, f"key `{entry.key}` is given twice")
            found[entry.key] = self.compile(entry.value)
        evaluates = tuple((name, each.evaluate) for name, each in found.items())
        kind = RecordType({name: each.type for name, each in found.items()})
        return Compiled(kind, lambda event: {name: each(event) for name, each in evaluates})

    def _value(self, part: psl.Path | psl.Member | psl.Element) -> Compiled:
        """A predefined value, or a field or item of something."""
        root, steps = access.split(part)
        if not isinstance(root, psl.Path):
            whole = self.compile(root)
            kind = access.walk(part.span, whole.type, steps)
            return Compiled(kind, access.reader(whole.evaluate, steps))
        if root.names[0] == "message":
            return self._message(part, steps)
        if root.names[0] not in ("src_sid", "dst_sid"):
            raise self._unknown_value(root)
        if steps:
            raise mistake(part.span, f"`{root.names[0]}` is an integer, it has no fields")
        if root.names[0] == "src_sid":
            return Compiled(SID, lambda event: event.src_sid)
        if self._scope.kind == "security":
            raise mistake(part.span, "`security` events have no `dst_sid`")
        return Compiled(SID, lambda event: event.dst_sid)

    def _unknown_value(self, root: psl.Path) -> PolicyError:
        name = root.names[0]
        if name in self._objects or language_kind(name, self._objects) is not None:
            return mistake(root.span, f"`{root.text}` needs an argument, `()` or `{{…}}`")
        return mistake(root.span, f"unknown name `{name}`{near(name, ('message', 'src_sid', 'dst_sid'))}")

    def _message(self, part: psl.Expression, steps: access.Steps) -> Compiled:
        if self._scope.kind == "execute":
            raise mistake(part.span, "`execute` events carry no message")
        if not steps:
            raise mistake(part.span, "name a field of the message: `message.…`")
        kind = access.message_type(part.span, self._scope, steps)
        return Compiled(kind, access.message_reader(steps))

    # ---- applications ----------------------------------------------------------------------------------------------

    def _application(self, part: psl.Application) -> Compiled:
        *front, name = part.path.names
        holder = ".".join(front)
        kind = language_kind(holder, self._objects)
        if not front or kind is not None:
            function = FUNCTIONS.get((kind or "", name))
            if function is None:
                known = [word for owner, word in FUNCTIONS if owner == (kind or "")]
                what = f"{kind} `{holder}` has no expression `{name}`" if kind else f"there is no expression `{name}`"
                raise mistake(part.path.span, f"{what}{near(name, known)}")
            return function(self, part)
        operation = self._find(part, holder, name)
        values = self.arguments(operation, part.path.text, part.argument)
        run, evaluates = operation.run, tuple(value.evaluate for value in values)
        if operation.value is None:
            raise mistake(part.path.span, f"`{part.path.text}` is a rule, it has no value")
        return Compiled(operation.value, lambda event: run(event, *[each(event) for each in evaluates]), operation)

    def _find(self, part: psl.Application, holder: str, name: str) -> Operation:
        model = self._objects.get(holder)
        if model is None:
            raise mistake(part.path.span, f"unknown object `{holder}`{near(holder, self._objects)}")
        found = model.expressions.get(name) or model.rules.get(name)
        if found is None:
            hint = near(name, model.expressions)
            raise mistake(part.path.span, f"{model.kind} `{holder}` has no expression `{name}`{hint}")
        return found


def _constant(part: psl.Constant) -> Compiled:
    value = part.value
    if value is None:
        return Compiled(UnitType(), lambda _: None)
    kind = BooleanType() if isinstance(value, bool) else LiteralType(value)
    return Compiled(kind, lambda _: value)


def _expected(operation: Operation) -> str:
    if operation.parameters:
        return "`{" + ", ".join(f"{name} : …" for name in operation.parameters) + "}`"
    forms = ([f"`(…)` with {operation.single.words}"] if operation.single else []) + ["`()`"] * operation.unit
    return " or ".join(forms)
