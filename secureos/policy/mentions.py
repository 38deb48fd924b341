"""Which classes a policy's selectors name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from secureos.policy import syntax as psl


def class_names(bindings: Iterable[psl.Binding], tests: Iterable[psl.TestSet]) -> Iterator[psl.Name]:
    """Every class in `src` and `dst`, of bindings with all that is in them, and of policy tests."""
    for binding in bindings:
        yield from _of_selectors(binding.selectors)
        yield from _of_items(binding.body)
    for test_set in tests:
        cases = [case for block in test_set.blocks for case in block.cases]
        started = {case.variable for case in cases}
        for case in cases:
            yield from (name for name in _of_selectors(case.selectors) if name.text not in started)


def _of_selectors(selectors: Iterable[psl.Selector]) -> Iterator[psl.Name]:
    return (selector.value for selector in selectors if selector.key in ("src", "dst"))


def _of_items(items: Iterable[psl.Item]) -> Iterator[psl.Name]:
    for item in items:
        if isinstance(item, psl.Match):
            yield from _of_selectors(item.selectors)
            yield from _of_items(item.body)
        elif isinstance(item, psl.Choice):
            for case in item.cases:
                yield from _of_items(case.body)
