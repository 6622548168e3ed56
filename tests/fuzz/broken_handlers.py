"""Handlers with one defect each, as somebody might write them; the machines must find every one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import msgspec

from necp_validate.events.base import Event, EventData
from necp_validate.events.combat import COOLDOWN_MS, WEAPONS, AbilityCastV1, DamageV2
from necp_validate.events.economy import RewardV1, TradeV1, TransferV2
from necp_validate.events.ledger import CURRENCY, LedgerRecord, Posting
from necp_validate.events.social import GuildLeaveV1
from necp_validate.reference.eventcore import combat, economy, social
from necp_validate.reference.eventcore.combat import CombatHandler
from necp_validate.reference.eventcore.economy import EconomyHandler
from necp_validate.reference.eventcore.handling import Handle, Output
from necp_validate.reference.eventcore.ledger import Books, SeenSequences
from necp_validate.reference.eventcore.social import SocialHandler


@contextmanager
def rule_replaced(data: type[EventData], rule: economy.Rule) -> Iterator[None]:
    """One rule of the economy is another one."""
    with mock.patch.dict(economy._RULES, {data: rule}):
        yield


def throws_on_some_memos(books: Books, batch: Any, event: Event[EventData], data: TransferV2) -> str | None:
    """A log line in an old encoding."""
    (data.memo or "").encode("latin-1")
    return economy._transfer(books, batch, event, data)


def reward_in_floats(books: Books, batch: Any, event: Event[EventData], data: RewardV1) -> str | None:
    """Money in floating point: right up to 2**53."""
    return economy._reward(books, batch, event, msgspec.structs.replace(data, amount=int(float(data.amount))))


def trade_half_applied(books: Books, batch: Any, event: Event[EventData], data: TradeV1) -> str | None:
    """Goods change hands before it is known whether they can be paid for."""
    shard = event.key
    if data.buyer == data.seller:
        return "to-oneself"
    if not books.covers(shard, data.seller, data.item, data.quantity):
        return "insufficient-stock"
    goods = Posting(event.id, shard, data.seller, data.buyer, data.item, data.quantity)
    books.post(goods)
    batch.postings.append(goods)
    price = data.quantity * data.unit_price
    if not books.covers(shard, data.buyer, CURRENCY, price):
        return "insufficient-funds"
    money = Posting(event.id, shard, data.buyer, data.seller, CURRENCY, price)
    books.post(money)
    books.market.trade(shard, data.item, data.quantity, price)
    batch.postings.insert(len(batch.postings) - 1, money)
    return None


class PaysRetries(EconomyHandler):
    """Pays a reward, or a refund, as often as it is asked to."""

    def open(self, partition: int) -> Handle:
        handle = super().open(partition)
        books, batch = self.books(partition), self._batches[partition]

        def paying(event: Event[EventData]) -> str | None:
            reason = handle(event)
            if reason == "duplicate" and isinstance(event.data, RewardV1):
                return economy._reward(books, batch, event, event.data)
            return reason

        return paying


class PaysRetriesAfterCrash(EconomyHandler):
    """Rebuilds the balances, but not which events they come from."""

    def adopt(self, partition: int, books: Books) -> None:
        books.seen = SeenSequences()
        super().adopt(partition, books)


class TearsTrades(EconomyHandler):
    """Writes one leg of a trade and keeps both in its books."""

    def collect(self) -> tuple[list[Output], dict[str, Any]]:
        outputs, results = super().collect()
        return [self._torn(output) for output in outputs], results

    @staticmethod
    def _torn(output: Output) -> Output:
        if output.topic != "game.economy.ledger":
            return output
        record = msgspec.json.decode(output.value, type=LedgerRecord)
        kept = [posting for posting in record.postings if posting.asset == CURRENCY]
        return Output(
            topic=output.topic,
            partition=output.partition,
            key=output.key,
            value=msgspec.json.encode(msgspec.structs.replace(record, postings=kept)),
        )


class KeepsWhatWasAborted(EconomyHandler):
    """Goes on with the books of a transaction that never was."""

    def adopt(self, partition: int, books: Books) -> None:
        if partition in self._books:
            self._books[partition].next_offset = books.next_offset
        else:
            super().adopt(partition, books)


@contextmanager
def damage_off_by_one() -> Iterator[None]:
    """One point more than a weapon can do is let through."""

    def check(hit: DamageV2) -> str | None:
        excess = hit.damage == WEAPONS[hit.weapon].max_damage + 1
        return None if excess else check_hit(hit)

    check_hit = combat.check_hit
    with mock.patch.object(combat, "check_hit", check):
        yield


class CooldownOffByOne(CombatHandler):
    """An ability one millisecond too early is let through."""

    def _ability(self, cast_: AbilityCastV1, match: str, counts: dict[str, int]) -> str | None:
        if cast_.since_last_ms == COOLDOWN_MS[cast_.ability] - 1:
            cast_ = msgspec.structs.replace(cast_, since_last_ms=cast_.since_last_ms + 1)
        return super()._ability(cast_, match, counts)


class ReordersChat(SocialHandler):
    """Groups the messages of a channel by who sent them."""

    def collect(self) -> tuple[list[Output], dict[str, Any]]:
        for messages in self._chat.values():
            messages.sort(key=lambda line: line[1])
        return super().collect()


class ForgetsTheLeader(SocialHandler):
    """Lets a leader leave like anybody else."""

    def __init__(self) -> None:
        super().__init__()
        self._rules[GuildLeaveV1] = self._leave

    @staticmethod
    def _leave(region: Any, event: GuildLeaveV1) -> str | None:
        return social._leave(region, msgspec.structs.replace(event, rank="member")) and None


class RejectedFoundingCounts(SocialHandler):
    """Notes the leader before it asks whether they may lead, as the event core did until a machine found it."""

    def open(self, partition: int) -> Handle:
        handle = super().open(partition)

        def noting(event: Event[EventData]) -> str | None:
            reason = handle(event)
            if reason == "in-another-guild" and event.type == "social.guild_create":
                self._regions[partition][event.key].leaders[event.data.guild] = event.data.leader  # type: ignore[attr-defined]
            return reason

        return noting
