"""What is at stake in an event: the damage it deals, the money and the goods it moves, by the documented models.

Written from the models' description, not from the event core's code, so that the totals of both can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable

from necp_validate.events.base import EventData
from necp_validate.events.combat import CRIT_PCT, WEAPONS, ZONE_PCT, DamageV2
from necp_validate.events.economy import RewardV1, TradeV1, TransferV2
from necp_validate.events.envelope import decode

STAKES = ("damage", "money", "goods")


def stakes_of(data: EventData) -> dict[str, int]:
    """The stakes of one event of the newest version, provided that it is processed; only those that it has."""
    match data:
        case DamageV2():
            return {"damage": _damage(data)}
        case TransferV2() | RewardV1():
            return {"money": data.amount}
        case TradeV1():
            return {"money": data.quantity * data.unit_price, "goods": data.quantity}
    return {}


def total_stakes(values: Iterable[bytes]) -> dict[str, int]:
    """The stakes of several events together, given as the values of their records.

    Raises:
        InvalidEvent: a value is no valid event.
    """
    totals: dict[str, int] = {}
    for value in values:
        for name, amount in stakes_of(decode(value).data).items():
            totals[name] = totals.get(name, 0) + amount
    return totals


def _damage(hit: DamageV2) -> int:
    reach = WEAPONS[hit.weapon].range_cm
    near = reach // 2
    falloff = 100 if hit.distance_cm <= near else 100 - 50 * (hit.distance_cm - near) // (reach - near)
    critical = CRIT_PCT if hit.critical else 100
    effective = hit.damage * ZONE_PCT[hit.zone] * falloff * critical * 100 // (100 + hit.armour) // 1_000_000
    return max(effective, 1)
