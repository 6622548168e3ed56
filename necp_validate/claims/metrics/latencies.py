"""End-to-end latencies of a phase: from the intended send time to the end of processing.

When an event had ended is the target's word, within a tick of the brokers'. A few events, which nobody knows
beforehand, have their outcome written at once: of these it is known when a broker had it, and no percentile is better
than what they certainly show.

An acked event that was never seen handled counts as slower than any limit: without it, loss looks fast. One of which
it is not known where it lies, and so which outcome is its own, may have been fast or slow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from necp_validate.core.histogram import HdrHistogram
from necp_validate.record import AT_ONCE, Phase, Record

SAMPLES_FOR = {50.0: 1, 95.0: 100, 99.0: 1_000, 99.9: 10_000}
"""Fewest samples for a percentile to mean anything."""


def percentile_ms(histogram: HdrHistogram, q: float, *, before: int = 0, after: int = 0) -> float:
    """A percentile over a histogram with events that lie below all of it, and above any limit."""
    rank = math.ceil(round(q / 100 * (before + histogram.total + after), 6)) - before
    if rank <= 0:
        return 0.0
    return histogram.percentile(100 * rank / histogram.total) / 1000 if rank <= histogram.total else math.inf


_CHANCE = 0.001
"""Of a sample that shows more slow events than an honest target's with this probability, no more is believed."""


@lru_cache(maxsize=4096)
def most_by_chance(samples: int, share: float) -> int:
    """How many of some samples may be slow if that share of all events is: more are so in one case of a thousand."""
    probability = cumulative = (1 - share) ** samples
    count = 0
    while cumulative < 1 - _CHANCE and count < samples:
        count += 1
        probability *= (samples - count + 1) / count * share / (1 - share)
        cumulative += probability
    return count


@dataclass(frozen=True, slots=True, kw_only=True)
class AtOnce:
    """Events of a domain whose outcome is written at once.

    Args:
        histogram: how long it took until a broker had their outcome.
        events: acked events of the domain in the phase, for which they stand.
    """

    histogram: HdrHistogram
    events: int

    def above(self, value_us: int, share: float) -> float:
        """How many of the domain's events were certainly slower, if chance favours a target that slows such a share."""
        samples, slow = self.histogram.values, self.histogram.count_above(value_us)
        return max(slow - (most_by_chance(samples, share) - share * samples), 0.0) / samples * self.events


def certainly_ms(sampled: Sequence[AtOnce], events: int, q: float) -> float:
    """What a percentile over some events certainly exceeds, by the samples of those that were watched; else 0.

    Args:
        sampled: by domain.
        events: all of them, those of domains without samples as well.
        q: 0 to 100.
    """
    share = 1 - q / 100
    sampled = [one for one in sampled if one.histogram.values]

    def exceeds(value_us: int) -> bool:
        return sum(one.above(value_us, share) for one in sampled) > share * events

    low, high = 0, max((one.histogram.max for one in sampled), default=0)
    if not sampled or not exceeds(low):
        return 0.0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if exceeds(middle) else (low, middle)
    return low / 1000


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
        at_once: those whose outcome was written at once, by domain.
    """

    histogram: HdrHistogram
    wrong_clock: int = 0
    unplaced: int = 0
    never: int = 0
    unknown: int = 0
    moved: int = 0
    at_once: tuple[AtOnce, ...] = ()

    @property
    def samples(self) -> int:
        """Acked events, with or without an end."""
        return self.histogram.total + self.wrong_clock + self.unplaced + self.never

    def bounds_ms(self, q: float) -> tuple[float, float]:
        """Between what a percentile over all events certainly lies."""
        either = self.wrong_clock + self.unplaced
        low = percentile_ms(self.histogram, q, before=either, after=self.never)
        high = percentile_ms(self.histogram, q, after=either + self.never + self.unknown)
        certainly = self.certainly_ms(q)
        return max(low, certainly), max(high, certainly)

    def certainly_ms(self, q: float) -> float:
        """What a percentile exceeds by the events whose outcome was written at once, whatever the target says."""
        return certainly_ms(self.at_once, self.samples, q)

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
    # A target that was not asked to write some outcomes at once takes its time with all of them.
    promised = (history.due.receipted_at_once if history.due is not None else None) or {}
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
        at_once=tuple(_at_once(history, phase, one) for one in domains or history.domains if one in promised),
    )


def _at_once(history: Record, phase: Phase, domain: str) -> AtOnce:
    histogram = history.histogram(phase.name, AT_ONCE, [domain])
    return AtOnce(histogram=histogram, events=history.counts(phase.name, [domain]).acked)
