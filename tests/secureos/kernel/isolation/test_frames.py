import pytest
from hypothesis import given
from hypothesis import strategies as st

from secureos.kernel.isolation.errors import ProtocolError
from secureos.kernel.isolation.frames import LONGEST, Frame, FrameReader, Kind, pack


@given(st.lists(st.tuples(st.sampled_from(Kind), st.integers(0, 2**32 - 1), st.text(max_size=20))), st.data())
def test_frames_come_out_however_the_stream_is_cut(sent, data):
    stream = b"".join(pack(*one) for one in sent)
    reader, received = FrameReader(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        received += reader.feed(stream[:cut])
        stream = stream[cut:]
    assert received == [Frame(*one) for one in sent]


@given(st.binary(max_size=100))
def test_any_bytes_are_frames_or_a_protocol_error(raw):
    reader = FrameReader()
    try:
        for byte in raw:
            assert all(isinstance(frame, Frame) for frame in reader.feed(bytes((byte,))))
    except ProtocolError:
        pass


def test_a_value_that_is_too_long_is_not_packed():
    with pytest.raises(ValueError, match="are the most"):
        pack(Kind.DONE, 1, "x" * (LONGEST + 1))
