"""Frames: what travels from the session to the pages, and what waits for a slow one.

One producer makes every frame once. Between key-frames only what changed travels (report by exception); a frame with
no change is the heartbeat. A page that cannot keep pace loses the oldest frames and gets a key-frame for them.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any, Final

from dashboards.session import State
from dashboards.side import Point, SideName

TREND_S: Final = 600.0
"""How far the load trend goes back (s)."""

KEY_EVERY_FRAMES: Final = 40
"""A key-frame at least so often: every 5 s at 8 frames per second."""

WAITING_FRAMES: Final = 16


class FrameMaker:
    """Turns states into frames, as JSON text.

    A frame holds `type` (key or delta), `seq` (rises by one), `run`, `at_s`, `values` and `trend`; in a key-frame all
    of them, in a delta what changed and the new points of the trend.
    """

    def __init__(self) -> None:
        self._seq = 0
        self._state: State | None = None
        self._trend: dict[SideName, deque[Point]] = {}

    def push(self, state: State) -> str:
        """The frame for a new state: a delta, or a key-frame when it is due or another run has begun."""
        before, self._state = self._state, state
        self._seq += 1
        again = before is None or before.run != state.run
        if again:
            self._trend = {side: deque() for side in state.trend}
        self._extend(state)
        if before is None or again or self._seq % KEY_EVERY_FRAMES == 0:
            return self._key(state)
        changed = {
            name: value
            for name, value in state.values.items()
            if name not in before.values or before.values[name] != value
        }
        return self._frame("delta", state, changed, {side: points for side, points in state.trend.items() if points})

    def key(self) -> str | None:
        """A key-frame of the last state, or None before the first."""
        return None if self._state is None else self._key(self._state)

    def _key(self, state: State) -> str:
        whole = {side: list(points) for side, points in self._trend.items()}
        return self._frame("key", state, state.values, whole)

    def _extend(self, state: State) -> None:
        for side, points in state.trend.items():
            kept = self._trend[side]
            kept.extend(points)
            while kept and kept[0][0] < state.at_s - TREND_S:
                kept.popleft()

    def _frame(self, kind: str, state: State, values: dict[str, Any], trend: dict[SideName, list[Point]]) -> str:
        return json.dumps(
            {
                "type": kind,
                "seq": self._seq,
                "run": state.run,
                "at_s": state.at_s,
                "values": values,
                "trend": trend,
            },
            separators=(",", ":"),
        )


class Viewer:
    """What waits for one page."""

    def __init__(self, maker: FrameMaker) -> None:
        self._maker = maker
        self._waiting: deque[str] = deque()
        self._some = asyncio.Event()
        self._put(maker.key())

    def offer(self, frame: str) -> None:
        """Add a frame. With too many waiting, all of them are dropped for one key-frame of the present."""
        if len(self._waiting) >= WAITING_FRAMES:
            self._waiting.clear()
            self._put(self._maker.key())
        else:
            self._put(frame)

    async def next(self) -> str:
        """The next frame, when there is one."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        return self._waiting.popleft()

    def _put(self, frame: str | None) -> None:
        if frame is not None:
            self._waiting.append(frame)
            self._some.set()


class Feed:
    """Hands every frame to every page that is connected."""

    def __init__(self) -> None:
        self._maker = FrameMaker()
        self._viewers: set[Viewer] = set()

    def take(self, state: State) -> None:
        """A new state of the session."""
        frame = self._maker.push(state)
        for viewer in self._viewers:
            viewer.offer(frame)

    def join(self) -> Viewer:
        """A page has connected: it begins with a key-frame."""
        viewer = Viewer(self._maker)
        self._viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """A page has gone."""
        self._viewers.discard(viewer)
