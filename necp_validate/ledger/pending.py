"""Events that were acknowledged and are waiting for their receipt, by offset."""

from __future__ import annotations

from collections import deque


class PendingOffsets:
    """Intended times of one partition's events, by offset, until they are taken.

    Kept as runs of consecutive offsets with one intended time, as flushes are acknowledged; receipts come in about
    the same order, so both ends of the queue are where the work is. Memory follows the backlog, not the run.
    """

    def __init__(self) -> None:
        self._runs: deque[tuple[int, int, int]] = deque()  # (first offset, last offset, intended time)
        self.highest = -1
        self._latest = (-1, -1)  # the offsets that were put last

    def put(self, first: int, count: int, intended_us: int) -> None:
        """Remember the intended time of ``count`` consecutive offsets from ``first``."""
        last = first + count - 1
        self._runs.append((first, last, intended_us))
        self._latest = (first, last)
        self.highest = max(self.highest, last)

    def overlaps_latest(self, first: int, count: int) -> bool:
        """Whether any of these offsets is among those that were put last."""
        return first <= self._latest[1] and self._latest[0] <= first + count - 1

    def take(self, first: int, last: int) -> list[tuple[int, int, int]]:
        """Take the offsets ``first`` to ``last``; returns runs of those waiting: first, last, intended time."""
        runs, taken, at = self._runs, [], 0
        while at < len(runs):
            low, high, intended_us = runs[at]
            if low > last:
                break
            if high < first:
                at += 1
                continue
            from_, to = max(low, first), min(high, last)
            taken.append((from_, to, intended_us))
            del runs[at]
            if high > to:
                runs.insert(at, (to + 1, high, intended_us))
            if low < from_:
                runs.insert(at, (low, from_ - 1, intended_us))
                at += 1
        return taken

    def __len__(self) -> int:
        return sum(high - low + 1 for low, high, _ in self._runs)
