"""Who may call whom under a policy, as a graph: nodes are classes, edges are requests that could be granted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from secureos.policy.candidates import Candidate, candidates, selected
from secureos.policy.constants import constant_answer
from secureos.policy.load import Policy
from secureos.policy.rule_index import RuleIndex
from secureos.xdl import TaskClass
from secureos.xdl.model import ANY

SCHEMA: Final = 1
KERNEL: Final = "kl.core.Core"
"""The class of the kernel; calls to it are listed apart."""

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Edge:
    """What one class may ask of another.

    Attributes:
        src, dst: The classes.
        always: `endpoint.method` of what is granted whatever the message and the state; `endpoint.*` for all of them.
        sometimes: Of what is granted under a condition.
    """

    src: str
    dst: str
    always: tuple[str, ...]
    sometimes: tuple[str, ...]

    def lines(self, most: int = _SHOWN) -> list[str]:
        """What is called, as lines for a drawing, conditional calls with a question mark; at most so many."""
        names = [*self.always, *(f"{name} ?" for name in self.sometimes)]
        return names if len(names) <= most else [*names[: most - 1], f"… {len(names) - most + 1} more"]


@dataclass(frozen=True, slots=True)
class Graph:
    """The whole policy.

    Attributes:
        policy: Its name.
        classes: Every class but the kernel, in the policy's order.
        calls: Between these, in the same order.
        kernel: Calls to the kernel.
    """

    policy: str
    classes: tuple[str, ...]
    calls: tuple[Edge, ...]
    kernel: tuple[Edge, ...]

    @property
    def drawn(self) -> tuple[Edge, ...]:
        """The calls that drawings show: those of a class to itself would be loops."""
        return tuple(edge for edge in self.calls if edge.src != edge.dst)


def graph_of(policy: Policy) -> Graph:
    """Every request that some rule speaks of and no rule denies in every case.

    Whether a channel exists is the image's affair: an edge says what the policy would let pass.
    """
    found: dict[tuple[str, str], dict[str, bool]] = {}
    rules = RuleIndex(policy.bindings)
    for candidate in _requests(policy, rules):
        answer = _answer(rules, candidate)
        if answer is not None:
            pair = (candidate.src, cast("str", candidate.dst))
            found.setdefault(pair, {})[_called(candidate)] = answer
    order = {name: number for number, name in enumerate(policy.classes)}
    edges = [
        _edge(src, dst, found[src, dst], policy.classes)
        for src, dst in sorted(found, key=lambda pair: (order[pair[0]], order[pair[1]]))
    ]
    return Graph(
        policy=policy.name,
        classes=tuple(name for name in policy.classes if name != KERNEL),
        calls=tuple(edge for edge in edges if KERNEL not in (edge.src, edge.dst)),
        kernel=tuple(edge for edge in edges if edge.dst == KERNEL and edge.src != KERNEL),
    )


def _requests(policy: Policy, rules: RuleIndex) -> Iterator[Candidate]:
    """Every request that is described, and of classes that are not those that rules speak of."""
    yield from (one for one in candidates("request", (), policy.classes) if not one.is_open)
    if any(one.unknown for one in policy.classes.values()):
        for rule in rules.rules:
            for one in selected("request", rule.where, policy.classes) if rule.kind == "request" else ():
                # What the kernel offers is described; beyond that only what a rule names in full.
                if one.is_opaque and not (one.dst == KERNEL and one.is_open):
                    yield one


def _called(candidate: Candidate) -> str:
    """`endpoint.method`; where no description says at which endpoint, the interface that a rule names."""
    target = candidate.target
    if target is None or target.endpoint != ANY:
        return candidate.called
    return ANY if target.interface == target.method.name == ANY else f"{target.interface}.{target.method.name}"


def _answer(rules: RuleIndex, candidate: Candidate) -> bool | None:
    """Whether the request is always granted; None if never."""
    answers = [constant_answer(rule.item) for rule in rules.rules_for(candidate)]
    if not answers or "deny" in answers:
        return None
    return all(answer == "grant" for answer in answers)


def _edge(src: str, dst: str, calls: Mapping[str, bool], classes: Mapping[str, TaskClass]) -> Edge:
    names: dict[bool, list[str]] = {True: [], False: []}
    for endpoint in classes[dst].endpoints.values():
        methods = [f"{endpoint.path}.{method}" for method in endpoint.interface.methods]
        granted = [calls.get(name) for name in methods]
        for always in (True, False):
            if len(methods) > 1 and all(answer is always for answer in granted):
                names[always].append(f"{endpoint.path}.*")
            else:
                names[always] += [name for name in methods if calls.get(name) is always]
    described = {f"{one.path}.{method}" for one in classes[dst].endpoints.values() for method in one.interface.methods}
    for name in sorted(calls.keys() - described):
        names[calls[name]].append(name)
    return Edge(src, dst, tuple(names[True]), tuple(names[False]))


# ---- as text -------------------------------------------------------------------------------------------------------


def as_json(graph: Graph) -> dict[str, Any]:
    """The graph as plain values; keys are added in later versions, never changed."""

    def row(edge: Edge) -> dict[str, Any]:
        return {"src": edge.src, "dst": edge.dst, "always": list(edge.always), "sometimes": list(edge.sometimes)}

    return {
        "schema": SCHEMA,
        "policy": graph.policy,
        "classes": list(graph.classes),
        "calls": [row(edge) for edge in graph.calls],
        "kernel": [row(edge) for edge in graph.kernel],
    }


def as_mermaid(graph: Graph) -> str:
    """The graph in Mermaid's language: solid edges are always granted, dotted ones under a condition."""
    ids = {name: f"n{number}" for number, name in enumerate(graph.classes)}
    lines = ["flowchart LR", *(f'    {ids[name]}["{name}"]' for name in graph.classes)]
    for edge in graph.drawn:
        arrow = "-.->" if edge.sometimes else "-->"
        label = "<br>".join(edge.lines())
        lines.append(f'    {ids[edge.src]} {arrow}|"{label}"| {ids[edge.dst]}')
    if graph.kernel:
        lines += ['    subgraph kernel["calls to the kernel"]', "        direction LR"]
        for number, edge in enumerate(graph.kernel):
            label = "<br>".join([edge.src, *edge.lines()])
            lines.append(f'        k{number}["{label}"]')
        lines.append("    end")
    return "\n".join(lines) + "\n"


def as_dot(graph: Graph) -> str:
    """The graph in the language of Graphviz, drawn the same way."""
    lines = ["digraph policy {", "    rankdir=LR;", '    node [shape=box, fontname="sans-serif"];']
    lines += [f'    "{name}";' for name in graph.classes]
    for edge in graph.drawn:
        style = "dashed" if edge.sometimes else "solid"
        label = "\\n".join(edge.lines())
        lines.append(f'    "{edge.src}" -> "{edge.dst}" [style={style}, label="{label}"];')
    if graph.kernel:
        lines += ["    subgraph cluster_kernel {", '        label="calls to the kernel";']
        for number, edge in enumerate(graph.kernel):
            label = "\\n".join([edge.src, *edge.lines()])
            lines.append(f'        k{number} [label="{label}"];')
        lines.append("    }")
    return "\n".join(lines) + "\n}\n"
