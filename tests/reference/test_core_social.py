"""Guild rules, and chat in the order of its channel."""

from __future__ import annotations

import json
import random

import pytest

from necp_validate.events.base import Event, EventData
from necp_validate.events.envelope import decode, event_id, head, seal
from necp_validate.events.samples import sample_event
from necp_validate.events.social import (
    MAX_MESSAGES_PER_MINUTE,
    ChatMessageV2,
    FriendAddV1,
    GuildCreateV1,
    GuildJoinV1,
    GuildKickV1,
    GuildLeaveV1,
    Rank,
)
from necp_validate.events.topics import Domain
from necp_validate.reference.eventcore.social import MESSAGES_PER_RECORD, SocialHandler


def event(data: EventData, seq: int = 0, key: str = "region-1") -> Event[EventData]:
    """Wrap a payload as the decoder would."""
    return Event(
        type=data.type_name, v=data.version, key=key, data=data, ts=0, id=f"00000001-{seq:012d}", crc="00000000"
    )


def message(text: str, channel: str = "general", rate: int = 1) -> ChatMessageV2:
    """A message."""
    return ChatMessageV2(channel=channel, sender="p", text=text, language="en", sent_last_minute=rate)


def join(player: str, guild: str, rank: Rank = "officer") -> GuildJoinV1:
    """A player joins."""
    return GuildJoinV1(guild=guild, player=player, invited_by="o", inviter_rank=rank)


def leave(player: str, guild: str, *, rank: Rank = "member", successor: str | None = None) -> GuildLeaveV1:
    """A player leaves."""
    return GuildLeaveV1(guild=guild, player=player, rank=rank, successor=successor)


def kick(rank: Rank, by_rank: Rank) -> GuildKickV1:
    """A player is removed."""
    return GuildKickV1(guild="g", player="p", rank=rank, by="o", by_rank=by_rank)


def outcomes(*datas: EventData) -> list[str | None]:
    """Handle events with a fresh handler."""
    handle = SocialHandler().open(0)
    return [handle(event(data, seq)) for seq, data in enumerate(datas)]


def test_membership_is_kept() -> None:
    """Who joined is in, who left or was removed is not."""
    handler = SocialHandler()
    handle = handler.open(0)
    for data in (join("a", "g"), join("b", "g"), join("p", "g"), leave("a", "g"), kick("member", "officer")):
        assert handle(event(data)) is None
    assert handler.members(0, "region-1", "g") == {"b"}


def test_nobody_is_in_two_guilds() -> None:
    """The second guild has to wait until the first was left."""
    assert outcomes(join("a", "g"), join("a", "h"), leave("a", "g"), join("a", "h")) == [
        None,
        "in-another-guild",
        None,
        None,
    ]


def test_what_changes_nothing_is_no_offence() -> None:
    """An event delivered again ends as it ended before."""
    create = GuildCreateV1(guild="g", name="Guild", tag="GG", leader="l")
    assert outcomes(create, create, join("a", "g"), join("a", "g"), leave("a", "g"), leave("a", "g")) == [None] * 6


def test_a_guild_is_not_founded_by_somebody_else() -> None:
    """The guild exists, or the founder is in another one."""
    first = GuildCreateV1(guild="g", name="Guild", tag="GG", leader="l")
    second = GuildCreateV1(guild="g", name="Guild", tag="GG", leader="m")
    third = GuildCreateV1(guild="h", name="Guild", tag="GG", leader="l")
    assert outcomes(first, second, third) == [None, "guild-exists", "in-another-guild"]


def test_a_guild_that_was_not_founded_is_free() -> None:
    """What was rejected has changed nothing."""
    first = GuildCreateV1(guild="h", name="Guild", tag="GG", leader="a")
    second = GuildCreateV1(guild="h", name="Guild", tag="GG", leader="b")
    assert outcomes(join("a", "g"), first, second) == [None, "in-another-guild", None]


def test_a_leader_is_one_whatever_is_reported() -> None:
    """Who founded a guild does not get out of it as a member, nor is thrown out by an officer."""
    found = GuildCreateV1(guild="g", name="Guild", tag="GG", leader="p")
    assert outcomes(found, leave("p", "g"), kick("member", "officer"), kick("member", "leader")) == [
        None,
        "no-successor",
        "kick-rank",
        "kick-rank",
    ]


def test_a_successor_takes_the_guild_over() -> None:
    """And is bound to it from then on; who is in another guild cannot be one."""
    found = GuildCreateV1(guild="g", name="Guild", tag="GG", leader="p")
    assert outcomes(
        found,
        join("b", "h"),
        leave("p", "g", rank="leader", successor="b"),
        leave("p", "g", rank="leader", successor="c"),
        join("c", "h"),
        leave("c", "g"),
        join("p", "h"),
    ) == [None, None, "in-another-guild", None, "in-another-guild", "no-successor", None]


def test_valid_samples_keep_the_rules_in_any_order() -> None:
    """Load takes every one of them for an event that is processed."""
    rng = random.Random(9)
    handle = SocialHandler().open(0)
    for seq in range(60_000):
        type_name, version, data = sample_event(Domain.SOCIAL, rng)
        value = seal(head(type_name, version, key="region-1", data=data), 10**15, event_id("00000001", seq))
        assert handle(decode(value)) is None, (seq, data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (join("a", "g", "member"), "inviter-rank"),
        (leave("a", "g", rank="leader"), "no-successor"),
        (leave("a", "g", rank="leader", successor="a"), "no-successor"),
        (leave("a", "g", rank="leader", successor="b"), None),
        (kick("member", "member"), "kick-rank"),
        (kick("officer", "officer"), "kick-rank"),
        (kick("officer", "leader"), None),
        (FriendAddV1(player="a", friend="a"), "self-friend"),
        (FriendAddV1(player="a", friend="b"), None),
        (message("hi", rate=MAX_MESSAGES_PER_MINUTE), None),
        (message("hi", rate=MAX_MESSAGES_PER_MINUTE + 1), "flood"),
    ],
)
def test_rules(data: EventData, reason: str | None) -> None:
    """Each rule, just kept and just broken."""
    assert outcomes(data) == [reason]


def test_chat_keeps_the_order_of_its_channel() -> None:
    """One record for each channel of each region, messages in the order they came."""
    handler = SocialHandler()
    handle = handler.open(3)
    for seq, (text, channel) in enumerate([("a", "x"), ("b", "y"), ("c", "x"), ("d", "x")]):
        handle(event(message(text, channel), seq))
    outputs, results = handler.collect()
    read = {output.key: [line[3] for line in json.loads(output.value)["messages"]] for output in outputs}
    assert read == {b"region-1/x": ["a", "c", "d"], b"region-1/y": ["b"]}
    assert {output.partition for output in outputs} == {3}
    assert results == {"social.chat_message": 4}
    assert handler.collect() == ([], {})


def test_long_chat_is_cut_into_records() -> None:
    """A record stays below the size that brokers accept."""
    handler = SocialHandler()
    handle = handler.open(0)
    for seq in range(MESSAGES_PER_RECORD + 1):
        handle(event(message("x" * 500), seq))
    outputs, _ = handler.collect()
    assert [len(json.loads(output.value)["messages"]) for output in outputs] == [MESSAGES_PER_RECORD, 1]
    assert max(len(output.value) for output in outputs) < 1_000_000


def test_a_partition_that_is_gone_is_forgotten() -> None:
    """Its next owner knows better; old state must not decide when it comes back."""
    handler = SocialHandler()
    handler.open(0)(event(join("a", "g")))
    handler.drop(0)
    assert handler.open(0)(event(join("a", "h"))) is None


def test_a_guild_that_was_not_founded_is_free_for_others() -> None:
    """Who is in a guild founds no other one; the attempt leaves nothing behind."""
    handle = SocialHandler().open(0)
    outcomes = [
        handle(event(GuildCreateV1(guild="a", name="aaa", tag="aa", leader="ann"), 0)),
        handle(event(GuildCreateV1(guild="b", name="bbb", tag="bb", leader="ann"), 1)),
        handle(event(GuildCreateV1(guild="b", name="bbb", tag="bb", leader="bob"), 2)),
    ]
    assert outcomes == [None, "in-another-guild", None]
