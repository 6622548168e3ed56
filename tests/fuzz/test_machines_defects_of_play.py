"""The machines of combat, guilds and chat find the defects that they are there for, in a few steps."""

from __future__ import annotations

import broken_handlers as broken
from finding import find_story, steps_of


def test_a_damage_check_that_is_off_by_one() -> None:
    """One point too many, with the first weapon of the table."""
    found = find_story("combat", None, broken.damage_off_by_one())
    assert "over_damage=1" in steps_of(found)[-1]
    assert "ended as processed, expected rejected" in found.error


def test_a_cooldown_check_that_is_off_by_one() -> None:
    """One millisecond too early."""
    found = find_story("combat", broken.CooldownOffByOne)
    step = steps_of(found)[-1]
    assert "cast(" in step
    assert "over_ms=1" in step


def test_chat_in_the_wrong_order() -> None:
    """Two messages in one channel, by two senders."""
    found = find_story("social", broken.ReordersChat)
    assert [step.count("state.say") for step in steps_of(found)[-2:]] == [1, 1]
    assert "chat, " in found.error


def test_a_leader_who_just_leaves() -> None:
    """Without a successor, and nobody asks."""
    found = find_story("social", broken.ForgetsTheLeader)
    step = steps_of(found)[-1]
    assert "leave(" in step
    assert "rank='leader'" in step
    assert "successor=None" in step
    assert "ended as processed, expected rejected" in found.error


def test_a_rejected_founding_that_counts() -> None:
    """Somebody leads a guild that never was: nobody else can found it, and they cannot be thrown out of it."""
    found = find_story("social", broken.RejectedFoundingCounts)
    assert "state.found(" in found.example
    assert "ended as rejected, expected processed" in found.error
