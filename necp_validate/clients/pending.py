"""Events that were acknowledged and are waiting for their receipt, by offset."""

from __future__ import annotations

import numpy as np

from necp_validate.clients.rdkafka import Int64Array

_FIRST_SIZE = 1 << 14
_LARGEST_SIZE = 1 << 22


class PendingOffsets:
    """Intended times of one partition's events, by offset, until they are taken.

    A ring that doubles while events wait, up to 4 million of them; memory follows the backlog, not the run.
    """

    def __init__(self) -> None:
        self._ring: Int64Array = np.zeros(_FIRST_SIZE, dtype=np.int64)
        self.highest = -1
        self.overwritten = 0

    def put(self, first: int, count: int, intended_us: Int64Array | int) -> None:
        """Remember the intended times of ``count`` consecutive offsets from ``first``."""
        at = self._slots(first, count)
        while self._ring[at].any() and len(self._ring) < _LARGEST_SIZE:
            self._grow()
            at = self._slots(first, count)
        self.overwritten += int(np.count_nonzero(self._ring[at]))
        self._ring[at] = intended_us
        self.highest = max(self.highest, first + count - 1)

    def take(self, first: int, last: int) -> Int64Array:
        """Take the intended times of the offsets ``first`` to ``last``; 0 where none is known."""
        at = self._slots(first, last - first + 1)
        values = self._ring[at].copy()
        self._ring[at] = 0
        return values

    def _slots(self, first: int, count: int) -> slice | Int64Array:
        at = first & (len(self._ring) - 1)
        if at + count <= len(self._ring):
            return slice(at, at + count)
        return np.arange(first, first + count, dtype=np.int64) & (len(self._ring) - 1)

    def _grow(self) -> None:
        """Double the ring; every waiting offset lies within one old ring's length below the highest."""
        old, size = self._ring, len(self._ring)
        offsets = np.arange(max(self.highest - size + 1, 0), self.highest + 1, dtype=np.int64)
        self._ring = np.zeros(2 * size, dtype=np.int64)
        self._ring[offsets & (2 * size - 1)] = old[offsets & (size - 1)]
