"""What event an action of a player becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple
from zlib import crc32

from necp_validate.events.base import EventData
from necp_validate.events.combat import DamageV2
from necp_validate.events.economy import TradeV1, TransferV2
from necp_validate.events.social import ChatMessageV2, GuildCreateV1, GuildJoinV1, GuildLeaveV1
from necp_validate.events.topics import Domain
from necp_validate.realtime.messages import ActionData, Guild, Hit, Say, Trade, Transfer

MARKETS: Final = 64
"""Shards of the economy."""


class EventDraft(NamedTuple):
    """An event without its place in a stream."""

    domain: Domain
    key: str
    data: EventData


def market_of(player: str) -> str:
    """The shard that a player's accounts are in; players trade only within it."""
    return f"market-{crc32(player.encode()) % MARKETS:04d}"


def draft(data: ActionData, *, player: str, match: str, region: str) -> EventDraft:
    """Make the event of an action; whether it keeps the rules of the game is for the event core to say.

    Args:
        data: what the player does.
        player: who it is.
        match: the match it plays in.
        region: its region.
    """
    return _DRAFTS[type(data)](data, player, match, region)


def _hit(hit: Hit, player: str, match: str, _region: str) -> EventDraft:
    event = DamageV2(
        attacker=player,
        target=f"entity-{hit.target}",
        weapon=hit.weapon,
        damage=hit.damage,
        armour=hit.armour,
        critical=hit.critical,
        zone=hit.zone,
        distance_cm=hit.distance_cm,
        shots=hit.shots,
        window_ms=hit.window_ms,
    )
    return EventDraft(Domain.COMBAT, match, event)


def _trade(trade: Trade, player: str, _match: str, _region: str) -> EventDraft:
    event = TradeV1(
        order=trade.order,
        buyer=player,
        seller=trade.seller,
        item=trade.item,
        quantity=trade.quantity,
        unit_price=trade.unit_price,
    )
    return EventDraft(Domain.ECONOMY, market_of(player), event)


def _transfer(transfer: Transfer, player: str, _match: str, _region: str) -> EventDraft:
    event = TransferV2(debit=player, credit=transfer.credit, amount=transfer.amount, currency="eddies", memo=None)
    return EventDraft(Domain.ECONOMY, market_of(player), event)


def _say(say: Say, player: str, _match: str, region: str) -> EventDraft:
    event = ChatMessageV2(
        channel=say.channel,
        sender=player,
        text=say.text,
        language=say.language,
        sent_last_minute=say.sent_last_minute,
    )
    return EventDraft(Domain.SOCIAL, region, event)


def _guild(guild: Guild, player: str, _match: str, region: str) -> EventDraft:
    event: EventData
    if guild.do == "create":
        event = GuildCreateV1(guild=guild.guild, name=guild.name, tag=guild.tag, leader=player)
    elif guild.do == "join":
        event = GuildJoinV1(guild=guild.guild, player=player, invited_by=guild.invited_by, inviter_rank=guild.rank)
    else:
        event = GuildLeaveV1(guild=guild.guild, player=player, rank=guild.rank, successor=guild.successor)
    return EventDraft(Domain.SOCIAL, region, event)


_DRAFTS: Final[dict[type[ActionData], Callable[[Any, str, str, str], EventDraft]]] = {
    Hit: _hit,
    Trade: _trade,
    Transfer: _transfer,
    Say: _say,
    Guild: _guild,
}
