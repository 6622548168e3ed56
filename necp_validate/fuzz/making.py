"""Chunks of fuzzed events, made ahead by processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Final, Self

from necp_validate.events.topics import Domain
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.source import CHUNK, ChunkTask, make_chunk

SHARES: Final[Mapping[Domain, float]] = {
    Domain.COMBAT: 0.3,
    Domain.ECONOMY: 0.3,
    Domain.SOCIAL: 0.2,
    Domain.SYSTEM: 0.2,
}
_AHEAD: Final = 24


def tasks_of(events: int, seed: int, tag: str, repeats: int) -> list[ChunkTask]:
    """Divide a number of events into chunks of the domains, in the order in which they are sent."""
    counts = {domain: int(events * share) for domain, share in SHARES.items()}
    counts[Domain.COMBAT] += events - sum(counts.values())
    tasks = []
    for domain, count in counts.items():
        for number, start in enumerate(range(0, count, CHUNK)):
            size = min(CHUNK, count - start)
            task = ChunkTask(seed=seed, tag=tag, domain=domain, number=number, count=size, repeats=repeats)
            tasks.append((start / count, task))
    return [task for _, task in sorted(tasks, key=lambda one: (one[0], one[1].domain))]


class Workshop:
    """Makes chunks in processes, some ahead of whoever takes them; a context manager.

    Args:
        tasks: what is to be made, in order.
        processes: how many at once.
    """

    def __init__(self, tasks: list[ChunkTask], processes: int = 2) -> None:
        self._tasks = tasks
        self._pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _quietly)
        self._made: deque[tuple[ChunkTask, Future[list[Case]]]] = deque()
        self._next = iter(tasks)
        self._fill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[tuple[Domain, list[Case]]]:
        """Give each chunk's events, in the order of the tasks."""
        while self._made:
            task, future = self._made.popleft()
            self._fill()
            yield task.domain, future.result()

    def _fill(self) -> None:
        while len(self._made) < _AHEAD and (task := next(self._next, None)) is not None:
            self._made.append((task, self._pool.submit(make_chunk, task)))


def _quietly() -> None:
    """Leave Ctrl-C to the process that started this one, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
