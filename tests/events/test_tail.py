"""The fixed-width tail that generators and readers handle by column."""

from __future__ import annotations

import json
from zlib import crc32

import pytest

from necp_validate.events import tail

HEAD = b'{"type":"combat.heal","v":1,"key":"m","data":{}'
VALUE = tail.seal(HEAD, 1_700_000_000_123_456, tail.event_id("0a1b2c3d", 42))


def test_columns_hold_what_was_sealed() -> None:
    """Every column is found by its distance from the end."""
    assert len(VALUE) - len(HEAD) == tail.TAIL_LENGTH
    assert VALUE[tail.TS] == b"1700000000123456"
    assert VALUE[tail.ID] == b"0a1b2c3d-000000000042"
    assert VALUE[tail.STREAM] == b"0a1b2c3d"
    assert VALUE[tail.SEQ] == b"000000000042"
    assert VALUE[tail.CRC] == b"%08x" % crc32(VALUE[tail.CRC_COVERS])
    assert VALUE[tail.CRC_COVERS] + b',"crc":"' == VALUE[: -len('00000000"}')]


def test_value_is_json_in_the_agreed_order() -> None:
    """A sealed value is JSON with its fields in the order of the contract."""
    assert list(json.loads(VALUE)) == ["type", "v", "key", "data", "ts", "id", "crc"]


def test_split_tail_reads_without_parsing() -> None:
    """Stream, sequence and time come out as they went in."""
    assert tail.split_tail(VALUE) == ("0a1b2c3d", 42, 1_700_000_000_123_456)


@pytest.mark.parametrize("value", [b"", b"{}", VALUE[:-1], VALUE[10:] + b" " * 10])
def test_split_tail_refuses_what_has_no_tail(value: bytes) -> None:
    """Values without the columns are refused instead of misread."""
    with pytest.raises(ValueError, match=r"tail|invalid literal"):
        tail.split_tail(value)


def test_a_flipped_bit_is_seen() -> None:
    """The checksum covers all that comes before it."""
    assert tail.crc_is_right(VALUE)
    for position in (0, 20, len(VALUE) - 19):
        damaged = bytearray(VALUE)
        damaged[position] ^= 1
        assert not tail.crc_is_right(bytes(damaged))
