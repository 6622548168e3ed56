"""Whether a consumer group was rebalanced at some time, which explains that a member handled a record again."""

from __future__ import annotations

import math
from itertools import pairwise

from necp_validate.record import Record

UNWATCHED_S = 4.5
"""A group that was not described for so long may have lost a member and got it back."""
AFTER_FAULT_S = 30.0
"""So long after a fault, a member that it cut off may still join anew."""


def domain_of(topic: str) -> str:
    """The domain of one of the game's topics of events."""
    return topic.removeprefix("game.").removesuffix(".events")


def rebalanced(history: Record, domain: str, from_s: float, to_s: float) -> bool | None:
    """Whether a domain's own group was seen to lose a member or to rebalance (seconds of the epoch).

    Under a fault, nobody may have been able to describe the group for a while; None if that was so without one.
    """
    seen = [one for one in history.groups if one.group == f"event-core-{domain}" and from_s <= one.t <= to_s]
    if any(one.state != "STABLE" or one.members != seen[0].members for one in seen):
        return True
    times = [from_s, *(one.t for one in seen), to_s]
    holes = [(before, after) for before, after in pairwise(times) if after - before > UNWATCHED_S]
    if any(upset_between(history, before, after) for before, after in holes):
        return True
    return None if holes else False


def upset_between(history: Record, from_s: float, to_s: float) -> bool:
    """Whether a fault that may cut a member off was in effect, or over for less than it takes to join anew."""
    for fault in history.faults:
        end_s = math.inf if fault.end_us is None else fault.end_us / 1e6 + AFTER_FAULT_S
        if fault.upsets and fault.begin_us / 1e6 <= to_s and from_s <= end_s:
            return True
    return False
