"""The session's own process: it simulates, the page's process only serves.

The two talk over one pipe: orders in, states out. A state is sent only when the one before has been taken, so a stalled
page process holds no more than one. The pipe's end closes when the other process dies, whichever way, and that ends
this one.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

from dashboards.orders import Order
from dashboards.pipe import listen
from dashboards.session import Session, SessionBrief
from scenarios.cli import INVALID
from scenarios.exits import ExitCode
from twin.fieldbus import FieldbusError

FRAME_EVERY_WALL_S: Final = 0.125


@dataclass(frozen=True)
class Failure:
    """Why the session could not begin: a message for people, and the exit code that goes with it."""

    message: str
    exit_code: int


def work(pipe: Connection, brief: SessionBrief) -> None:
    """Play `brief` until the pipe's other end closes. The target of the worker process."""
    # Ctrl-C and a supervisor's SIGTERM may reach the whole process group; the page's process ends this one.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    asyncio.run(_work(pipe, brief))


async def _work(pipe: Connection, brief: SessionBrief) -> None:
    try:
        session = Session(brief)
        await session.open()
    except INVALID as failure:
        pipe.send(Failure(str(failure), ExitCode.INVALID))
        return
    except FieldbusError as failure:
        pipe.send(Failure(str(failure), ExitCode.ENVIRONMENT))
        return
    listen(pipe, lambda order: _heed(session, order), session.stop)
    try:
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(_tell(pipe, session))
            await session.run()
            telling.cancel()
    finally:
        await session.close()


def _heed(session: Session, order: Order | None) -> None:
    """Carry an order out; None asks for the end."""
    if order is None:
        session.stop()
    else:
        session.obey(order)


async def _tell(pipe: Connection, session: Session) -> None:
    while True:
        try:
            await asyncio.to_thread(pipe.send, session.state())
        except OSError:
            session.stop()
            return
        await asyncio.sleep(FRAME_EVERY_WALL_S)
