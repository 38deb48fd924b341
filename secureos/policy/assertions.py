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

    A process that `name <- execute …` starts can stand for its class from there on, in `setup` for all sequences.
    """
    checker = _Checker(classes)
    order = {"setup": 0, "sequence": 1, "finally": 2}
    begun: dict[str, str] = {}
    for block in sorted(tests.blocks, key=lambda block: order[block.part]):
        known = begun if block.part == "setup" else dict(begun)
        for case in block.cases:
            checker.case(case, known)
    return checker.mistakes


class _Checker:
    def __init__(self, classes: Mapping[str, TaskClass]) -> None:
        self.mistakes: list[Diagnostic] = []
        self._classes = classes
        self._scopes: dict[psl.EventKind, Scope] = {}

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
