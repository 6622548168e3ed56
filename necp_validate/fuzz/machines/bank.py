"""A simple model of the economy, written from the rules in ``necp_validate.events.economy``; it knows no batches."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, NamedTuple

from necp_validate.events.base import EventData
from necp_validate.events.economy import (
    OPENING_BALANCE,
    OPENING_STOCK,
    TREASURY,
    ListingV1,
    PriceTickV1,
    RewardV1,
    TradeV1,
    TransferV1,
    TransferV2,
)
from necp_validate.fuzz.machines.driver import Sent

MONEY: Final = "eddies"


class Move(NamedTuple):
    """So much of an asset goes from one account to another."""

    giver: str
    taker: str
    asset: str
    amount: int


@dataclass(slots=True)
class Quote:
    """What the market knows of an item."""

    bid: int = 0
    ask: int = 0
    volume: int = 0
    last_price: int = 0
    traded: int = 0
    turnover: int = 0
    offered: int = 0


def moves_of(data: EventData) -> list[Move]:
    """Say what an event moves: all of it, or nothing at all."""
    match data:
        case TransferV1() | TransferV2():
            return [Move(data.debit, data.credit, MONEY, data.amount)]
        case RewardV1():
            return [Move(TREASURY, data.account, MONEY, data.amount)]
        case TradeV1():
            return [
                Move(data.buyer, data.seller, MONEY, data.quantity * data.unit_price),
                Move(data.seller, data.buyer, data.item, data.quantity),
            ]
    return []


class Bank:
    """What every account holds, what the market knows, and which events have come already."""

    def __init__(self) -> None:
        self.moved: dict[str, list[Move]] = {}
        """By id, what each accepted event has moved."""
        self.quotes: dict[tuple[str, str], Quote] = {}
        """By shard and item."""
        self._gained: Counter[tuple[str, str, str]] = Counter()
        self._ids: set[str] = set()

    def holds(self, shard: str, account: str, asset: str) -> int:
        """How much of an asset an account has."""
        opening = OPENING_BALANCE if asset == MONEY else OPENING_STOCK
        return opening + self._gained[shard, account, asset]

    def apply(self, sent: Sent) -> bool:
        """Take an event in; say whether it is accepted. What comes again is not."""
        if sent.id in self._ids:
            return False
        self._ids.add(sent.id)
        if not self._allowed(sent.key, sent.data):
            return False
        moves = moves_of(sent.data)
        for move in moves:
            self._gained[sent.key, move.giver, move.asset] -= move.amount
            self._gained[sent.key, move.taker, move.asset] += move.amount
        if moves:
            self.moved[sent.id] = moves
        self._quote(sent.key, sent.data)
        return True

    def _allowed(self, shard: str, data: EventData) -> bool:
        if isinstance(data, PriceTickV1):
            return data.bid <= data.ask
        if isinstance(data, ListingV1):
            return self._has(shard, data.seller, data.item, data.quantity)
        return all(
            giver != taker and self._has(shard, giver, asset, amount) for giver, taker, asset, amount in moves_of(data)
        )

    def _has(self, shard: str, account: str, asset: str, amount: int) -> bool:
        return account == TREASURY or amount <= self.holds(shard, account, asset)

    def _quote(self, shard: str, data: EventData) -> None:
        if not isinstance(data, TradeV1 | ListingV1 | PriceTickV1):
            return
        quote = self.quotes.setdefault((shard, data.item), Quote())
        match data:
            case TradeV1():
                quote.last_price = data.unit_price
                quote.traded += data.quantity
                quote.turnover += data.quantity * data.unit_price
            case ListingV1(action="open"):
                quote.offered += data.quantity
            case ListingV1():
                quote.offered -= data.quantity
            case PriceTickV1():
                quote.bid, quote.ask = data.bid, data.ask
                quote.volume += data.volume
