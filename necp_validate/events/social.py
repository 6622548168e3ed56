"""Events of the social domain; the key is the region, and channels and guilds belong to their region.

Rules (an event that breaks one is rejected, and changes nothing): a player is in at most one guild; a leader who
leaves names a successor, who is in no other guild; only officers and leaders invite and kick, and they kick only those
below their own rank; nobody befriends themselves; nobody sends more than :data:`MAX_MESSAGES_PER_MINUTE` messages a
minute. Ranks are as reported, but who is known to lead a guild is its leader. Joining the same guild again, leaving one
that the player is not in, or founding one's own guild again changes nothing and is no offence, so that an event
delivered again ends as it ended before. A guild that exists is not founded by somebody else.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from necp_validate.events.base import EntityId, EventData

MAX_MESSAGES_PER_MINUTE: Final = 60

Rank = Literal["member", "officer", "leader"]
RANKS: Final[dict[str, int]] = {"member": 0, "officer": 1, "leader": 2}

Channel = Annotated[str, Meta(min_length=1, max_length=40)]
GuildName = Annotated[str, Meta(min_length=3, max_length=32)]
GuildTag = Annotated[str, Meta(min_length=2, max_length=5)]


class ChatMessageV1(EventData, frozen=True, kw_only=True):
    """A message, from before rates were reported."""

    type_name = "social.chat_message"
    version = 1

    channel: Channel
    sender: EntityId
    text: Annotated[str, Meta(min_length=1, max_length=500)]

    def upcast(self) -> ChatMessageV2:
        """Read a message of version 1 as the only one of its sender within the minute."""
        return ChatMessageV2(
            channel=self.channel, sender=self.sender, text=self.text, language="und", sent_last_minute=1
        )


class ChatMessageV2(EventData, frozen=True, kw_only=True):
    """A message; with it, its sender has sent ``sent_last_minute`` messages within the last minute."""

    type_name = "social.chat_message"
    version = 2

    channel: Channel
    sender: EntityId
    text: Annotated[str, Meta(min_length=1, max_length=500)]
    language: Annotated[str, Meta(min_length=2, max_length=8)]
    sent_last_minute: Annotated[int, Meta(ge=1, le=100_000)]


class GuildCreateV1(EventData, frozen=True, kw_only=True):
    """A guild founded by its leader."""

    type_name = "social.guild_create"
    version = 1

    guild: EntityId
    name: GuildName
    tag: GuildTag
    leader: EntityId


class GuildJoinV1(EventData, frozen=True, kw_only=True):
    """A player joins, invited by a member of the given rank."""

    type_name = "social.guild_join"
    version = 1

    guild: EntityId
    player: EntityId
    invited_by: EntityId
    inviter_rank: Rank


class GuildLeaveV1(EventData, frozen=True, kw_only=True):
    """A player leaves; a leader names a successor."""

    type_name = "social.guild_leave"
    version = 1

    guild: EntityId
    player: EntityId
    rank: Rank
    successor: EntityId | None


class GuildKickV1(EventData, frozen=True, kw_only=True):
    """A player is removed by another one."""

    type_name = "social.guild_kick"
    version = 1

    guild: EntityId
    player: EntityId
    rank: Rank
    by: EntityId
    by_rank: Rank


class FriendAddV1(EventData, frozen=True, kw_only=True):
    """Two players become friends."""

    type_name = "social.friend_add"
    version = 1

    player: EntityId
    friend: EntityId


EVENTS: Final[tuple[type[EventData], ...]] = (
    ChatMessageV1,
    ChatMessageV2,
    GuildCreateV1,
    GuildJoinV1,
    GuildLeaveV1,
    GuildKickV1,
    FriendAddV1,
)
