"""Two copies of a figure that differ, and the files that they stand in."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.record import Record

LOADS, ROWS, LATENCY, READING = (
    "history/load-*.json",
    "history/timeline-*.jsonl",
    "history/latency-*.npz",
    "history/readback.json",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """Two figures that had to be the same.

    Args:
        where: domain, stream, partition or phase.
        detail: both sides, each with its file.
        parts: names of the parts of the record that cannot both be right.
        broken: whether only a target explains it that does not do what it says; else the record is wrong.
        timed: whether a saturated host explains it as well.
        count: by how much the two differ, at least 1.
    """

    where: str
    detail: str
    parts: tuple[str, ...]
    broken: bool = False
    timed: bool = False
    count: int = 1


def since_begin(history: Record, at_s: float) -> str:
    """A time as seconds since the load began, in words."""
    begin_s = min((phase.start_us for phase in history.phases), default=0) / 1e6
    return f"{at_s - begin_s:.0f} s into the load"
