"""What the host was busy with between two looks at its CPU counters."""

from __future__ import annotations

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
