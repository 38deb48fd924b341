"""A client that finds its server again: it waits longer after each attempt in vain, and never asks anything twice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from twin.core import NS_PER_S, ns
from twin.fieldbus.errors import FieldbusError
from twin.fieldbus.modbus.client import ModbusClient, Request, RequestingClient


class Chance(Protocol):
    """A seeded stream of random numbers."""

    def random(self) -> float:
        """The next one, from 0 up to but not including 1."""
        ...


class Exchanging(ModbusClient, Protocol):
    """A client of which the bytes of a request can be asked, as of every one here."""

    async def exchange_all(self, requests: Sequence[Request]) -> list[bytes]:
        """The PDUs of several answers."""
        ...


@dataclass(frozen=True)
class Backoff:
    """How long to wait before connecting again.

    Attributes:
        first_s: After the first attempt in vain.
        most_s: At most; each wait is twice the one before.
        jitter: By which share of itself a wait is shortened at random (0 to 1), so that the clients of a server that
            comes back do not all come at once.
    """

    first_s: float = 0.2
    most_s: float = 10.0
    jitter: float = 0.5

    def wait_s(self, failures: int, chance: float) -> float:
        """The wait after so many failures in a row (1 and up), with a random number from 0 to 1."""
        whole: float = min(self.first_s * 2.0 ** min(failures - 1, 60), self.most_s)
        return whole * (1 - self.jitter * chance)


class SteadyClient(RequestingClient):
    """A client around another that connects by itself when asked, unless it has just been in vain.

    It never waits: who asks too early is told at once how long to wait, and asks again at his next turn. Time is an
    argument, so a run on simulated time stays one; what failed is told and never repeated, because only the caller
    knows what may be.

    Args:
        client: Who speaks.
        now_ns: The time, in nanoseconds of the caller's clock.
        chance: For the jitter.
        backoff: How long to wait.

    Attributes:
        failures: In a row, until now.
        last_good_ns: When the latest answer came, refusals included; None before the first.
    """

    def __init__(
        self, client: Exchanging, *, now_ns: Callable[[], int], chance: Chance, backoff: Backoff | None = None
    ) -> None:
        self.failures = 0
        self.last_good_ns: int | None = None
        self._client = client
        self._now_ns = now_ns
        self._chance = chance
        self._backoff = backoff or Backoff()
        self._not_before_ns = 0
        self._is_up = False

    async def connect(self) -> None:
        """Connect, unless connected.

        Raises:
            FieldbusError: In vain, or too early after an attempt in vain.
        """
        if self._is_up:
            return
        left_ns = self._not_before_ns - self._now_ns()
        if left_ns > 0:
            raise FieldbusError(f"not connected; the next attempt is in {left_ns / NS_PER_S:.3g} s")
        try:
            await self._client.connect()
        except FieldbusError:
            self._wait()
            raise
        self._is_up = True

    async def close(self) -> None:
        """End the connection; the next request makes another."""
        self._is_up = False
        await self._client.close()

    async def exchange(self, unit: int, pdu: bytes) -> bytes:
        """One request, after connecting if need be."""
        (answer,) = await self.exchange_all([(unit, pdu)])
        return answer

    async def exchange_all(self, requests: Sequence[Request]) -> list[bytes]:
        """Several requests, after connecting if need be.

        Raises:
            NoAnswer: The connection broke after they had left.
            FieldbusError: It could not be made, or it is too early to try.
        """
        await self.connect()
        try:
            answers = await self._client.exchange_all(requests)
        except FieldbusError:
            await self._give_up()
            raise
        self.failures = 0
        self.last_good_ns = self._now_ns()
        return answers

    async def _give_up(self) -> None:
        self._wait()
        self._is_up = False
        with contextlib.suppress(FieldbusError):
            await self._client.close()

    def _wait(self) -> None:
        self.failures += 1
        wait_s = self._backoff.wait_s(self.failures, self._chance.random())
        self._not_before_ns = self._now_ns() + ns(wait_s)
