"""The token bucket that the services' limits are made of."""

from __future__ import annotations


class TokenBucket:
    """Allows ``capacity`` at once, and ``per_s`` a second in the long run.

    Args:
        capacity: tokens that it holds, full at first.
        per_s: tokens that come back in a second.
        now_s: time at which it is made.
    """

    __slots__ = ("_at_s", "_capacity", "_per_s", "_tokens")

    def __init__(self, capacity: float, per_s: float, now_s: float) -> None:
        self._capacity = capacity
        self._per_s = per_s
        self._tokens = capacity
        self._at_s = now_s

    def take(self, now_s: float) -> float:
        """Take a token.

        Returns:
            0, or the seconds until there is one again.
        """
        self._fill(now_s)
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._per_s

    def take_up_to(self, wanted: int, now_s: float) -> int:
        """Take as many whole tokens as there are, at most ``wanted``; returns how many."""
        self._fill(now_s)
        taken = min(wanted, int(self._tokens))
        self._tokens -= taken
        return taken

    def _fill(self, now_s: float) -> None:
        """Let come back what has come back since the last time; a clock that goes back gives nothing."""
        if now_s > self._at_s:
            self._tokens = min(self._capacity, self._tokens + (now_s - self._at_s) * self._per_s)
            self._at_s = now_s
