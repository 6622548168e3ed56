"""What the load sees while it runs: the last seconds of the timeline that its processes write."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from necp_validate.record import parts

_TAIL_BYTES = 64 * 1024
_SETTLED_S = 0.5  # rows of one second come from several processes, a moment apart
COUNTS = ("scheduled", "sent", "acked", "failed", "processed", "rejected", "dead_lettered")


def recent_eps(run_dir: Path, window_s: int) -> Mapping[str, float]:
    """Events per second over the last whole seconds of a run's load, all domains together.

    Args:
        run_dir: the run.
        window_s: how many seconds.

    Returns:
        Rate by count (``scheduled``, ``acked``, ``dead_lettered`` ...); empty if there is no row of this time.
    """
    return domain_eps(run_dir, window_s)


def domain_eps(run_dir: Path, window_s: int, *, only: str | None = None, but: str | None = None) -> Mapping[str, float]:
    """The same for one domain, or for all but one.

    Args:
        run_dir: the run.
        window_s: how many seconds.
        only: the one domain.
        but: the domain that is left out.
    """
    newest = round(time.time() - _SETTLED_S)
    sums: dict[str, float] = defaultdict(float)
    for path in parts.TIMELINE.files(run_dir).values():
        for line in _tail(path):
            row = json.loads(line)
            if row["domain"] == but or (only is not None and row["domain"] != only):
                continue
            if newest - window_s < row["t"] <= newest:
                for name in COUNTS:
                    sums[name] += (row.get(name) or 0) / window_s
    return sums


def planned_before_eps(run_dir: Path) -> float:
    """Events per second that were planned for the phase before the one that is going on, all domains together."""
    phases = json.loads(parts.PHASES.file(run_dir).read_text(encoding="utf-8"))
    over = [phase for phase in phases if phase["end_us"] <= time.time_ns() // 1000]
    return float(sum(over[-1]["target_eps"].values())) if over else 0.0


def _tail(path: Path) -> list[bytes]:
    """The last whole lines of a file that somebody else is writing."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _TAIL_BYTES, 0))
        content = file.read()
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    return lines[1:] if size > _TAIL_BYTES else lines
