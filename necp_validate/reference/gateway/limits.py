"""Limits: how many requests a player makes, how many datagrams a session sends, and which numbers were used."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from necp_validate.reference.token_bucket import TokenBucket

MAX_PLAYERS: Final = 50_000
MAX_RANGES: Final = 1_024
"""Ranges of numbers that are kept of one session; a client that leaves more holes than that is hostile."""


class RequestLimit:
    """The request limit of one player.

    Args:
        per_min: requests a minute.
        now_s: time at which it is made.
    """

    __slots__ = ("_audited_s", "_bucket", "_patience", "flooding")

    def __init__(self, per_min: int, now_s: float) -> None:
        self._bucket = TokenBucket(per_min, per_min / 60, now_s)
        self._patience = TokenBucket(per_min, per_min / 60, now_s)
        self._audited_s = float("-inf")
        self.flooding = False
        """Whether even its refusals were more than the limit."""

    def take(self, now_s: float) -> float:
        """Ask for one request; see :meth:`TokenBucket.take`."""
        wait_s = self._bucket.take(now_s)
        self.flooding = wait_s > 0 and self._patience.take(now_s) > 0
        return wait_s

    def to_be_audited(self, now_s: float) -> bool:
        """Tell whether a refusal is the first one within a minute."""
        if now_s - self._audited_s < 60:
            return False
        self._audited_s = now_s
        return True


class RequestLimits:
    """Request limits by player. They outlive sessions, or logging in again would be a way around them.

    Args:
        per_min: requests a minute.
        clock: seconds.
    """

    def __init__(self, per_min: int, clock: Callable[[], float]) -> None:
        self._per_min = per_min
        self._clock = clock
        self._limits: OrderedDict[str, RequestLimit] = OrderedDict()

    def of(self, player: str) -> RequestLimit:
        """The limit of a player; beyond 50,000 players the one who was longest away is forgotten."""
        limit = self._limits.get(player)
        if limit is None:
            limit = self._limits[player] = RequestLimit(self._per_min, self._clock())
            if len(self._limits) > MAX_PLAYERS:
                self._limits.popitem(last=False)
        else:
            self._limits.move_to_end(player)
        return limit


class Numbers:
    """Numbers received, as ranges."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def __contains__(self, number: int) -> bool:
        position = bisect_right(self._firsts, number) - 1
        return position >= 0 and number <= self._lasts[position]

    @property
    def full(self) -> bool:
        """Whether there are so many holes that nothing more is to be taken."""
        return len(self._firsts) >= MAX_RANGES

    def add(self, number: int) -> None:
        """Add a number that is not in it."""
        firsts, lasts = self._firsts, self._lasts
        position = bisect_right(firsts, number)
        after_one = position > 0 and lasts[position - 1] == number - 1
        before_one = position < len(firsts) and firsts[position] == number + 1
        if after_one and before_one:
            lasts[position - 1] = lasts.pop(position)
            del firsts[position]
        elif after_one:
            lasts[position - 1] = number
        elif before_one:
            firsts[position] = number
        else:
            firsts.insert(position, number)
            lasts.insert(position, number)

    def ranges(self) -> list[tuple[int, int]]:
        """The ranges, ``(first, last)``."""
        return list(zip(self._firsts, self._lasts, strict=True))
