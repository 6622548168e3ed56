"""Receipts: what became of every event, reported in runs by the event core."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

import msgspec

from necp_validate.events.topics import Domain


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


AT_ONCE_PER_S: Final = 10.0
"""So many events of a domain in a second have their receipt written as soon as they were handled, with all that was
handled before. Else it may wait for a tick, and until then there is the event core's word alone for when its events had
ended. What is part of a transaction never waits for longer than that."""

_WORD: Final = 2**64 - 1


def at_once_shares(rates_eps: Mapping[Domain, float]) -> dict[Domain, int]:
    """By domain, of how many events one is receipted at once, given the events a second."""
    return {domain: max(round(eps / AT_ONCE_PER_S), 1) for domain, eps in rates_eps.items() if eps > 0}


def at_once(domain: Domain, partition: int, first: int, last: int, one_in: int) -> list[int]:
    """Of the offsets from ``first`` to ``last``, those whose receipt is to be written at once.

    One of each ``one_in`` offsets, 0 for none, at a place that follows from no other one: what lies there is known to
    nobody before a broker has given it its offset.
    """
    if not one_in:
        return []
    seed = domain.number << 56 ^ partition << 40
    blocks = range(first // one_in, last // one_in + 1)
    return [at for block in blocks if first <= (at := block * one_in + _mixed(seed ^ block) % one_in) <= last]


def _mixed(value: int) -> int:
    """SplitMix64 (Steele, Lea and Flood, 2014)."""
    value = value + 0x9E3779B97F4A7C15 & _WORD
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _WORD
    return value ^ value >> 31


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
