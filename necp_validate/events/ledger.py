"""The ledger of the economy: what each batch of events has changed, one record a batch.

A record is written in the same transaction as the receipt of its events and their offsets. So whoever reads
committed records only finds for each event both or neither.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

CURRENCY: Final = "eddies"


class Posting(NamedTuple):
    """``amount`` of an asset moves from one account of a shard to another.

    Args:
        id: id of the event that caused it; the two legs of a trade, money first, have the same.
        shard: the shard.
        debit: account that gives.
        credit: account that gets.
        asset: the currency or an item.
        amount: how much.
    """

    id: str
    shard: str
    debit: str
    credit: str
    asset: str
    amount: int


@lru_cache(maxsize=1 << 16)
def posting_weight(debit: str, credit: str, asset: str) -> int:
    """A number below 2**24 that stands for who gives what to whom.

    Amounts times weights add up to the same sum wherever they are added; whoever pays somebody else makes another one.
    """
    return crc32(f"{debit}\0{credit}\0{asset}".encode()) >> 8


class Tick(NamedTuple):
    """Best bid and ask of an item, and the volume since the tick before."""

    shard: str
    item: str
    bid: int
    ask: int
    volume: int


class Listing(NamedTuple):
    """An offer that was opened or cancelled by the event ``id``."""

    id: str
    shard: str
    item: str
    listing: str
    action: str
    quantity: int


class LedgerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the ledger: what one batch of one input partition has changed.

    Args:
        partition: input partition.
        first_offset: first input record of the batch.
        last_offset: last input record of the batch.
        postings: in the order they were booked.
        listings: offers, in their order.
        ticks: price ticks, in their order.
        sequences: ``(stream, first, last)``: the events that were read, whether booked or rejected.
    """

    partition: int
    first_offset: int
    last_offset: int
    postings: list[Posting]
    listings: list[Listing]
    ticks: list[Tick]
    sequences: list[tuple[str, int, int]]


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(LedgerRecord)


def encode_ledger_record(record: LedgerRecord) -> bytes:
    """Encode a ledger record as the value of a Kafka record."""
    return _ENCODER.encode(record)


def decode_ledger_record(value: bytes) -> LedgerRecord:
    """Decode a ledger record.

    Raises:
        msgspec.DecodeError: the value is none.
    """
    return _DECODER.decode(value)
