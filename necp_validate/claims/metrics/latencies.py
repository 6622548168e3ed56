"""End-to-end latencies of a phase: from the intended send time to the end of processing.

An acked event that was never seen handled counts as slower than any limit: without it, loss looks fast. One of which
it is not known where it lies, and so which outcome is its own, may have been fast or slow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from necp_validate.core.histogram import HdrHistogram
from necp_validate.record import Phase, Record

SAMPLES_FOR = {50.0: 1, 95.0: 100, 99.0: 1_000, 99.9: 10_000}
"""Fewest samples for a percentile to mean anything."""


def percentile_ms(histogram: HdrHistogram, q: float, *, before: int = 0, after: int = 0) -> float:
    """A percentile over a histogram with events that lie below all of it, and above any limit."""
    rank = math.ceil(round(q / 100 * (before + histogram.total + after), 6)) - before
    if rank <= 0:
        return 0.0
    return histogram.percentile(100 * rank / histogram.total) / 1000 if rank <= histogram.total else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Latencies of one phase.

    Args:
        histogram: of the events whose end was seen.
        wrong_clock: acked events that are said to have ended before they were due.
        unplaced: acked events without an offset, of which none can be told when it ended.
        never: acked events whose end was not seen.
        unknown: events whose outcome is not known: they may not have been written at all.
        moved: ended events whose outcome was appended too long after the end that the target tells of.
    """

    histogram: HdrHistogram
    wrong_clock: int = 0
    unplaced: int = 0
    never: int = 0
    unknown: int = 0
    moved: int = 0

    @property
    def samples(self) -> int:
        """Acked events, with or without an end."""
        return self.histogram.total + self.wrong_clock + self.unplaced + self.never

    def bounds_ms(self, q: float) -> tuple[float, float]:
        """Between what a percentile over all events certainly lies."""
        either = self.wrong_clock + self.unplaced
        low = percentile_ms(self.histogram, q, before=either, after=self.never)
        return low, percentile_ms(self.histogram, q, after=either + self.never + self.unknown)

    def percentile_ms(self, q: float) -> float | None:
        """A percentile at its worst; ``None`` with too few samples."""
        return None if self.samples < SAMPLES_FOR[q] else self.bounds_ms(q)[1]

    def __str__(self) -> str:
        texts = []
        for q in SAMPLES_FOR:
            value = self.percentile_ms(q)
            if value is not None:
                texts.append(f"P{q:g} {value:.1f} ms" if math.isfinite(value) else f"P{q:g} never")
        return ", ".join(texts)


def latency_of(history: Record, phase: Phase, domains: tuple[str, ...] | None) -> Latency:
    """End-to-end latencies of a phase, over some domains or all."""
    histogram = history.histogram(phase.name, "e2e", domains)
    counts = history.counts(phase.name, domains)
    missing = max(counts.acked - histogram.total, 0)
    unplaced = min(counts.unplaced or 0, missing)
    wrong_clock = min(histogram.negative, missing - unplaced)
    return Latency(
        histogram=histogram,
        wrong_clock=wrong_clock,
        unplaced=unplaced,
        never=missing - unplaced - wrong_clock,
        unknown=counts.unknown or 0,
        moved=counts.moved or 0,
    )
