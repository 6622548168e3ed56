"""What a fabricated load worker sent, second by second, and what it saw of it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fabricate.plan import AT_ONCE_ONE_IN, DRAINED_AFTER_US, PARTITIONS, Plan, topic_of
from necp_validate.core.histogram import HdrHistogram
from necp_validate.record import (
    AT_ONCE,
    FaultRecord,
    IntervalSet,
    LoadRecord,
    OutcomesSeen,
    PartitionGap,
    Phase,
    PhaseCounts,
    StreamRecord,
    TimelineRow,
    parts,
)

P50_MS = {"combat": 6.0, "economy": 14.0, "social": 9.0, "system": 8.0}
LOAD_FACTOR = {"warmup": 2.2, "steady": 1.0, "surge": 2.6, "fault": 4.0, "recovery": 1.1}
SIGMA = 0.42
WORKER = "w0"

Counts = Mapping[str, Mapping[str, PhaseCounts]]
"""By phase and domain."""


@dataclass
class Load:
    """What was sent: every stream with the partition that it lies in, and the planted events by domain."""

    streams: list[tuple[int, StreamRecord]]
    planted: dict[str, dict[str, int]]


def write_load(run: Path, plan: Plan, faults: list[FaultRecord]) -> Load:
    """Write timeline, histograms and the worker's record; everything is sent and acked in the end."""
    counts = _timeline(run, plan)
    streams = _streams(plan, counts)
    planted = {domain: _planted(plan, domain, counts) for domain in plan.domains}
    streams = _with_planted(streams, planted)
    parts.LATENCY.write(run, WORKER, _latency(plan, counts))
    load = LoadRecord(
        worker=WORKER,
        streams=tuple(stream for _, stream in streams),
        guarantees={domain: {"acks": "all", "enable.idempotence": "true"} for domain in plan.domains},
        planted=planted,
        expected_totals=totals(plan.domains),
        phases={phase: dict(by) for phase, by in counts.items()},
        inconsistent_offsets=0,
        offset_not_monotonic=0,
        send_errors=(),
        unmatched_receipts=plan.recipe.lost + plan.recipe.backlog,
        max_gap_ms={name: dict.fromkeys(plan.domains, 212.5) for name in counts},
        gaps=_gaps(plan, faults),
        outcome_gaps=(),
        acked_below_known=0,
        outcomes_seen=_outcomes_seen(streams),
        precommitted_reads=0,
        ends_from_future=0,
        last_ended_us={
            phase.name: phase.end_us + (DRAINED_AFTER_US if phase.kind == "surge" else 0) for phase in plan.phases
        },
        cpu_s=61.2,
        max_rss_bytes=210_000_000,
        errors=(),
        examples=(),
        trips={},
        lost_us=None,
    )
    parts.LOADS.write(run, load)
    return Load(streams, planted)


def _timeline(run: Path, plan: Plan) -> dict[str, dict[str, PhaseCounts]]:
    """Rows of every second; what is sent in it is acked and handled in it, but for a few events."""
    counts: dict[str, dict[str, PhaseCounts]] = defaultdict(dict)
    sent, acked, ended = (dict.fromkeys(plan.domains, 0) for _ in range(3))
    rows = []
    before = 0.0
    for spec, phase in zip(plan.phases, plan.scenario.phases, strict=True):
        for second in range(spec.start_us // 10**6, spec.end_us // 10**6):
            into = second - spec.start_us // 10**6
            ramp = min(1.0, (into + 0.5) / phase.ramp_s) if phase.ramp_s else 1.0
            load = before + (phase.load - before) * ramp
            for domain, traffic in plan.scenario.traffic.items():
                scheduled = round(traffic.rate_eps * load)
                sent[domain] += scheduled
                late = round(abs(plan.dice.gauss(0, 0.004)) * scheduled)
                in_flight = 0 if second == plan.end_s - 1 else min(late, scheduled)
                newly = sent[domain] - in_flight - acked[domain]
                acked[domain] += newly
                until = plan.outcomes(domain, max(acked[domain] - plan.lost.get(domain, 0), 0))
                since = plan.outcomes(domain, ended[domain])
                ended[domain] = sum(until)
                outcomes = [now - then for now, then in zip(until, since, strict=True)]
                rows.append(_row(plan, domain, spec, second + 1, scheduled, newly, outcomes))
                counts[phase.name][domain] = counts[phase.name].get(domain, _counts(0)) + _counts(scheduled)
        before = phase.load
    parts.TIMELINE.append(run, *rows, worker=WORKER)
    return counts


def _counts(events: int) -> PhaseCounts:
    """So many events, all sent and acked in the end."""
    return PhaseCounts(
        scheduled=events,
        sent=events,
        acked=events,
        failed=0,
        unknown=0,
        refused=0,
        unplaced=0,
        witnessed=events,
        moved=0,
        watched=events // AT_ONCE_ONE_IN,
    )


def _row(plan: Plan, domain: str, phase: Phase, t: int, scheduled: int, acked: int, outcomes: list[int]) -> TimelineRow:
    noise = math.exp(plan.dice.gauss(0, 0.1))
    p50 = P50_MS[domain] * LOAD_FACTOR[phase.kind] * noise * plan.recipe.slow
    spike = 2.4 if plan.dice.random() < 0.03 else 1.0
    late = 0.6 * noise * (2 if phase.kind == "surge" else 1)
    processed, rejected, dead_lettered = outcomes
    return TimelineRow(
        t=t,
        domain=domain,
        worker=WORKER,
        phase=phase.name,
        scheduled=scheduled,
        sent=scheduled,
        acked=acked,
        failed=0,
        unknown=0,
        refused=0,
        processed=processed,
        rejected=rejected,
        dead_lettered=dead_lettered,
        e2e_p50_ms=round(p50, 3),
        e2e_p99_ms=round(p50 * 2.66 * spike, 3),
        ack_p50_ms=round(p50 * 0.6, 3),
        ack_p99_ms=round(p50 * 1.4 * spike, 3),
        late_p99_ms=round(late, 3) if t % 17 else None,
        late_max_ms=round(late * 3, 3) if t % 17 else None,
    )


def _streams(plan: Plan, counts: Counts) -> list[tuple[int, StreamRecord]]:
    streams = []
    for domain, traffic in plan.scenario.traffic.items():
        sent = sum(by[domain].sent for by in counts.values())
        servers = max(1, traffic.servers)
        shares = [sent // servers + (1 if server < sent % servers else 0) for server in range(servers)]
        ends = [sum(shares[server::PARTITIONS]) for server in range(PARTITIONS)]
        for server, share in enumerate(shares):
            stream = StreamRecord(
                stream=f"{plan.dice.getrandbits(32):08x}",
                domain=domain,
                topic=topic_of(domain),
                key=f"match-{server:04d}",
                sent=share,
                acked=up_to(share),
                failed=IntervalSet(),
                unknown=IntervalSet(),
                digest=plan.dice.getrandbits(64),
                max_acked_offset=ends[server % PARTITIONS] - 1,
                unplaced=0,
            )
            streams.append((server % PARTITIONS, stream))
    return streams


def _with_planted(
    streams: list[tuple[int, StreamRecord]], planted: dict[str, dict[str, int]]
) -> list[tuple[int, StreamRecord]]:
    """The first events of each domain are the bad ones, cheats before poison."""
    left = {domain: dict(kinds) for domain, kinds in planted.items()}
    changed = []
    for partition, stream in streams:
        at, bad = 0, {}
        for kind, count in left[stream.domain].items():
            taken = min(count, stream.sent - at)
            if taken:
                bad[kind] = IntervalSet([(at, at + taken - 1)])
            left[stream.domain][kind] -= taken
            at += taken
        changed.append((partition, replace(stream, planted=bad)))
    return changed


def _outcomes_seen(streams: list[tuple[int, StreamRecord]]) -> tuple[OutcomesSeen, ...]:
    """Of the one domain whose outcomes come in transactions, all."""
    held: dict[int, int] = defaultdict(int)
    for partition, stream in streams:
        if stream.domain == "economy":
            held[partition] += stream.sent
    return tuple(
        OutcomesSeen(topic=topic_of("economy"), partition=number, seen=up_to(count)) for number, count in held.items()
    )


def _planted(plan: Plan, domain: str, counts: Counts) -> dict[str, int]:
    events = sum(by[domain].sent for by in counts.values()) - plan.lost.get(domain, 0)
    _, cheats, poison = plan.outcomes(domain, events)
    return {"cheat": cheats, "poison": poison}


def _gaps(plan: Plan, faults: list[FaultRecord]) -> tuple[PartitionGap, ...]:
    if not faults or faults[0].effective_us is None:
        return ()
    begin_us = faults[0].effective_us
    return tuple(
        PartitionGap(domain=domain, partition=i % PARTITIONS, from_us=begin_us, to_us=begin_us + 10**5 * (12 + 9 * i))
        for i, domain in enumerate(plan.domains)
    )


def _latency(plan: Plan, counts: Counts) -> dict[tuple[str, str, str], HdrHistogram]:
    """Of every event; of those that were lost only until they were acked."""
    histograms = {}
    lost = plan.lost
    for phase in plan.phases:
        for domain, counted in counts[phase.name].items():
            negative = 3 if domain == "system" else 0
            median = P50_MS[domain] * LOAD_FACTOR[phase.kind] * plan.recipe.slow * 1000
            values = plan.np_dice.lognormal(math.log(median), SIGMA, size=counted.acked)
            unended = lost.pop(domain, 0)
            for kind, factor, left_out in (("e2e", 1.0, unended), ("ack", 0.6, 0), ("late", 0.05, 0)):
                micros = (values[left_out:] * factor).astype(np.int64)
                if kind == "e2e":
                    micros[:negative] = -1
                    micros[-1:] = round(median * 9)  # the slowest second of the timeline is no slower
                histogram = histograms[phase.name, domain, kind] = HdrHistogram()
                histogram.record_many(micros)
            histograms[phase.name, domain, AT_ONCE] = HdrHistogram()
            histograms[phase.name, domain, AT_ONCE].record_many(values[: counted.watched or 0].astype(np.int64))
    return histograms


def up_to(count: int) -> IntervalSet:
    """The numbers of so many events or records."""
    return IntervalSet([(0, count - 1)]) if count else IntervalSet()


MONEY, GOODS, BY_ACCOUNT, DAMAGE = 47_001, 3_000, 9_000, 1_250_000


def totals(domains: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """What the events that were sent deal and move, and what the event core has made of it."""
    known = {"combat": {"damage": DAMAGE}, "economy": {"money": MONEY, "goods": GOODS, "postings_sum": BY_ACCOUNT}}
    return {domain: dict(known.get(domain, {})) for domain in domains}
