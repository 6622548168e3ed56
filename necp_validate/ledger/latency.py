"""What one load process measures while it runs: counters and histograms by phase, and one row a second."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from necp_validate.core.histogram import HdrHistogram

KINDS = ("e2e", "ack", "late")
OUTCOMES = ("processed", "rejected", "dead_lettered")


@dataclass(slots=True)
class Counters:
    """Events of one domain in one phase, the phase being that of their intended time."""

    scheduled: int = 0
    sent: int = 0
    acked: int = 0
    failed: int = 0

    def to_json(self) -> dict[str, int]:
        """Plain data for the history."""
        return {
            "scheduled": self.scheduled,
            "sent": self.sent,
            "acked": self.acked,
            "failed": self.failed,
        }


@dataclass(slots=True)
class _Window:
    """Counters of one domain since the last timeline row."""

    counts: dict[str, int] = field(default_factory=dict)
    histograms: dict[str, HdrHistogram] = field(default_factory=lambda: {kind: HdrHistogram() for kind in KINDS})


class Recorder:
    """Counters, histograms and timeline rows of one load process.

    Args:
        phase_names: the phases in order.
        phase_starts_us: their first microseconds, epoch; what comes before the first belongs to the first.
        domains: names of the domains that will be recorded.
    """

    def __init__(self, phase_names: Sequence[str], phase_starts_us: Sequence[int], domains: Sequence[str]) -> None:
        self.phase_names = tuple(phase_names)
        self._starts = list(phase_starts_us)
        self.domains = tuple(domains)
        self.counters = {(p, d): Counters() for p in range(len(self.phase_names)) for d in self.domains}
        self.histograms: dict[tuple[int, str, str], HdrHistogram] = {
            (p, d, kind): HdrHistogram() for p, d in self.counters for kind in KINDS
        }
        self.last_ended_us: dict[int, int] = {}
        self.max_gap_us: dict[tuple[int, str], int] = {}
        self._last_ack_us: dict[str, int] = {}
        self._windows = {d: _Window() for d in self.domains}

    def phase_of(self, ts_us: int) -> int:
        """Index of the phase that an intended time belongs to."""
        return max(bisect_right(self._starts, ts_us) - 1, 0)

    def count(self, domain: str, phase: int, name: str, events: int) -> None:
        """Count events under ``scheduled``, ``sent``, ``acked`` or ``failed``."""
        counters = self.counters[phase, domain]
        setattr(counters, name, getattr(counters, name) + events)
        self._count_window(domain, name, events)

    def count_outcome(self, domain: str, outcome: int, events: int) -> None:
        """Count events that ended; ``outcome`` is an index of ``OUTCOMES``."""
        self._count_window(domain, OUTCOMES[outcome], events)

    def _count_window(self, domain: str, name: str, events: int) -> None:
        counts = self._windows[domain].counts
        counts[name] = counts.get(name, 0) + events

    def latency(self, domain: str, kind: str, phase: int, value_us: int, events: int) -> None:
        """Record one latency, in microseconds, that ``events`` events share."""
        self.histograms[phase, domain, kind].record(value_us, events)
        self._windows[domain].histograms[kind].record(value_us, events)

    def ended(self, domain: str, intended_us: int, done_us: int, events: int) -> None:
        """Record the end-to-end latency of events that were due together and ended together."""
        phase = self.phase_of(intended_us)
        self.latency(domain, "e2e", phase, done_us - intended_us, events)
        self.last_ended_us[phase] = max(self.last_ended_us.get(phase, 0), done_us)

    def acknowledged(self, domain: str, now_us: int) -> None:
        """Note a successful acknowledgement, for the longest time without one."""
        last = self._last_ack_us.get(domain)
        self._last_ack_us[domain] = now_us
        if last is not None:
            where = (self.phase_of(now_us), domain)
            self.max_gap_us[where] = max(self.max_gap_us.get(where, 0), now_us - last)

    def row(self, domain: str, now_us: int) -> dict[str, Any]:
        """The timeline row of the time since the row before; ``None`` where there were no samples."""
        window, self._windows[domain] = self._windows[domain], _Window()
        row: dict[str, Any] = {
            "t": round(now_us / 1e6, 3),
            "phase": self.phase_names[self.phase_of(now_us)],
            "domain": domain,
        }
        for name in ("scheduled", "sent", "acked", "failed", *OUTCOMES):
            row[name] = window.counts.get(name, 0)
        for kind in KINDS:
            histogram = window.histograms[kind]
            some = histogram.total > 0
            for q in (50, 99):
                row[f"{kind}_p{q}_ms"] = histogram.percentile(q) / 1000 if some else None
        late = window.histograms["late"]
        row["late_max_ms"] = late.max / 1000 if late.total else None
        return row
