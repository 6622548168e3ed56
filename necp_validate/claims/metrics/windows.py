"""The worst stretch of a given length, from rows that are a second apart.

Counts are laid out as a running total over time and read off at any two moments, so that a row that comes a moment
late moves nothing. A percentile of a stretch lies between bounds: the rows have the median and the 99th percentile of
their own second only, and those cannot be averaged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from necp_validate.claims.metrics.rates import even_part_s
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import Phase, Record, TimelineRow

Count = Callable[[TimelineRow], int]

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One stretch.

    Args:
        from_s, to_s: epoch seconds.
        total: what was counted in it.
    """

    from_s: float
    to_s: float
    total: float


def span_s(history: Record, phase: Phase) -> tuple[float, float]:
    """The even part of a phase, as far as the timeline goes."""
    start_s, end_s = even_part_s(history, phase)
    return start_s, min(end_s, max((row.t for row in history.timeline), default=end_s))


def windows(history: Record, phase: Phase, domains: Iterable[str], length_s: float, count: Count) -> list[Window]:
    """Counts of every stretch of a length that lies in the even part of a phase, a second apart.

    Raises:
        NoEvidence: the part is shorter than one stretch, or the timeline does not cover a domain.
    """
    start_s, end_s = span_s(history, phase)
    rows: dict[tuple[str, str], list[TimelineRow]] = defaultdict(list)
    wanted = set(domains)
    for row in history.timeline:
        if row.domain in wanted:
            rows[row.domain, row.worker].append(row)
    for domain in sorted(wanted):
        if not any(row.t > start_s for (name, _), of in rows.items() if name == domain for row in of):
            raise NoEvidence(f"the timeline does not cover {domain} in {phase.name}")
    if end_s - start_s < length_s:
        raise NoEvidence(f"{phase.name} has {max(end_s - start_s, 0):.0f} s without its ramp, less than {length_s:g} s")
    begins = np.arange(start_s, end_s - length_s + 1e-6, 1.0)
    totals = np.zeros(len(begins))
    for series in rows.values():
        totals += _between(series, count, begins, length_s)
    return [
        Window(from_s=float(t), to_s=float(t) + length_s, total=float(n)) for t, n in zip(begins, totals, strict=True)
    ]


def _between(
    rows: Sequence[TimelineRow], count: Count, begins: NDArray[np.float64], length_s: float
) -> NDArray[np.float64]:
    """What a series counted in each stretch: it counts evenly between the ends of two rows."""
    ends = np.array([rows[0].t - 1.0, *(row.t for row in rows)])
    running = np.cumsum([0.0, *(float(count(row)) for row in rows)])
    return np.asarray(np.interp(begins + length_s, ends, running) - np.interp(begins, ends, running))


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """What a row says of the latencies of its events: how many, their median and their 99th percentile, ms."""

    t: float
    events: int
    p50_ms: float
    p99_ms: float


def bounds_ms(seconds: Sequence[Second], q: float, *, missing: int = 0) -> tuple[float, float]:
    """Between what a percentile over all events of some seconds certainly lies.

    At a limit, at most a hundredth of a second's events are above if its own P99 is not, and at least a half if its
    median is; ``missing`` events may be above any.

    Args:
        seconds: not empty.
        q: 50 or 99.
    """
    events = np.array([second.events for second in seconds], dtype=float)
    p50, p99 = (np.array([getattr(second, name) for second in seconds]) for name in ("p50_ms", "p99_ms"))
    allowed = (1 - q / 100) * (events.sum() + missing)
    limits = np.unique(np.concatenate([p50, p99]))
    low, high = 0.0, np.inf
    for limit in limits:
        most = np.where(p99 <= limit, 0.01, np.where(p50 <= limit, 0.5, 1.0)) @ events + missing
        if most <= allowed * (1 + _ROUNDING):
            high = float(limit)
            break
    for limit in limits[::-1]:
        # Just below it, those whose percentile it is are above.
        fewest = np.where(p50 >= limit, 0.5, np.where(p99 >= limit, 0.01, 0.0)) @ events
        if fewest >= allowed * (1 - _ROUNDING):
            low = float(limit)
            break
    return low, max(low, high)


def worst_percentile_ms(
    seconds: Sequence[Second], windows_s: Iterable[tuple[float, float]], q: float, least: int, missing: int
) -> tuple[float, float, int, float] | None:
    """Bounds of the worst stretch with enough events: low, high, its events, when it began; None if there is none."""
    low = high = -1.0
    events, began = 0, 0.0
    for from_s, to_s in windows_s:
        inside = [second for second in seconds if from_s + 0.5 < second.t <= to_s + 0.5]
        count = sum(second.events for second in inside)
        if count < least:
            continue
        at_least, at_most = bounds_ms(inside, q, missing=missing)
        if (at_most, at_least) > (high, low):
            events, began = count, from_s
        low, high = max(low, at_least), max(high, at_most)
    return (low, high, events, began) if events else None
