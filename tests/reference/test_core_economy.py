"""Bookings: nothing is created or lost, nothing is booked twice, and the ledger rebuilds the books."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from necp_validate.events.base import Event, EventData
from necp_validate.events.economy import (
    OPENING_BALANCE,
    OPENING_STOCK,
    TREASURY,
    ListingV1,
    PriceTickV1,
    RewardV1,
    TradeV1,
    TransferV2,
)
from necp_validate.events.envelope import decode, event_id, head, seal
from necp_validate.events.ledger import decode_ledger_record
from necp_validate.events.samples import sample_event
from necp_validate.events.topics import LEDGER_TOPIC, MARKET_TOPIC, Domain
from necp_validate.reference.eventcore.economy import EconomyHandler
from necp_validate.reference.eventcore.handling import BatchResult
from necp_validate.reference.eventcore.ledger import (
    MAX_HOLES,
    Books,
    SeenSequences,
    ledger_partition,
)

CURRENCY = "eddies"


def transfer(amount: int, *, debit: str = "a", credit: str = "b") -> TransferV2:
    """A transfer."""
    return TransferV2(debit=debit, credit=credit, amount=amount, currency="eddies", memo=None)


def trade(quantity: int, unit_price: int, *, buyer: str = "a", seller: str = "b") -> TradeV1:
    """A trade of ammunition."""
    return TradeV1(order="o-1", buyer=buyer, seller=seller, item="ammo", quantity=quantity, unit_price=unit_price)


def event(data: EventData, seq: int, *, key: str = "shard-1", stream: str = "00000001") -> Event[EventData]:
    """Wrap a payload as the decoder would."""
    return Event(
        type=data.type_name, v=data.version, key=key, data=data, ts=0, id=f"{stream}-{seq:012d}", crc="00000000"
    )


class Bench:
    """A handler with a clock, and its ledger as a list of values."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.handler = EconomyHandler(clock_s=lambda: self.now_s)
        self.ledger: list[bytes] = []
        self.market: list[bytes] = []
        self._offset = 0

    def batch(self, *events: Event[EventData], partition: int = 0) -> list[str | None]:
        """Handle a batch and collect what it produces."""
        handle = self.handler.open(partition)
        outcomes = [handle(one) for one in events]
        last = self._offset + len(events) - 1
        self.handler.close(BatchResult(partition=partition, first_offset=self._offset, last_offset=last))
        self._offset = last + 1
        outputs, _ = self.handler.collect()
        self.ledger += [output.value for output in outputs if output.topic == LEDGER_TOPIC]
        self.market += [output.value for output in outputs if output.topic == MARKET_TOPIC]
        return outcomes

    def rebuilt(self) -> Books:
        """The books as the ledger has them."""
        books = Books()
        for value in self.ledger:
            books.apply(decode_ledger_record(value))
        return books


def test_a_transfer_moves_money() -> None:
    """What one account gives, the other gets."""
    bench = Bench()
    assert bench.batch(event(transfer(30), 0)) == [None]
    books = bench.handler.books(0)
    assert books.holding("shard-1", "a", CURRENCY) == OPENING_BALANCE - 30
    assert books.holding("shard-1", "b", CURRENCY) == OPENING_BALANCE + 30
    assert books.holding("shard-2", "a", CURRENCY) == OPENING_BALANCE


def test_a_trade_has_both_legs() -> None:
    """Money one way, goods the other, under one event id."""
    bench = Bench()
    assert bench.batch(event(trade(5, 7), 0)) == [None]
    books = bench.handler.books(0)
    assert books.holding("shard-1", "a", CURRENCY) == OPENING_BALANCE - 35
    assert books.holding("shard-1", "a", "ammo") == OPENING_STOCK + 5
    assert books.holding("shard-1", "b", "ammo") == OPENING_STOCK - 5
    postings = decode_ledger_record(bench.ledger[0]).postings
    assert [(p.id, p.asset, p.amount) for p in postings] == [
        ("00000001-000000000000", CURRENCY, 35),
        ("00000001-000000000000", "ammo", 5),
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (transfer(OPENING_BALANCE), None),
        (transfer(OPENING_BALANCE + 1), "insufficient-funds"),
        (transfer(1, credit="a"), "to-oneself"),
        (trade(OPENING_STOCK, 1), None),
        (trade(OPENING_STOCK + 1, 1), "insufficient-stock"),
        (trade(OPENING_STOCK, 1_001), "insufficient-funds"),
        (trade(1, 1, seller="a"), "to-oneself"),
        (RewardV1(account="a", amount=10**17, cause="event"), None),
        (RewardV1(account=TREASURY, amount=1, cause="event"), "to-oneself"),
        (PriceTickV1(item="ammo", bid=5, ask=5, volume=0), None),
        (PriceTickV1(item="ammo", bid=6, ask=5, volume=0), "crossed-prices"),
        (
            ListingV1(listing="l", seller="a", item="ammo", quantity=OPENING_STOCK, unit_price=1, action="open"),
            None,
        ),
        (
            ListingV1(listing="l", seller="a", item="ammo", quantity=OPENING_STOCK + 1, unit_price=1, action="open"),
            "insufficient-stock",
        ),
    ],
)
def test_limits_hold_to_the_last_unit(data: EventData, reason: str | None) -> None:
    """All that an account has can be spent, and not one unit more."""
    assert Bench().batch(event(data, 0)) == [reason]


def test_a_rejected_trade_leaves_nothing_behind() -> None:
    """Neither leg is booked, but the event has been seen."""
    bench = Bench()
    bench.batch(event(trade(OPENING_STOCK + 1, 1), 0))
    record = decode_ledger_record(bench.ledger[0])
    assert record.postings == []
    assert record.sequences == [("00000001", 0, 0)]


def test_an_event_is_booked_once() -> None:
    """The second time it is a duplicate, also for books that were rebuilt."""
    bench = Bench()
    assert bench.batch(event(transfer(30), 0), event(transfer(30), 0)) == [None, "duplicate"]
    handler = EconomyHandler()
    handler.adopt(0, bench.rebuilt())
    assert handler.open(0)(event(transfer(30), 0)) == "duplicate"
    assert handler.open(0)(event(transfer(30), 1)) is None


def test_an_event_that_comes_late_is_still_booked_once() -> None:
    """A sequence number that was skipped is open until it comes."""
    seen = SeenSequences()
    assert [seen.add("s", seq) for seq in (0, 3, 1, 3, 1, 2, 2, 4)] == [
        True,
        True,
        True,
        False,
        False,
        True,
        False,
        True,
    ]


def test_remembering_gaps_is_bounded() -> None:
    """Beyond the limit the oldest gaps count as seen."""
    seen = SeenSequences()
    seen.add("s", 10 * MAX_HOLES)
    assert not seen.add("s", 0)
    assert seen.add("s", 10 * MAX_HOLES - 1)


@given(st.lists(st.integers(0, 30), max_size=60))
def test_seen_sequences_are_a_set(sequence: list[int]) -> None:
    """However the numbers come, each is new exactly once."""
    seen, model = SeenSequences(), set()
    for seq in sequence:
        assert seen.add("s", seq) == (seq not in model)
        model.add(seq)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_the_ledger_rebuilds_the_books(seed: int, size: int) -> None:
    """Any mix of valid events and cheats, in any batches: nothing is created or lost, and the ledger has it all."""
    rng = random.Random(seed)
    bench, seq = Bench(), 0
    for _ in range(5):
        events = []
        for _ in range(size):
            kind = "cheat" if rng.random() < 0.2 else "valid"
            type_name, version, data = sample_event(Domain.ECONOMY, rng, kind=kind)  # type: ignore[arg-type]
            value = seal(head(type_name, version, key="shard-1", data=data), 10**15, event_id("00000001", seq))
            events.append(decode(value))
            seq += 1
        bench.batch(*events)
    books, rebuilt = bench.handler.books(0), bench.rebuilt()
    assert set(books.circulation().values()) <= {0}
    assert rebuilt._holdings == books._holdings
    assert rebuilt.next_offset == books.next_offset == seq
    assert rebuilt.market.lines() == books.market.lines()


def test_market_data_follow_from_events() -> None:
    """Last price, quantity and turnover of trades; bid and ask of the last tick; what is on offer."""
    bench = Bench()
    bench.batch(
        event(trade(2, 10), 0),
        event(trade(3, 20), 1),
        event(PriceTickV1(item="ammo", bid=18, ask=21, volume=5), 2),
        event(ListingV1(listing="l", seller="a", item="ammo", quantity=9, unit_price=1, action="open"), 3),
        event(ListingV1(listing="l", seller="a", item="ammo", quantity=4, unit_price=1, action="cancel"), 4),
    )
    assert json.loads(bench.market[0]) == {
        "partition": 0,
        "lines": [["shard-1", "ammo", 18, 21, 5, 20, 5, 80, 5]],
    }


def test_market_data_are_published_in_intervals() -> None:
    """They are state, so what changes in between is in the next record."""
    bench = Bench()
    bench.batch(event(trade(1, 10), 0))
    bench.batch(event(trade(1, 11), 1))
    assert len(bench.market) == 1
    assert not bench.handler.market_due
    bench.now_s += 1.0
    assert bench.handler.market_due
    assert not bench.handler.market_overdue
    bench.now_s += 1.0
    assert bench.handler.market_overdue
    bench.batch(event(trade(1, 12), 2))
    assert json.loads(bench.market[1])["lines"][0][5:8] == [12, 3, 33]


def test_discarding_forgets_what_was_not_collected() -> None:
    """After a transaction that failed, the next one starts from nothing."""
    handler = EconomyHandler(clock_s=lambda: 0.0)
    handler.open(0)(event(transfer(1), 0))
    handler.close(BatchResult(partition=0, first_offset=0, last_offset=0))
    handler.discard()
    handler.adopt(0, Books())
    assert handler.collect() == ([], {})


def test_ledger_partitions_are_few() -> None:
    """A transaction touches few of them, and every input partition always the same."""
    assert {ledger_partition(partition) for partition in range(12)} == {0, 1, 2}
