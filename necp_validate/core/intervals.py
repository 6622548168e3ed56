"""Sets of integers kept as intervals: memory grows with the anomalies of a run, not with its events."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence


class IntervalSet:
    """A set of integers as sorted, disjoint, inclusive intervals that never touch.

    Adding a run of numbers at the end costs O(1); anywhere else a bisection and the merge of the neighbours.
    """

    __slots__ = ("_count", "_ends", "_starts")

    def __init__(self, intervals: Iterable[Sequence[int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._count = 0
        for first, last in intervals:
            self.add(first, last)

    def add(self, first: int, last: int) -> int:
        """Add the numbers ``first`` to ``last`` (inclusive) and return how many of them were already present.

        Raises:
            ValueError: ``last`` is below ``first``.
        """
        if last < first:
            raise ValueError(f"interval [{first}, {last}] ends before it starts")
        starts, ends = self._starts, self._ends
        if not ends or first > ends[-1] + 1:
            starts.append(first)
            ends.append(last)
            self._count += last - first + 1
            return 0
        if first == ends[-1] + 1:
            ends[-1] = last
            self._count += last - first + 1
            return 0
        low = bisect_left(ends, first - 1)
        high = bisect_right(starts, last + 1)
        if low == high:
            starts.insert(low, first)
            ends.insert(low, last)
            self._count += last - first + 1
            return 0
        present = 0
        for i in range(low, high):
            overlap = min(ends[i], last) - max(starts[i], first) + 1
            if overlap > 0:
                present += overlap
        starts[low:high] = [min(first, starts[low])]
        ends[low:high] = [max(last, ends[high - 1])]
        self._count += last - first + 1 - present
        return present

    @property
    def count(self) -> int:
        """How many numbers are in the set."""
        return self._count

    @property
    def first(self) -> int | None:
        """The lowest number, ``None`` if the set is empty."""
        return self._starts[0] if self._starts else None

    @property
    def last(self) -> int | None:
        """The highest number, ``None`` if the set is empty."""
        return self._ends[-1] if self._ends else None

    def intervals(self) -> list[tuple[int, int]]:
        """The inclusive intervals in ascending order."""
        return list(zip(self._starts, self._ends, strict=True))

    def overlap(self, first: int, last: int) -> int:
        """How many of the numbers ``first`` to ``last`` (inclusive) are in the set."""
        present = 0
        for i in range(bisect_left(self._ends, first), bisect_right(self._starts, last)):
            present += min(self._ends[i], last) - max(self._starts[i], first) + 1
        return present

    def within(self, first: int, last: int) -> list[tuple[int, int]]:
        """The inclusive intervals of those of the numbers ``first`` to ``last`` that are in the set."""
        low, high = bisect_left(self._ends, first), bisect_right(self._starts, last)
        return [(max(self._starts[i], first), min(self._ends[i], last)) for i in range(low, high)]

    def difference(self, other: IntervalSet) -> IntervalSet:
        """The numbers of this set that are not in ``other``; linear in the intervals of both."""
        result = IntervalSet()
        starts, ends = other._starts, other._ends
        i = 0
        for first, last in zip(self._starts, self._ends, strict=True):
            while i < len(ends) and ends[i] < first:
                i += 1
            at = first
            j = i
            while j < len(starts) and starts[j] <= last:
                if starts[j] > at:
                    result.add(at, starts[j] - 1)
                at = ends[j] + 1
                j += 1
            if at <= last:
                result.add(at, last)
            i = max(i, j - 1)
        return result

    def intersection(self, other: IntervalSet) -> IntervalSet:
        """The numbers in both sets; linear in the intervals of both."""
        result = IntervalSet()
        i = j = 0
        while i < len(self._starts) and j < len(other._starts):
            first = max(self._starts[i], other._starts[j])
            last = min(self._ends[i], other._ends[j])
            if first <= last:
                result.add(first, last)
            if self._ends[i] < other._ends[j]:
                i += 1
            else:
                j += 1
        return result

    def union(self, other: IntervalSet) -> IntervalSet:
        """The numbers in either set."""
        merged = sorted([*self.intervals(), *other.intervals()])
        return IntervalSet(merged)

    def copy(self) -> IntervalSet:
        """An independent copy."""
        result = IntervalSet()
        result._starts = self._starts.copy()
        result._ends = self._ends.copy()
        result._count = self._count
        return result

    @classmethod
    def from_list(cls, pairs: Iterable[Sequence[int]]) -> IntervalSet:
        """Build a set from ``[[first, last], ...]`` in any order, overlaps allowed (the JSON form)."""
        return cls(pairs)

    def to_list(self) -> list[list[int]]:
        """The intervals as ``[[first, last], ...]`` (the JSON form)."""
        return [[first, last] for first, last in zip(self._starts, self._ends, strict=True)]

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        i = bisect_left(self._ends, number)
        return i < len(self._starts) and self._starts[i] <= number

    def __iter__(self) -> Iterator[int]:
        for first, last in zip(self._starts, self._ends, strict=True):
            yield from range(first, last + 1)

    def __len__(self) -> int:
        return self._count

    def __bool__(self) -> bool:
        return self._count > 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IntervalSet):
            return NotImplemented
        return self._starts == other._starts and self._ends == other._ends

    __hash__ = None  # type: ignore[assignment]  # mutable, hence unhashable; object's type says otherwise

    def __repr__(self) -> str:
        return f"IntervalSet({self.to_list()})"
