"""Host saturation: was it the target that was slow, or the machine that everything ran on?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from necp_validate.evidence.coverage import covered_s
from necp_validate.evidence.inventory.counting import HOST_EVERY_S, SHARE_COVERED
from necp_validate.evidence.load_workers import gone_workers
from necp_validate.record import Phase, Record

NEARLY_PCT = 5.0
"""A mean just below the limit has seconds above it: then what waited decides."""
WAITED_SHARE = 1.0
"""Threads that wait for a CPU as long as they have one are slowed down by half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaturationLimits:
    """From where on the host may be to blame.

    Args:
        busy_pct: CPU of the host.
        steal_pct: CPU that other guests take.
        late_p99_ms: lateness of the generator.
    """

    busy_pct: float
    steal_pct: float
    late_p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One way in which the host may be to blame for a slow result.

    Args:
        reason: in words.
        explains_ms: how much of a latency it explains; infinite where that is not known.
    """

    reason: str
    explains_ms: float = math.inf

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSaturation:
    """What the host looked like during a phase; ``None`` where nothing was recorded.

    Args:
        busy_pct: mean CPU use of the host.
        steal_pct: mean CPU that other guests took.
        late_p99_ms: how late the generator handed events over, counted from their intended times.
        reasons: why the host, not the target, may be to blame for a slow result; empty if it is not.
        cpu_short: why its CPUs were short: busy or stolen, in words; empty if they were not.
    """

    busy_pct: float | None
    steal_pct: float | None
    late_p99_ms: float | None
    reasons: tuple[Reason, ...]
    cpu_short: str = ""

    @property
    def saturated(self) -> bool:
        """Whether a missed latency may be the host's doing."""
        return bool(self.reasons)

    @property
    def busy(self) -> str:
        """Why the machine, not the generator, may be to blame, in words; missing samples and workers are among it."""
        return "; ".join(one.reason for one in self.reasons if math.isinf(one.explains_ms))

    @property
    def words(self) -> str:
        """The reasons for a sentence."""
        return "; ".join(map(str, self.reasons))

    def __str__(self) -> str:
        parts = []
        if self.busy_pct is not None:
            parts.append(f"host {self.busy_pct:.0f}% busy")
        if self.steal_pct is not None:
            parts.append(f"{self.steal_pct:.1f}% steal")
        if self.late_p99_ms is not None:
            parts.append(f"generator P99 {self.late_p99_ms:.1f} ms late")
        return ", ".join(parts) or "no host metrics"


def host_saturation(
    history: Record, phase: Phase, limits: SaturationLimits, domains: Iterable[str] | None = None
) -> HostSaturation:
    """Look at the host during a phase; generator lateness counts for some domains, or all.

    A generator that is late explains as much of a latency as it was late, and no more.
    """
    start_s, end_s = phase.start_us / 1e6, phase.end_us / 1e6
    samples = [sample for sample in history.host if start_s <= sample.t <= end_s]
    busy = _mean(sample.cpu_busy_pct for sample in samples)
    steal = _mean(sample.cpu_steal_pct for sample in samples)
    late = history.histogram(phase.name, "late", domains)
    late_ms = late.percentile(99) / 1000 if late.total else None
    reasons = []
    if busy is not None and busy >= limits.busy_pct:
        reasons.append(Reason(reason=f"the host was {busy:.1f}% busy (limit {limits.busy_pct:g})"))
    elif busy is not None and busy >= limits.busy_pct - NEARLY_PCT:
        waited = wait_share(history, start_s, end_s)
        if waited is not None and waited >= WAITED_SHARE:
            words = (
                f"the host was {busy:.1f}% busy, and brokers and event core waited {waited:.1f} s for a CPU per second"
            )
            reasons.append(Reason(reason=f"{words} of running"))
    if steal is not None and steal > limits.steal_pct:
        reasons.append(Reason(reason=f"other guests took {steal:.1f}% CPU (limit {limits.steal_pct:g})"))
    cpu_short = "; ".join(map(str, reasons))
    if late_ms is not None and late_ms > limits.late_p99_ms:
        words = f"the generator was {late_ms:.1f} ms late (limit {limits.late_p99_ms:g})"
        reasons.append(Reason(reason=words, explains_ms=late_ms))
    if busy is None or steal is None:
        reasons.append(Reason(reason="nothing was recorded of the host"))
    if gone := gone_workers(history, phase.end_us):
        reasons.append(Reason(reason=f"load worker {', '.join(gone)} did not play to the end"))
    return HostSaturation(
        busy_pct=busy, steal_pct=steal, late_p99_ms=late_ms, reasons=tuple(reasons), cpu_short=cpu_short
    )


def wait_share(history: Record, from_s: float, to_s: float) -> float | None:
    """For each second that brokers and event core ran, how long they waited for a CPU; None if that is not known.

    Without waiting they could have done that much more in the same time, if nothing else held them up.
    """
    known = [
        (one.t, one.target_run_s, one.target_wait_s)
        for one in history.host
        if from_s <= one.t <= to_s and one.target_run_s is not None and one.target_wait_s is not None
    ]
    covered = covered_s([t for t, _, _ in known], (from_s, to_s), HOST_EVERY_S)
    ran, waited = sum(run for _, run, _ in known), sum(wait for _, _, wait in known)
    return waited / ran if ran and covered >= SHARE_COVERED * (to_s - from_s) else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
