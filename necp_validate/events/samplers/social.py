"""Social: chat and guild life within the rules, and what breaks them whatever came before.

A player only ever joins the guild that belongs to the player's number, so no order of events puts anyone
into two, and a guild is only ever founded by the same leader, who never leaves it.
"""

from __future__ import annotations

import random
from typing import Final

from necp_validate.events.base import EventData
from necp_validate.events.social import (
    MAX_MESSAGES_PER_MINUTE,
    ChatMessageV1,
    ChatMessageV2,
    FriendAddV1,
    GuildCreateV1,
    GuildJoinV1,
    GuildKickV1,
    GuildLeaveV1,
)

_PLAYERS: Final = 5_000
_GUILDS: Final = 50
_CHANNELS: Final = ("general", "trade", "raid", "lfg")
_WORDS: Final = (
    "gg",
    "wp",
    "need",
    "healer",
    "rendezvous",
    "Kabuki",
    "north",
    "gate",
    "selling",
    "optics",
    "cheap",
    "nova",
    "preem",
    "choom",
)
_LANGUAGES: Final = ("en", "de", "ja", "pl")


def valid(rng: random.Random) -> EventData:
    """Draw an event within the rules: seven in ten are chat."""
    draw = rng.random()
    if draw < 0.65:
        return _message(rng, sent_last_minute=rng.randint(1, MAX_MESSAGES_PER_MINUTE))
    if draw < 0.7:
        return ChatMessageV1(channel=rng.choice(_CHANNELS), sender=_name(_number(rng)), text=_text(rng))
    number = _number(rng)
    if draw < 0.8:
        return GuildJoinV1(
            guild=_guild(number),
            player=_name(number),
            invited_by=_name(_number(rng)),
            inviter_rank="officer" if rng.random() < 0.7 else "leader",
        )
    if draw < 0.86:
        number, leads = _follower(rng), rng.random() < 0.1
        return GuildLeaveV1(
            guild=_guild(number),
            player=_name(number),
            rank="leader" if leads else "member",
            successor=_name(number % _GUILDS) if leads else None,
        )
    if draw < 0.9:
        number = _follower(rng)
        return GuildKickV1(
            guild=_guild(number),
            player=_name(number),
            rank="member",
            by=_name(_number(rng)),
            by_rank="officer",
        )
    if draw < 0.93:
        return GuildCreateV1(
            guild=_guild(number),
            name=f"Guild {number % _GUILDS:02d}",
            tag=f"G{number % _GUILDS:02d}",
            leader=_name(number % _GUILDS),
        )
    return FriendAddV1(player=_name(number), friend=_name((number + 1) % _PLAYERS))


def cheat(rng: random.Random) -> EventData:
    """Draw an event that breaks a rule which holds regardless of who is in which guild."""
    number = _number(rng)
    draw = rng.randrange(5)
    if draw == 0:
        return _message(rng, sent_last_minute=MAX_MESSAGES_PER_MINUTE + rng.randint(1, 1_000))
    if draw == 1:
        return GuildJoinV1(
            guild=_guild(number), player=_name(number), invited_by=_name(_number(rng)), inviter_rank="member"
        )
    if draw == 2:
        return GuildLeaveV1(guild=_guild(number), player=_name(number), rank="leader", successor=None)
    if draw == 3:
        return GuildKickV1(
            guild=_guild(number),
            player=_name(number),
            rank="officer",
            by=_name(_number(rng)),
            by_rank=rng.choice(("member", "officer")),
        )
    return FriendAddV1(player=_name(number), friend=_name(number))


def _number(rng: random.Random) -> int:
    return rng.randrange(_PLAYERS)


def _follower(rng: random.Random) -> int:
    """A player who founds no guild."""
    return rng.randrange(_GUILDS, _PLAYERS)


def _name(number: int) -> str:
    return f"player-{number:05d}"


def _guild(number: int) -> str:
    return f"guild-{number % _GUILDS:03d}"


def _text(rng: random.Random) -> str:
    return " ".join(rng.choices(_WORDS, k=rng.randint(1, 12)))


def _message(rng: random.Random, *, sent_last_minute: int) -> ChatMessageV2:
    return ChatMessageV2(
        channel=rng.choice(_CHANNELS),
        sender=_name(_number(rng)),
        text=_text(rng),
        language=rng.choice(_LANGUAGES),
        sent_last_minute=sent_last_minute,
    )
