"""What a sound event core books of the simulated run's economy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from necp_validate.events.base import Event, EventData
from necp_validate.events.economy import TREASURY, ListingV1, PriceTickV1, RewardV1, TradeV1, TransferV2
from necp_validate.events.ledger import CURRENCY, LedgerRecord, Listing, Posting, Tick
from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import Domain
from necp_validate.selftest.simulated.log import decoded

if TYPE_CHECKING:
    from necp_validate.selftest.simulated.simulation import Simulation


Entry = tuple[int, Outcome, Event[EventData] | None]
"""Offset, outcome and event of a batch; no event of an invalid one."""


def ledger_of(simulation: Simulation) -> list[LedgerRecord]:
    """One record for each batch: what was handled of one partition at one time."""
    values = {(r.partition, r.offset): r.value for r in simulation.records() if r.sent.domain is Domain.ECONOMY}
    handled = [one for one in simulation.handled if one.domain is Domain.ECONOMY]
    batches = groupby(handled, key=lambda one: (one.partition, one.done_us))
    return [
        book(partition, [(one.offset, one.outcome, decoded(values[partition, one.offset])) for one in batch])
        for (partition, _), batch in batches
    ]


def book(partition: int, batch: Sequence[Entry]) -> LedgerRecord:
    """The record of a batch of one partition, in the order of its offsets."""
    postings: list[Posting] = []
    listings: list[Listing] = []
    ticks: list[Tick] = []
    sequences: list[tuple[str, int, int]] = []
    for _, outcome, event in batch:
        if event is None:
            continue
        sequences.append((event.id[:8], int(event.id[9:]), int(event.id[9:])))
        if outcome is Outcome.PROCESSED:
            _enter(event, postings, listings, ticks)
    return LedgerRecord(
        partition=partition,
        first_offset=batch[0][0],
        last_offset=batch[-1][0],
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
