"""What a run directory holds of a run and its load, as frozen dataclasses; moments are epoch microseconds.

Operations have three outcomes, as in Jepsen: *acked* (the broker said yes), *failed* (certainly nothing was
written) and *unknown* (neither; the event may appear or not). Sequence numbers count each stream's events,
from 0 and without holes, so interval sets of them are short unless something went wrong.

``None`` means that something was not recorded, and no field has another default: what was not written down must never
read as "nothing was wrong".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any

from necp_validate.core.intervals import IntervalSet
from necp_validate.record.codec import DecodeError, from_plain
from necp_validate.record.plan import Host, Plan, Target
from necp_validate.record.values import Digest, EpochS, EpochUs, Percent, Place, ReadableAs, Signed


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """``run.json``: what was run, on what, with which configuration, and how far it came.

    Args:
        status: ``running``, ``finished``, ``unread`` (what was sent could not be read back), ``stopped`` (early, by a
            claim that was lost), ``interrupted`` or ``failed``.
        finished_us: None while it is running.
        error: why it did not finish, if so.
    """

    id: str
    scenario: str
    scale: float
    seed: Signed
    stack: Annotated[dict[str, Any], ReadableAs(Target)]
    versions: dict[str, str]
    host: Annotated[dict[str, Any], ReadableAs(Host)]
    config: Annotated[dict[str, Any], ReadableAs(Plan)]
    started_us: EpochUs
    finished_us: EpochUs | None
    stages: dict[str, float]
    status: str
    error: str | None

    @cached_property
    def plan(self) -> Plan:
        """What of the configuration a verdict rests on."""
        return Plan.of(self.config)

    @cached_property
    def target(self) -> Target:
        """What of the stack a verdict rests on."""
        return from_plain(Target, self.stack)

    @cached_property
    def machine(self) -> Host:
        """What of the host a verdict rests on."""
        return from_plain(Host, self.host)


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
    start_us: EpochUs
    end_us: EpochUs
    target_eps: dict[str, float]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return (self.end_us - self.start_us) / 1e6


def in_order(phases: tuple[Phase, ...]) -> None:
    """Hold phases to their order.

    Raises:
        DecodeError: one begins before the one before it ends, or has its name.
    """
    for number, (before, phase) in enumerate(pairwise(phases), start=1):
        if phase.start_us < before.end_us:
            raise DecodeError(f"is before the end of {before.name}", f"[{number}].start_us")
    names = [phase.name for phase in phases]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise DecodeError(f"is the name of another phase, too: {name}", f"[{number}].name")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecord:
    """One stream as its producer saw it; ``acked``, ``failed`` and ``unknown`` together are all that was sent.

    Args:
        stream: 8 hexadecimal digits.
        sent: events handed to the client; their sequence numbers are 0 to ``sent - 1``.
        digest: of where the acked events lie (sequence number, partition, offset), summed modulo 2^64; equal
            to the reader's digest exactly if every event lies where its ack said.
        max_acked_offset: highest offset acked, -1 if none.
        unplaced: acked events whose ack did not say where they lie; they are in no digest.
        planted: numbers of the events that are bad on purpose, by kind: a ``cheat`` is to be rejected, ``poison`` and
            ``fuzz`` are to be dead-lettered, and nothing else.
    """

    stream: str
    domain: str
    topic: str
    key: str
    sent: int
    acked: IntervalSet
    failed: IntervalSet | None = None
    unknown: IntervalSet
    digest: Digest | None = None
    max_acked_offset: Place | None = None
    unplaced: int | None = None
    planted: dict[str, IntervalSet] | None = None

    @classmethod
    def unheard(cls, stream: str, *, domain: str, topic: str, key: str, sent: int) -> StreamRecord:
        """A stream of which nothing was heard: each of its events may have been written or not."""
        return cls(
            stream=stream,
            domain=domain,
            topic=topic,
            key=key,
            sent=sent,
            acked=IntervalSet(),
            failed=IntervalSet(),
            unknown=IntervalSet([(0, sent - 1)]) if sent else IntervalSet(),
            digest=0,
            max_acked_offset=-1,
            unplaced=0,
        )


AT_ONCE = "at_once"
"""Kind of the latencies of those events whose outcome is written at once: until a broker had it, by its own clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseCounts:
    """Events of one phase and domain, by their intended time.

    Args:
        sent: handed to the client: those acked, failed and unknown together.
        unknown: those that were neither acked nor certainly not written.
        refused: those of the failed ones that the client did not take: they were never on their way.
        unplaced: acked events whose ack did not say where they lie, so that their end cannot be seen.
        witnessed: ended events of whose end somebody beside the target knows: when its outcome was appended, or when a
            transaction's end was seen.
        moved: those of them that are said to have ended too long before their outcome was appended: a later end counts.
        watched: acked events whose outcome is to be written at once (``events.receipts.at_once``).
    """

    scheduled: int
    sent: int
    acked: int
    failed: int
    unknown: int | None = None
    refused: int | None = None
    unplaced: int | None = None
    witnessed: int | None = None
    moved: int | None = None
    watched: int | None = None

    @property
    def offered(self) -> int | None:
        """Events that the client took; None if that was not recorded."""
        return _offered(self)

    def __add__(self, other: PhaseCounts) -> PhaseCounts:
        return PhaseCounts(
            scheduled=self.scheduled + other.scheduled,
            sent=self.sent + other.sent,
            acked=self.acked + other.acked,
            failed=self.failed + other.failed,
            unknown=_sum(self.unknown, other.unknown),
            refused=_sum(self.refused, other.refused),
            unplaced=_sum(self.unplaced, other.unplaced),
            witnessed=_sum(self.witnessed, other.witnessed),
            moved=_sum(self.moved, other.moved),
            watched=_sum(self.watched, other.watched),
        )


NO_EVENTS = PhaseCounts(
    scheduled=0, sent=0, acked=0, failed=0, unknown=0, refused=0, unplaced=0, witnessed=0, moved=0, watched=0
)


def _offered(counts: PhaseCounts | TimelineRow) -> int | None:
    if counts.refused is None:
        # Versions that recorded no unknown ones did not count refused ones as sent.
        return counts.sent if counts.unknown is None else None
    return counts.sent - counts.refused


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionGap:
    """A stretch in which events waited for a partition and none of its acks came.

    Args:
        from_us: last ack before, or when the first of the waiting events was due if that is later.
        to_us: the next ack; ``None`` if there was none any more.
    """

    domain: str
    partition: int
    from_us: EpochUs
    to_us: EpochUs | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeGap:
    """A stretch in which acked events of a domain waited for what would become of them, and nothing was heard of any.

    Args:
        from_us: the outcome before, or the first ack of an event that waited if that is later.
        to_us: the next outcome; ``None`` if there was none any more.
    """

    domain: str
    from_us: EpochUs
    to_us: EpochUs | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendError:
    """Sends of one domain that ended in one error.

    Args:
        error: Kafka's or librdkafka's name of it.
        fate: ``failed`` (certainly not written) or ``unknown``.
        count: events.
        first_us, last_us: when the client reported the first and the last of them.
    """

    domain: str
    error: str
    fate: str
    count: int
    first_us: EpochUs
    last_us: EpochUs


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
    """``history/load-<worker>.json``: everything one sender sent, and what became of it.

    Args:
        guarantees: producer configuration per domain, e.g. ``{"combat": {"acks": "all"}}``.
        planted: bad events sent on purpose, per domain: ``cheat`` (to be rejected), ``poison`` and ``fuzz`` (to be
            dead-lettered).
        expected_totals: what all events sent deal and move if they are processed, per domain: `expected_totals.TOTALS`.
        phases: counts by phase name and domain.
        last_ended_us: per phase, when the last of its events whose end was seen had ended, by the core's clock or, with
            a transaction, this one.
        inconsistent_offsets: acks at an offset that another event of the partition had been acked at just before.
        offset_not_monotonic: acks whose offset is below that of an earlier event of the same partition.
        send_errors: sends that ended in an error, by domain and error.
        unmatched_receipts: events acked at an offset whose outcome had not been seen when the worker ended.
        max_gap_ms: longest time between successful acks, by phase name and domain.
        gaps: silences of single partitions while events waited for them, longer than 500 ms.
        outcome_gaps: silences of a domain's outcomes while acked events waited for one, from 1 s on.
        acked_below_known: acks at or below an offset that was acked before the event was even due.
        outcomes_seen: what transactions that were said to be committed reported while the load ran.
        ends_from_future: events said to have ended after their receipt had arrived: a clock is wrong.
        precommitted_reads: records of a transaction that were handed over before its end was written.
        errors: what the client reported of its connections, the last few.
        examples: sends that failed or were acked out of order, the first few, in words.
        trips: by phase and domain, requests and their times in milliseconds (`clients.trips`).
        lost_us: when a worker was last heard of whose own record never came; this is then what its schedule says it
            may have sent. None of a worker that was not lost.
    """

    worker: str
    streams: tuple[StreamRecord, ...]
    guarantees: dict[str, dict[str, str]]
    planted: dict[str, dict[str, int]]
    expected_totals: dict[str, dict[str, int]] | None = None
    phases: dict[str, dict[str, PhaseCounts]] | None = None
    inconsistent_offsets: int | None = None
    offset_not_monotonic: int | None = None
    send_errors: tuple[SendError, ...] | None = None
    unmatched_receipts: int | None = None
    max_gap_ms: dict[str, dict[str, float]] | None = None
    gaps: tuple[PartitionGap, ...] | None = None
    outcome_gaps: tuple[OutcomeGap, ...] | None = None
    acked_below_known: int | None = None
    outcomes_seen: tuple[OutcomesSeen, ...] | None = None
    precommitted_reads: int | None = None
    ends_from_future: int | None = None
    last_ended_us: dict[str, int] | None = None
    cpu_s: float | None = None
    max_rss_bytes: int | None = None
    errors: tuple[str, ...] | None = None
    examples: tuple[str, ...] | None = None
    trips: dict[str, dict[str, dict[str, float]]] | None = None
    lost_us: EpochUs | None = None

    def counts(self, phase: str) -> dict[str, PhaseCounts]:
        """Counts of a phase by domain; nothing if they were not recorded."""
        return (self.phases or {}).get(phase, {})


def last_end_us(loads: Iterable[LoadRecord], phase: str) -> int | None:
    """When the last event of a phase had ended, by all load workers; None if none of them saw one end."""
    ended = [(load.last_ended_us or {}).get(phase) for load in loads]
    return max((us for us in ended if us is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """``history/drain.json``: how the backlog of the surge was worked off.

    Args:
        drained_us: when the last of its events had ended (`LoadRecord.last_ended_us`); None if that was never seen.
        drain_s: from the end of the phase until then.
    """

    phase_end_us: EpochUs
    lag_at_end: int
    drained_us: int | None
    drain_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceShutdown:
    """``history/core-shutdown.json``, ``history/gateway-shutdown.json``: how a service answered a request to stop."""

    exit_code: Signed
    seconds: float
    healthy_before: bool


CoreShutdown = ServiceShutdown


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """What one load worker saw of one domain since its row before.

    Args:
        t: end of the time that the row covers, epoch seconds.
        worker: from the file's name.
        sent: handed to the client.
        failed, unknown: reported as such; those of which nothing was heard are in the last row.
        refused: those of the failed ones that the client did not take.
        processed, rejected, dead_lettered: outcomes seen; None where none can be.
    """

    t: EpochS
    domain: str
    worker: str = ""
    phase: str | None = None
    scheduled: int
    sent: int
    acked: int
    failed: int
    unknown: int | None = None
    refused: int | None = None
    processed: int | None = None
    rejected: int | None = None
    dead_lettered: int | None = None
    e2e_p50_ms: float | None = None
    e2e_p99_ms: float | None = None
    ack_p50_ms: float | None = None
    ack_p99_ms: float | None = None
    late_p99_ms: float | None = None
    late_max_ms: float | None = None

    @property
    def offered(self) -> int | None:
        """Events that the client took; None if that was not recorded."""
        return _offered(self)

    @property
    def ended(self) -> int:
        """Outcomes seen, of any kind; 0 where none can be."""
        return (self.processed or 0) + (self.rejected or 0) + (self.dead_lettered or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSample:
    """A row of ``metrics/host.csv``.

    Args:
        target_run_s: CPU seconds that all threads of brokers and event core had since the row before.
        target_wait_s: seconds that they waited for a CPU although they could have run.
    """

    t: EpochS
    cpu_busy_pct: Percent | None = None
    cpu_steal_pct: Percent | None = None
    mem_used_bytes: float | None = None
    load_cpu_pct: float | None = None
    core_cpu_pct: float | None = None
    target_run_s: float | None = None
    target_wait_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSample:
    """A row of ``metrics/brokers.csv``; I/O figures are rates per second."""

    t: EpochS
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

    t: EpochS
    domain: str
    lag: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IsrSample:
    """A row of ``metrics/isr.csv``: partitions below their replication, and without a leader."""

    t: EpochS
    under_replicated: float | None
    offline: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSample:
    """A row of ``metrics/groups.csv``: a consumer group as its coordinator describes it.

    Args:
        state: e.g. STABLE, PREPARING_REBALANCING, COMPLETING_REBALANCING, EMPTY.
        members: members that it has.
    """

    t: EpochS
    group: str
    state: str
    members: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderSample:
    """A row of ``metrics/leaders.csv``: a partition's leader and its epoch, written when they change.

    Args:
        leader: its node id; -1 if there is none.
        epoch: None if the leader did not answer.
    """

    t: EpochS
    topic: str
    partition: int
    leader: Place
    epoch: Place | None


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

    t: EpochS
    instance: str
    tick_hz: float | None
    sessions: int | None
    cpu_pct: float | None
    rss_bytes: float | None
