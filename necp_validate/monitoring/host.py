"""What the host was busy with between two looks at its CPU counters, and who waited for it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def cpu_percentages(before: Any, now: Any) -> tuple[float, float]:
    """How busy the host was, and how much of it other guests took, in percent of all its CPUs.

    Args:
        before, now: as ``psutil.cpu_times`` gives them. The kernel's counters of idle and stolen time may go back a
            little, so that a share beyond the possible is cut off.
    """
    # Guest time is part of user time; the rest adds up to all the time that there was.
    total = sum(now[:8]) - sum(before[:8]) or 1.0
    idle = (now.idle + now.iowait) - (before.idle + before.iowait)
    return _percent(1 - idle / total), _percent((now.steal - before.steal) / total)


def _percent(share: float) -> float:
    return round(100 * min(max(share, 0.0), 1.0), 1)


class RunDelay:
    """How long the threads of some processes ran, and how long they waited for a CPU although they could have run.

    The kernel counts both for every thread, in nanoseconds (``/proc/PID/task/TID/schedstat``). A thread that has ended
    takes what it did since the last look with it.
    """

    def __init__(self) -> None:
        self._before: dict[tuple[int, int], tuple[int, int]] | None = None

    def since(self, pids: Iterable[int]) -> tuple[float, float] | None:
        """Seconds of running and of waiting of all threads since the last look; None at the first one.

        It is None, too, where the kernel tells nothing of any of them.
        """
        now = {(pid, tid): times for pid in pids for tid, times in _schedstats(pid)}
        before, self._before = self._before, now
        if before is None or not now:
            return None
        ran = sum(run - before.get(thread, (0, 0))[0] for thread, (run, _) in now.items())
        waited = sum(wait - before.get(thread, (0, 0))[1] for thread, (_, wait) in now.items())
        return max(ran, 0) / 1e9, max(waited, 0) / 1e9


def _schedstats(pid: int) -> Iterable[tuple[int, tuple[int, int]]]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for thread in threads:
        try:
            ran, waited, _ = (thread / "schedstat").read_bytes().split()
        except (OSError, ValueError):
            continue
        yield int(thread.name), (int(ran), int(waited))
