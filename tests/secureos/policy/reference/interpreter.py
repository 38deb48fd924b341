"""PSL read anew from its description: which rules speak of an event, what they say, what is left afterwards.

The input is the syntax of the files and the classes; nothing of the checker, the compiler or the models is used.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from secureos.policy import syntax as psl
from tests.secureos.policy.reference.models import MODELS, Base, shown
from tests.secureos.policy.reference.outcomes import Denied, Incorrect

LOWEST, HIGHEST = -(2**63), 2**64 - 1


@dataclass(frozen=True)
class Answer:
    """What the policy says: whether it grants, which rule decided, and whether a record is wanted.

    `number` is 0 for a grant, 1 + the index of the rule that denied, -1 where there is none, -2 after an error.
    """

    granted: bool
    rule: str
    audited: bool
    number: int


BY_DEFAULT, BY_ERROR = Answer(False, "default", True, -1), Answer(False, "engine", True, -2)


class Reference:
    """One policy with its state."""

    def __init__(self, declarations, classes):
        self.classes = classes
        self.bindings = [part for part in declarations if isinstance(part, psl.Binding)]
        self.profile, self.profiles, level = "empty", {"empty": {}}, 0
        self.models = {}
        named = {part.name.text: part.type for part in declarations if isinstance(part, psl.TypeDeclaration)}
        for part in declarations:
            if isinstance(part, psl.AuditDefault):
                self.profile, level = part.profile.text, part.level
            if isinstance(part, psl.AuditProfile):
                self.profiles[part.name.text] = plain(part.levels)
            if isinstance(part, psl.ObjectDeclaration):
                types = {row.name.text: named.get(getattr(row.type, "name", None), row.type) for row in part.types}
                config = plain(part.fields[0].value) if part.fields else None
                self.models[part.name.text] = MODELS[part.model.text](types, config)
        self.models["base"] = Base({}, None, level)
        self.state = {name: model.start for name, model in self.models.items()}
        self.now = None
        self.asked = {}
        self.outcomes = Counter()

    def snapshot(self):
        return {name: shown(self.models[name], state) for name, state in self.state.items()}

    def decide(self, event):
        if self.now is not None and event.at_ns < self.now:
            return BY_ERROR
        self.now = event.at_ns
        key = (event.kind, event.src, event.dst, event.endpoint, event.method)
        if key not in self.asked:
            self.asked[key] = self.find(event)
        asked = self.asked[key]
        if not asked:
            return BY_DEFAULT
        before, said = self.state, []
        for number, (item, profile) in enumerate(asked, start=1):
            try:
                said += self.run(item, event, profile)
            except Denied as denial:
                self.state = before
                said += denial.said
                return Answer(False, said[-1][0].span.place, self.wanted(said, event), number)
            except Exception:
                self.state = before
                return BY_ERROR
        for item, _, _ in said:
            if not isinstance(item, psl.Choice):
                self.outcomes[self.named(item), item.path.names[-1], "kept"] += 1
        return Answer(True, asked[-1][0].span.place, self.wanted(said, event), 0)

    def named(self, call):
        """The model of the object that is asked."""
        holder = ".".join(call.path.names[:-1])
        return type(self.models["base" if holder in ("", "bool") else holder]).__name__

    def find(self, event):
        """Every rule and choice that is asked of such an event, in text order."""
        attributes = self.attributes(event)
        if attributes is None:
            return []
        sections = [part for part in self.bindings if part.event == event.kind]
        return [each for part in sections for each in self.rules(part, attributes, self.profile)]

    # ---- which rules -----------------------------------------------------------------------------------------------

    def attributes(self, event):
        """What the selectors see; None for an event that cannot be."""
        if event.src not in self.classes or (event.dst is not None and event.dst not in self.classes):
            return None
        if (event.dst is None) != (event.kind == "security"):
            return None
        found = {"src": event.src, "dst": event.dst, "endpoint": event.endpoint, "method": event.method}
        if event.kind == "execute":
            return None if event.endpoint or event.method else {"src": event.src, "dst": event.dst}
        server = self.classes[event.dst if event.kind == "request" else event.src]
        if event.kind == "security":
            if server.security is None or event.endpoint or event.method not in server.security.methods:
                return None
            return {**found, "interface": server.security.package, "component": None}
        endpoint = server.endpoints.get(event.endpoint)
        if endpoint is None or event.method not in endpoint.interface.methods:
            return None
        return {**found, "interface": endpoint.interface.package, "component": endpoint.component}

    def rules(self, section, attributes, profile):
        """Every rule and choice that speaks of the event, with the audit profile in force where it stands."""
        if any(attributes.get(row.key) != row.value.text for row in section.selectors):
            return
        yield from self.items(section.body, attributes, profile)

    def items(self, body, attributes, profile):
        named = [item.profile.text for item in body if isinstance(item, psl.AuditUse)]
        for item in body:
            if isinstance(item, psl.Match):
                yield from self.rules(item, attributes, (named or [profile])[0])
            elif not isinstance(item, psl.AuditUse):
                yield item, (named or [profile])[0]

    # ---- what they say ---------------------------------------------------------------------------------------------

    def run(self, item, event, profile):
        """Ask a rule or a choice: keeps the new state and tells what was said, or raises Denied with what was said."""
        if isinstance(item, psl.Choice):
            return self.choose(item, event, profile)
        *front, name = item.path.names
        holder = ".".join(front) or "base"
        if holder == "bool":
            holder = "base"
        model, outcome = self.models[holder], "denied"
        try:
            given = self.given(item.argument, event)
            self.state = {**self.state, holder: model.rule(name, given, self.state[holder], event.at_ns)}
            outcome = "granted"
        except Denied:
            raise Denied([(item, profile, "denied")]) from None
        finally:
            self.outcomes[type(model).__name__, name, outcome] += 1
        return [(item, profile, "granted")]

    def choose(self, item, event, profile):
        """The first case that fits counts; none, or one in which nothing speaks of the event, denies."""
        value, fits = self.evaluate(item.expression, event), same
        if isinstance(item.expression, psl.Application):
            fits = getattr(self.models.get(item.expression.path.names[0]), "chosen", same)
        fitting = [case for case in item.cases if case.key is None or fits(case.key.value, value)]
        asked = list(self.items(fitting[0].body, self.attributes(event), profile)) if fitting else []
        if not asked:
            raise Denied([(item, profile, "denied")])
        said = [(item, profile, "granted")]
        for inner, its_profile in asked:
            try:
                self.run(inner, event, its_profile)
            except Denied:
                raise Denied([*said, (inner, its_profile, "denied")]) from None
            said.append((inner, its_profile, "granted"))
        return said

    def given(self, argument, event):
        if isinstance(argument, psl.DictionaryLiteral):
            return {str(entry.key): self.evaluate(entry.value, event) for entry in argument.entries}
        if isinstance(argument, psl.Constant) and argument.value is None:
            # `deny ()` means `deny (true)`; the other rules with `()` look at nothing.
            return {"": True}
        return {"": self.evaluate(argument, event)}

    def evaluate(self, part, event):
        match part:
            case psl.Constant():
                return part.value
            case psl.ListLiteral():
                return [self.evaluate(item, event) for item in part.items]
            case psl.DictionaryLiteral():
                return {str(entry.key): self.evaluate(entry.value, event) for entry in part.entries}
            case psl.Path(names=("src_sid",)):
                return event.src_sid
            case psl.Path(names=("dst_sid",)):
                return event.dst_sid
            case psl.Path(names=("message", *steps)):
                return follow(event.message, steps)
            case psl.Member():
                return follow(self.evaluate(part.of, event), [part.name])
            case psl.Element():
                return follow(self.evaluate(part.of, event), [part.index])
            case psl.Unary():
                value = self.evaluate(part.operand, event)
                return (not value) if part.operator == "!" else bounded(self.complement(part.operand, value, event))
            case psl.Binary():
                return self.binary(part, event)
        return self.apply(part, event)

    def binary(self, part, event):
        sign, left = part.operator, self.evaluate(part.left, event)
        if (sign, left) in (("&&", False), ("||", True)):
            return left
        if sign == "==>" and left is False:
            return True
        right = self.evaluate(part.right, event)
        if sign in ("&&", "||", "==>"):
            return right
        return {
            "==": lambda: left == right,
            "!=": lambda: left != right,
            "<": lambda: left < right,
            "<=": lambda: left <= right,
            ">": lambda: left > right,
            ">=": lambda: left >= right,
            "+": lambda: bounded(left + right),
            "-": lambda: bounded(left - right),
            "*": lambda: bounded(left * right),
            "&": lambda: bounded(left & right),
            "|": lambda: bounded(left | right),
        }[sign]()

    def complement(self, operand, value, event):
        """All bits turned: of an unsigned type as many as it has, of anything else all 64."""
        match operand:
            case psl.Path(names=("src_sid",) | ("dst_sid",)):
                return value ^ HIGHEST
            case psl.Path(names=("message", name)):
                server = self.classes[event.dst if event.kind == "request" else event.src]
                method = server.endpoints[event.endpoint].interface.methods[event.method]
                kind = next(field.type for field in method.inputs if field.name == name)
                return value ^ kind.high if kind.low == 0 else ~value
        return ~value

    def apply(self, part, event):
        *front, name = part.path.names
        holder = ".".join(front)
        if holder == "bool" and name == "cond":
            rows = {str(entry.key): entry.value for entry in part.argument.entries}
            return self.evaluate(rows["then" if self.evaluate(rows["if"], event) else "else"], event)
        if holder == "bool":
            stop = name == "any"
            return stop if any(self.evaluate(item, event) is stop for item in part.argument.items) else not stop
        value = self.given(part.argument, event)
        if holder in ("math", "pred", ""):
            return LANGUAGE[name](value[""])
        model, outcome = self.models[holder], "denied"
        try:
            found = model.value(name, value, self.state[holder], event.at_ns)
            outcome = "granted"
        finally:
            self.outcomes[type(model).__name__, name, outcome] += 1
        return found

    # ---- the audit -------------------------------------------------------------------------------------------------

    def wanted(self, said, event):
        """Whether a record is wanted, by the level and the states that the event leaves."""
        return any(self.wants(item, profile, result, event) for item, profile, result in said)

    def wants(self, item, profile, result, event):
        """Whether the profile wants a record of what a rule said."""
        rows = self.profiles[profile].get(self.state["base"], {})
        if isinstance(item, psl.Choice):
            return False
        holder = ".".join(item.path.names[:-1]) or "base"
        own = rows.get(holder)
        if own is not None and result in own.get("kss", []):
            silent = own.get("omit", [])
            if not silent or self.state[holder].get(self.given(item.argument, event)["sid"]) not in silent:
                return True
        return any(
            result in rows[name].get("kss", []) and (rows[name].get("emit") is None or operation in rows[name]["emit"])
            for name, operation in asked(item.argument)
            if name in rows
        )


def asked(part):
    """The objects whose expressions stand in an argument."""
    match part:
        case psl.Application():
            yield ".".join(part.path.names[:-1]), part.path.names[-1]
            yield from asked(part.argument)
        case psl.Unary():
            yield from asked(part.operand)
        case psl.Binary():
            yield from asked(part.left)
            yield from asked(part.right)
        case psl.ListLiteral():
            for item in part.items:
                yield from asked(item)
        case psl.DictionaryLiteral():
            for entry in part.entries:
                yield from asked(entry.value)


def same(case, value):
    """Integers, Booleans and texts are compared with the cases as they are; 1 is not true."""
    return type(case) is type(value) and case == value


def follow(value, steps):
    for step in steps:
        value = value[step]
    return value


def bounded(value):
    if not LOWEST <= value <= HIGHEST:
        raise Incorrect
    return value


def product(values):
    found = 1
    for value in values:
        found *= value
    return bounded(found)


def cast(low, high):
    def within(value):
        if not low <= value <= high:
            raise Incorrect
        return value

    return within


LANGUAGE = {
    "neg": lambda value: bounded(-value),
    "abs": lambda value: bounded(abs(value)),
    "sum": lambda values: bounded(sum(values)),
    "product": product,
    **{f"uint{bits}": cast(0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    **{f"sint{bits}": cast(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    "empty": lambda value: value is None or len(value) == 0,
    "size": len,
}


def plain(part):
    """A literal of a configuration as Python has it."""
    match part:
        case psl.Constant():
            return part.value
        case psl.ListLiteral():
            return [plain(item) for item in part.items]
        case psl.DictionaryLiteral():
            return {entry.key: plain(entry.value) for entry in part.entries}
    return part.text
