"""A growing wait after wrong passwords, for one user at one address.

Nobody can lock out anybody else: a wait binds the pair of user and address that earned it. What is kept is bounded;
when it is full, the pair that has been quiet the longest is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_FREE_FAILURES: Final = 4
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 300.0
_MAX_PAIRS: Final = 4096
_MAX_DOUBLINGS: Final = 20


@dataclass
class _Record:
    failures: int = 0
    until_s: float = 0.0


class Lockout:
    """Who must wait before a password of theirs is looked at again.

    Four wrong passwords are free, the fifth costs 1 s, each further one twice as much, up to 5 min. A right one
    clears the account.

    Args:
        now_s: Wall-clock time in seconds that never runs backwards.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._records: OrderedDict[tuple[str, str], _Record] = OrderedDict()

    def wait_s(self, user: str, address: str) -> float:
        """How long this user at this address must still wait (s); 0 when not."""
        record = self._records.get((user, address))
        return max(0.0, record.until_s - self._now_s()) if record else 0.0

    def failed(self, user: str, address: str) -> None:
        """Count a wrong password."""
        record = self._records.setdefault((user, address), _Record())
        self._records.move_to_end((user, address))
        record.failures += 1
        over = record.failures - _FREE_FAILURES
        if over > 0:
            wait_s = min(_FIRST_WAIT_S * 2 ** min(over - 1, _MAX_DOUBLINGS), _LONGEST_WAIT_S)
            record.until_s = self._now_s() + wait_s
        while len(self._records) > _MAX_PAIRS:
            self._records.popitem(last=False)

    def passed(self, user: str, address: str) -> None:
        """Forget what was wrong before."""
        self._records.pop((user, address), None)
