"""The economy: payments, trades, refunds and retries, with crashes in the middle of a transaction.

What must hold after each batch: every event is accepted or rejected as by the model and reported once; the ledger has
each accepted event once, with all that it moves and nothing else, in batches without gap or overlap; at no point of it
is an account but the treasury overdrawn; the live books and the market data are the model's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import astuple
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, precondition, rule

from necp_validate.events.economy import (
    ITEMS,
    OPENING_BALANCE,
    OPENING_STOCK,
    TREASURY,
    ItemName,
    ListingV1,
    PriceTickV1,
    RewardV1,
    TradeV1,
    TransferV1,
    TransferV2,
)
from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import LEDGER_TOPIC, MARKET_TOPIC, Domain
from necp_validate.fuzz.machines.bank import MONEY, Bank, Move
from necp_validate.fuzz.machines.driver import Crash, Driver, Sent
from necp_validate.fuzz.machines.machine import KEYS, DomainMachine, assert_same, outcome_of, parsed

_ITEMS: Final[tuple[ItemName, ...]] = ITEMS[:2]
_FLOATS_END: Final = 2**53
"""From here on not every whole number is a double."""
_MOST_MONEY: Final = 10**17
_MOST: Final = 10**12


def _with_bounds(most: int, *special: int) -> st.SearchStrategy[int]:
    """Small numbers first, then those at which something changes, then any."""
    bounds = sorted({b for s in special for b in (s - 1, s, s + 1) if 1 <= b <= most} | {most})
    return st.integers(1, 100) | st.sampled_from(bounds) | st.integers(1, most)


accounts: Final = st.sampled_from(("alice", "bob", "carol", TREASURY))
shards: Final = st.sampled_from(KEYS)
items: Final = st.sampled_from(_ITEMS)
amounts: Final = _with_bounds(_MOST_MONEY, OPENING_BALANCE, 2 * OPENING_BALANCE, _FLOATS_END)
quantities: Final = _with_bounds(_MOST, OPENING_STOCK)
prices: Final = _with_bounds(_MOST, OPENING_BALANCE)
memos: Final = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=120)


class EconomyMachine(DomainMachine):
    """Drives the economy and compares it with :class:`necp_validate.fuzz.machines.bank.Bank`."""

    domain = Domain.ECONOMY
    events = DomainMachine.events
    trades = Bundle("trades")

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self.bank = Bank()
        self._expected: list[Outcome] = []
        self._late: list[Sent] = []

    def send(self, sent: Sent) -> Sent:
        """Send an event; the model has it at once, as every shard's events are handled in the order of sending."""
        self._expected.append(outcome_of(self.bank.apply(sent)))
        return super().send(sent)

    @rule(target=events, shard=shards, debit=accounts, credit=accounts, amount=amounts, memo=memos)
    def transfer(self, shard: str, debit: str, credit: str, amount: int, memo: str | None) -> Sent:
        """Somebody pays somebody, perhaps more than they have, perhaps themselves."""
        data = TransferV2(debit=debit, credit=credit, amount=amount, currency="eddies", memo=memo)
        return self.send(self.make(shard, data))

    @rule(target=events, shard=shards, debit=accounts, credit=accounts, amount=amounts)
    def transfer_v1(self, shard: str, debit: str, credit: str, amount: int) -> Sent:
        """The same from a server of the version before."""
        return self.send(self.make(shard, TransferV1(debit=debit, credit=credit, amount=amount)))

    @rule(target=events, shard=shards, debit=accounts, credit=accounts, more=st.sampled_from((0, 1, -1)))
    def transfer_all(self, shard: str, debit: str, credit: str, more: int) -> Sent:
        """Somebody pays all that they have, or one unit more or less."""
        held = self.bank.holds(self.name(shard), debit, MONEY) + more
        amount = min(max(held, 1), _MOST_MONEY)
        return self.send(self.make(shard, TransferV1(debit=debit, credit=credit, amount=amount)))

    @rule(
        target=trades,
        shard=shards,
        buyer=accounts,
        seller=accounts,
        item=items,
        quantity=quantities,
        unit_price=prices,
    )
    def trade(
        self, shard: str, buyer: str, seller: str, item: ItemName, quantity: int, unit_price: int
    ) -> tuple[str, Sent]:
        """Goods against money."""
        data = TradeV1(order="order-1", buyer=buyer, seller=seller, item=item, quantity=quantity, unit_price=unit_price)
        return shard, self.send(self.make(shard, data))

    @rule(trade=trades)
    def retry_trade(self, trade: tuple[str, Sent]) -> None:
        """A trade is sent again."""
        self.send(trade[1])

    @rule(target=events, trade=trades)
    def refund(self, trade: tuple[str, Sent]) -> Sent:
        """The buyer of a trade gets back what it cost, as far as one reward may be as large."""
        shard, sold = trade[0], trade[1].data
        assert isinstance(sold, TradeV1)
        paid = min(sold.quantity * sold.unit_price, _MOST_MONEY)
        return self.send(self.make(shard, RewardV1(account=sold.buyer, amount=paid, cause="refund")))

    @rule(target=events, shard=shards, account=accounts, amount=amounts)
    def reward(self, shard: str, account: str, amount: int) -> Sent:
        """The treasury pays."""
        return self.send(self.make(shard, RewardV1(account=account, amount=amount, cause="mission")))

    @rule(
        target=events,
        shard=shards,
        seller=accounts,
        item=items,
        quantity=quantities,
        action=st.sampled_from(("open", "cancel")),
    )
    def listing(self, shard: str, seller: str, item: ItemName, quantity: int, action: str) -> Sent:
        """An offer is put on the market, or taken off it."""
        opened = action == "open"
        data = ListingV1(
            listing="listing-1",
            seller=seller,
            item=item,
            quantity=quantity,
            unit_price=1,
            action="open" if opened else "cancel",
        )
        return self.send(self.make(shard, data))

    @rule(target=events, shard=shards, item=items, bid=prices, spread=st.integers(-1, 20), volume=quantities)
    def price_tick(self, shard: str, item: ItemName, bid: int, spread: int, volume: int) -> Sent:
        """Bid and ask change; a bid above its ask is wrong."""
        ask = min(max(bid + spread, 1), _MOST)
        return self.send(self.make(shard, PriceTickV1(item=item, bid=bid, ask=ask, volume=volume)))

    @rule(shard=shards, debit=accounts, credit=accounts, amount=amounts)
    def delayed_transfer(self, shard: str, debit: str, credit: str, amount: int) -> None:
        """A transfer gets its number, but later ones of its stream overtake it."""
        self._late.append(self.make(shard, TransferV1(debit=debit, credit=credit, amount=amount)))

    @precondition(lambda self: self._late)
    @rule(target=events)
    def arrive(self) -> Sent:
        """A delayed transfer comes at last."""
        return self.send(self._late.pop())

    def predict(self, batch: Sequence[Sent], crash: Crash | None) -> list[tuple[Outcome, ...]]:  # noqa: ARG002
        """Every event once, wherever the event core dies: that is what transactions are for."""
        expected, self._expected = self._expected, []
        return [(outcome,) for outcome in expected]

    def check(self) -> None:
        """Compare ledger, live books and market data with the model."""
        self._check_ledger()
        self._check_live_books()
        self._check_market()

    def _check_ledger(self) -> None:
        follows: dict[int, int] = {}
        moved: dict[str, list[Move]] = defaultdict(list)
        gained: Counter[tuple[str, str, str]] = Counter()
        for record in self.driver.written(LEDGER_TOPIC):
            batch = parsed(record.value)
            partition, first = batch["partition"], batch["first_offset"]
            right = follows.get(partition, first)
            assert first == right, f"ledger of partition {partition}: a batch begins at {first}, expected {right}"
            follows[partition] = batch["last_offset"] + 1
            for identity, shard, giver, taker, asset, amount in batch["postings"]:
                moved[identity].append(Move(giver, taker, asset, amount))
                gained[shard, giver, asset] -= amount
                gained[shard, taker, asset] += amount
                held = (OPENING_BALANCE if asset == MONEY else OPENING_STOCK) + gained[shard, giver, asset]
                assert held >= 0 or giver == TREASURY, f"{giver} of {shard} is overdrawn by {identity}: {held} {asset}"
        assert_same(
            "moves in the ledger", {identity: sorted(moves) for identity, moves in moved.items()}, self._moves()
        )

    def _moves(self) -> dict[str, list[Move]]:
        waiting = {sent.id for sent in self._waiting}
        return {identity: sorted(moves) for identity, moves in self.bank.moved.items() if identity not in waiting}

    def _check_live_books(self) -> None:
        for shard in map(self.name, KEYS):
            for account in ("alice", "bob", "carol", TREASURY):
                for asset in (MONEY, *_ITEMS):
                    held = self.driver.holding(shard, account, asset)
                    right = self.bank.holds(shard, account, asset)
                    assert held is None or held == right, f"{account} of {shard} has {held} {asset}, not {right}"

    def _check_market(self) -> None:
        told, ours = {}, set(map(self.name, KEYS))
        for record in self.driver.written(MARKET_TOPIC):
            for shard, item, *figures in parsed(record.value)["lines"]:
                if shard in ours:  # who takes a partition over tells of all its shards, those of earlier drivers too
                    told[shard, item] = tuple(figures)
        assert_same("market data", told, {where: astuple(quote) for where, quote in self.bank.quotes.items()})
