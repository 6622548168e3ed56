"""Claims about latency: from the intended send time to the end of processing, in the steady phases.

An acked event that was never seen handled counts as slower than any limit: without it, loss looks fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from necp_validate.claims.checks.load.workers import clock_words, clocks_apart_ms
from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Verdict
from necp_validate.evidence.host_saturation import host_saturation
from necp_validate.evidence.load_workers import missing_workers
from necp_validate.record import HdrHistogram, History, Phase

SAMPLES_FOR = {50.0: 1, 95.0: 100, 99.0: 1_000, 99.9: 10_000}
"""Fewest samples for a percentile to mean anything."""

LIMITS_MS: dict[str, tuple[float, str | None]] = {
    "LAT-HEADLINE": (50, None),
    "LAT-COMBAT": (30, "combat"),
    "LAT-ECONOMY": (100, "economy"),
    "LAT-SOCIAL": (200, "social"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """End-to-end latencies of one phase.

    Args:
        histogram: of the events whose end was seen.
        missing: acked events whose end was not, or whose end is said to be before they were due: a clock is wrong.
    """

    histogram: HdrHistogram
    missing: int

    @property
    def samples(self) -> int:
        """Events, with or without an end."""
        return self.histogram.total + self.missing

    def percentile_ms(self, q: float) -> float | None:
        """A percentile over all events: infinite if it falls on a missing one, ``None`` with too few."""
        if self.samples < SAMPLES_FOR[q]:
            return None
        share = q * self.samples / self.histogram.total if self.histogram.total else math.inf
        return self.histogram.percentile(share) / 1000 if share <= 100 else math.inf

    @property
    def seen_p99_ms(self) -> float | None:
        """P99 of those alone whose end was seen."""
        return self.histogram.percentile(99) / 1000 if self.histogram.total else None

    def __str__(self) -> str:
        texts = []
        for q in SAMPLES_FOR:
            value = self.percentile_ms(q)
            if value is not None:
                texts.append(f"P{q:g} {value:.1f} ms" if math.isfinite(value) else f"P{q:g} never")
        return ", ".join(texts)


def latency_of(history: History, phase: Phase, domains: tuple[str, ...] | None) -> Latency:
    """End-to-end latencies of a phase, over some domains or all."""
    histogram = history.histogram(phase.name, "e2e", domains)
    acked = history.counts(phase.name, domains).acked
    missing = max(acked - histogram.total, 0)
    return Latency(histogram=histogram, missing=missing)


def _p99(limit_ms: float, domain: str | None, evidence: Evidence) -> Ruling:
    """Judge P99 in the worst steady phase."""
    history = evidence.history
    domains = None if domain is None else (domain,)
    phases = history.phases_of("steady")
    if not phases:
        raise NoEvidence("there was no steady phase")
    found = {phase.name: latency_of(history, phase, domains) for phase in phases}
    enough = {name: p99 for name, latency in found.items() if (p99 := latency.percentile_ms(99)) is not None}
    if not enough:
        most = max(latency.samples for latency in found.values())
        raise NoEvidence(f"{most:,} samples in a steady phase; P99 needs {SAMPLES_FOR[99.0]:,}")
    name = max(enough, key=lambda phase: enough[phase])
    phase = next(phase for phase in phases if phase.name == name)
    latency = found[name]
    seen = host_saturation(history, phase, domains)
    notes = [f"{latency.samples:,} events", str(seen)]
    negative = latency.histogram.negative
    if latency.missing > negative:
        notes.append(f"{latency.missing - negative:,} of them acked but never seen handled")
    if negative:
        notes.append(f"{negative:,} said to have ended before they were due: the event core's clock is behind")
    ahead = sum(load.ends_from_future for load in history.loads)
    if ahead:
        notes.append(
            f"{ahead:,} events of the run said to end in the future: a clock is ahead; their receipts' arrival counts"
        )
    if words := clock_words(history):
        notes.append(words)
    if evidence.scale_words:
        notes.append(evidence.scale_words)
    figures = "; ".join(notes)
    apart_ms = clocks_apart_ms(history)
    verdict = Verdict.PASS
    if enough[name] < limit_ms:
        if enough[name] + apart_ms >= limit_ms:
            verdict = Verdict.UNKNOWN
            figures = f"met by less than the load workers' clocks may be apart ({figures})"
        elif missing_workers(history):
            verdict = Verdict.UNKNOWN
            figures = f"without the events of a load worker that was lost ({figures})"
    else:
        verdict = Verdict.FAIL
        if seen.saturated:
            verdict = Verdict.UNKNOWN
            figures = f"missed, but {'; '.join(seen.reasons)}, so it may be the host's ({figures})"
        elif enough[name] - apart_ms < limit_ms:
            verdict = Verdict.UNKNOWN
            figures = f"missed by less than the load workers' clocks may be apart ({figures})"
        elif negative and (latency.seen_p99_ms or math.inf) < limit_ms:
            verdict = Verdict.UNKNOWN
            figures = f"cannot be told by a clock that is wrong ({figures})"
    return Ruling(verdict=verdict, measured=str(latency), evidence=figures, phase=name)


def _register() -> None:
    for claim_id, (limit_ms, domain) in LIMITS_MS.items():
        judges(claim_id, f"P99 < {limit_ms:g} ms")(partial(_p99, limit_ms, domain))


_register()
