"""Chance as an argument: one seeded stream of random numbers per named component."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


class Streams:
    """Named random streams of one run.

    A stream depends on the seed and on its own name only, so a new component never shifts the numbers that
    another one draws.
    """

    def __init__(self, seed: int) -> None:
        if seed < 0:
            raise ValueError(f"the seed must not be negative, not {seed}")
        self.seed = seed
        self._streams: dict[str, np.random.Generator] = {}

    def __getitem__(self, name: str) -> np.random.Generator:
        if name not in self._streams:
            digest = hashlib.sha256(f"{self.seed}:{name}".encode()).digest()
            self._streams[name] = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
        return self._streams[name]

    def snapshot(self) -> dict[str, Any]:
        """The state of every stream drawn from so far, as plain values."""
        return {name: stream.bit_generator.state for name, stream in sorted(self._streams.items())}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` gave; a stream named later starts as in a new run."""
        self._streams.clear()
        for name, inner in state.items():
            self[name].bit_generator.state = inner
