"""Another policy for a twin that is served, at a signal; the real product has nothing like it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from secureos.kernel import ExchangeRefused, KernelError
from secureos.kernel.boot_checks import Checked, Trust
from secureos.kernel.exchange import offered
from secureos.policy import PolicyError
from twin.controller import Controller


@dataclass(frozen=True)
class Exchanged:
    """What became of one exchange.

    Attributes:
        policy, policy_sha256, version: What is in force now.
        exchanged: Whether it was put in force just now.
        sequences: How many test sequences it passed before that; 0 if another is in force.
        reason: Why the policy in force stays, or what went wrong after the exchange; may have several lines.
    """

    policy: str
    policy_sha256: str
    version: int
    exchanged: bool
    sequences: int = 0
    reason: str = ""

    def __str__(self) -> str:
        now = f"policy `{self.policy}` {self.policy_sha256[:16]}…"
        if not self.exchanged:
            return f"policy not exchanged; {now} stays in force: {self.reason}"
        return f"{now} is in force, after {self.sequences} test sequences" + (f"; {self.reason}" if self.reason else "")

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "schema": 1,
            "event": "policy",
            "policy": self.policy,
            "policy_sha256": self.policy_sha256,
            "policy_version": self.version,
            "exchanged": self.exchanged,
            "sequences": self.sequences,
            "reason": self.reason,
        }


class PolicyExchange:
    """Reads the policy's file again when it is asked to, and puts it in force if nothing speaks against it.

    All that takes long is done beside the controller, which goes on meanwhile; the exchange itself takes place at the
    beginning of a scan.

    Args:
        controller: Booted.
        path: The policy's file.
        checked: What was started.
        require_signed: Whether the policy must have been signed before.
        tell: Is told what became of each exchange.
    """

    def __init__(
        self,
        controller: Controller,
        path: Path,
        checked: Checked,
        *,
        require_signed: bool,
        tell: Callable[[Exchanged], None],
    ) -> None:
        self._controller = controller
        self._path = path
        self._running = checked
        self._require_signed = require_signed
        self._tell = tell
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Let the file be read again; asked for while that is under way, once more afterwards."""
        self._asked.set()

    async def serve(self) -> None:
        """Do what is asked for, until this is cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._tell(await self.exchange())

    async def exchange(self) -> Exchanged:
        """Read the file and put the policy in force, or leave the old one there."""
        trust = Trust(datetime.now(UTC).date(), require_signed=self._require_signed)
        try:
            offer = await asyncio.to_thread(offered, self._path, self._running, trust=trust)
        except (KernelError, PolicyError) as refusal:
            self._controller.kernel.keep_policy(str(refusal))
            return self._outcome(reason=str(refusal))
        try:
            await self._controller.exchange_policy(offer.policy, version=offer.version)
        except ExchangeRefused as refusal:
            return self._outcome(reason=str(refusal))
        self._running = offer.checked
        return self._outcome(exchanged=True, sequences=offer.sequences, reason=_noted(offer.checked))

    def _outcome(self, *, exchanged: bool = False, sequences: int = 0, reason: str = "") -> Exchanged:
        kernel = self._controller.kernel
        version = kernel.in_force.policy_version
        return Exchanged(kernel.policy.name, kernel.policy.sha256, version, exchanged, sequences, reason)


def _noted(checked: Checked) -> str:
    """Note the version, below which no other is accepted from now on; what went wrong with that."""
    try:
        checked.started()
    except KernelError as failure:
        return str(failure)
    return ""


class Hangup:
    """Tells a request to read the policy again from the end of the terminal: both come as SIGHUP.

    A program that was started from a terminal ends with it, unless it was told not to (`nohup`).
    """

    def __init__(self) -> None:
        self._ends_with_terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

    def is_the_end(self) -> bool:
        """Whether the terminal is gone."""
        return self._ends_with_terminal and not _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
