"""The one place where asyncua is taken as it is, and made safe to feed with strangers' bytes.

Its decoder believes every length it reads: a negative one moves the reading position back, so that an array of a few
bytes never ends, and an array of nulls takes no bytes at all, so that four bytes ask for two thousand million elements.
`StrictBuffer` refuses the first and counts what a message takes; `_CountedNull` makes nulls count as well.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from asyncua import ua
from asyncua.common.utils import Buffer, NotEnoughData
from asyncua.ua import ua_binary

# Twice what a request of the most items needs in earnest; one costs some 30 µs, and nobody is served meanwhile.
READS_PER_MESSAGE: Final = 40_000
READS_BEFORE_ACTIVATION: Final = 2_000


class StrictBuffer(Buffer):
    """Bytes of one message, read forwards only and not without end."""

    def __init__(self, content: bytes, start_pos: int = 0, size: int = -1, reads: list[int] | None = None) -> None:
        super().__init__(content, start_pos, size)
        self._reads = [READS_PER_MESSAGE] if reads is None else reads

    def read(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            NotEnoughData: There are fewer, `size` is negative, or the message has been read from too often.
        """
        self._reads[0] -= 1
        if not 0 <= size <= self._size or self._reads[0] < 0:
            raise NotEnoughData(f"cannot read {size} bytes of the {self._size} that are left")
        self._size -= size
        start = self._cur_pos
        self._cur_pos += size
        taken: bytes = self._data[start : self._cur_pos]
        return taken

    def copy(self, size: int = -1) -> StrictBuffer:
        """The same bytes to be read on their own, on the same account."""
        if not 0 <= size <= self._size:
            size = self._size
        return StrictBuffer(self._data, self._cur_pos, size, self._reads)

    def skip(self, size: int) -> None:
        """Leave `size` bytes out.

        Raises:
            NotEnoughData: There are fewer, or `size` is negative.
        """
        if size < 0:
            raise NotEnoughData(f"cannot skip {size} bytes")
        super().skip(size)


class _CountedNull:
    """A null that counts as one read."""

    @staticmethod
    def pack(_nothing: object) -> bytes:
        return b""

    @staticmethod
    def unpack(source: Any) -> None:  # noqa: ANN401
        source.read(0)


# Decoders are made at first use and kept, so this must stand before any of them is.
ua_binary.Primitives.Null = _CountedNull()

# What strangers send is no news for a log: it is counted (see OpcUaStats), and a failure of ours is kept there too.
logging.getLogger("asyncua").setLevel(logging.ERROR)
logging.getLogger("asyncuagds").setLevel(logging.ERROR)


def service(name: str) -> ua.NodeId:
    """The type of a request as it stands in front of it."""
    return ua.NodeId(getattr(ua.ObjectIds, f"{name}Request_Encoding_DefaultBinary"))
