"""What events deal and move: computed twice, from the description and by the event core."""

from __future__ import annotations

import random

import msgspec

from necp_validate.events.base import EventData
from necp_validate.events.combat import DamageV2
from necp_validate.events.economy import TREASURY, PriceTickV1, RewardV1, TradeV1, TransferV1
from necp_validate.events.envelope import decode, event_id, head, seal
from necp_validate.events.expected_totals import expected_of, expected_totals_of
from necp_validate.events.ledger import posting_weight
from necp_validate.events.samples import sample_event
from necp_validate.events.topics import Domain
from necp_validate.reference.eventcore.combat import damage_dealt


def test_damage_is_what_the_event_core_deals() -> None:
    """For every hit in a few thousand samples, exactly."""
    rng = random.Random(4)
    hits = 0
    for seq in range(4_000):
        name, version, data = sample_event(Domain.COMBAT, rng)
        event = decode(seal(head(name, version, key="k", data=data), 10**15, event_id("0" * 8, seq)))
        if isinstance(event.data, DamageV2):
            hits += 1
            assert expected_of(event.data) == {"damage": damage_dealt(event.data)}
        else:
            assert expected_of(event.data) == {}
    assert hits > 1_000


def test_money_and_goods() -> None:
    """Payments of every version, rewards and trades move something; price ticks do not."""

    def value(data: EventData, seq: int) -> bytes:
        front = head(data.type_name, data.version, key="k", data=msgspec.json.encode(data))
        return seal(front, 10**15, event_id("0" * 8, seq))

    events = [
        TransferV1(debit="a", credit="b", amount=5),
        RewardV1(account="a", amount=7, cause="bounty"),
        TradeV1(order="o", buyer="a", seller="b", item="ammo", quantity=3, unit_price=4),
        PriceTickV1(item="ammo", bid=1, ask=2, volume=9),
    ]

    paid = [("a", "b", "eddies", 5), (TREASURY, "a", "eddies", 7), ("a", "b", "eddies", 12), ("b", "a", "ammo", 3)]
    postings_sum = sum(amount * posting_weight(debit, credit, asset) for debit, credit, asset, amount in paid)
    totals = expected_totals_of(value(data, seq) for seq, data in enumerate(events))
    assert totals == {"money": 24, "goods": 3, "postings_sum": postings_sum}
