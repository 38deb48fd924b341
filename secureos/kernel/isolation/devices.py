"""The host's ends of devices that are granted to an isolated task."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Protocol

Say = Callable[[Any, socket.socket | None], bool]
"""Says a plain value to the task's end of a device, and passes it an open socket if need be; whether it could be said.

The task gets a descriptor of its own: the host closes its socket, or the connection outlives the task.
"""


class Device(Protocol):
    """A device with words in both directions; those that come from the task are untrusted."""

    def attach(self, say: Say) -> None:
        """A task is there and can be spoken to; called anew after each restart."""

    def hear(self, value: Any) -> None:  # noqa: ANN401
        """The task said something.

        Raises:
            ProtocolError: It makes no sense.
        """

    def detach(self) -> None:
        """The task is gone."""
