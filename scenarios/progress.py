"""A progress bar on standard error, for what takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from scenarios.player import Progress as Listener

_PATIENCE_S = 2.0


@contextmanager
def progress_bars() -> Iterator[Callable[[str], Listener]]:
    """Give out progress listeners by title; silent unless standard error is a terminal."""
    console = Console(stderr=True)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} simulated seconds"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not sys.stderr.isatty(),
        auto_refresh=False,
    )
    started = time.monotonic()

    def listener(title: str) -> Listener:
        task = bars.add_task(title, total=None)

        def listen(done_s: float, total_s: float) -> None:
            bars.update(task, completed=done_s, total=total_s)
            if time.monotonic() - started > _PATIENCE_S and not bars.live.is_started:
                bars.start()
            if bars.live.is_started:
                bars.refresh()

        return listen

    try:
        yield listener
    finally:
        if bars.live.is_started:
            bars.stop()
