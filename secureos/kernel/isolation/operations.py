"""What a task's process may ask of its `System`: each operation with the kinds of its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

from secureos.kernel.isolation.errors import ProtocolError
from secureos.kernel.program import Answer, System

_Kinds = tuple[type | tuple[type, ...], ...]


def carry_out(system: System, operation: object, arguments: object) -> Any:  # noqa: ANN401
    """Have `system` do what hostile bytes ask for; the plain value that it gave.

    Raises:
        ProtocolError: There is no such operation, or it does not take such arguments.
        HandleError, QuotaExceeded, LookupError: As `system` raises them.
    """
    if not isinstance(operation, str) or operation not in _OPERATIONS:
        raise ProtocolError(f"the kernel has no operation `{str(operation)[:50]}`")
    kinds, work = _OPERATIONS[operation]
    if not isinstance(arguments, list) or len(arguments) != len(kinds):
        raise ProtocolError(f"`{operation}` takes {len(kinds)} arguments")
    for value, kind in zip(arguments, kinds, strict=True):
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ProtocolError(f"`{operation}` takes no {type(value).__name__} there")
    return work(system, *arguments)


# What an answer says beside its code and fields, in order; all of it plain values.
_FURTHER: Final = tuple(one.name for one in fields(Answer))[2:]


def _told(answer: Answer) -> list[Any]:
    return [answer.code.value, dict(answer.fields), *(getattr(answer, name) for name in _FURTHER)]


def _notices(system: System) -> list[Any]:
    return [[notice.kind, notice.handle] for notice in system.notices()]


_OPERATIONS: Final[dict[str, tuple[_Kinds, Callable[..., Any]]]] = {
    "now": ((), lambda _system: None),  # every answer carries the time
    "call": (((str, int), str, str, dict), lambda system, *call: _told(system.call(*call))),
    "report": ((str, dict), lambda system, *report: _told(system.report(*report))),
    "locate": ((str,), lambda system, name: system.locate(name)),
    "create": ((int, (int, str)), lambda system, rights, context: system.create(rights, context)),
    "dereference": ((int,), lambda system, handle: system.dereference(handle)),
    "rights": ((int,), lambda system, handle: system.rights(handle)),
    "sid": ((int,), lambda system, handle: system.sid(handle)),
    "close": ((int,), lambda system, handle: system.close(handle)),
    "revoke": ((int,), lambda system, handle: system.revoke(handle)),
    "notices": ((), _notices),
    "spend": ((int,), lambda system, steps: system.spend(steps)),
}
