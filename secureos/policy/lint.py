"""What is legal in a policy but hardly meant: each warning with its place, what follows from it, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from secureos.policy import syntax as psl
from secureos.policy.candidates import Candidate, candidates
from secureos.policy.constants import constant_answer
from secureos.policy.graph import KERNEL
from secureos.policy.load import Policy
from secureos.policy.references import audit_uses, calls, names_in, sections
from secureos.policy.rule_index import PlacedRule, RuleIndex
from secureos.xdl.source import Diagnostic, Span

MAX_CANDIDATES: Final = 100_000
"""So many combinations of classes and methods are searched for wildcards: more take longer than a person waits."""

_SHOWN: Final = 3


def lint(policy: Policy, files: Sequence[psl.File]) -> tuple[Diagnostic, ...]:
    """All warnings on a policy that loads, in the order of its files and lines.

    Args:
        policy: The policy as it was loaded.
        files: The same files as syntax, in the same order.
    """
    index = RuleIndex(policy.bindings)
    found = [
        *_empty_sections(policy.bindings),
        *_constants_in_disguise(policy.bindings),
        *_duplicates(policy.bindings),
        *_unreachable_grants(index),
        *_state_for_all(policy.bindings),
        *_wildcards(policy, index),
        *_unused(policy.bindings, files),
    ]
    order = {source.path: number for number, source in enumerate(policy.sources)}
    return tuple(sorted(found, key=lambda one: (order.get(one.span.source.path, 0), one.span.line, one.span.column)))


# ---- what stands there ---------------------------------------------------------------------------------------------


def _empty_sections(bindings: Iterable[psl.Binding]) -> Iterator[Diagnostic]:
    for section in sections(bindings):
        if not any(isinstance(item, psl.Call | psl.Choice | psl.Match) for item in section.body):
            yield Diagnostic(_head(section), "this section has no rules, so it grants nothing; write what is granted")


def _constants_in_disguise(bindings: Iterable[psl.Binding]) -> Iterator[Diagnostic]:
    for call in calls(bindings):
        answer = constant_answer(call)
        if answer is not None and isinstance(call.argument, psl.Constant) and call.argument.value is not None:
            shown = " ".join(call.span.text.split())
            plain = "grants always; say `grant ()`" if answer == "grant" else "denies always; say `deny ()`"
            yield Diagnostic(call.span, f"`{shown}` {plain}")


def _duplicates(bindings: Sequence[psl.Binding]) -> Iterator[Diagnostic]:
    """The same binding twice, and two `match` with the same selectors in one section."""
    seen: dict[tuple[object, ...], psl.Binding] = {}
    for binding in bindings:
        key = (binding.event, _selectors(binding), tuple(" ".join(item.span.text.split()) for item in binding.body))
        first = seen.setdefault(key, binding)
        if first is not binding and binding.body:
            yield Diagnostic(_head(binding), f"the same binding stands at {first.span.place}; remove one of them")
    for section in sections(bindings):
        matches: dict[frozenset[tuple[str, str]], psl.Match] = {}
        for item in section.body:
            if isinstance(item, psl.Match):
                before = matches.setdefault(_selectors(item), item)
                if before is not item:
                    message = f"a `match` with the same selectors stands at {before.span.place}; the rules of both hold"
                    yield Diagnostic(_head(item), f"{message}, so write them into one")


def _unused(bindings: Sequence[psl.Binding], files: Iterable[psl.File]) -> Iterator[Diagnostic]:
    declarations = [declaration for file in files for declaration in file.declarations]
    objects, profiles = names_in(bindings), {use.profile.text for use in audit_uses(bindings)}
    profiles |= {one.profile.text for one in declarations if isinstance(one, psl.AuditDefault)}
    for one in declarations:
        if isinstance(one, psl.ObjectDeclaration) and one.name.text not in objects:
            yield Diagnostic(one.name.span, f"no rule uses policy object `{one.name.text}`")
        if isinstance(one, psl.AuditProfile) and one.name.text not in profiles:
            yield Diagnostic(one.name.span, f"audit profile `{one.name.text}` is used nowhere")


# ---- what follows from it ------------------------------------------------------------------------------------------


def _unreachable_grants(index: RuleIndex) -> Iterator[Diagnostic]:
    """A constant grant changes nothing where a wider binding of the same kind grants already.

    Rules are conjoined: beside a blanket grant only a rule that can deny says anything.
    """
    grants = [rule for rule in index.rules if constant_answer(rule.item) == "grant"]
    wide: dict[tuple[str, frozenset[tuple[str, str]]], PlacedRule] = {}
    for rule in grants:
        wide.setdefault((rule.kind, frozenset(rule.where.items())), rule)
    for rule in grants:
        selectors = list(rule.where.items())
        blanket = next(
            (wide[key] for part in _smaller(selectors) if (key := (rule.kind, frozenset(part))) in wide), None
        )
        if blanket is not None:
            wider = f"{blanket.item.span.place} grants every `{rule.kind}`{_by(blanket)} already"
            message = f"this grant changes nothing: {wider}; remove the wider one to make this one count"
            yield Diagnostic(rule.item.span, message)


def _smaller(selectors: Sequence[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Every real part of some selectors, the smallest first; there are at most six of them."""
    size = len(selectors)
    for mask in sorted(range((1 << size) - 1), key=int.bit_count):
        yield [pair for number, pair in enumerate(selectors) if mask >> number & 1]


def _state_for_all(bindings: Iterable[psl.Binding]) -> Iterator[Diagnostic]:
    """`execute { flow.init … }` without `dst` gives every process a state, also those that no rule asks about."""
    for binding in bindings:
        if binding.event != "execute" or any(row.key == "dst" for row in binding.selectors):
            continue
        for item in binding.body:
            if isinstance(item, psl.Call) and len(item.path.names) > 1 and item.path.names[-1] == "init":
                message = f"`{item.path.text}` runs for every process that is started; name the class with `dst=`"
                yield Diagnostic(item.span, message)


def _wildcards(policy: Policy, index: RuleIndex) -> Iterator[Diagnostic]:
    """A request that carries something, granted by nothing but a rule that names neither endpoint nor method."""
    wildcards = [rule for rule in index.rules if rule.kind == "request" and _is_wildcard(rule)]
    alone: dict[int, list[Candidate]] = {}
    for candidate in islice(candidates("request", (), policy.classes), MAX_CANDIDATES if wildcards else 0):
        rules = index.rules_for(candidate)
        if candidate.parameters and rules and all(map(_is_wildcard, rules)):
            alone.setdefault(rules[0].number, []).append(candidate)
    for rule in wildcards:
        every = "" if rule.where else "every request of every class is granted here; "
        # What drives a plant before what the kernel offers to everybody.
        acts = sorted(alone.get(rule.number, ()), key=lambda one: one.dst == KERNEL)
        names = list(dict.fromkeys(f"`{one.dst}` `{one.called}`" for one in acts))
        if names:
            shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
            message = f"this wildcard is the only grant of {shown}; name endpoint and method of what acts"
            yield Diagnostic(rule.item.span, every + message)
        elif every:
            yield Diagnostic(rule.item.span, f"{every}name who may call whom")


def _is_wildcard(rule: PlacedRule) -> bool:
    return constant_answer(rule.item) == "grant" and rule.where.keys() <= {"src", "dst"}


def _by(rule: PlacedRule) -> str:
    return "".join(f" {key}={value}" for key, value in rule.where.items())


def _selectors(section: psl.Binding | psl.Match) -> frozenset[tuple[str, str]]:
    return frozenset((row.key, row.value.text) for row in section.selectors)


def _head(section: psl.Binding | psl.Match) -> Span:
    """The first line of a section: a caret under the whole would point at nothing."""
    span = section.span
    line = span.source.line(span.line)
    return span.source.span(span.line, span.column, end_column=len(line.rstrip()) + 1)
