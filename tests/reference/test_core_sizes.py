"""Whatever a valid event may hold, what the event core makes of a full batch of them fits Kafka's records."""

from __future__ import annotations

import msgspec
import pytest
from confluent_kafka import Message

from necp_validate.events.base import EventData
from necp_validate.events.economy import TradeV1
from necp_validate.events.envelope import Decoder, encode
from necp_validate.events.ledger import Listing
from necp_validate.events.social import ChatMessageV2
from necp_validate.reference.eventcore.economy import EconomyHandler
from necp_validate.reference.eventcore.exactly_once import SHARE_BYTES, shares
from necp_validate.reference.eventcore.handling import handle_batch
from necp_validate.reference.eventcore.market import Market
from necp_validate.reference.eventcore.social import SocialHandler
from necp_validate.reference.eventcore.tuning import RECORD_MAX_BYTES, TUNING

# A character of a string in JSON takes six bytes at most: one that must be escaped.
LONG = {n: "\x01" * n for n in (8, 40, 64, 500)}


def message(data: EventData, seq: int, *, key: str) -> Message:
    """An event as the consumer gives it."""
    value = encode(data, key=key, ts_us=10**15 + seq, stream="0000000a", seq=seq)
    return Message(topic="t", partition=0, offset=seq, key=key.encode(), value=value)


def trade(buyer: str) -> TradeV1:
    """A trade that can be booked."""
    return TradeV1(order=LONG[40], buyer=buyer, seller=LONG[40], item="ammo", quantity=1, unit_price=1)


@pytest.mark.parametrize("buyer", ["b", "b" * 40, "\x02" * 40])
def test_ledger_records_of_a_full_batch_of_trades_fit(buyer: str) -> None:
    """Both legs of every trade, with ids and shard as long as they may be."""
    handler, decode = EconomyHandler(clock_s=lambda: 0.0), Decoder().decode
    records = [message(trade(buyer), seq, key=LONG[64]) for seq in range(TUNING["economy"].batch_max)]  # type: ignore[index]
    entries = 0
    for share in shares([(0, records)]):
        ((partition, batch),) = share
        handler.close(handle_batch(partition, batch, decode, handler.open(partition)))
    outputs, _ = handler.collect()
    for output in outputs:
        assert output.value is not None
        assert len(output.value) < RECORD_MAX_BYTES
        if output.topic == "game.economy.ledger":
            entries += len(msgspec.json.decode(output.value)["postings"]) // 2
    assert entries == len(records)


def test_shares_keep_every_record_once_and_in_order() -> None:
    """Small batches are one share; of a partition, no share holds more than it may, unless one record alone does."""

    def batch(*lengths: int) -> list[Message]:
        return [Message(topic="t", partition=0, offset=at, value=b"x" * n) for at, n in enumerate(lengths)]

    small, large = batch(10, 20), batch(SHARE_BYTES, 1, SHARE_BYTES - 1, 2 * SHARE_BYTES, 5)
    divided = shares([(0, small), (1, large)])
    assert [[partition for partition, _ in share] for share in divided] == [[0, 1], [1], [1], [1]]
    assert [record for share in divided for partition, part in share if partition == 1 for record in part] == large
    assert divided[0][0] == (0, small)
    assert shares([]) == []


def test_chat_records_of_a_full_batch_fit() -> None:
    """Messages as long as they may be, all of one channel."""
    handler, decode = SocialHandler(), Decoder().decode
    chat = ChatMessageV2(channel=LONG[40], sender=LONG[40], text=LONG[500], language=LONG[8], sent_last_minute=1)
    records = [message(chat, seq, key=LONG[64]) for seq in range(TUNING["social"].batch_max)]  # type: ignore[index]
    result = handle_batch(0, records, decode, handler.open(0))
    assert not result.dead_letters
    outputs, _ = handler.collect()
    assert all(len(output.value or b"") < RECORD_MAX_BYTES for output in outputs)


def test_market_records_fit() -> None:
    """Lines of as many shards as there may be, with names as long as they may be."""
    market = Market()
    for number in range(2_500):
        shard = f"{number:04d}" + LONG[64][4:]
        market.offer(Listing("id", shard, "weapon_mod", "l", "open", 10**12))
        market.trade(shard, "weapon_mod", 1, 10**24)
    values = market.publish(0)
    assert all(len(value) < RECORD_MAX_BYTES for value in values)
    assert sum(len(msgspec.json.decode(value)["lines"]) for value in values) == 2_500
