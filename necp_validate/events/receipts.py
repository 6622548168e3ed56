"""Receipts: what became of every event, reported in runs by the event core."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import msgspec


class Outcome(IntEnum):
    """How an event ended; every event ends in exactly one of these."""

    PROCESSED = 0
    REJECTED = 1
    DEAD_LETTERED = 2


Run = tuple[int, int, int, Outcome, int]
"""``(partition, first_offset, last_offset, outcome, done_us)``: consecutive records that were handled in
one batch with the same outcome; ``done_us`` is when the handler had finished them (epoch, microseconds)."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the receipts topic; its key is the domain, its partition the domain's number.

    Args:
        instance: which event core wrote it.
        domain: the domain's name.
        topic: the topic that the runs' partitions and offsets belong to.
        sent_us: when it was handed to the producer (epoch, microseconds).
        transactional: written inside a transaction together with outputs and offsets, so that its
            arrival, not ``done_us``, says when the events were done.
        runs: outcomes by run of offsets.
        results: the domain's totals since the receipt before, e.g. damage per match.
    """

    instance: str
    domain: str
    topic: str
    sent_us: int
    transactional: bool
    runs: list[Run]
    results: dict[str, Any] = {}


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Receipt)


def encode_receipt(receipt: Receipt) -> bytes:
    """Encode a receipt as the value of its record."""
    return _ENCODER.encode(receipt)


def decode_receipt(value: bytes) -> Receipt:
    """Decode the value of a record of the receipts topic.

    Raises:
        msgspec.ValidationError: it is not a receipt.
        msgspec.DecodeError: it is not JSON.
    """
    return _DECODER.decode(value)
