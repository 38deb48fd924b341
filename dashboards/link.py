"""The page process's hold on the worker process."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import sys
from collections.abc import Callable
from typing import Final

from dashboards.orders import Order
from dashboards.pipe import listen
from dashboards.session import SessionBrief, State
from dashboards.worker import Failure, work

# The pipe holds thousands of orders; so many unanswered ones mean that the worker hangs.
_MAX_WAITING_ORDERS: Final = 32
_END_WALL_S: Final = 1.0
_START_WALL_S: Final = 60.0


class WorkerFailed(Exception):
    """The session could not begin; `exit_code` says of which kind the failure is."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class WorkerLink:
    """Starts the worker, hands its states on, and carries orders to it.

    Args:
        brief: What the worker plays.
        on_state: Is given every state.
    """

    def __init__(self, brief: SessionBrief, on_state: Callable[[State], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, self._far_end = context.Pipe()
        self._process = context.Process(target=work, args=(self._far_end, brief), name="holdfast-session", daemon=True)
        self._on_state = on_state
        self._ready: asyncio.Future[None]
        self._ordered = 0
        self._obeyed = 0
        self._closing = False

    async def start(self) -> None:
        """Start the worker and wait for its first state.

        Raises:
            WorkerFailed: The session cannot begin; the message says why.
        """
        self._ready = asyncio.get_running_loop().create_future()
        self._process.start()
        self._far_end.close()  # else the pipe would not end with the worker
        listen(self._pipe, self._take, self._ended)
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), _START_WALL_S)
        except TimeoutError as failure:
            raise WorkerFailed(f"the simulation did not begin within {_START_WALL_S:g} s", 1) from failure

    def order(self, order: Order) -> None:
        """Send an order; dropped while the worker leaves too many unanswered."""
        if self._ordered - self._obeyed >= _MAX_WAITING_ORDERS:
            return
        self._ordered += 1
        with contextlib.suppress(OSError):  # the worker is gone, which `_ended` tells
            self._pipe.send(order)

    async def close(self) -> None:
        """End the worker: it is asked to, and killed if it does not follow within a second."""
        self._closing = True
        if self._process.pid is None:
            return
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        await asyncio.to_thread(self._process.join, _END_WALL_S)
        if self._process.is_alive():
            self._process.kill()

    def _take(self, item: State | Failure) -> None:
        if isinstance(item, Failure):
            if not self._ready.done():
                self._ready.set_exception(WorkerFailed(item.message, item.exit_code))
            return
        self._obeyed = item.obeyed
        self._on_state(item)
        if not self._ready.done():
            self._ready.set_result(None)

    def _ended(self) -> None:
        if not self._ready.done():
            self._ready.set_exception(WorkerFailed("the simulation ended before it began; see the message above", 1))
        elif not self._closing:
            print(
                "the simulation has ended unexpectedly; the page shows STALE: start `holdfast demo` again",
                file=sys.stderr,
            )
