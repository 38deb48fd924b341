"""Error codes in the replies of the controller's interfaces (`error UInt16 code`)."""

from __future__ import annotations

from typing import Final

REFUSED: Final = 1  # the security module refused somewhere behind the call; the audit says why
FAILED: Final = 2  # what was asked could not be carried out
DEFERRED: Final = 4  # it waits, and is carried out as soon as it is granted, or not at all
UNKNOWN_TAG: Final = 3  # the point is not there, or cannot be written
