"""The fixed-width tail of a record's value, so that it can be read and written by column.

A value ends in ``,"ts":<16 digits>,"id":"<8 hex>-<12 digits>","crc":"<8 hex>"}``. All offsets count from the
end of the value. Standard library only.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

TAIL_LENGTH: Final = 69
TS: Final = slice(-63, -47)
ID: Final = slice(-40, -19)
STREAM: Final = slice(-40, -32)
SEQ: Final = slice(-31, -19)
CRC: Final = slice(-10, -2)
CRC_COVERS: Final = slice(None, -18)
"""The bytes that the checksum covers: everything before ``,"crc":"``."""

TS_DIGITS: Final = 16
STREAM_DIGITS: Final = 8
SEQ_DIGITS: Final = 12
MAX_SEQ: Final = 10**SEQ_DIGITS - 1


def seal(head: bytes, ts_us: int, event_id: str) -> bytes:
    """Append the tail to a value that ends with its ``data``.

    Args:
        head: the value up to, without, ``,"ts"``.
        ts_us: intended send time, microseconds since the epoch.
        event_id: ``<stream>-<sequence>``, 21 characters, see :func:`event_id`.
    """
    body = b'%b,"ts":%016d,"id":"%b"' % (head, ts_us, event_id.encode())
    return b'%b,"crc":"%08x"}' % (body, crc32(body))


def event_id(stream: str, seq: int) -> str:
    """Build the id of event number ``seq`` (from 0) of ``stream`` (8 lower-case hex digits)."""
    return f"{stream}-{seq:012d}"


def crc_is_right(value: bytes) -> bool:
    """Tell whether the checksum in the tail matches the bytes before it."""
    return b"%08x" % crc32(value[CRC_COVERS]) == value[CRC]


def split_tail(value: bytes) -> tuple[str, int, int]:
    """Read ``(stream, seq, ts_us)`` by column, without parsing the rest.

    Raises:
        ValueError: the columns do not hold a tail.
    """
    if len(value) <= TAIL_LENGTH or value[-69:-63] != b',"ts":' or value[-32:-31] != b"-":
        raise ValueError("the value has no tail of fixed width")
    return value[STREAM].decode("ascii"), int(value[SEQ]), int(value[TS])
