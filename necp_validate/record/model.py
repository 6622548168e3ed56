"""What a run directory holds, as frozen dataclasses; times are epoch microseconds unless named otherwise.

Operations have three outcomes, as in Jepsen: *acked* (the broker said yes), *failed* (certainly nothing was
written) and *unknown* (neither; the event may appear or not). Sequence numbers count each stream's events,
from 0 and without holes, so interval sets of them are short unless something went wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from necp_validate.core.intervals import IntervalSet


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """``run.json``: what was run, on what, with which configuration, and how far it came."""

    id: str
    scenario: str
    scale: float
    seed: int
    stack: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    started_us: int = 0
    finished_us: int | None = None
    stages: dict[str, Any] = field(default_factory=dict)
    status: str = "running"
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One row of ``history/phases.json``; an event belongs to the phase its *intended* time falls into.

    Args:
        name: unique in the run.
        kind: warmup, steady, surge, fault or recovery.
        target_eps: scheduled rate per domain, events per second.
    """

    name: str
    kind: str
    start_us: int
    end_us: int
    target_eps: dict[str, float] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return (self.end_us - self.start_us) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecord:
    """One stream as its producer saw it.

    Args:
        stream: 8 hexadecimal digits.
        sent: events handed to the client; their sequence numbers are 0 to ``sent - 1``.
        digest: of where the acked events lie (sequence number, partition, offset), summed modulo 2^64; equal
            to the reader's digest exactly if every event lies where its ack said.
        max_acked_offset: highest offset acked, -1 if none.
        unplaced: acked events of which nobody said where they lie; they are in no digest.
    """

    stream: str
    domain: str
    topic: str
    key: str
    sent: int
    acked: IntervalSet
    failed: IntervalSet = field(default_factory=IntervalSet)
    unknown: IntervalSet = field(default_factory=IntervalSet)
    digest: int = 0
    max_acked_offset: int = -1
    unplaced: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseCounts:
    """Events of one phase and domain, by their intended time."""

    scheduled: int = 0
    sent: int = 0
    acked: int = 0
    failed: int = 0

    def __add__(self, other: PhaseCounts) -> PhaseCounts:
        return PhaseCounts(
            scheduled=self.scheduled + other.scheduled,
            sent=self.sent + other.sent,
            acked=self.acked + other.acked,
            failed=self.failed + other.failed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionGap:
    """A stretch in which events waited for a partition and none of its acks came.

    Args:
        from_us: last ack before, or when the first of the waiting events was due if that is later.
        to_us: the next ack; ``None`` if there was none any more.
    """

    domain: str
    partition: int
    from_us: int
    to_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomesSeen:
    """Outcomes in committed transactions that a load worker saw while it ran.

    Args:
        seen: offsets in the partition of ``topic`` whose outcome was seen.
    """

    topic: str
    partition: int
    seen: IntervalSet


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRecord:
    """``history/load-<worker>.json``: everything one load worker sent, and what became of it.

    Args:
        guarantees: producer configuration per domain, e.g. ``{"combat": {"acks": "all"}}``.
        planted: bad events sent on purpose, per domain: ``cheat`` (to be rejected), ``poison`` and ``fuzz`` (to be
            dead-lettered).
        stakes: what all events sent deal and move if they are processed, per domain: damage, money, goods.
        phases: counts by phase name and domain.
        last_ended_us: per phase, when the last of its events that has a receipt had ended.
        inconsistent_offsets: acks at an offset that another event of the partition already had.
        offset_not_monotonic: acks whose offset is below that of an earlier event of the same stream.
        unmatched_receipts: events acked at an offset whose receipt had not arrived when the worker ended.
        max_gap_ms: longest time between successful acks, by phase name and domain.
        gaps: silences of single partitions while events waited for them, longer than 500 ms.
        acked_below_known: acks at or below an offset that was acked before the event was even due.
        outcomes_seen: what transactions that were said to be committed reported while the load ran.
        ends_from_future: events said to have ended after their receipt had arrived: a clock is wrong.
        precommitted_reads: records of a transaction that were handed over before its end was written.
        errors: what the client reported of its connections, the last few.
        examples: sends that failed or were acked out of order, the first few, in words.
        trips: by phase and domain, requests and their times in milliseconds (`clients.trips`).
        lost_us: when a worker was last heard of that never told; this is then what its schedule says it may have sent.
    """

    worker: str
    streams: tuple[StreamRecord, ...]
    guarantees: dict[str, dict[str, str]] = field(default_factory=dict)
    planted: dict[str, dict[str, int]] = field(default_factory=dict)
    stakes: dict[str, dict[str, int]] = field(default_factory=dict)
    phases: dict[str, dict[str, PhaseCounts]] = field(default_factory=dict)
    inconsistent_offsets: int = 0
    offset_not_monotonic: int = 0
    unmatched_receipts: int = 0
    max_gap_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    gaps: tuple[PartitionGap, ...] | None = None
    acked_below_known: int = 0
    outcomes_seen: tuple[OutcomesSeen, ...] | None = None
    precommitted_reads: int = 0
    ends_from_future: int = 0
    last_ended_us: dict[str, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    errors: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    trips: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    lost_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """``history/drain.json``: how the backlog of the surge was worked off; nulls if it never was."""

    phase_end_us: int
    lag_at_end: int
    drained_us: int | None = None
    drain_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceShutdown:
    """``history/core-shutdown.json``, ``history/gateway-shutdown.json``: how a service answered a request to stop."""

    exit_code: int
    seconds: float
    healthy_before: bool


CoreShutdown = ServiceShutdown


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """What one load worker saw of one domain since its row before.

    Args:
        t: end of the time that the row covers, epoch seconds.
        worker: filled in by the reader, from the file's name.
    """

    t: float
    domain: str
    worker: str = ""
    phase: str | None = None
    scheduled: int = 0
    sent: int = 0
    acked: int = 0
    failed: int = 0
    processed: int | None = None
    rejected: int | None = None
    dead_lettered: int | None = None
    e2e_p50_ms: float | None = None
    e2e_p99_ms: float | None = None
    ack_p50_ms: float | None = None
    ack_p99_ms: float | None = None
    late_p99_ms: float | None = None
    late_max_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSample:
    """A row of ``metrics/host.csv``; ``t`` is epoch seconds."""

    t: float
    cpu_busy_pct: float | None = None
    cpu_steal_pct: float | None = None
    mem_used_bytes: float | None = None
    load_cpu_pct: float | None = None
    core_cpu_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSample:
    """A row of ``metrics/brokers.csv``; I/O figures are rates per second."""

    t: float
    broker: str
    cpu_pct: float | None = None
    rss_bytes: float | None = None
    read_ios: float | None = None
    write_ios: float | None = None
    read_bytes: float | None = None
    write_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LagSample:
    """A row of ``metrics/lag.csv``: consumer lag of the event core, in events."""

    t: float
    domain: str
    lag: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IsrSample:
    """A row of ``metrics/isr.csv``: partitions below their replication, and without a leader."""

    t: float
    under_replicated: float | None = None
    offline: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSample:
    """A row of ``metrics/groups.csv``: a consumer group as its coordinator describes it.

    Args:
        state: e.g. STABLE, PREPARING_REBALANCING, COMPLETING_REBALANCING, EMPTY.
        members: members that it has.
    """

    t: float
    group: str
    state: str
    members: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderSample:
    """A row of ``metrics/leaders.csv``: a partition's leader and its epoch, written when they change."""

    t: float
    topic: str
    partition: int
    leader: int
    epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySample:
    """A row of ``metrics/gateway.csv``; without figures while the gateway's ``/health`` does not answer.

    Args:
        t: end of the time that the row covers, epoch seconds.
        instance: the gateway that runs, e.g. ``gateway-0``; the last one while none does.
        tick_hz: its tick rate by its own word.
        sessions: players that are logged in, likewise.
        cpu_pct: CPU time that it used, 100 for a whole core.
        rss_bytes: its resident memory.
    """

    t: float
    instance: str
    tick_hz: float | None = None
    sessions: int | None = None
    cpu_pct: float | None = None
    rss_bytes: float | None = None
