"""Economy: transfers, trades and rewards booked in the ledger; market data by item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from necp_validate.events.base import Event, EventData
from necp_validate.events.economy import (
    TREASURY,
    ListingV1,
    PriceTickV1,
    RewardV1,
    TradeV1,
    TransferV2,
)
from necp_validate.events.topics import LEDGER_TOPIC, MARKET_TOPIC, TOPICS
from necp_validate.reference.eventcore.handling import BatchResult, Handle, Output
from necp_validate.reference.eventcore.ledger import (
    CURRENCY,
    Books,
    LedgerRecord,
    Posting,
    encode_ledger_record,
)

_ENCODE: Final = msgspec.json.Encoder().encode
_MARKET_PARTITIONS: Final = TOPICS[MARKET_TOPIC].partitions


@dataclass(slots=True)
class _Batch:
    """What one batch of one partition adds to the ledger."""

    postings: list[Posting] = field(default_factory=list)
    trades: list[tuple[str, str]] = field(default_factory=list)
    sequences: list[tuple[str, int, int]] = field(default_factory=list)


class EconomyHandler:
    """Keeps the books of each partition; a batch is closed by :meth:`close` with its ledger record.

    Args:
        market_partition: partition of the market topic that this instance writes; brokers cost per request,
            so it is one, not all.
    """

    def __init__(self, *, market_partition: int = 0) -> None:
        self._market_partition = market_partition % _MARKET_PARTITIONS
        self._books: dict[int, Books] = {}
        self._batches: dict[int, _Batch] = {}
        self._ledger: list[Output] = []
        self._ticks: dict[str, tuple[int, int, int]] = {}
        self._market_trades: list[tuple[str, str, str, int, int]] = []
        self._listings: list[tuple[str, str, str, str, int, int]] = []
        self._counts: dict[str, int] = {}
        self._rules: dict[type[EventData], Callable[[int, Event[EventData], Any], str | None]] = {
            TransferV2: self._transfer,
            TradeV1: self._trade,
            RewardV1: self._reward,
            ListingV1: self._listing,
            PriceTickV1: self._price_tick,
        }

    def adopt(self, partition: int, books: Books) -> None:
        """Take over a partition with the books rebuilt from its ledger."""
        self._books[partition] = books
        self._batches.pop(partition, None)

    def books(self, partition: int) -> Books:
        """Give the books of a partition; new ones if it has none."""
        return self._books.setdefault(partition, Books())

    def open(self, partition: int) -> Handle:
        """See :class:`necp_validate.reference.eventcore.handling.Handler`."""
        seen = self.books(partition).seen
        sequences = self._batches.setdefault(partition, _Batch()).sequences
        rules, counts = self._rules, self._counts

        def handle(event: Event[EventData]) -> str | None:
            stream, seq = event.id[:8], int(event.id[9:])
            if not seen.add(stream, seq):
                return "duplicate"
            if sequences and sequences[-1][0] == stream and sequences[-1][2] + 1 == seq:
                sequences[-1] = (stream, sequences[-1][1], seq)
            else:
                sequences.append((stream, seq, seq))
            data = event.data
            reason = rules[type(data)](partition, event, data)
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
            trades=batch.trades,
            sequences=batch.sequences,
        )
        self._ledger.append(
            Output(
                topic=LEDGER_TOPIC,
                partition=result.partition,
                key=str(result.partition).encode(),
                value=encode_ledger_record(record),
            )
        )

    def drop(self, partition: int) -> None:
        """Forget the books of a partition."""
        self._books.pop(partition, None)
        self._batches.pop(partition, None)

    def collect(self) -> tuple[list[Output], dict[str, Any]]:
        """Take the ledger records of all batches, one market record, and the counts by type."""
        outputs, results = self._ledger, dict(self._counts)
        if self._ticks or self._market_trades or self._listings:
            market = {"ticks": self._ticks, "trades": self._market_trades, "listings": self._listings}
            outputs.append(
                Output(topic=MARKET_TOPIC, partition=self._market_partition, key=None, value=_ENCODE(market))
            )
        self.discard()
        return outputs, results

    def discard(self) -> None:
        """Forget what has not been collected; the books themselves must be adopted anew."""
        self._ledger = []
        self._batches = {}
        self._ticks, self._market_trades, self._listings = {}, [], []
        self._counts = {}

    def _transfer(self, partition: int, event: Event[EventData], data: TransferV2) -> str | None:
        if data.debit == data.credit:
            return "to-oneself"
        posting = Posting(event.id, event.key, data.debit, data.credit, CURRENCY, data.amount)
        return self._book(partition, posting)

    def _reward(self, partition: int, event: Event[EventData], data: RewardV1) -> str | None:
        if data.account == TREASURY:
            return "to-oneself"
        return self._book(
            partition, Posting(event.id, event.key, TREASURY, data.account, CURRENCY, data.amount)
        )

    def _trade(self, partition: int, event: Event[EventData], data: TradeV1) -> str | None:
        books = self._books[partition]
        price = data.quantity * data.unit_price
        if data.buyer == data.seller:
            return "to-oneself"
        if books.traded(data.trade):
            return "duplicate"
        if not books.covers(event.key, data.seller, data.item, data.quantity):
            return "insufficient-stock"
        reason = self._book(partition, Posting(event.id, event.key, data.buyer, data.seller, CURRENCY, price))
        if reason is not None:
            return reason
        self._book(partition, Posting(event.id, event.key, data.seller, data.buyer, data.item, data.quantity))
        books.note_trade(data.trade)
        self._batches[partition].trades.append((data.trade, event.id))
        self._market_trades.append((event.key, data.trade, data.item, data.quantity, data.unit_price))
        return None

    def _listing(self, partition: int, event: Event[EventData], data: ListingV1) -> str | None:
        if not self._books[partition].covers(event.key, data.seller, data.item, data.quantity):
            return "insufficient-stock"
        self._listings.append(
            (event.key, data.listing, data.action, data.item, data.quantity, data.unit_price)
        )
        return None

    def _price_tick(self, partition: int, event: Event[EventData], data: PriceTickV1) -> str | None:  # noqa: ARG002
        if data.bid > data.ask:
            return "crossed-prices"
        self._ticks[f"{event.key}/{data.item}"] = (data.bid, data.ask, data.volume)
        return None

    def _book(self, partition: int, posting: Posting) -> str | None:
        books = self._books[partition]
        if not books.covers(posting.shard, posting.debit, posting.asset, posting.amount):
            return "insufficient-funds"
        books.post(posting)
        self._batches[partition].postings.append(posting)
        return None
