"""How fast the world ticks: as fast as it may, slower when a tick takes too much of its time."""

from __future__ import annotations

from typing import Final

BUSY: Final = 0.6
"""Above this share of its interval, a tick takes too long."""

IDLE: Final = 0.3
IDLE_S: Final = 2.0
"""So long must ticks take less than :data:`IDLE` before the rate rises."""

SLOWER: Final = 0.8
FASTER: Final = 1.1
MOST: Final = 2.0
"""A tick counts as at most so many intervals."""

WEIGHT: Final = 0.2
"""Weight of the newest tick in the average."""


class AdaptiveRate:
    """Decides the tick rate.

    The average is one of seconds, not of shares, so a lower rate relieves it at once and nothing swings.

    Args:
        low_hz: lowest rate.
        high_hz: highest rate, where it begins.
        adaptive: whether it changes at all.
    """

    def __init__(self, low_hz: float, high_hz: float, *, adaptive: bool = True) -> None:
        self._low_hz = low_hz if adaptive else high_hz
        self._high_hz = high_hz
        self._work_s = 0.0
        self._idle_since_s: float | None = None
        self.hz = high_hz

    @property
    def interval_s(self) -> float:
        """Seconds from one tick to the next."""
        return 1 / self.hz

    @property
    def load(self) -> float:
        """Average share of the interval that a tick takes."""
        return self._work_s * self.hz

    def observe(self, work_s: float, now_s: float) -> None:
        """Take note of a tick, which may change the rate.

        Args:
            work_s: from when it was due until it was done.
            now_s: when it was done.
        """
        # One long tick is an accident of the host, and says no more than that there is no time left.
        self._work_s += WEIGHT * (min(work_s, MOST * self.interval_s) - self._work_s)
        if self.load > BUSY:
            self.hz = max(self._low_hz, self.hz * SLOWER)
            self._idle_since_s = None
        elif self.load >= IDLE or self.hz == self._high_hz:
            self._idle_since_s = None
        elif self._idle_since_s is None:
            self._idle_since_s = now_s
        elif now_s - self._idle_since_s >= IDLE_S:
            self.hz = min(self._high_hz, self.hz * FASTER)
            self._idle_since_s = now_s
