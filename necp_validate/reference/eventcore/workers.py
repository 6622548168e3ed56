"""A pool of threads over partitions: each partition's batch is one task, and its order is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Final, Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_TAKING_TURNS: Final[bool] = getattr(sys, "_is_gil_enabled", lambda: True)()
INLINE_RECORDS: Final = 2_000 if _TAKING_TURNS else 250
"""Batches of up to so many records stay in the calling thread: handing them over costs more than it saves.

Where threads take turns at one interpreter, only a backlog is worth it, for the sake of the other domains.
"""


class WorkerPool(Generic[Task, Result]):
    """Runs tasks and comes back when all are done.

    Args:
        count: number of threads that work on one batch, the calling one included.
        work: what is done with a task; must not raise.
        name: name of the threads.
    """

    def __init__(self, count: int, work: Callable[[Task], Result], *, name: str) -> None:
        self._work = work
        self._queues: list[SimpleQueue[list[Task] | None]] = [SimpleQueue() for _ in range(count - 1)]
        self._done: SimpleQueue[list[Result]] = SimpleQueue()
        self._threads = [
            Thread(target=self._serve, args=(queue,), name=f"{name}-worker-{number}", daemon=True)
            for number, queue in enumerate(self._queues, start=1)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, tasks: Sequence[Task], size: int) -> list[Result]:
        """Run tasks, which must not depend on one another.

        Args:
            tasks: the tasks.
            size: number of records in all of them.
        """
        work = self._work
        if size <= INLINE_RECORDS or len(tasks) == 1 or not self._queues:
            return [work(task) for task in tasks]
        shares = [list(tasks[number :: len(self._queues) + 1]) for number in range(len(self._queues) + 1)]
        handed = [(queue, share) for queue, share in zip(self._queues, shares[1:], strict=True) if share]
        for queue, share in handed:
            queue.put(share)
        results = [work(task) for task in shares[0]]
        for _ in handed:
            results.extend(self._done.get())
        return results

    def close(self) -> None:
        """End the threads."""
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self, queue: SimpleQueue[list[Task] | None]) -> None:
        work = self._work
        while (share := queue.get()) is not None:
            self._done.put([work(task) for task in share])
