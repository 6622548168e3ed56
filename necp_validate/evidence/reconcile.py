"""Does the record add up? Every figure that is recorded twice must be the same in both places.

An event is counted by stream, by the phase that it was due in, by the second in which it was reported, and in
histograms; the brokers' positions, the consumers' lag and the leaders' epochs say the same again, in their own way. Two
copies that differ name both sides and both files: what rests on them is unknown, since one of the two is wrong. What
only a target explains that does not do what it says is a violation of its own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from necp_validate.core.histogram import HdrHistogram
from necp_validate.evidence.inventory import (
    ACK_LATENCY,
    COMMIT_TIMES,
    END_TO_END,
    EVENTS_READ,
    LAG,
    LATENESS,
    LEADERS,
    SENDERS,
    TIMELINE,
    Evidence,
)
from necp_validate.evidence.subjects import COMMIT_TIME_KNOWN, EVENT_CORE, LOAD, OUTCOMES, Subject
from necp_validate.record import LoadRecord, OutcomeGap, Phase, Record, StreamRecord

LAG_SAMPLES = 15
"""Fewer samples of consumer lag say nothing of its mean."""

LAG_SLACK_S = 0.25
"""What sampling, and an answer of the brokers that is a moment old, add to the lag of a healthy run."""

_SHARED = 0.01
"""From such a share of others' events on, the lag of a topic is not the load's alone."""

_SILENCE_SLACK_S = 2.0
"""Rows are a second apart: a silence may be longer in them by one at either end."""

_BUCKET_SHARE = 1.05
"""A figure of a histogram is that of its bucket: so much the two copies may differ."""

_AFTER_FAULT_S = 330.0
"""Within which leadership returns to the preferred replicas after a fault: brokers look for that every 300 s
(``leader.imbalance.check.interval.seconds``), wherever in that interval the fault was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """Two figures that had to be the same.

    Args:
        where: domain, stream, partition or phase.
        detail: both sides, each with its file.
        parts: names of the parts of the record that cannot both be right.
        broken: whether only a target explains it that does not do what it says; else the record is wrong.
        timed: whether a saturated host explains it as well.
        count: by how much the two differ, at least 1.
    """

    where: str
    detail: str
    parts: tuple[str, ...]
    broken: bool = False
    timed: bool = False
    count: int = 1


_LOADS, _TIMELINE, _LATENCY, _READBACK = (
    "history/load-*.json",
    "history/timeline-*.jsonl",
    "history/latency-*.npz",
    "history/readback.json",
)
_COUNTS = ("sent", "acked", "failed", "unknown")


def _known(history: Record) -> list[LoadRecord]:
    """The load workers that counted: of one that was lost, there is its schedule alone."""
    return [load for load in history.loads if load.lost_us is None]


def _of_stream(stream: StreamRecord) -> dict[str, int]:
    sets = {"acked": stream.acked, "failed": stream.failed, "unknown": stream.unknown}
    return {"sent": stream.sent, **{name: 0 if one is None else one.count for name, one in sets.items()}}


def streams_add_up(history: Record) -> Iterator[Discrepancy]:
    """Every event of a stream is acked, failed or of unknown outcome, and no more than one of them."""
    for sender in history.senders:
        for stream in sender.streams:
            counts = _of_stream(stream)
            parts = counts["acked"] + counts["failed"] + counts["unknown"]
            numbers = stream.acked.copy()
            for one in (stream.failed, stream.unknown):
                for first, last in one.intervals() if one is not None else ():
                    numbers.add(first, last)
            beyond = numbers.last is not None and numbers.last >= stream.sent
            if parts != stream.sent or numbers.count != stream.sent or beyond:
                detail = (
                    f"{stream.sent:,} events sent, but {counts['acked']:,} acked, {counts['failed']:,} failed and "
                    f"{counts['unknown']:,} of unknown outcome ({_file_of(history, sender)})"
                )
                count = max(abs(parts - stream.sent), abs(numbers.count - stream.sent), 1)
                where = f"{stream.domain} stream {stream.stream}"
                yield Discrepancy(where=where, detail=detail, parts=("loads",), count=count)


def _file_of(history: Record, sender: LoadRecord) -> str:
    if any(sender is load for load in history.loads):
        return f"history/load-{sender.worker}.json: streams"
    if any(sender is load for load in history.drill_loads):
        return f"history/drill-{sender.worker}.json: streams"
    return f"history/players-{sender.worker}.json: streams" if history.players else f"history/{sender.worker}.json"


def _phase_counts(history: Record) -> dict[str, dict[str, int | None]]:
    """Events by domain, over all phases; ``None`` where a count was not recorded."""
    found: dict[str, dict[str, int | None]] = defaultdict(lambda: dict.fromkeys(("scheduled", *_COUNTS), 0))
    for load in _known(history):
        for by in (load.phases or {}).values():
            for domain, counts in by.items():
                for name in ("scheduled", *_COUNTS):
                    before, more = found[domain][name], getattr(counts, name)
                    found[domain][name] = None if before is None or more is None else before + more
    return found


def streams_are_phases(history: Record) -> Iterator[Discrepancy]:
    """What was counted by stream is what was counted by phase."""
    by_stream: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_COUNTS, 0))
    for load in _known(history):
        for stream in load.streams:
            for name, count in _of_stream(stream).items():
                by_stream[stream.domain][name] += count
    by_phase = _phase_counts(history)
    for domain in sorted(by_stream.keys() | by_phase.keys()):
        for name in _COUNTS:
            phases, streams = by_phase[domain][name], by_stream[domain][name]
            if phases is not None and phases != streams:
                yield Discrepancy(
                    where=domain,
                    detail=f"{streams:,} {name} by stream ({_LOADS}: streams), {phases:,} by phase ({_LOADS}: phases)",
                    parts=("loads",),
                    count=abs(phases - streams),
                )


def phases_are_timeline(history: Record) -> Iterator[Discrepancy]:
    """What was counted by phase is what was counted second by second."""
    rows: dict[str, dict[str, int | None]] = defaultdict(lambda: dict.fromkeys(("scheduled", *_COUNTS), 0))
    workers = {load.worker for load in _known(history)}
    for row in history.timeline:
        if row.worker in workers:
            for name in ("scheduled", *_COUNTS):
                before, more = rows[row.domain][name], getattr(row, name)
                rows[row.domain][name] = None if before is None or more is None else before + more
    by_phase = _phase_counts(history)
    for domain in sorted(rows.keys() & by_phase.keys()):  # no rows at all are missing, not wrong
        for name in ("scheduled", *_COUNTS):
            phases, seconds = by_phase[domain][name], rows[domain][name]
            if phases is not None and seconds is not None and phases != seconds:
                yield Discrepancy(
                    where=domain,
                    detail=f"{phases:,} {name} by phase ({_LOADS}: phases), {seconds:,} in the rows ({_TIMELINE})",
                    parts=("loads", "timeline"),
                    count=abs(phases - seconds),
                )


def _values(history: Record, phase: Phase | None, domain: str, kind: str) -> int:
    """Values in the histograms of a domain, those below zero included."""
    return sum(
        histogram.total + histogram.negative
        for (name, of_domain, of_kind), histogram in history.latency.items()
        if of_domain == domain and of_kind == kind and (phase is None or name == phase.name)
    )


def phases_are_histograms(history: Record) -> Iterator[Discrepancy]:
    """Every ack has its latency; no more events ended than can have been written; every one sent has its lateness."""
    counted = replace(history, loads=tuple(_known(history)))
    for phase in history.phases:
        for domain in history.domains:
            counts = counted.counts(phase.name, [domain])
            where = f"{domain} in {phase.name}"
            acks = _values(history, phase, domain, "ack")
            if acks and acks != counts.acked:
                detail = f"{counts.acked:,} acked ({_LOADS}: phases), {acks:,} ack latencies ({_LATENCY})"
                yield Discrepancy(
                    where=where, detail=detail, parts=("loads", "latency"), count=abs(acks - counts.acked)
                )
            ends, most = _values(history, phase, domain, "e2e"), counts.acked + (counts.unknown or 0)
            if ends > most:
                detail = f"{ends:,} events ended ({_LATENCY}), {most:,} can have been written ({_LOADS}: phases)"
                yield Discrepancy(where=where, detail=detail, parts=("loads", "latency"), count=ends - most)
            late = _values(history, phase, domain, "late")
            if late and not counts.sent <= late <= counts.scheduled:
                sent = f"{counts.sent:,} sent of {counts.scheduled:,} scheduled ({_LOADS}: phases)"
                detail = f"{late:,} events with a lateness ({_LATENCY}), {sent}"
                yield Discrepancy(where=where, detail=detail, parts=("loads", "latency"))


def outcomes_are_latencies(history: Record) -> Iterator[Discrepancy]:
    """Every outcome that was seen while the load ran has a latency, and is among those that were read back."""
    if not history.sees_ends(history.domains):
        return
    seen: dict[str, int] = defaultdict(int)
    for row in history.timeline:
        seen[row.domain] += row.ended
    yield from _slowest_are_in_histograms(history)
    final: dict[str, int] = defaultdict(int)
    topics = history.domain_of_topic
    for receipt in history.readback.receipts if history.readback is not None else ():
        if receipt.topic in topics:
            final[topics[receipt.topic]] += receipt.accounted.count
    for domain in history.domains:
        ends = _values(history, None, domain, "e2e")
        if ends and domain in seen and ends != seen[domain]:
            detail = f"{seen[domain]:,} outcomes in the rows ({_TIMELINE}), {ends:,} end-to-end latencies ({_LATENCY})"
            yield Discrepancy(
                where=domain, detail=detail, parts=("timeline", "latency"), count=abs(ends - seen[domain])
            )
        if final and history.readback is not None and ends > final[domain]:
            detail = f"{ends:,} events ended ({_LATENCY}), {final[domain]:,} have an outcome ({_READBACK}: receipts)"
            # Lost receipts, or offsets that were given twice, explain it as well: the reading stays evidence of those.
            yield Discrepancy(where=domain, detail=detail, parts=("latency",), count=ends - final[domain])


def _end_to_end(history: Record, domain: str) -> HdrHistogram:
    """The end-to-end latencies of a domain over the whole run."""
    merged = HdrHistogram()
    for (_, of_domain, kind), histogram in history.latency.items():
        if (of_domain, kind) == (domain, "e2e"):
            merged.merge(histogram)
    return merged


def _slowest_are_in_histograms(history: Record) -> Iterator[Discrepancy]:
    """The P99 of a second is no slower than the slowest of the whole run."""
    for domain in history.domains:
        rows = [row.e2e_p99_ms for row in history.timeline if row.domain == domain and row.e2e_p99_ms is not None]
        merged = _end_to_end(history, domain)
        if rows and merged.total and max(rows) > merged.max / 1e3 * _BUCKET_SHARE:
            detail = (
                f"a second with a P99 of {max(rows):,.1f} ms ({_TIMELINE}), but none slower than "
                f"{merged.max / 1e3:,.1f} ms ({_LATENCY})"
            )
            yield Discrepancy(where=domain, detail=detail, parts=("timeline", "latency"))


def reading_adds_up(history: Record) -> Iterator[Discrepancy]:
    """What was read by partition is what was read by stream, and lies below the positions that brokers have told."""
    readback = history.readback
    if readback is None:
        return
    topics = history.domain_of_topic
    by_partition = sum(part.read for part in readback.partitions if part.topic in topics)
    by_stream = sum(read.read.count + (read.duplicates or 0) for read in readback.streams.values())
    strange = (readback.unknown_records or 0) + (readback.others or 0)
    if by_partition and by_partition != by_stream + strange:
        yield Discrepancy(
            where="all topics",
            detail=f"{by_partition:,} records read by partition, {by_stream + strange:,} by stream ({_READBACK})",
            parts=("readback",),
            count=abs(by_partition - by_stream - strange),
        )
    if by_partition and readback.events_read + (readback.others or 0) != by_partition:
        yield Discrepancy(
            where="all topics",
            detail=f"{by_partition:,} records read by partition, {readback.events_read:,} in all ({_READBACK})",
            parts=("readback",),
        )
    ends: dict[str, int] = defaultdict(lambda: -1)
    for part in readback.partitions:
        where = f"{part.topic}-{part.partition}"
        ends[part.topic] = max(ends[part.topic], part.high)
        if part.offsets is not None and part.offsets:
            first, last = part.offsets.first, part.offsets.last
            if part.offsets.count > part.read or first is None or last is None or first < part.low or last >= part.high:
                read = f"{part.read:,} records at {part.offsets.count:,} offsets, {first} to {last}"
                detail = f"{read}, between {part.low} and {part.high} ({_READBACK})"
                yield Discrepancy(where=where, detail=detail, parts=("readback",))
        if part.position is not None and part.position >= part.high and part.topic in topics:
            held = part.high - part.low
            if part.read < held and part.gaps == 0 and not readback.others:
                detail = (
                    f"{part.read:,} records read of {held:,} between {part.low} and {part.high}, and no gap between "
                    f"two of them ({_READBACK})"
                )
                yield Discrepancy(where=where, detail=detail, parts=("readback",), count=held - part.read)
    for sender in history.senders:
        for stream in sender.streams:
            highest = stream.max_acked_offset
            if highest is not None and stream.topic in ends and highest >= ends[stream.topic]:
                detail = (
                    f"acked up to offset {highest:,} ({_file_of(history, sender)}), but no partition of {stream.topic} "
                    f"reaches further than {ends[stream.topic]:,} ({_READBACK}: high)"
                )
                # Brokers that have less than they acknowledged have cut their logs back: both copies are right, and
                # what was lost is found by comparing them.
                yield Discrepancy(where=f"{stream.domain} stream {stream.stream}", detail=detail, parts=(), broken=True)


def silences_are_in_rows(history: Record) -> Iterator[Discrepancy]:
    """Seconds without an ack, or without an outcome, in the rows are a silence in the senders' account as well."""
    sees_ends = history.sees_ends(history.domains)
    for load in _known(history):
        if sees_ends and load.outcome_gaps is not None:
            noted = ((one.domain, _length_s(one)) for one in load.outcome_gaps)
            yield from _longer_in_rows(history, _waiting_rows(history, load.worker), noted, "outcome", "outcome_gaps")
        noted = ((domain, ms / 1000) for by in (load.max_gap_ms or {}).values() for domain, ms in by.items())
        yield from _longer_in_rows(history, _silent_rows(history, load.worker), noted, "ack", "max_gap_ms")


def _length_s(gap: OutcomeGap) -> float:
    return math.inf if gap.to_us is None else (gap.to_us - gap.from_us) / 1e6


def _longer_in_rows(
    history: Record,
    in_rows: Mapping[str, tuple[float, float]],
    noted: Iterable[tuple[str, float]],
    what: str,
    field: str,
) -> Iterator[Discrepancy]:
    """Domains whose longest silence in the rows is longer than any that a worker noted, by domain and seconds."""
    longest: dict[str, float] = defaultdict(float)
    for domain, length_s in noted:
        longest[domain] = max(longest[domain], length_s)
    for domain, (began_s, silent_s) in in_rows.items():
        if silent_s - _SILENCE_SLACK_S > longest[domain]:
            yield Discrepancy(
                where=domain,
                detail=f"{silent_s:.0f} s without an {what} from {_into(history, began_s)} on ({_TIMELINE}), "
                f"but no silence longer than {longest[domain]:.1f} s ({_LOADS}: {field})",
                parts=("loads", "timeline"),
            )


def _silent_rows(history: Record, worker: str) -> dict[str, tuple[float, float]]:
    """By domain, the longest stretch of rows with events sent and none acked, between rows with acks."""
    last: dict[str, float] = {}
    sending: dict[str, bool] = defaultdict(bool)
    found: dict[str, tuple[float, float]] = {}
    for row in history.timeline:
        if row.worker != worker:
            continue
        if row.acked:
            if row.domain in last and sending[row.domain]:
                silent = row.t - last[row.domain] - 1.0  # the row's own second had acks
                if silent > found.get(row.domain, (0.0, 0.0))[1]:
                    found[row.domain] = (last[row.domain], silent)
            last[row.domain], sending[row.domain] = row.t, False
        elif row.sent:
            sending[row.domain] = True
    return found


def _waiting_rows(history: Record, worker: str) -> dict[str, tuple[float, float]]:
    """By domain, the longest stretch of rows from one with acks to the next with outcomes."""
    since: dict[str, float] = {}
    found: dict[str, tuple[float, float]] = {}
    for row in history.timeline:
        if row.worker != worker:
            continue
        if row.ended:
            if row.domain in since:
                silent = row.t - since.pop(row.domain) - 1.0
                if silent > found.get(row.domain, (0.0, 0.0))[1]:
                    found[row.domain] = (row.t - silent, silent)
        elif row.acked:
            since.setdefault(row.domain, row.t)
    return found


def _into(history: Record, at_s: float) -> str:
    begin_s = min((phase.start_us for phase in history.phases), default=0) / 1e6
    return f"{at_s - begin_s:.0f} s into the load"


def elections_have_causes(history: Record) -> Iterator[Discrepancy]:
    """A leader changes under a fault, or when its fault is over; and the log has no epoch that no broker told of."""
    newest: dict[tuple[str, int], int] = {}
    for sample in sorted(history.leaders, key=lambda one: one.t):
        if sample.epoch is None:
            continue
        place = (sample.topic, sample.partition)
        if place in newest and sample.epoch > newest[place] and not _caused(history, sample.t):
            detail = (
                f"a new leader at {_into(history, sample.t)} (epoch {sample.epoch}, metrics/leaders.csv), and no fault "
                "that explains it (history/faults.jsonl)"
            )
            where = f"{sample.topic}-{sample.partition}"
            yield Discrepancy(where=where, detail=detail, parts=("leaders", "faults"))
        newest[place] = max(sample.epoch, newest.get(place, 0))
    for part in (history.readback.epochs or ()) if history.readback is not None else ():
        known = newest.get((part.topic, part.partition))
        if known is not None and part.highest > known and not history.faults:
            seen = f"records of leader epoch {part.highest} ({_READBACK}: epochs)"
            detail = f"{seen}, newest known {known} (metrics/leaders.csv)"
            yield Discrepancy(where=f"{part.topic}-{part.partition}", detail=detail, parts=("leaders", "readback"))


def _caused(history: Record, at_s: float) -> bool:
    return any(
        fault.upsets
        and fault.begin_us / 1e6 - 1.0 <= at_s
        and (fault.end_us is None or at_s <= fault.end_us / 1e6 + _AFTER_FAULT_S)
        for fault in history.faults
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LagAgainstLatency:
    """What one domain's backlog says of its latency (J. D. C. Little, 1961: L = lambda W).

    Args:
        samples: of consumer lag.
        lag_s: mean lag divided by the rate: how long an event waited until it was committed, on average.
        latency_s: mean latency as the event core's outcomes have it.
        allowed_s: by how much the first may be more: what is handled is committed a little later.
    """

    samples: int
    lag_s: float
    latency_s: float
    allowed_s: float

    @property
    def contradicts(self) -> bool:
        """Whether events waited for longer than they are said to have taken."""
        return self.samples >= LAG_SAMPLES and self.lag_s - self.latency_s > self.allowed_s


def lag_against_latency(history: Record) -> dict[str, LagAgainstLatency]:
    """Consumer lag against latency, by domain; only of those whose consumers commit within a known time."""
    promised: Mapping[str, float] = history.due.committed_within_s if history.due is not None else {}
    if not history.phases:
        return {}
    begin_s, end_s = history.phases[0].start_us / 1e6, history.phases[-1].end_us / 1e6
    found = {}
    for domain, within_s in promised.items():
        lags = [s.lag for s in history.lag if s.domain == domain and s.lag is not None and begin_s <= s.t <= end_s]
        acked = sum(history.counts(phase.name, [domain]).acked for phase in history.phases)
        merged = _end_to_end(history, domain)
        if lags and acked and merged.total and not _shared(history, domain):
            found[domain] = LagAgainstLatency(
                samples=len(lags),
                lag_s=sum(lags) / len(lags) / (acked / (end_s - begin_s)),
                latency_s=merged.mean / 1e6,
                allowed_s=within_s + LAG_SLACK_S,
            )
    return found


def _shared(history: Record, domain: str) -> bool:
    """Whether others than the load wrote to a domain's topic: their events wait as well, and have no latency here."""
    others = [sender for sender in history.senders if not any(sender is load for load in history.loads)]
    total, foreign = (
        sum(stream.sent for sender in senders for stream in sender.streams if stream.domain == domain)
        for senders in (history.senders, others)
    )
    return foreign > _SHARED * total


def lag_is_latency(history: Record) -> Iterator[Discrepancy]:
    """Events that wait in the brokers take as long as they wait, whatever their outcomes say."""
    for domain, one in lag_against_latency(history).items():
        if one.contradicts:
            yield Discrepancy(
                where=domain,
                detail=f"events waited {one.lag_s:.2f} s by the mean of {one.samples} samples of consumer lag "
                f"(metrics/lag.csv), but took {one.latency_s:.3f} s by their outcomes ({_LATENCY}); "
                f"{one.allowed_s:.2f} s more are allowed",
                parts=("lag", "latency"),
                broken=True,
                timed=True,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """One comparison.

    Args:
        compare: yields what differs.
        subject: without it in the scenario there is nothing to compare.
        evidence: without which nothing that differs proves nothing.
    """

    compare: Callable[[Record], Iterator[Discrepancy]]
    subject: Subject = LOAD
    evidence: tuple[Evidence, ...] = ()


RECONCILERS: Mapping[str, Reconciler] = {
    "stream-account": Reconciler(compare=streams_add_up, evidence=(SENDERS,)),
    "phase-account": Reconciler(compare=streams_are_phases, evidence=(SENDERS,)),
    "timeline-account": Reconciler(compare=phases_are_timeline, evidence=(SENDERS, TIMELINE)),
    "histogram-account": Reconciler(compare=phases_are_histograms, evidence=(SENDERS, ACK_LATENCY, LATENESS)),
    "outcome-account": Reconciler(compare=outcomes_are_latencies, subject=OUTCOMES, evidence=(TIMELINE, END_TO_END)),
    "position-account": Reconciler(compare=reading_adds_up, evidence=(EVENTS_READ,)),
    "silence-account": Reconciler(compare=silences_are_in_rows, evidence=(SENDERS, TIMELINE)),
    "unexplained-election": Reconciler(compare=elections_have_causes, subject=EVENT_CORE, evidence=(LEADERS,)),
    "implausible-latency": Reconciler(
        compare=lag_is_latency, subject=COMMIT_TIME_KNOWN, evidence=(LAG, END_TO_END, COMMIT_TIMES)
    ),
}
"""By the name of the check that reports it."""


def distrusted(found: Iterable[Discrepancy]) -> dict[str, str]:
    """Parts of the record that do not add up, with the first reason for each."""
    reasons: dict[str, str] = {}
    for one in found:
        for part in one.parts:
            reasons.setdefault(part, f"{one.where}: {one.detail}")
    return reasons
