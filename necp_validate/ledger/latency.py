"""What one load process measures while it runs: counters and histograms by phase, and one row a second."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from necp_validate.core.histogram import HdrHistogram
from necp_validate.record.model import AT_ONCE, PhaseCounts, TimelineRow

KINDS = ("e2e", "ack", "late")
OUTCOMES = ("processed", "rejected", "dead_lettered")


class Witness(Enum):
    """Who beside the target says when an event ended."""

    NONE = "none"
    """Nobody."""
    SEEN = "seen"
    """The suite saw a transaction's end itself, or a broker's append of the outcome agrees."""
    MOVED = "moved"
    """A broker appended the outcome so late that a later end counts than the target says."""


@dataclass(slots=True)
class Counters:
    """Events of one domain in one phase, the phase being that of their intended time."""

    scheduled: int = 0
    sent: int = 0
    acked: int = 0
    failed: int = 0
    unknown: int = 0
    refused: int = 0
    unplaced: int = 0
    witnessed: int = 0
    moved: int = 0
    watched: int = 0

    def counts(self) -> PhaseCounts:
        """The same as the record keeps it."""
        return PhaseCounts(
            scheduled=self.scheduled,
            sent=self.sent,
            acked=self.acked,
            failed=self.failed,
            unknown=self.unknown,
            refused=self.refused,
            unplaced=self.unplaced,
            witnessed=self.witnessed,
            moved=self.moved,
            watched=self.watched,
        )


@dataclass(slots=True)
class _Window:
    """Counters of one domain since the last timeline row."""

    counts: Counter[str] = field(default_factory=Counter)
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
            (p, d, kind): HdrHistogram() for p, d in self.counters for kind in (*KINDS, AT_ONCE)
        }
        self.last_ended_us: dict[int, int] = {}
        self.max_gap_us: dict[tuple[int, str], int] = {}
        self._last_ack_us: dict[str, int] = {}
        self._windows = {d: _Window() for d in self.domains}

    def phase_of(self, ts_us: int) -> int:
        """Index of the phase that an intended time belongs to."""
        return max(bisect_right(self._starts, ts_us) - 1, 0)

    def count(self, domain: str, phase: int, name: str, events: int) -> None:
        """Count events under ``scheduled``, ``sent``, ``acked``, ``failed``, ``unknown`` or ``refused``."""
        counters = self.counters[phase, domain]
        setattr(counters, name, getattr(counters, name) + events)
        self._count_window(domain, name, events)

    def unplaced(self, domain: str, phase: int, events: int) -> None:
        """Count acknowledged events whose ack did not say where they lie."""
        self.counters[phase, domain].unplaced += events

    def close(self, domain: str) -> None:
        """Count the events that were sent and of which nothing was heard as unknown, each in its phase."""
        for phase in range(len(self.phase_names)):
            of = self.counters[phase, domain]
            self.count(domain, phase, "unknown", of.sent - of.acked - of.failed - of.unknown)

    def count_outcome(self, domain: str, outcome: int, events: int) -> None:
        """Count events that ended; ``outcome`` is an index of ``OUTCOMES``."""
        self._count_window(domain, OUTCOMES[outcome], events)

    def _count_window(self, domain: str, name: str, events: int) -> None:
        self._windows[domain].counts[name] += events

    def latency(self, domain: str, kind: str, phase: int, value_us: int, events: int) -> None:
        """Record one latency, in microseconds, that ``events`` events share."""
        self.histograms[phase, domain, kind].record(value_us, events)
        self._windows[domain].histograms[kind].record(value_us, events)

    def ended(self, domain: str, intended_us: int, done_us: int, events: int, witness: Witness = Witness.NONE) -> None:
        """Record the end-to-end latency of events that were due together and ended together."""
        phase = self.phase_of(intended_us)
        counters = self.counters[phase, domain]
        counters.witnessed += 0 if witness is Witness.NONE else events
        counters.moved += events if witness is Witness.MOVED else 0
        self.latency(domain, "e2e", phase, done_us - intended_us, events)
        self.last_ended_us[phase] = max(self.last_ended_us.get(phase, 0), done_us)

    def watched(self, domain: str, phase: int, events: int) -> None:
        """Count acknowledged events whose receipt is to be written at once."""
        self.counters[phase, domain].watched += events

    def ended_at_once(self, domain: str, intended_us: int, written_us: int) -> None:
        """Record how long it took until a broker had the receipt of an event that is receipted at once."""
        self.histograms[self.phase_of(intended_us), domain, AT_ONCE].record(written_us - intended_us)

    def acknowledged(self, domain: str, now_us: int) -> None:
        """Note a successful acknowledgement, for the longest time without one."""
        last = self._last_ack_us.get(domain)
        self._last_ack_us[domain] = now_us
        if last is not None:
            where = (self.phase_of(now_us), domain)
            self.max_gap_us[where] = max(self.max_gap_us.get(where, 0), now_us - last)

    def row(self, domain: str, now_us: int) -> TimelineRow:
        """The timeline row of the time since the row before; ``None`` where there were no samples."""
        window, self._windows[domain] = self._windows[domain], _Window()
        counts, late = window.counts, window.histograms["late"]
        return TimelineRow(
            t=round(now_us / 1e6, 3),
            phase=self.phase_names[self.phase_of(now_us)],
            domain=domain,
            scheduled=counts["scheduled"],
            sent=counts["sent"],
            acked=counts["acked"],
            failed=counts["failed"],
            unknown=counts["unknown"],
            refused=counts["refused"],
            processed=counts["processed"],
            rejected=counts["rejected"],
            dead_lettered=counts["dead_lettered"],
            e2e_p50_ms=_ms(window.histograms["e2e"], 50),
            e2e_p99_ms=_ms(window.histograms["e2e"], 99),
            ack_p50_ms=_ms(window.histograms["ack"], 50),
            ack_p99_ms=_ms(window.histograms["ack"], 99),
            late_p99_ms=_ms(late, 99),
            late_max_ms=late.max / 1000 if late.total else None,
        )

    def counts_by_phase(self) -> dict[str, dict[str, PhaseCounts]]:
        """Events by the name of their phase and by domain."""
        return {
            name: {domain: self.counters[p, domain].counts() for domain in self.domains}
            for p, name in enumerate(self.phase_names)
        }

    def histograms_by_phase(self) -> dict[tuple[str, str, str], HdrHistogram]:
        """Latencies by the name of their phase, by domain and kind."""
        return {(self.phase_names[p], domain, kind): h for (p, domain, kind), h in self.histograms.items()}

    def gaps_ms_by_phase(self) -> dict[str, dict[str, float]]:
        """The longest time without a successful ack, by the name of the phase and by domain."""
        found: dict[str, dict[str, float]] = {name: {} for name in self.phase_names}
        for (p, domain), gap_us in self.max_gap_us.items():
            found[self.phase_names[p]][domain] = gap_us / 1000
        return found

    def ended_us_by_phase(self) -> dict[str, int]:
        """When the last event of a phase had ended, by its name."""
        return {self.phase_names[p]: ended_us for p, ended_us in self.last_ended_us.items()}


def _ms(histogram: HdrHistogram, q: float) -> float | None:
    return histogram.percentile(q) / 1000 if histogram.total else None
