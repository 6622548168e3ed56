"""Stamping a flush gives exactly the bytes that encoding each event anew would give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.clients.flush import MAX_FLUSH, FlushTemplate
from necp_validate.clients.rdkafka import gather_bytes
from necp_validate.events import tail

STREAM = "0a1b2c3d"


def event(data: bytes, ts_us: int, seq: int) -> bytes:
    head = b'{"type":"combat.damage","v":1,"key":"match-0001","data":' + data
    return tail.seal(head, ts_us, tail.event_id(STREAM, seq))


DATA = [b'{"x":1}', b'{"x":"' + b"y" * 300 + b'"}', b"{}"]


@given(ts_us=st.integers(10**15, 10**16 - 1), seq=st.integers(0, tail.MAX_SEQ - len(DATA)))
def test_stamped_events_equal_events_encoded_anew(ts_us: int, seq: int) -> None:
    template = FlushTemplate([event(data, 0, 7) for data in DATA], b"match-0001")
    template.stamp(ts_us, seq, 3)
    assert [event(data, ts_us, seq + i) for i, data in enumerate(DATA)] == template.values()


@pytest.mark.parametrize("seq", [9_998, 99_999_998, 9_999])
def test_upper_digits_change_within_a_flush(seq: int) -> None:
    template = FlushTemplate([event(data, 0, 0) for data in DATA], b"match-0001")
    template.stamp(1_790_000_000_000_000, seq, 0)
    assert [tail.split_tail(value)[1] for value in template.values()] == [seq, seq + 1, seq + 2]
    assert all(tail.crc_is_right(value) for value in template.values())


def test_messages_point_at_the_events_and_carry_their_tag() -> None:
    template = FlushTemplate([event(data, 0, 0) for data in DATA], b"match-0001")
    messages = template.stamp(1_790_000_000_000_000, 5, 9)
    assert [9 * MAX_FLUSH + i for i in range(3)] == messages["private"].tolist()
    for message, value in zip(messages, template.values(), strict=True):
        read = gather_bytes(messages["payload"][:0].astype("int64"), 1)
        assert read.shape == (0, 1)
        payload = gather_bytes(message["payload"].astype("int64").reshape(1), int(message["len"]))
        assert value == payload.tobytes()
        key = gather_bytes(message["key"].astype("int64").reshape(1), int(message["key_len"]))
        assert key.tobytes() == b"match-0001"


@pytest.mark.parametrize("count", [0, MAX_FLUSH + 1])
def test_a_flush_of_impossible_size_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 256 events"):
        FlushTemplate([event(b"{}", 0, 0)] * count, b"k")
