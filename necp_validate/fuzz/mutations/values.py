"""Mutations of a value as bytes, whatever its form."""

# ruff: noqa: ARG001 - every mutation is called alike

from __future__ import annotations

import random
import zlib
from functools import cache
from typing import Final

from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.schema import Record, Schema

_NOTHING: Final[tuple[bytes | None, ...]] = (None, b"", b" ", b"\n", b"\x00", b"null", b"{}", b"[]", b'""')
_BOMB_BYTES: Final = 64 << 20


def empty(schema: Schema, case: Case, rng: random.Random) -> Record | None:
    """Take the value away, or all that is in it."""
    return case.key, rng.choice(_NOTHING), case.headers


def truncated(schema: Schema, case: Case, rng: random.Random) -> Record | None:
    """Cut the value off somewhere."""
    value = case.value or b""
    return (case.key, value[: rng.randrange(1, len(value))], case.headers) if len(value) > 1 else None


def flipped(schema: Schema, case: Case, rng: random.Random) -> Record | None:
    """Turn one bit over; a checksum stays what it was."""
    value = bytearray(case.value or b"")
    if not value:
        return None
    value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
    return case.key, bytes(value), case.headers


def bomb(schema: Schema, case: Case, rng: random.Random) -> Record | None:
    """Send what a reader that unpacks whatever looks packed would choke on."""
    return case.key, _packed(rng.choice((31, 15))), (*case.headers, ("content-encoding", b"gzip"))


@cache
def _packed(window_bits: int) -> bytes:
    """Pack zeros: 31 makes a gzip file, 15 a zlib stream."""
    packer = zlib.compressobj(9, zlib.DEFLATED, window_bits)
    return packer.compress(bytes(_BOMB_BYTES)) + packer.flush()
