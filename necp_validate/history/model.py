"""What a run directory holds, as frozen dataclasses; times are epoch microseconds unless named otherwise.

Operations have three outcomes, as in Jepsen: *acked* (the broker said yes), *failed* (certainly nothing was
written) and *unknown* (neither; the event may appear or not). Sequence numbers count each stream's events,
from 0 and without holes, so interval sets of them are short unless something went wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from necp_validate.history.intervals import IntervalSet


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
class Sighting:
    """One of the worst cases that the fresh reader kept, located as well as it could."""

    check: str
    detail: str
    topic: str = ""
    partition: int = -1
    offset: int = -1

    @property
    def where(self) -> str:
        """``topic[partition]@offset`` as far as known."""
        where = self.topic
        if self.partition >= 0:
            where += f"[{self.partition}]"
        if self.offset >= 0:
            where += f"@{self.offset}"
        return where


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecord:
    """One stream as its producer saw it.

    Args:
        stream: 8 hexadecimal digits.
        sent: events handed to the client; their sequence numbers are 0 to ``sent - 1``.
        digest: of where the acked events lie (sequence number, partition, offset), summed modulo 2^64; equal
            to the reader's digest exactly if every event lies where its ack said.
        max_acked_offset: highest offset acked, -1 if none.
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
class LoadRecord:
    """``history/load-<worker>.json``: everything one load worker sent, and what became of it.

    Args:
        guarantees: producer configuration per domain, e.g. ``{"combat": {"acks": "all"}}``.
        planted: bad events sent on purpose, per domain: ``cheat`` (to be rejected), ``poison`` (to be
            dead-lettered).
        phases: counts by phase name and domain.
        last_ended_us: per phase, when the last of its events that has a receipt had ended.
        inconsistent_offsets: acks at an offset that another event of the partition already had.
        offset_not_monotonic: acks whose offset is below that of an earlier event of the same stream.
        unmatched_receipts: acked events whose receipt had not arrived when the worker ended.
        max_gap_ms: longest time between successful acks, by phase name and domain.
        errors: what the client reported of its connections, the last few.
        examples: sends that failed or were acked out of order, the first few, in words.
    """

    worker: str
    streams: tuple[StreamRecord, ...]
    guarantees: dict[str, dict[str, str]] = field(default_factory=dict)
    planted: dict[str, dict[str, int]] = field(default_factory=dict)
    phases: dict[str, dict[str, PhaseCounts]] = field(default_factory=dict)
    inconsistent_offsets: int = 0
    offset_not_monotonic: int = 0
    unmatched_receipts: int = 0
    max_gap_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    last_ended_us: dict[str, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    errors: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """``history/drain.json``: how the backlog of the surge was worked off; nulls if it never was."""

    phase_end_us: int
    lag_at_end: int
    drained_us: int | None = None
    drain_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionRead:
    """One partition as the fresh reader found it.

    Args:
        low, high: watermarks; ``high`` is one above the last offset.
        read: records read.
        gaps: offsets between records that held no record (legal: transactions occupy offsets).
        out_of_order_offsets: records whose offset was not above the one before.
        offsets: offsets read, if the reader kept them; conservation is then checked offset by offset.
    """

    topic: str
    partition: int
    low: int
    high: int
    read: int
    gaps: int = 0
    out_of_order_offsets: int = 0
    offsets: IntervalSet | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRead:
    """One stream as the fresh reader found it.

    Args:
        read: sequence numbers read at least once.
        duplicates: records whose sequence number had been read before.
        out_of_order: runs of records below a sequence number read before in the same partition, duplicates
            left out.
        digest: of where all records read lie, as in :class:`StreamRecord`.
        partitions: where the stream was found; more than one if its topic grew.
    """

    read: IntervalSet
    duplicates: int = 0
    out_of_order: int = 0
    digest: int = 0
    partitions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptsRecord:
    """What the event core's receipts say of one partition.

    Args:
        accounted: offsets with at least one outcome.
        processed, rejected, dead_lettered: outcomes by kind, repeated ones included.
        duplicate_outcomes: outcomes for offsets that already had one.
    """

    topic: str
    partition: int
    accounted: IntervalSet
    processed: int = 0
    rejected: int = 0
    dead_lettered: int = 0
    duplicate_outcomes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Readback:
    """``history/readback.json``: what a fresh reader (from the beginning, read-committed) found.

    Args:
        streams: by stream id.
        bad_value: records whose checksum or envelope is wrong.
        bad_key: records whose Kafka key is not the one in the envelope.
        unknown_records: records that belong to no stream.
        dead_letters: records per dead-letter topic.
    """

    events_read: int
    partitions: tuple[PartitionRead, ...]
    streams: dict[str, StreamRead]
    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    events_per_s: float = 0.0
    max_rss_bytes: int = 0
    bad_value: int = 0
    bad_key: int = 0
    unknown_records: int = 0
    examples: tuple[Sighting, ...] = ()
    receipts: tuple[ReceiptsRecord, ...] = ()
    dead_letters: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreShutdown:
    """``history/core-shutdown.json``: how the event core answered a request to stop."""

    exit_code: int
    seconds: float
    healthy_before: bool


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
