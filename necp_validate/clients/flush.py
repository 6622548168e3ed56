"""Flushes: the events that a game server sends in one tick, encoded once and stamped for each send.

Every event's last 69 bytes have fixed columns (``events.tail``): intended time, stream, sequence number and
CRC-32. A template keeps a flush's events right-aligned in the rows of one array, so stamping them is a handful of
array operations whatever the number of events. The checksum is not computed anew either: CRC-32 is linear, so the
contribution of each digit is looked up in a table and XORed in (after Mark Adler's ``crc32_combine``).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from necp_validate.clients.rdkafka import MESSAGE
from necp_validate.events import tail

_GROUP = 10_000  # digits are looked up four at a time
MAX_FLUSH = 256
UInt32Array = npt.NDArray[np.uint32]

_DIGITS4: UInt32Array = np.array([b"%04d" % n for n in range(_GROUP)], dtype="S4").view(np.uint32)
_HEX4: UInt32Array = np.array([b"%04x" % n for n in range(1 << 16)], dtype="S4").view(np.uint32)
_SEQ_GROUPS = tail.SEQ_DIGITS // 4
_TS_TO_END = tail.CRC_COVERS.stop - tail.TS.start  # bytes from the time to the end of what the CRC covers


def hex_digits(crcs: UInt32Array) -> UInt32Array:
    """Each CRC-32 as its eight lower hex digits: uint32, shape (n, 2), four digits a number."""
    return _HEX4[np.stack((crcs >> 16, crcs & 0xFFFF), axis=1)]


def _crc_change(length: int, position: int, digits: bytes) -> int:
    """What turning zeros into ``digits`` at ``position`` of a ``length``-byte text does to its CRC-32 (an XOR)."""
    text = bytearray(length)
    for i, digit in enumerate(digits):
        text[position + i] = digit ^ ord("0")
    return zlib.crc32(text) ^ zlib.crc32(bytes(length))


@lru_cache(maxsize=1)
def _seq_tables() -> tuple[UInt32Array, ...]:
    """For each group of four sequence digits, the CRC change of each of its 10,000 values."""
    length = tail.CRC_COVERS.stop - tail.SEQ.start
    tables = []
    for group in range(_SEQ_GROUPS):
        table = np.zeros(_GROUP, dtype=np.uint32)
        values = np.arange(_GROUP)
        for place in range(4):
            digit = values // 10 ** (3 - place) % 10
            changes = [_crc_change(length, 4 * group + place, b"%d" % d) for d in range(10)]
            table ^= np.array(changes, dtype=np.uint32)[digit]
        tables.append(table)
    return tuple(tables)


class FlushTemplate:
    """The events of one flush, ready to be stamped and handed to a producer.

    Args:
        values: encoded events of one stream (any time, sequence number and checksum), 1 to 256 of them.
        key: the record key they all carry.
        planted: by kind, the places of the events that are bad on purpose.

    Raises:
        ValueError: no events, or more than ``MAX_FLUSH``.
    """

    def __init__(self, values: Sequence[bytes], key: bytes, planted: Mapping[str, Sequence[int]] | None = None) -> None:
        if not 1 <= len(values) <= MAX_FLUSH:
            raise ValueError(f"a flush has 1 to {MAX_FLUSH} events, not {len(values)}")
        self.count = len(values)
        self.planted = {kind: tuple(places) for kind, places in (planted or {}).items() if places}
        width = -(-max(map(len, values)) // 8) * 8
        self._rows = np.zeros((self.count, width), dtype=np.uint8)
        zeros = []
        for row, value in zip(self._rows, values, strict=True):
            text = bytearray(value)
            text[tail.TS] = b"0" * tail.TS_DIGITS
            text[tail.SEQ] = b"0" * tail.SEQ_DIGITS
            row[width - len(text) :] = np.frombuffer(text, dtype=np.uint8)
            zeros.append(zlib.crc32(text[tail.CRC_COVERS]))
        self._crc_of_zeros: UInt32Array = np.array(zeros, dtype=np.uint32)
        self._fields = self._rows.view(
            np.dtype(
                {
                    "names": ["ts", "seq", "crc"],
                    "formats": [f"S{tail.TS_DIGITS}", ("<u4", (_SEQ_GROUPS,)), ("<u4", (2,))],
                    "offsets": [width + field.start for field in (tail.TS, tail.SEQ, tail.CRC)],
                    "itemsize": width,
                }
            )
        ).reshape(self.count)
        self._ts, self._seq, self._crc = (self._fields[name] for name in ("ts", "seq", "crc"))
        self._key = np.frombuffer(key, dtype=np.uint8)  # kept alive: the messages point into it
        self.messages = np.zeros(self.count, dtype=MESSAGE)
        lengths = np.array([len(v) for v in values], dtype=np.uint64)
        rows = self._rows.ctypes.data + np.arange(1, self.count + 1, dtype=np.uint64) * np.uint64(width)
        self.messages["payload"] = rows - lengths
        self.messages["len"] = lengths
        self.messages["key"] = self._key.ctypes.data
        self.messages["key_len"] = len(key)
        self._private = self.messages["private"]
        self._index = np.arange(self.count, dtype=np.uint64)

    def stamp(self, ts_us: int, first_seq: int, tag: int) -> npt.NDArray[np.void]:
        """Write time, sequence numbers and checksums into the events; returns the messages to produce.

        Args:
            ts_us: intended send time, microseconds since the epoch.
            first_seq: sequence number of the first event; the others follow it.
            tag: number of the flush: event i's ``private`` becomes ``tag * MAX_FLUSH + i``.
        """
        ts = b"%016d" % ts_us
        self._ts[:] = ts
        crc = self._crc_of_zeros ^ np.uint32(_crc_change(_TS_TO_END, 0, ts))
        at = 0
        while at < self.count:  # once, or twice where the upper digits change within the flush
            upper, low = divmod(first_seq + at, _GROUP)
            n = min(self.count - at, _GROUP - low)
            part = slice(at, at + n)
            tables = _seq_tables()
            top, middle = divmod(upper, _GROUP)
            crc[part] ^= tables[0][top] ^ tables[1][middle] ^ tables[2][low : low + n]
            self._seq[part, 0] = _DIGITS4[top]
            self._seq[part, 1] = _DIGITS4[middle]
            self._seq[part, 2] = _DIGITS4[low : low + n]
            at += n
        self._crc[:] = hex_digits(crc)
        np.add(self._index, np.uint64(tag * MAX_FLUSH), out=self._private)
        return self.messages

    def values(self) -> list[bytes]:
        """The events as stamped last."""
        width = self._rows.shape[1]
        return [bytes(row[width - int(n) :]) for row, n in zip(self._rows, self.messages["len"], strict=True)]
