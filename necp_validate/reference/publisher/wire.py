"""What is said between producers and the publisher: batches of events, and answers to them.

A batch is a MessagePack array of ``[key, value]``, both bytes, in the order in which they are to be written. As many of
its first events are accepted as the limit allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

BODY_MAX: Final = 16 * 1024 * 1024
EVENTS_MAX: Final = 10_000
KEY_MAX: Final = 256
VALUE_MAX: Final = 1_000_000
"""Kafka's own limit of a batch is 1 MiB; headroom for what it adds."""

Event = tuple[bytes, bytes]
Run = tuple[int, int, int, int]
"""``(first, partition, offset, count)``: so many events, from number ``first`` of the batch, at consecutive offsets.

The offset is -1 if Kafka did not say where they lie.
"""
Range = tuple[int, int]
"""``(first, count)``: so many events from number ``first`` of the batch."""

_DECODE: Final = msgspec.msgpack.Decoder(list[Event]).decode


class BadBatch(Exception):
    """A batch cannot be taken; the message says what is wrong with which of its events."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an answer.

    Args:
        accepted: events that the limit let pass: the first so many of the batch.
        refused: all others.
        runs: where accepted events were acknowledged, in the order of the batch.
        failed: accepted events that were certainly not written.
        unknown: accepted events of which nobody knows.
        retry_after_s: how long to wait before the next attempt; 0 if nothing was refused.
        error: what went wrong, if something did.
    """

    accepted: int
    refused: int
    runs: Sequence[Run] = ()
    failed: Sequence[Range] = ()
    unknown: Sequence[Range] = ()
    retry_after_s: float = 0.0
    error: str = ""


def decode_batch(body: bytes) -> list[Event]:
    """Read a batch.

    Raises:
        BadBatch: it is none, or one of its events cannot be written.
    """
    try:
        events = _DECODE(body)
    except msgspec.DecodeError as error:
        raise BadBatch(f"the body is not a MessagePack array of [key, value] in bytes: {error}") from None
    if not 1 <= len(events) <= EVENTS_MAX:
        raise BadBatch(f"a batch has 1 to {EVENTS_MAX:,} events, not {len(events):,}")
    for number, (key, value) in enumerate(events):
        if not 1 <= len(key) <= KEY_MAX:
            raise BadBatch(f"event {number}: a key has 1 to {KEY_MAX} bytes, not {len(key):,}")
        if not 1 <= len(value) <= VALUE_MAX:
            raise BadBatch(f"event {number}: a value has 1 to {VALUE_MAX:,} bytes, not {len(value):,}")
    return events
