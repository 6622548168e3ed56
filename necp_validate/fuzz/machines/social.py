"""Guilds and chat of a region: who is in which guild, who leads it, and what was said in which order.

The model is written from the rules in ``necp_validate.events.social``. What must hold: what breaks a rule is rejected
and changes nothing; an event that is handled again ends by the same rules; every channel has every accepted message in
the order of sending. Membership is not rebuilt: after a crash the event core knows of nobody, and so does the model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import rule

from necp_validate.events.base import EventData
from necp_validate.events.receipts import Outcome
from necp_validate.events.social import (
    MAX_MESSAGES_PER_MINUTE,
    ChatMessageV1,
    ChatMessageV2,
    FriendAddV1,
    GuildCreateV1,
    GuildJoinV1,
    GuildKickV1,
    GuildLeaveV1,
    Rank,
)
from necp_validate.events.topics import CHAT_TOPIC, Domain
from necp_validate.fuzz.machines.driver import Crash, Driver, Sent
from necp_validate.fuzz.machines.machine import KEYS, DomainMachine, assert_same, at_least_once, parsed

_PLAYERS: Final = ("rogue", "panam", "judy")
_GUILDS: Final = ("aldecaldos", "mox")
_LADDER: Final = ("member", "officer", "leader")

regions: Final = st.sampled_from(KEYS)
players: Final = st.sampled_from(_PLAYERS)
guilds: Final = st.sampled_from(_GUILDS)
ranks: Final[st.SearchStrategy[Rank]] = st.sampled_from(("member", "officer", "leader"))
channels: Final = st.sampled_from(("general", "raid"))
texts: Final = st.text(st.characters(codec="utf-8"), min_size=1, max_size=500)
rates: Final = st.integers(1, 10) | st.sampled_from((MAX_MESSAGES_PER_MINUTE, MAX_MESSAGES_PER_MINUTE + 1, 100_000))


@dataclass(slots=True)
class Region:
    """Who is in which guild, and who leads it, as far as anybody has said."""

    guild_of: dict[str, str] = field(default_factory=dict)
    leader_of: dict[str, str] = field(default_factory=dict)

    def free_for(self, player: str, guild: str) -> bool:
        """Whether a player may be in a guild: nobody is in two."""
        return self.guild_of.get(player, guild) == guild

    def rank(self, player: str, guild: str, reported: str) -> int:
        """A player's rank: as reported, but who leads a guild is its leader whatever is reported."""
        return 2 if self.leader_of.get(guild) == player else _LADDER.index(reported)


class Town:
    """All regions, and the chat of all channels."""

    def __init__(self) -> None:
        self.chat: dict[tuple[str, str], list[list[str]]] = defaultdict(list)
        self.regions: dict[str, Region] = defaultdict(Region)

    def forget(self) -> None:
        """Membership is what has been seen since the partition was taken over."""
        self.regions.clear()

    def apply(self, sent: Sent) -> bool:
        """Take an event in; say whether it keeps the rules."""
        data = sent.data
        if isinstance(data, ChatMessageV1 | ChatMessageV2):
            return self._say(sent, data)
        return _live(self.regions[sent.key], data)

    def _say(self, sent: Sent, message: ChatMessageV1 | ChatMessageV2) -> bool:
        language = "und"
        if isinstance(message, ChatMessageV2):
            if message.sent_last_minute > MAX_MESSAGES_PER_MINUTE:
                return False
            language = message.language
        self.chat[sent.key, message.channel].append([sent.id, message.sender, language, message.text])
        return True


def _live(region: Region, data: EventData) -> bool:
    """Guild life and friendship in one region."""
    match data:
        case GuildCreateV1():
            if region.leader_of.get(data.guild, data.leader) != data.leader or not region.free_for(
                data.leader, data.guild
            ):
                return False
            region.leader_of[data.guild] = data.leader
            region.guild_of[data.leader] = data.guild
        case GuildJoinV1():
            if data.inviter_rank == "member" or not region.free_for(data.player, data.guild):
                return False
            region.guild_of[data.player] = data.guild
        case GuildLeaveV1():
            return _leave(region, data)
        case GuildKickV1():
            if data.by_rank == "member":
                return False
            if region.rank(data.player, data.guild, data.rank) >= _LADDER.index(data.by_rank):
                return False
            _remove(region, data.player, data.guild)
        case FriendAddV1():
            return data.player != data.friend
    return True


def _leave(region: Region, data: GuildLeaveV1) -> bool:
    if region.rank(data.player, data.guild, data.rank) == _LADDER.index("leader"):
        heir = data.successor
        if heir is None or heir == data.player or not region.free_for(heir, data.guild):
            return False
        region.guild_of[heir] = data.guild
        if region.leader_of.get(data.guild) == data.player:
            region.leader_of[data.guild] = heir
    _remove(region, data.player, data.guild)
    return True


def _remove(region: Region, player: str, guild: str) -> None:
    if region.guild_of.get(player) == guild:
        del region.guild_of[player]


class SocialMachine(DomainMachine):
    """Drives guilds and chat and compares them with :class:`Town`."""

    domain = Domain.SOCIAL
    events = DomainMachine.events

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self.town = Town()

    @rule(target=events, region=regions, guild=guilds, leader=players)
    def found(self, region: str, guild: str, leader: str) -> Sent:
        """A guild is founded."""
        return self.send(self.make(region, GuildCreateV1(guild=guild, name=guild, tag=guild[:3], leader=leader)))

    @rule(target=events, region=regions, guild=guilds, player=players, inviter_rank=ranks)
    def join(self, region: str, guild: str, player: str, inviter_rank: Rank) -> Sent:
        """Somebody joins."""
        data = GuildJoinV1(guild=guild, player=player, invited_by="jefferson", inviter_rank=inviter_rank)
        return self.send(self.make(region, data))

    @rule(target=events, region=regions, guild=guilds, player=players, rank=ranks, successor=st.none() | players)
    def leave(self, region: str, guild: str, player: str, rank: Rank, successor: str | None) -> Sent:
        """Somebody leaves, with a rank that need not be true."""
        return self.send(self.make(region, GuildLeaveV1(guild=guild, player=player, rank=rank, successor=successor)))

    @rule(target=events, region=regions, guild=guilds, player=players, rank=ranks, by_rank=ranks)
    def kick(self, region: str, guild: str, player: str, rank: Rank, by_rank: Rank) -> Sent:
        """Somebody is removed."""
        data = GuildKickV1(guild=guild, player=player, rank=rank, by="jefferson", by_rank=by_rank)
        return self.send(self.make(region, data))

    @rule(target=events, region=regions, player=players, friend=players)
    def befriend(self, region: str, player: str, friend: str) -> Sent:
        """Two become friends, or somebody tries to be their own."""
        return self.send(self.make(region, FriendAddV1(player=player, friend=friend)))

    @rule(target=events, region=regions, channel=channels, sender=players, text=texts, rate=rates)
    def say(self, region: str, channel: str, sender: str, text: str, rate: int) -> Sent:
        """A message, perhaps one too many."""
        data = ChatMessageV2(channel=channel, sender=sender, text=text, language="en", sent_last_minute=rate)
        return self.send(self.make(region, data))

    @rule(target=events, region=regions, channel=channels, sender=players, text=texts)
    def say_v1(self, region: str, channel: str, sender: str, text: str) -> Sent:
        """A message from a server of the version before."""
        return self.send(self.make(region, ChatMessageV1(channel=channel, sender=sender, text=text)))

    def predict(self, batch: Sequence[Sent], crash: Crash | None) -> list[tuple[Outcome, ...]]:
        """The verdict on each event, again for those that are handled again by one who knows nothing yet."""
        return at_least_once(batch, crash, self.town)

    def check(self) -> None:
        """Compare chat and membership with the model."""
        told: dict[tuple[str, str], list[list[str]]] = defaultdict(list)
        for record in self.driver.written(CHAT_TOPIC):
            page = parsed(record.value)
            told[page["region"], page["channel"]] += page["messages"]
        assert_same("chat", told, self.town.chat)
        for region in map(self.name, KEYS):
            for guild in _GUILDS:
                known = self.driver.members(region, guild)
                right = {player for player, of in self.town.regions[region].guild_of.items() if of == guild}
                assert known is None or known == right, f"{guild} in {region} has {known}, expected {right}"
