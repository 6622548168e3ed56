"""Accounts for a simulated run with the code that accounts for real ones, and leaves a run directory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from necp_validate.clients.observer import join_outcome
from necp_validate.events.receipts import Outcome
from necp_validate.events.stakes import total_stakes
from necp_validate.events.topics import Domain
from necp_validate.ledger.latency import Recorder
from necp_validate.ledger.pending import PendingOffsets
from necp_validate.ledger.readback import digest_of
from necp_validate.ledger.transactions import TransactionWatch
from necp_validate.ledger.unavailability import PartitionWatch
from necp_validate.record import (
    BrokerSample,
    GroupSample,
    HdrHistogram,
    HistoryWriter,
    HostSample,
    IntervalSet,
    JsonLines,
    LagSample,
    LeaderSample,
    LoadRecord,
    OutcomesSeen,
    PartitionGap,
    Phase,
    RunInfo,
    StreamRecord,
    append_fault,
    append_flood,
    append_outcome,
    append_password_change,
    append_round,
    append_swaps,
    append_transitions,
    layout,
    write_json,
)
from necp_validate.record.codec import from_plain, to_plain
from necp_validate.record.model import PhaseCounts
from necp_validate.selftest.audit_reading import audit_record
from necp_validate.selftest.course import BREAK, START_US
from necp_validate.selftest.limiting import BURST, RATE_EPS
from necp_validate.selftest.monitoring import lag_rows
from necp_validate.selftest.playing import PLAYERS
from necp_validate.selftest.reading import read_back, receipt_of, receipts_of
from necp_validate.selftest.simulation import PHASES, TRAFFIC, Handled, Simulation

GUARANTEES = {"acks": "all", "enable.idempotence": "true", "max.in.flight.requests.per.connection": "5"}
JUDGED = (
    "DUR-ACKED",
    "LAT-COMBAT",
    "EVT-COMBAT",
    "EVT-REGISTRY",
    "RES-MEMORY",
    "RES-IOPS",
    "OPS-HEALTH",
    "EVT-ECONOMY",
    "FT-BROKER",
    "FT-PARTITION",
    "FT-CONSUMER",
    "CHAOS-ALL",
    "OPS-ROLLBACK",
    "AVAIL",
    "GW-TRANSPORT",
    "GW-SPATIAL",
    "GW-DELTA",
    "GW-TICK",
    "GW-BATCH",
    "GW-SECURITY",
    "SEC-MTLS",
    "SEC-SASL",
    "SEC-ACL",
    "SEC-UNDER-CHAOS",
    "SEC-AUDIT",
    "SEC-RATE",
    "SEC-BREAKER",
    "SEC-SECRETS",
    "SEC-CERTS",
    "SEC-ALERTS",
    "OBS-METRICS",
    "OBS-ALERTS",
    "MTTR",
)
THRESHOLDS = {
    "recovery_s": 3.0,
    "soak_s": 20.0,
    "least_comparisons": 300.0,
    "producer_rate_eps": RATE_EPS,
    "producer_burst": BURST,
    "breaker_recovery_s": (BREAK[1] - BREAK[0]) / 1e6,
    "breaker_closes_s": 1.0,
}
"""The simulated run is short: so are the times that it allows."""

_WORKER = "w0"
_RECEIPT_US = 20_000


def write_run(simulation: Simulation, run_dir: Path) -> None:
    """Write the run directory that a real run with this course of events would have left."""
    writer = HistoryWriter(run_dir)
    writer.save_run(_run_info(run_dir.name, processes=2 if simulation.lost_events else 1))
    writer.save_phases(_phases())
    recorder = _record(simulation, writer)
    writer.save_load(_load_record(simulation, recorder))
    if simulation.lost_events:
        writer.save_load(_lost_record(simulation.lost_events))
    names = recorder.phase_names
    writer.save_latency(_WORKER, {(names[p], d, kind): h for (p, d, kind), h in recorder.histograms.items()})
    readback = read_back(simulation)
    write_json(run_dir / layout.READBACK, readback)
    _write_monitoring(simulation, run_dir, recorder, readback)
    writer.save_players(simulation.played.record)
    writer.save_players_latency(simulation.played.record.worker, simulation.played.latency)
    with writer.players_timeline(simulation.played.record.worker) as rows:
        rows.write(*simulation.played.rows)
    for fault in simulation.course.faults:
        append_fault(run_dir, fault)
    for outcome in simulation.course.outcomes:
        append_outcome(run_dir, outcome)
    for attempts in (simulation.attempts, *simulation.attempts_under_fault):
        append_round(run_dir, attempts)
    writer.save_audit(audit_record(simulation))
    append_flood(run_dir, simulation.limiting.flood)
    with JsonLines(run_dir / layout.BREAKERS) as breakers:
        breakers.write(*simulation.limiting.breakers)
    for change in simulation.course.drills.passwords:
        append_password_change(run_dir, change)
    append_swaps(run_dir, *simulation.course.drills.certificates)
    writer.save_drain(simulation.drain)
    writer.save_core_shutdown(simulation.shutdown)
    with (
        writer.metrics(layout.HOST_METRICS, HostSample) as host,
        writer.metrics(layout.BROKER_METRICS, BrokerSample) as brokers,
        writer.metrics(layout.LAG_METRICS, LagSample) as lag,
        writer.metrics(layout.GROUP_METRICS, GroupSample) as groups,
        writer.metrics(layout.LEADER_METRICS, LeaderSample) as leaders,
    ):
        groups.write(*simulation.course.groups)
        leaders.write(*simulation.course.leaders)
        lag.write(*lag_rows())
        host.write(*(HostSample(t=t, cpu_busy_pct=40.0, cpu_steal_pct=0.0) for t in _seconds()))
        brokers.write(simulation.broker)


def _write_monitoring(simulation: Simulation, run_dir: Path, recorder: Recorder, readback: Any) -> None:
    """What a Prometheus would have seen; its metrics are of what was really done."""
    latency: dict[str, HdrHistogram] = {}
    for (_, domain, kind), histogram in recorder.histograms.items():
        if kind == "e2e":
            latency.setdefault(domain, HdrHistogram()).merge(histogram)
    append_transitions(run_dir, simulation.monitored.rows())
    write_json(
        run_dir / layout.MONITORING,
        simulation.monitored.record(to_plain(readback), latency, [simulation.limiting.flood]),
    )


def _run_info(name: str, processes: int) -> RunInfo:
    config = {
        "judge": list(JUDGED),
        "phases": [{"name": phase.name, "load": phase.load, "ramp_s": 0.0} for phase in PHASES],
        "traffic": {
            str(domain): {"rate_eps": t.rate_eps, "run_length": t.run_length, "tick_hz": t.tick_hz}
            for domain, t in TRAFFIC.items()
        },
        "load": {"processes": processes},
        "players": {"count": PLAYERS, "processes": 1},
        "security": {"at": ["start"], "audit": True},
        "monitoring": {"interval_s": 2.0},
        "thresholds": THRESHOLDS,
    }
    return RunInfo(id=name, scenario="selftest", scale=1.0, seed=0, config=config, status="finished")


def _phases() -> Iterator[Phase]:
    for phase in PHASES:
        target = {str(domain): float(traffic.rate_eps * phase.load) for domain, traffic in TRAFFIC.items()}
        yield Phase(name=phase.name, kind=phase.kind, start_us=phase.start_us, end_us=phase.end_us, target_eps=target)


def _seconds() -> range:
    return range(START_US // 10**6 + 1, PHASES[-1].end_us // 10**6 + 2)


def _record(simulation: Simulation, writer: HistoryWriter) -> Recorder:
    """Let the load's recorder see all that happened, in order of time, with a timeline row every second."""
    names, starts = [phase.name for phase in PHASES], [phase.start_us for phase in PHASES]
    recorder = Recorder(names, starts, [str(domain) for domain in TRAFFIC])
    events = sorted(_happenings(simulation, recorder), key=lambda event: event[0])
    at = 0
    with writer.timeline(_WORKER) as timeline:
        for second in _seconds():
            now_us = second * 10**6
            while at < len(events) and events[at][0] < now_us:
                events[at][1]()
                at += 1
            timeline.write(*(recorder.row(str(domain), now_us) for domain in TRAFFIC))
    for _, happen in events[at:]:
        happen()
    return recorder


def _happenings(simulation: Simulation, recorder: Recorder) -> Iterator[tuple[int, Callable[[], None]]]:
    """What happened when, as calls that tell the recorder."""
    for event in simulation.plan:
        phase = recorder.phase_of(event.ts_us)
        yield event.ts_us, _call(recorder.count, str(event.domain), phase, "scheduled", 1)
    for event in simulation.sent:
        phase = recorder.phase_of(event.ts_us)
        yield event.ts_us, _call(recorder.count, str(event.domain), phase, "sent", 1)
        yield event.ts_us, _call(recorder.latency, str(event.domain), "late", phase, 300, 1)
    pending: dict[tuple[Domain, int], PendingOffsets] = defaultdict(PendingOffsets)
    for ack in simulation.acks:
        domain, ts_us = str(ack.sent.domain), ack.sent.ts_us
        phase = recorder.phase_of(ts_us)
        pending[ack.sent.domain, ack.partition].put(ack.offset, 1, ts_us)
        yield ack.at_us, _call(recorder.count, domain, phase, "acked", 1)
        yield ack.at_us, _call(recorder.latency, domain, "ack", phase, ack.at_us - ts_us, 1)
        yield ack.at_us, _call(recorder.acknowledged, domain, ack.at_us)
    for one in simulation.handled:
        yield one.done_us + _RECEIPT_US, _call(_end, recorder, pending[one.domain, one.partition], one)


def _call(function: Callable[..., None], *arguments: Any) -> Callable[[], None]:
    return lambda: function(*arguments)


def _end(recorder: Recorder, pending: PendingOffsets, one: Handled) -> None:
    """Join one outcome with the acknowledged event at its offset, as the load does with receipts."""
    if one.offset > pending.highest:
        return
    offsets = (one.offset, one.offset)
    join_outcome(recorder, pending, str(one.domain), offsets, int(one.outcome), one.done_us)


def _load_record(simulation: Simulation, recorder: Recorder) -> LoadRecord:
    planned: dict[str, StreamRecord] = {}
    for event in simulation.plan:
        before = planned.get(event.stream)
        planned[event.stream] = StreamRecord(
            stream=event.stream,
            domain=str(event.domain),
            topic=event.domain.topic,
            key=event.key,
            sent=(before.sent if before else 0) + 1,
            acked=before.acked if before else IntervalSet(),
            failed=before.failed if before else IntervalSet(),
        )
    refused = {(event.stream, event.seq) for event in simulation.plan}
    planted = {str(domain): {"cheat": 0, "poison": 0} for domain in TRAFFIC}
    for event in simulation.sent:
        refused.discard((event.stream, event.seq))
        if event.kind != "valid":
            planted[str(event.domain)][event.kind] += 1
    for stream, seq in refused:
        planned[stream].failed.add(seq, seq)
    digests: dict[str, int] = defaultdict(int)
    for ack in simulation.acks:
        planned[ack.sent.stream].acked.add(ack.sent.seq, ack.sent.seq)
        digests[ack.sent.stream] += digest_of(ack.sent.seq, ack.offset, ack.partition, 1)
    names = recorder.phase_names
    return LoadRecord(
        worker=_WORKER,
        streams=tuple(_with_digest(stream, digests[name]) for name, stream in planned.items()),
        guarantees={str(domain): GUARANTEES for domain in TRAFFIC},
        planted=planted,
        phases={
            name: {
                str(domain): from_plain(PhaseCounts, recorder.counters[i, str(domain)].to_json()) for domain in TRAFFIC
            }
            for i, name in enumerate(names)
        },
        stakes={str(domain): _stakes(simulation, domain) for domain in TRAFFIC},
        **_watched(simulation),
        max_gap_ms={
            name: {d: us / 1000 for (phase, d), us in recorder.max_gap_us.items() if phase == i}
            for i, name in enumerate(names)
        },
    )


def _lost_record(events: int) -> LoadRecord:
    """What the master writes down for a worker that was lost in the first second, and had sent nothing."""
    stream = StreamRecord(
        stream="5e1fffff",
        domain=str(Domain.COMBAT),
        topic=Domain.COMBAT.topic,
        key=f"{Domain.COMBAT}-9999",
        sent=events,
        acked=IntervalSet(),
        unknown=IntervalSet([(0, events - 1)]),
    )
    return LoadRecord(
        worker="w1",
        streams=(stream,),
        guarantees={str(Domain.COMBAT): GUARANTEES},
        planted={str(Domain.COMBAT): {"cheat": 1, "poison": 1}},
        lost_us=START_US + 1_000_000,
    )


def _stakes(simulation: Simulation, domain: Domain) -> dict[str, int]:
    return total_stakes(e.value for e in simulation.sent if e.domain is domain and e.kind == "valid")


def _watched(simulation: Simulation) -> dict[str, Any]:
    """What the load worker's watches of partitions and of transactions say."""
    watches = {domain: PartitionWatch(str(domain)) for domain in TRAFFIC}
    for ack in sorted(simulation.acks, key=lambda ack: ack.at_us):
        watches[ack.sent.domain].acked(ack.partition, ack.sent.ts_us, ack.at_us, ack.offset, ack.offset)
    transactions = TransactionWatch()
    for number, receipt in enumerate(receipts_of(simulation)):
        transactions.saw(receipt, 2 * number, 2 * number + (1 if number < simulation.precommitted else 2))
    for partition, (first, last) in simulation.shown.items():
        run = (partition, first, last, Outcome.PROCESSED, PHASES[-1].end_us)
        transactions.saw(receipt_of(Domain.ECONOMY, "core-0", run[4], [run], {}), 0, -1)
    said = transactions.to_json()
    return {
        "gaps": tuple(from_plain(PartitionGap, gap) for watch in watches.values() for gap in watch.gaps),
        "acked_below_known": sum(watch.acked_below_known for watch in watches.values()),
        "outcomes_seen": tuple(from_plain(OutcomesSeen, one) for one in said["outcomes_seen"]),
        "precommitted_reads": said["precommitted_reads"],
    }


def _with_digest(stream: StreamRecord, digest: int) -> StreamRecord:
    plain = {name: getattr(stream, name) for name in ("stream", "domain", "topic", "key", "sent", "acked")}
    return StreamRecord(**plain, failed=stream.failed, digest=digest % 2**64)
