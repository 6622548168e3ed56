"""Social: guild rules, and chat in the order of its channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from necp_validate.events.base import Event, EventData
from necp_validate.events.social import (
    MAX_MESSAGES_PER_MINUTE,
    RANKS,
    ChatMessageV2,
    FriendAddV1,
    GuildCreateV1,
    GuildJoinV1,
    GuildKickV1,
    GuildLeaveV1,
    Rank,
)
from necp_validate.events.topics import CHAT_TOPIC, TOPICS
from necp_validate.reference.eventcore.handling import Counts, Handle, Output

_ENCODE: Final = msgspec.json.Encoder().encode
_CHAT_PARTITIONS: Final = TOPICS[CHAT_TOPIC].partitions
MESSAGES_PER_RECORD: Final = 250
"""So many messages of the longest kind, every character escaped, stay below Kafka's limit of 1 MB for a batch."""


@dataclass(slots=True)
class _Region:
    """State of one region: who leads which guild, and who is in which."""

    leaders: dict[str, str] = field(default_factory=dict)
    guild_of: dict[str, str] = field(default_factory=dict)

    def rank(self, player: str, guild: str, reported: Rank) -> int:
        """Rank a player as reported; but who is known to lead a guild leads it, whatever is reported."""
        return RANKS["leader" if self.leaders.get(guild) == player else reported]

    def free_for(self, player: str, guild: str) -> bool:
        """Tell whether a player is in no other guild."""
        return self.guild_of.get(player, guild) == guild


class SocialHandler:
    """Guild membership by region, and chat collected by channel.

    Membership is what has been seen since the partition was taken over; it is not rebuilt, so after a
    failover a player may join a second guild. Chat is complete and in order in any case.
    """

    def __init__(self) -> None:
        self._regions: dict[int, dict[str, _Region]] = {}
        self._chat: dict[tuple[int, str, str], list[tuple[str, str, str, str]]] = {}
        self._counts = Counts()
        self._rules: dict[type[EventData], Callable[[_Region, Any], str | None]] = {
            GuildCreateV1: _create,
            GuildJoinV1: _join,
            GuildLeaveV1: _leave,
            GuildKickV1: _kick,
            FriendAddV1: _befriend,
        }

    def open(self, partition: int) -> Handle:
        """See :class:`necp_validate.reference.eventcore.handling.Handler`."""
        regions = self._regions.setdefault(partition, {})
        rules, counts = self._rules, self._counts.of(partition)

        def handle(event: Event[EventData]) -> str | None:
            data = event.data
            if type(data) is ChatMessageV2:
                reason = self._message(partition, event, data)
            else:
                region = regions.get(event.key)
                if region is None:
                    region = regions[event.key] = _Region()
                reason = rules[type(data)](region, data)
            if reason is None:
                counts[data.type_name] = counts.get(data.type_name, 0) + 1
            return reason

        return handle

    def drop(self, partition: int) -> None:
        """Forget the regions of a partition."""
        self._regions.pop(partition, None)

    def members(self, partition: int, region: str, guild: str) -> set[str]:
        """List the players known to be in a guild."""
        known = self._regions.get(partition, {}).get(region, _Region())
        return {player for player, in_guild in known.guild_of.items() if in_guild == guild}

    def collect(self) -> tuple[list[Output], dict[str, Any]]:
        """Take the chat, one record for each channel, and the counts by type."""
        outputs = [
            _chat_output(partition, region, channel, messages[start : start + MESSAGES_PER_RECORD])
            for (partition, region, channel), messages in self._chat.items()
            for start in range(0, len(messages), MESSAGES_PER_RECORD)
        ]
        results: dict[str, Any] = self._counts.take()
        self._chat.clear()
        return outputs, results

    def _message(self, partition: int, event: Event[EventData], message: ChatMessageV2) -> str | None:
        if message.sent_last_minute > MAX_MESSAGES_PER_MINUTE:
            return "flood"
        line = (event.id, message.sender, message.language, message.text)
        self._chat.setdefault((partition, event.key, message.channel), []).append(line)
        return None


def _chat_output(partition: int, region: str, channel: str, messages: list[tuple[str, str, str, str]]) -> Output:
    value = {"region": region, "channel": channel, "messages": messages}
    return Output(
        topic=CHAT_TOPIC,
        partition=partition % _CHAT_PARTITIONS,
        key=f"{region}/{channel}".encode(),
        value=_ENCODE(value),
    )


def _create(region: _Region, event: GuildCreateV1) -> str | None:
    if region.leaders.get(event.guild, event.leader) != event.leader:
        return "guild-exists"
    if not region.free_for(event.leader, event.guild):
        return "in-another-guild"
    region.leaders[event.guild] = event.leader
    region.guild_of[event.leader] = event.guild
    return None


def _join(region: _Region, event: GuildJoinV1) -> str | None:
    if RANKS[event.inviter_rank] < RANKS["officer"]:
        return "inviter-rank"
    if not region.free_for(event.player, event.guild):
        return "in-another-guild"
    region.guild_of[event.player] = event.guild
    return None


def _leave(region: _Region, event: GuildLeaveV1) -> str | None:
    if region.rank(event.player, event.guild, event.rank) == RANKS["leader"]:
        if event.successor is None or event.successor == event.player:
            return "no-successor"
        if not region.free_for(event.successor, event.guild):
            return "in-another-guild"
        region.guild_of[event.successor] = event.guild
        if region.leaders.get(event.guild) == event.player:
            region.leaders[event.guild] = event.successor
    if region.guild_of.get(event.player) == event.guild:
        del region.guild_of[event.player]
    return None


def _kick(region: _Region, event: GuildKickV1) -> str | None:
    by_rank = RANKS[event.by_rank]
    if by_rank < RANKS["officer"] or region.rank(event.player, event.guild, event.rank) >= by_rank:
        return "kick-rank"
    if region.guild_of.get(event.player) == event.guild:
        del region.guild_of[event.player]
    return None


def _befriend(region: _Region, event: FriendAddV1) -> str | None:  # noqa: ARG001 (all rules take the same)
    return "self-friend" if event.player == event.friend else None
