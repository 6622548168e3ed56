"""What a sound event core books of the simulated run's economy."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from necp_validate.events.base import Event, EventData, InvalidEvent
from necp_validate.events.economy import TREASURY, ListingV1, PriceTickV1, RewardV1, TradeV1, TransferV2
from necp_validate.events.envelope import decode
from necp_validate.events.ledger import CURRENCY, LedgerRecord, Listing, Posting, Tick
from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import Domain

if TYPE_CHECKING:
    from necp_validate.selftest.simulation import Handled, Record, Simulation


def ledger_of(simulation: Simulation) -> list[LedgerRecord]:
    """One record for each batch: what was handled of one partition at one time."""
    records = {(r.partition, r.offset): r for r in simulation.records() if r.sent.domain is Domain.ECONOMY}
    handled = [one for one in simulation.handled if one.domain is Domain.ECONOMY]
    batches = groupby(handled, key=lambda one: (one.partition, one.done_us))
    return [_book(partition, list(batch), records) for (partition, _), batch in batches]


def _book(partition: int, batch: list[Handled], records: dict[tuple[int, int], Record]) -> LedgerRecord:
    postings: list[Posting] = []
    listings: list[Listing] = []
    ticks: list[Tick] = []
    sequences: list[tuple[str, int, int]] = []
    for one in batch:
        try:
            event = decode(records[partition, one.offset].value)
        except InvalidEvent:
            continue
        sequences.append((event.id[:8], int(event.id[9:]), int(event.id[9:])))
        if one.outcome is Outcome.PROCESSED:
            _enter(event, postings, listings, ticks)
    return LedgerRecord(
        partition=partition,
        first_offset=batch[0].offset,
        last_offset=batch[-1].offset,
        postings=postings,
        listings=listings,
        ticks=ticks,
        sequences=sequences,
    )


def _enter(event: Event[EventData], postings: list[Posting], listings: list[Listing], ticks: list[Tick]) -> None:
    id_, shard = event.id, event.key
    match event.data:
        case TransferV2() as data:
            postings.append(Posting(id_, shard, data.debit, data.credit, CURRENCY, data.amount))
        case RewardV1() as data:
            postings.append(Posting(id_, shard, TREASURY, data.account, CURRENCY, data.amount))
        case TradeV1() as data:
            price = data.quantity * data.unit_price
            postings.append(Posting(id_, shard, data.buyer, data.seller, CURRENCY, price))
            postings.append(Posting(id_, shard, data.seller, data.buyer, data.item, data.quantity))
        case ListingV1() as data:
            listings.append(Listing(id_, shard, data.item, data.listing, data.action, data.quantity))
        case PriceTickV1() as data:
            ticks.append(Tick(shard, data.item, data.bid, data.ask, data.volume))
