"""Economy: transfers, trades and rewards booked in the ledger; market data by item."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from necp_validate.events.base import Event, EventData
from necp_validate.events.economy import (
    TREASURY,
    ListingV1,
    PriceTickV1,
    RewardV1,
    TradeV1,
    TransferV2,
)
from necp_validate.events.ledger import CURRENCY, LedgerRecord, Listing, Posting, Tick, encode_ledger_record
from necp_validate.events.topics import LEDGER_TOPIC, MARKET_TOPIC, TOPICS
from necp_validate.reference.eventcore.handling import BatchResult, Counts, Handle, Output
from necp_validate.reference.eventcore.ledger import Books, ledger_partition

MARKET_INTERVAL_S: Final = 1.0
"""Market data is state, not change, so it need not go with every transaction."""

_MARKET_PARTITIONS: Final = TOPICS[MARKET_TOPIC].partitions


@dataclass(slots=True)
class _Batch:
    """What one batch of one partition adds to the ledger."""

    postings: list[Posting] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    sequences: list[tuple[str, int, int]] = field(default_factory=list)


Rule = Callable[[Books, _Batch, Event[EventData], Any], str | None]


class EconomyHandler:
    """Keeps the books of each partition; a batch is closed by :meth:`close` with its ledger record.

    Args:
        market_partition: partition of the market topic that this instance writes.
        clock_s: monotonic clock.
    """

    def __init__(self, *, market_partition: int = 0, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._market_partition = market_partition % _MARKET_PARTITIONS
        self._clock_s = clock_s
        self._books: dict[int, Books] = {}
        self._batches: dict[int, _Batch] = {}
        self._ledger: list[Output] = []
        self._counts = Counts()
        self._next_market_s = clock_s()

    def adopt(self, partition: int, books: Books) -> None:
        """Take over a partition with the books rebuilt from its ledger."""
        self._books[partition] = books
        self._batches.pop(partition, None)

    def books(self, partition: int) -> Books:
        """Give the books of a partition; new ones if it has none."""
        return self._books.setdefault(partition, Books())

    def open(self, partition: int) -> Handle:
        """See :class:`necp_validate.reference.eventcore.handling.Handler`."""
        books = self.books(partition)
        batch = self._batches.setdefault(partition, _Batch())
        is_new, sequences, counts = books.seen.add, batch.sequences, self._counts.of(partition)

        def handle(event: Event[EventData]) -> str | None:
            stream, seq = event.id[:8], int(event.id[9:])
            if not is_new(stream, seq):
                return "duplicate"
            if sequences and sequences[-1][2] + 1 == seq and sequences[-1][0] == stream:
                sequences[-1] = (stream, sequences[-1][1], seq)
            else:
                sequences.append((stream, seq, seq))
            data = event.data
            reason = _RULES[type(data)](books, batch, event, data)
            if reason is None:
                counts[data.type_name] = counts.get(data.type_name, 0) + 1
            return reason

        return handle

    def close(self, result: BatchResult) -> None:
        """End a batch: make its one ledger record, which exists even if nothing was booked."""
        batch = self._batches.pop(result.partition)
        self.books(result.partition).next_offset = result.last_offset + 1
        record = LedgerRecord(
            partition=result.partition,
            first_offset=result.first_offset,
            last_offset=result.last_offset,
            postings=batch.postings,
            listings=batch.listings,
            ticks=batch.ticks,
            sequences=batch.sequences,
        )
        self._ledger.append(
            Output(
                topic=LEDGER_TOPIC,
                partition=ledger_partition(result.partition),
                key=str(result.partition).encode(),
                value=encode_ledger_record(record),
            )
        )

    def drop(self, partition: int) -> None:
        """Forget the books of a partition."""
        self._books.pop(partition, None)
        self._batches.pop(partition, None)

    def collect(self) -> tuple[list[Output], dict[str, Any]]:
        """Take the ledger records of all batches, the market's changes if due, and the counts by type."""
        outputs, results = self._ledger, self._counts.take()
        if self.market_due:
            outputs += self._market()
        self.discard()
        return outputs, results

    @property
    def market_due(self) -> bool:
        """Whether there are market data to publish with the next transaction."""
        return self._market_waits(0.0)

    @property
    def market_overdue(self) -> bool:
        """Whether market data have waited so long for a transaction that they need one of their own."""
        return self._market_waits(MARKET_INTERVAL_S)

    def _market_waits(self, longer_than_s: float) -> bool:
        if self._clock_s() < self._next_market_s + longer_than_s:
            return False
        return any(books.market.changed for books in self._books.values())

    def discard(self) -> None:
        """Forget what has not been collected; the books themselves must be adopted anew."""
        self._ledger = []
        self._batches = {}
        self._counts.take()

    def _market(self) -> list[Output]:
        self._next_market_s = self._clock_s() + MARKET_INTERVAL_S
        return [
            Output(
                topic=MARKET_TOPIC,
                partition=self._market_partition,
                key=str(partition).encode(),
                value=value,
            )
            for partition, books in self._books.items()
            for value in books.market.publish(partition)
        ]


def _transfer(books: Books, batch: _Batch, event: Event[EventData], data: TransferV2) -> str | None:
    if data.debit == data.credit:
        return "to-oneself"
    posting = Posting(event.id, event.key, data.debit, data.credit, CURRENCY, data.amount)
    if not books.covers(event.key, data.debit, CURRENCY, data.amount):
        return "insufficient-funds"
    books.post(posting)
    batch.postings.append(posting)
    return None


def _reward(books: Books, batch: _Batch, event: Event[EventData], data: RewardV1) -> str | None:
    if data.account == TREASURY:
        return "to-oneself"
    posting = Posting(event.id, event.key, TREASURY, data.account, CURRENCY, data.amount)
    books.post(posting)
    batch.postings.append(posting)
    return None


def _trade(books: Books, batch: _Batch, event: Event[EventData], data: TradeV1) -> str | None:
    shard, price = event.key, data.quantity * data.unit_price
    if data.buyer == data.seller:
        return "to-oneself"
    if not books.covers(shard, data.seller, data.item, data.quantity):
        return "insufficient-stock"
    if not books.covers(shard, data.buyer, CURRENCY, price):
        return "insufficient-funds"
    money = Posting(event.id, shard, data.buyer, data.seller, CURRENCY, price)
    goods = Posting(event.id, shard, data.seller, data.buyer, data.item, data.quantity)
    books.trade(money, goods)
    batch.postings += (money, goods)
    return None


def _listing(books: Books, batch: _Batch, event: Event[EventData], data: ListingV1) -> str | None:
    if not books.covers(event.key, data.seller, data.item, data.quantity):
        return "insufficient-stock"
    listing = Listing(event.id, event.key, data.item, data.listing, data.action, data.quantity)
    books.market.offer(listing)
    batch.listings.append(listing)
    return None


def _price_tick(books: Books, batch: _Batch, event: Event[EventData], data: PriceTickV1) -> str | None:
    if data.bid > data.ask:
        return "crossed-prices"
    tick = Tick(event.key, data.item, data.bid, data.ask, data.volume)
    books.market.tick(tick)
    batch.ticks.append(tick)
    return None


_RULES: Final[dict[type[EventData], Rule]] = {
    TransferV2: _transfer,
    TradeV1: _trade,
    RewardV1: _reward,
    ListingV1: _listing,
    PriceTickV1: _price_tick,
}
