"""Economy: small payments and trades that are always covered, and ones that never can be.

A shard has :data:`ACCOUNTS` accounts. Valid amounts are so small against the opening balances that no
order of events exhausts an account; a cheat asks for more than all accounts of a shard hold together.
"""

from __future__ import annotations

import random
from typing import Final, Literal

from necp_validate.events.base import EventData
from necp_validate.events.economy import (
    ITEMS,
    OPENING_BALANCE,
    OPENING_STOCK,
    ListingV1,
    PriceTickV1,
    RewardV1,
    TradeV1,
    TransferV1,
    TransferV2,
)

ACCOUNTS: Final = 200
_MORE_THAN_ALL_MONEY: Final = OPENING_BALANCE * ACCOUNTS * 10
_MORE_THAN_ALL_STOCK: Final = OPENING_STOCK * ACCOUNTS * 2
_CAUSES: Final[tuple[Literal["mission", "bounty", "event", "refund"], ...]] = (
    "mission",
    "bounty",
    "event",
    "refund",
)


def valid(rng: random.Random) -> EventData:
    """Draw a covered event: four in ten transfers, three trades."""
    draw = rng.random()
    debit, credit = _pair(rng)
    if draw < 0.36:
        memo = f"order {rng.randrange(10**6)}" if rng.random() < 0.3 else None
        return TransferV2(debit=debit, credit=credit, amount=rng.randint(1, 5_000), currency="eddies", memo=memo)
    if draw < 0.4:
        return TransferV1(debit=debit, credit=credit, amount=rng.randint(1, 5_000))
    if draw < 0.7:
        return _trade(rng, quantity=rng.randint(1, 20), unit_price=rng.randint(1, 500))
    if draw < 0.8:
        return RewardV1(account=credit, amount=rng.randint(1, 1_000), cause=rng.choice(_CAUSES))
    if draw < 0.88:
        return _listing(rng, quantity=rng.randint(1, 50))
    bid = rng.randint(1, 500)
    return PriceTickV1(item=rng.choice(ITEMS), bid=bid, ask=bid + rng.randint(0, 20), volume=rng.randint(0, 10_000))


def cheat(rng: random.Random) -> EventData:
    """Draw an event that is not covered, goes to oneself, or offers a bid above its ask."""
    debit, credit = _pair(rng)
    draw = rng.randrange(6)
    if draw == 0:
        return TransferV2(
            debit=debit,
            credit=credit,
            amount=_MORE_THAN_ALL_MONEY + rng.randrange(10**6),
            currency="eddies",
            memo=None,
        )
    if draw == 1:
        return TransferV1(debit=debit, credit=debit, amount=rng.randint(1, 5_000))
    if draw == 2:
        return _trade(rng, quantity=_MORE_THAN_ALL_STOCK, unit_price=1)
    if draw == 3:
        return _trade(rng, quantity=_MORE_THAN_ALL_MONEY // 10**9, unit_price=10**9)
    if draw == 4:
        return _listing(rng, quantity=_MORE_THAN_ALL_STOCK)
    ask = rng.randint(1, 500)
    return PriceTickV1(item=rng.choice(ITEMS), bid=ask + rng.randint(1, 100), ask=ask, volume=0)


def _pair(rng: random.Random) -> tuple[str, str]:
    first, second = rng.sample(range(ACCOUNTS), 2)
    return f"acct-{first:04d}", f"acct-{second:04d}"


def _trade(rng: random.Random, *, quantity: int, unit_price: int) -> TradeV1:
    buyer, seller = _pair(rng)
    return TradeV1(
        order=f"o-{rng.getrandbits(64):016x}",
        buyer=buyer,
        seller=seller,
        item=rng.choice(ITEMS),
        quantity=quantity,
        unit_price=unit_price,
    )


def _listing(rng: random.Random, *, quantity: int) -> ListingV1:
    return ListingV1(
        listing=f"l-{rng.getrandbits(64):016x}",
        seller=_pair(rng)[0],
        item=rng.choice(ITEMS),
        quantity=quantity,
        unit_price=rng.randint(1, 500),
        action="open" if rng.random() < 0.8 else "cancel",
    )
