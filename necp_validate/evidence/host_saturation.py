"""The host as a witness: was it the target that was slow, or the machine that everything ran on?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from necp_validate.evidence.load_workers import gone_workers
from necp_validate.record import History, Phase

HOST_BUSY_PCT = 95.0
HOST_STEAL_PCT = 5.0
LATE_P99_MS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSaturation:
    """What the host looked like during a phase; ``None`` where nothing was recorded.

    Args:
        busy_pct: mean CPU use of the host.
        steal_pct: mean CPU that other guests took.
        late_p99_ms: how late the generator handed events over, counted from their intended times.
        reasons: why the host, not the target, may be to blame for a slow result; empty if it is not.
    """

    busy_pct: float | None
    steal_pct: float | None
    late_p99_ms: float | None
    reasons: tuple[str, ...]

    @property
    def saturated(self) -> bool:
        """Whether a missed latency may be the host's doing."""
        return bool(self.reasons)

    def __str__(self) -> str:
        parts = []
        if self.busy_pct is not None:
            parts.append(f"host {self.busy_pct:.0f}% busy")
        if self.steal_pct is not None:
            parts.append(f"{self.steal_pct:.1f}% steal")
        if self.late_p99_ms is not None:
            parts.append(f"generator P99 {self.late_p99_ms:.1f} ms late")
        return ", ".join(parts) or "no host metrics"


def host_saturation(history: History, phase: Phase, domains: Iterable[str] | None = None) -> HostSaturation:
    """Ask the host about a phase; generator lateness counts for some domains, or all."""
    start_s, end_s = phase.start_us / 1e6, phase.end_us / 1e6
    samples = [sample for sample in history.host if start_s <= sample.t <= end_s]
    busy = _mean(sample.cpu_busy_pct for sample in samples)
    steal = _mean(sample.cpu_steal_pct for sample in samples)
    late = history.histogram(phase.name, "late", domains)
    late_p99_ms = late.percentile(99) / 1000 if late.total else None
    # Name of the threshold, its default, what was measured, and the reason it gives.
    limits = (
        ("host_busy_pct", HOST_BUSY_PCT, busy, "the host was {value:.0f}% busy"),
        ("host_steal_pct", HOST_STEAL_PCT, steal, "other guests took {value:.1f}% CPU"),
        ("late_p99_ms", LATE_P99_MS, late_p99_ms, "the generator was {value:.1f} ms late"),
    )
    reasons = []
    for name, default, value, words in limits:
        limit = history.threshold(name, default)
        at_limit = value is not None and (value >= limit if name == "host_busy_pct" else value > limit)
        if at_limit:
            reasons.append(f"{words.format(value=value)} (limit {limit:g})")
    if gone := gone_workers(history, phase.end_us):
        reasons.append(f"load worker {', '.join(gone)} did not play to the end")
    return HostSaturation(busy_pct=busy, steal_pct=steal, late_p99_ms=late_p99_ms, reasons=tuple(reasons))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
