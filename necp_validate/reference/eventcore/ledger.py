"""The ledger: what is booked, as records and as the state that follows from them.

Each batch of one input partition makes one record, in the same transaction as the input's offsets. So the ledger
alone says what the balances are and where to go on. A transaction costs the brokers by the partition that it
touches, so the records of several input partitions share a ledger partition (:func:`ledger_partition`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from necp_validate.events.economy import OPENING_BALANCE, OPENING_STOCK, TREASURY
from necp_validate.events.topics import LEDGER_TOPIC, TOPICS
from necp_validate.reference.eventcore.market import Listing, Market, Tick

CURRENCY: Final = "eddies"
MAX_HOLES: Final = 4_096
_GROUPS: Final = min(3, TOPICS[LEDGER_TOPIC].partitions)


def ledger_partition(partition: int) -> int:
    """Name the ledger partition that holds the records of an input partition."""
    return partition % _GROUPS


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


class SeenSequences:
    """Which events of the streams have been seen; memory grows with gaps, not with events."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._holes: dict[str, set[int]] = {}

    def add(self, stream: str, seq: int) -> bool:
        """Note an event; tell whether it is new."""
        expected = self._next.get(stream, 0)
        if seq >= expected:
            if seq > expected:
                self._skip(stream, expected, seq)
            self._next[stream] = seq + 1
            return True
        holes = self._holes.get(stream)
        if holes is None or seq not in holes:
            return False
        holes.remove(seq)
        return True

    def add_range(self, stream: str, first: int, last: int) -> None:
        """Note a run of events."""
        if first == self._next.get(stream, 0):
            self._next[stream] = last + 1
            return
        for seq in range(first, last + 1):
            self.add(stream, seq)

    def _skip(self, stream: str, first: int, end: int) -> None:
        """Remember ``first`` to ``end - 1`` as not seen; the oldest holes are given up beyond a limit."""
        holes = self._holes.setdefault(stream, set())
        holes.update(range(max(first, end - MAX_HOLES), end))
        if len(holes) > MAX_HOLES:
            self._holes[stream] = set(sorted(holes)[-MAX_HOLES:])


class Books:
    """State of one input partition: what every account holds, the market, and which events were seen."""

    def __init__(self) -> None:
        self.seen = SeenSequences()
        self.market = Market()
        self.next_offset: int | None = None
        self._holdings: dict[tuple[str, str, str], int] = {}

    def holding(self, shard: str, account: str, asset: str) -> int:
        """Say how much of an asset an account holds; an account exists with what all accounts start with."""
        held = self._holdings.get((shard, account, asset))
        if held is not None:
            return held
        return OPENING_BALANCE if asset == CURRENCY else OPENING_STOCK

    def covers(self, shard: str, account: str, asset: str, amount: int) -> bool:
        """Tell whether an account can give an amount; the treasury always can."""
        return account == TREASURY or self.holding(shard, account, asset) >= amount

    def post(self, posting: Posting) -> None:
        """Book one posting, without asking whether it is covered."""
        _, shard, debit, credit, asset, amount = posting
        self._holdings[shard, debit, asset] = self.holding(shard, debit, asset) - amount
        self._holdings[shard, credit, asset] = self.holding(shard, credit, asset) + amount

    def trade(self, money: Posting, goods: Posting) -> None:
        """Book both legs of a trade."""
        self.post(money)
        self.post(goods)
        self.market.trade(goods.shard, goods.asset, goods.amount, money.amount)

    def apply(self, record: LedgerRecord) -> None:
        """Take over a record of the ledger, in the order of the ledger."""
        money: Posting | None = None
        for posting in record.postings:
            if posting.asset == CURRENCY:
                self.post(posting)
                money = posting
            elif money is not None and money.id == posting.id:
                self.post(posting)
                self.market.trade(posting.shard, posting.asset, posting.amount, money.amount)
        for listing in record.listings:
            self.market.offer(listing)
        for tick in record.ticks:
            self.market.tick(tick)
        for stream, first, last in record.sequences:
            self.seen.add_range(stream, first, last)
        self.next_offset = record.last_offset + 1

    def circulation(self) -> dict[str, int]:
        """Sum up, by asset, by how much all accounts together differ from their opening: always 0."""
        totals: dict[str, int] = {}
        for (_, _, asset), held in self._holdings.items():
            opening = OPENING_BALANCE if asset == CURRENCY else OPENING_STOCK
            totals[asset] = totals.get(asset, 0) + held - opening
        return totals
