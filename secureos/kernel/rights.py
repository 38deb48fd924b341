"""Rights that a handle carries: a mask of 32 bits, the lower half general, the upper half the resource's own."""

from __future__ import annotations

from typing import Final, TypeGuard

TRANSFER: Final = 1 << 0
"""The handle may be passed on in a message."""

GET_SID: Final = 1 << 1
"""Its holder may ask for the security identifier behind it."""

CALL: Final = 1 << 16
"""Of a channel: requests may be sent over it. Other resources give the bits from 16 on meanings of their own."""

ALL: Final = 2**32 - 1


def is_mask(rights: object) -> TypeGuard[int]:
    """Whether something is a mask of rights at all."""
    return type(rights) is int and 0 <= rights <= ALL


def lacking(asked: int, held: int) -> int:
    """The rights asked for that are not held; 0 if there are none."""
    return asked & ~held
