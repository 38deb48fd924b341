"""The order of phases within an instant: what tasks begin of their own accord waits until the scan is over."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Turnstile:
    """Lets one call through after another, and none while an activation is under way."""

    def __init__(self) -> None:
        self._busy = 0
        self._waiting: deque[Callable[[], None]] = deque()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Nobody passes within."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._call_next()

    def enter(self, call: Callable[[], None]) -> None:
        """Have `call` made as soon as its turn comes, in a callback of the running loop."""
        self._waiting.append(call)
        self._call_next()

    def _call_next(self) -> None:
        if self._waiting and not self._busy:
            with suppress(RuntimeError):  # without a running loop it waits for the end of the next activation
                asyncio.get_running_loop().call_soon(self._pass)

    def _pass(self) -> None:
        if self._busy or not self._waiting:
            return
        call = self._waiting.popleft()
        try:
            call()
        finally:
            self._call_next()
