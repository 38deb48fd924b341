"""The messages that are never blocked, as a table made at boot: what the kernel goes by if the security module fails.

The check at boot has shown that no rule of the policy can refuse a message of the list. So if one is refused all the
same, the security module has failed; the kernel then serves the message, and no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from secureos.kernel.program import Fields
from secureos.kernel.safety import NeverBlock, Pattern, Safety
from secureos.policy import Verdict

if TYPE_CHECKING:
    from secureos.audit.log import Way
    from secureos.kernel.image import TaskSpec


def ways_of(pattern: Pattern, specs: Iterable[TaskSpec]) -> Iterator[Way]:
    """From task to task, every way that the messages of a pattern can take."""
    tasks = [(spec.task, spec.task_class.name) for spec in specs]
    for source, source_class in tasks:
        if pattern.src not in (None, source_class):
            continue
        if pattern.dst is None:
            yield ("security", source, "", "", pattern.method)
        for target, target_class in tasks:
            if pattern.dst == target_class:
                yield ("request", source, target, pattern.endpoint, pattern.method)


class StaticTable:
    """The never-block list by the ways of messages; nothing changes it."""

    def __init__(self, safety: Safety, specs: Iterable[TaskSpec]) -> None:
        specs = tuple(specs)
        rows: dict[Way, list[NeverBlock]] = {}
        for entry in safety.never_block:
            for way in ways_of(entry.pattern, specs):
                rows.setdefault(way, []).append(entry)
        self._rows = {way: tuple(entries) for way, entries in rows.items()}

    def find(self, way: Way, fields: Fields) -> NeverBlock | None:
        """The entry that a request, or a message to the security module, falls under."""
        for entry in self._rows.get(way, ()):
            if entry.pattern.fits(fields):
                return entry
        return None


def served(entry: NeverBlock, denial: Verdict) -> Verdict:
    """The verdict on a message of the list that the security module refused, or failed to decide."""
    why = f"never blocked ({entry.purpose}); the security module refused it, so it has failed: {denial.reason}"
    return Verdict(True, entry.rule, why, denial.tried)
