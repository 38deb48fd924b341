"""Hears what comes out of a pipe between two processes, from within an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


def listen(pipe: Connection, on_item: Callable[[Any], None], on_end: Callable[[], None]) -> None:
    """Call `on_item` in the running loop for everything received, and `on_end` once when the other end has closed.

    A thread of its own waits for the pipe; it is a daemon, so it never keeps a process alive.
    """
    loop = asyncio.get_running_loop()

    def hear() -> None:
        # A closed loop has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            while True:
                try:
                    item = pipe.recv()
                except (EOFError, OSError):
                    loop.call_soon_threadsafe(on_end)
                    return
                loop.call_soon_threadsafe(on_item, item)

    threading.Thread(target=hear, name="pipe", daemon=True).start()
