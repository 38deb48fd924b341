"""Handles that travel in a message: checked, shown to the policy, and only then made for the receiver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from secureos.kernel.errors import HandleError
from secureos.kernel.handle_fields import SwapAll
from secureos.kernel.handles import Handle, Handles, HandleTable
from secureos.kernel.program import Fields, ReturnCode
from secureos.kernel.rights import TRANSFER, lacking

_NONE = {"handle": 0, "rights": 0}


class Transfer:
    """One message with handles, on its way from one table to another.

    Attributes:
        shown: The message as the security module sees it: security identifiers in place of numbers.

    Raises:
        HandleError: The sender does not hold a handle, or not with the right to pass it on with these rights; or the
            receiver has no room.
    """

    def __init__(
        self, handles: Handles, swap_all: SwapAll, fields: Fields, *, sender: HandleTable, receiver: HandleTable
    ) -> None:
        self._handles = handles
        self._swap_all = swap_all
        self._fields = fields
        self._sender = sender
        self._receiver = receiver
        self._held: list[Handle | None] = []
        self.shown: dict[str, Any] = swap_all(fields, self._look_up)
        receiver.check_room(sum(handle is not None for handle in self._held))

    def deliver(self) -> dict[str, Any]:
        """The message for the receiver, who holds a descendant of each handle from now on."""
        held = iter(self._held)
        return self._swap_all(self._fields, lambda pair: self._hand_over(next(held), pair))

    def _look_up(self, pair: Mapping[str, int]) -> dict[str, int]:
        number, rights = pair["handle"], pair["rights"]
        if number == 0 and rights == 0:  # no handle, which any message may say
            self._held.append(None)
            return dict(_NONE)
        handle = self._sender.use(number, TRANSFER)
        if lacking(rights, handle.rights):
            wanting = f"does not carry the right {lacking(rights, handle.rights):#x}"
            raise HandleError(ReturnCode.NO_RIGHT, f"handle {number} of task `{self._sender.task}` {wanting}")
        self._held.append(handle)
        return {"handle": handle.resource.sid, "rights": rights}

    def _hand_over(self, handle: Handle | None, pair: Mapping[str, int]) -> dict[str, int]:
        if handle is None:
            return dict(_NONE)
        return {
            "handle": self._handles.descend(handle, self._receiver, pair["rights"]).number,
            "rights": pair["rights"],
        }
