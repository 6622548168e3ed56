"""Which action a receipt is about: acknowledgements and receipts are joined by partition and offset."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from necp_validate.events.receipts import Outcome, Run

Token = TypeVar("Token")
Place = tuple[str, int]

RECENT_RUNS: Final = 2_000
"""Runs of a partition kept for actions whose acknowledgement comes after their receipt."""


class _Partition(Generic[Token]):
    """What waits in one partition, and what its newest receipts said."""

    __slots__ = ("offsets", "recent", "tokens")

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.tokens: dict[int, Token] = {}
        self.recent: deque[tuple[int, int, Outcome]] = deque(maxlen=RECENT_RUNS)


class Results(Generic[Token]):
    """Joins acknowledgements with receipts, whichever comes first."""

    def __init__(self) -> None:
        self._partitions: dict[Place, _Partition[Token]] = {}

    def __len__(self) -> int:
        return sum(len(partition.offsets) for partition in self._partitions.values())

    def acknowledged(self, topic: str, partition: int, offset: int, token: Token) -> Outcome | None:
        """Note an acknowledged event; give its outcome if its receipt was there before.

        Args:
            topic: where it is.
            partition: where it is.
            offset: where it is.
            token: what :meth:`receipt` is to give back.
        """
        waiting = self._of(topic, partition)
        for first, last, outcome in reversed(waiting.recent):
            if first <= offset <= last:
                return outcome
        insort(waiting.offsets, offset)
        waiting.tokens[offset] = token
        return None

    def receipt(self, topic: str, runs: Iterable[Run]) -> list[tuple[Token, Outcome]]:
        """Take the runs of a receipt; give the actions that it is about. A receipt that comes again finds none."""
        found = []
        for partition, first, last, outcome, _ in runs:
            waiting = self._of(topic, partition)
            waiting.recent.append((first, last, outcome))
            start = bisect_left(waiting.offsets, first)
            end = bisect_right(waiting.offsets, last)
            if start < end:
                found += [(waiting.tokens.pop(offset), outcome) for offset in waiting.offsets[start:end]]
                del waiting.offsets[start:end]
        return found

    def forget(self, unwanted: Callable[[Token], bool]) -> None:
        """Forget the actions of those who are not there any more."""
        for partition in self._partitions.values():
            gone = {offset for offset, token in partition.tokens.items() if unwanted(token)}
            if gone:
                partition.offsets = [offset for offset in partition.offsets if offset not in gone]
                for offset in gone:
                    del partition.tokens[offset]

    def _of(self, topic: str, partition: int) -> _Partition[Token]:
        place = (topic, partition)
        found = self._partitions.get(place)
        if found is None:
            found = self._partitions[place] = _Partition()
        return found
