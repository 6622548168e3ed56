"""The ledger: the state that follows from its records.

Each batch of one input partition makes one record, in the same transaction as the input's offsets. So the ledger
alone says what the balances are and where to go on. A transaction costs the brokers by the partition that it
touches, so the records of several input partitions share a ledger partition (:func:`ledger_partition`).
"""

from __future__ import annotations

from typing import Final

from necp_validate.events.economy import OPENING_BALANCE, OPENING_STOCK, TREASURY
from necp_validate.events.ledger import CURRENCY, LedgerRecord, Posting
from necp_validate.events.topics import LEDGER_TOPIC, TOPICS
from necp_validate.reference.eventcore.market import Market

MAX_HOLES: Final = 4_096
_GROUPS: Final = min(3, TOPICS[LEDGER_TOPIC].partitions)


def ledger_partition(partition: int) -> int:
    """Name the ledger partition that holds the records of an input partition."""
    return partition % _GROUPS


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
