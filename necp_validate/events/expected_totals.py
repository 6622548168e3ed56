"""Expected totals of events: the damage they deal, the money and the goods they move, by the documented models.

Written from the models' description, not from the event core's code, so that the totals of both can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable

from necp_validate.events.base import EventData
from necp_validate.events.combat import CRIT_PCT, WEAPONS, ZONE_PCT, DamageV2
from necp_validate.events.economy import TREASURY, RewardV1, TradeV1, TransferV2
from necp_validate.events.envelope import decode
from necp_validate.events.ledger import CURRENCY, posting_weight

TOTALS = ("damage", "money", "goods", "postings_sum")
"""``postings_sum``: money and goods, each amount weighted by who gives what to whom (`posting_weight`)."""


def expected_of(data: EventData) -> dict[str, int]:
    """The totals of one event of the newest version, provided that it is processed; only those that it has."""
    match data:
        case DamageV2():
            return {"damage": _damage(data)}
        case TransferV2():
            return _paid(data.amount, posting_weight(data.debit, data.credit, data.currency))
        case RewardV1():
            return _paid(data.amount, posting_weight(TREASURY, data.account, CURRENCY))
        case TradeV1():
            money = _paid(data.quantity * data.unit_price, posting_weight(data.buyer, data.seller, CURRENCY))
            goods = data.quantity * posting_weight(data.seller, data.buyer, data.item)
            return {**money, "goods": data.quantity, "postings_sum": money["postings_sum"] + goods}
    return {}


def expected_totals_of(values: Iterable[bytes]) -> dict[str, int]:
    """The totals of several events together, given as the values of their records.

    Raises:
        InvalidEvent: a value is no valid event.
    """
    totals: dict[str, int] = {}
    for value in values:
        for name, amount in expected_of(decode(value).data).items():
            totals[name] = totals.get(name, 0) + amount
    return totals


def _paid(amount: int, weight: int) -> dict[str, int]:
    return {"money": amount, "postings_sum": amount * weight}


def _damage(hit: DamageV2) -> int:
    reach = WEAPONS[hit.weapon].range_cm
    near = reach // 2
    falloff = 100 if hit.distance_cm <= near else 100 - 50 * (hit.distance_cm - near) // (reach - near)
    critical = CRIT_PCT if hit.critical else 100
    effective = hit.damage * ZONE_PCT[hit.zone] * falloff * critical * 100 // (100 + hit.armour) // 1_000_000
    return max(effective, 1)
