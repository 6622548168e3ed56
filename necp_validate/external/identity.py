"""Who an event is: a header beside a value that must stay as its schema wants it.

The header ``necp-event`` holds stream, sequence number, and the CRC-32 of value and key:
``5e1f0001-000000000042-1c291ca3-00000000``. With it a record that was acknowledged is found again wherever it lies,
one that is there twice is known to be, and one whose bytes have changed shows it.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Final

HEADER: Final = "necp-event"
_FORM: Final = re.compile(rb"([0-9a-f]{8})-(\d{12})-([0-9a-f]{8})-([0-9a-f]{8})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the header says.

    Args:
        stream: 8 hexadecimal digits: one run's events of one topic.
        seq: number in the stream, from 0 and without holes.
        value_crc, key_crc: CRC-32 of value and key as they were sent.
    """

    stream: str
    seq: int
    value_crc: int
    key_crc: int

    def encode(self) -> bytes:
        """The header's value."""
        return b"%b-%012d-%08x-%08x" % (self.stream.encode(), self.seq, self.value_crc, self.key_crc)


def stream_of(run_id: str, topic: str) -> str:
    """The stream of a run's events in a topic."""
    return f"{zlib.crc32(f'{run_id}/{topic}'.encode()):08x}"


def crc(part: bytes | None) -> int:
    """CRC-32 of a key or a value; of none it is that of nothing."""
    return zlib.crc32(part or b"")


def read_identity(headers: object) -> Identity | None:
    """The identity among a record's headers; None if it has none that can be read.

    Args:
        headers: as the client gives them: a list of names and values, or None.
    """
    for name, value in headers if isinstance(headers, (list, tuple)) else ():
        if name == HEADER and isinstance(value, bytes) and (found := _FORM.fullmatch(value)):
            return Identity(
                stream=found[1].decode(), seq=int(found[2]), value_crc=int(found[3], 16), key_crc=int(found[4], 16)
            )
    return None
