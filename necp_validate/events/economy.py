"""Events of the economy domain; the key is the shard that accounts, items and trades belong to.

Every account of a shard starts with :data:`OPENING_BALANCE` of the currency and :data:`OPENING_STOCK` of
every item, and :data:`TREASURY` pays the rewards; so the sum over all accounts never changes. Rejected are:
payments and sales of more than there is, payments to oneself, a bid above its ask, and whatever comes again
under an event id that has been seen.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from necp_validate.events.base import EntityId, EventData, ShortText

OPENING_BALANCE: Final = 1_000_000_000_000
OPENING_STOCK: Final = 1_000_000_000
TREASURY: Final = "treasury"
"""The account that pays rewards; it alone may be overdrawn."""

CurrencyName = Literal["eddies"]
ItemName = Literal["ammo", "medkit", "cyberdeck", "neuralware", "scrap", "optics", "weapon_mod", "data_shard"]
ITEMS: Final[tuple[ItemName, ...]] = (
    "ammo",
    "medkit",
    "cyberdeck",
    "neuralware",
    "scrap",
    "optics",
    "weapon_mod",
    "data_shard",
)

Amount = Annotated[int, Meta(ge=1, le=10**17, description="in the smallest unit of the currency")]
Quantity = Annotated[int, Meta(ge=1, le=10**12)]
Price = Annotated[int, Meta(ge=1, le=10**12)]


class TransferV1(EventData, frozen=True, kw_only=True):
    """Money from one account to another, before there were currencies."""

    type_name = "economy.transfer"
    version = 1

    debit: EntityId
    credit: EntityId
    amount: Amount

    def upcast(self) -> TransferV2:
        """Read a transfer of version 1 as one of eddies without a memo."""
        return TransferV2(debit=self.debit, credit=self.credit, amount=self.amount, currency="eddies", memo=None)


class TransferV2(EventData, frozen=True, kw_only=True):
    """Money from the account ``debit`` to the account ``credit``."""

    type_name = "economy.transfer"
    version = 2

    debit: EntityId
    credit: EntityId
    amount: Amount
    currency: CurrencyName
    memo: ShortText | None


class TradeV1(EventData, frozen=True, kw_only=True):
    """``quantity`` of an item against ``quantity * unit_price``, filling an order: both legs or none.

    The trade's identity is the event's id; an order may be filled by many trades.
    """

    type_name = "economy.trade"
    version = 1

    order: EntityId
    buyer: EntityId
    seller: EntityId
    item: ItemName
    quantity: Quantity
    unit_price: Price


class RewardV1(EventData, frozen=True, kw_only=True):
    """Money paid by the treasury."""

    type_name = "economy.reward"
    version = 1

    account: EntityId
    amount: Amount
    cause: Literal["mission", "bounty", "event", "refund"]


class ListingV1(EventData, frozen=True, kw_only=True):
    """An offer put on the market or taken off it."""

    type_name = "economy.listing"
    version = 1

    listing: EntityId
    seller: EntityId
    item: ItemName
    quantity: Quantity
    unit_price: Price
    action: Literal["open", "cancel"]


class PriceTickV1(EventData, frozen=True, kw_only=True):
    """Best bid and ask of an item, and the volume since the tick before."""

    type_name = "economy.price_tick"
    version = 1

    item: ItemName
    bid: Price
    ask: Price
    volume: Annotated[int, Meta(ge=0, le=10**12)]


EVENTS: Final[tuple[type[EventData], ...]] = (
    TransferV1,
    TransferV2,
    TradeV1,
    RewardV1,
    ListingV1,
    PriceTickV1,
)
