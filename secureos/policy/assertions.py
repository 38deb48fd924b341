"""Policy tests held against the descriptions: classes, endpoints, methods, fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from secureos.policy import syntax as psl
from secureos.policy.scope import Scope
from secureos.xdl import TaskClass
from secureos.xdl.source import Diagnostic, PolicyError, near


def check_test_set(tests: psl.TestSet, classes: Mapping[str, TaskClass]) -> list[Diagnostic]:
    """Every mistake in a test set: names that do not exist, fields that no message has.

    A process that `name <- execute …` starts can stand for its class from there on: one of `setup` in all sequences,
    one that every sequence starts in `finally`.
    """
    checker = _Checker(classes)
    begun = checker.blocks(tests, "setup", {})
    in_each = [checker.block(block, begun) for block in tests.blocks if block.part == "sequence"]
    shared = {name: in_each[0][name] for name in set.intersection(*map(set, in_each))} if in_each else begun
    checker.blocks(tests, "finally", shared)
    return checker.mistakes


class _Checker:
    def __init__(self, classes: Mapping[str, TaskClass]) -> None:
        self.mistakes: list[Diagnostic] = []
        self._classes = classes
        self._scopes: dict[psl.EventKind, Scope] = {}

    def blocks(self, tests: psl.TestSet, part: str, known: Mapping[str, str]) -> dict[str, str]:
        """All blocks of one kind, one after the other; returned are the processes that are known at their end."""
        begun = dict(known)
        for block in tests.blocks:
            if block.part == part:
                begun = self.block(block, begun)
        return begun

    def block(self, block: psl.TestBlock, known: Mapping[str, str]) -> dict[str, str]:
        """One block; the same is returned."""
        begun = dict(known)
        for case in block.cases:
            self.case(case, begun)
        return begun

    def case(self, case: psl.TestCase, known: dict[str, str]) -> None:
        """One case; `known` are the processes that have begun, and their classes."""
        scope = self._scopes.setdefault(case.event, Scope.of(case.event, self._classes))
        named = [_with_class(row, known) for row in case.selectors]
        try:
            scope = scope.narrow(named)
        except PolicyError as failure:
            self.mistakes.extend(failure.diagnostics)
            return
        self._variable(case, scope, known)
        if case.fields is not None:
            self._fields(case.fields, scope)

    def _variable(self, case: psl.TestCase, scope: Scope, known: dict[str, str]) -> None:
        if case.variable is None:
            return
        if case.event != "execute" or "dst" not in scope.where:
            message = f"`{case.variable} <-` names the process that an `execute` with `dst` starts"
            self.mistakes.append(Diagnostic(case.span, message))
        else:
            known[case.variable] = scope.where["dst"]

    def _fields(self, fields: psl.DictionaryLiteral, scope: Scope) -> None:
        if scope.is_opaque:
            return
        names = {field.name for parameters, _ in scope.messages() for field in parameters}
        for entry in fields.entries:
            if entry.key not in names:
                message = f"no message that is meant here has a field `{entry.key}`{near(str(entry.key), names)}"
                self.mistakes.append(Diagnostic(entry.span, message))


def _with_class(row: psl.Selector, known: Mapping[str, str]) -> psl.Selector:
    found = known.get(row.value.text) if row.key in ("src", "dst") else None
    return row if found is None else replace(row, value=psl.Name(found, row.value.span))
