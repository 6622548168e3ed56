"""Records of a few hand-written operations on one stream, in the manner of Jepsen's checker tests; and of even loads.

Each is complete: all that is due is there, and its accounts add up. A test takes one thing away, or makes it wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from necp_validate.claims import CHECKS, Judgement, judge_record
from necp_validate.core import ClaimResult, Finding, Verdict
from necp_validate.events.topics import COMMITTED_WITHIN_S, RECEIPTED_WITHIN_S, TOPIC_GUARANTEES, TOPICS, Domain
from necp_validate.record import (
    AT_ONCE,
    CoreShutdown,
    Drain,
    EpochRead,
    GroupSample,
    HdrHistogram,
    HostSample,
    IntervalSet,
    IsrSample,
    LagSample,
    LeaderSample,
    LedgerRead,
    LoadRecord,
    OutcomesSeen,
    PartitionRead,
    Phase,
    PhaseCounts,
    Readback,
    ReceiptsRecord,
    Record,
    RunInfo,
    SendError,
    StreamRead,
    StreamRecord,
    TimelineRow,
)
from necp_validate.record.due import Due, TopicDue
from necp_validate.record.readback import DeadLettersRead
from necp_validate.record.topics import BEGIN, END, TopicConfiguration, looks

STREAM = "0000000a"
TOPIC = "game.combat.events"
STRICT = {"acks": "all", "enable.idempotence": "true"}
START_S = 1_790_000_000

PROCESSED, REJECTED, DEAD_LETTERED = range(3)


@dataclass(frozen=True)
class Op:
    """One operation: what happened to event ``seq``, and at which offset."""

    kind: str
    seq: int = -1
    at: int = -1
    outcome: int = PROCESSED


def ack(seq: int, *, at: int | None = None) -> Op:
    return Op("ack", seq, seq if at is None else at)


def info(seq: int) -> Op:
    """The outcome of the send is unknown."""
    return Op("info", seq)


def fail(seq: int) -> Op:
    return Op("fail", seq)


def read(seq: int, *, at: int | None = None) -> Op:
    return Op("read", seq, seq if at is None else at)


def handled(at: int, outcome: int = PROCESSED) -> Op:
    return Op("handled", at=at, outcome=outcome)


def run_info(**changes: Any) -> RunInfo:
    """A run that came to its end; ``config`` is added to what every scenario has."""
    config = {
        "phases": [],
        "traffic": {},
        "topics": {},
        "thresholds": {},
        "load": {"processes": 1},
        "judge": [],
        "experiments": [],
        **changes.pop("config", {}),
    }
    run = RunInfo(
        id="r",
        scenario="s",
        scale=1.0,
        seed=1,
        stack={"backend": "local"},
        versions={},
        host={},
        config=config,
        started_us=START_S * 10**6,
        finished_us=(START_S + 60) * 10**6,
        stages={},
        status="finished",
        error=None,
    )
    return replace(run, **changes)


def load_record(**changes: Any) -> LoadRecord:
    """A load worker that sent nothing and recorded everything."""
    load = LoadRecord(
        worker="w0",
        streams=(),
        guarantees={},
        planted={},
        expected_totals={},
        phases={},
        inconsistent_offsets=0,
        offset_not_monotonic=0,
        send_errors=(),
        unmatched_receipts=0,
        max_gap_ms={},
        gaps=(),
        outcome_gaps=(),
        acked_below_known=0,
        outcomes_seen=(),
        precommitted_reads=0,
        ends_from_future=0,
        last_ended_us={},
    )
    return replace(load, **changes)


def readback_of(**changes: Any) -> Readback:
    """A reading that found nothing, and nothing wrong."""
    readback = Readback(
        events_read=0,
        partitions=(),
        streams={},
        bad_value=0,
        bad_key=0,
        unknown_records=0,
        others=0,
        examples=(),
        epochs=(),
        outputs=(),
        receipts=(),
        dead_letters={},
        letters=(),
        totals={},
        ledger=(),
    )
    return replace(readback, **changes)


AT_ONCE_ONE_IN = 100
"""Of so many acked events one has its outcome written at once."""


def counts_of(*, scheduled: int, sent: int | None = None, acked: int | None = None, failed: int = 0) -> PhaseCounts:
    """Counts of one phase and domain; what was sent and neither acked nor failed is of unknown outcome."""
    sent = scheduled if sent is None else sent
    acked = sent - failed if acked is None else acked
    return PhaseCounts(
        scheduled=scheduled,
        sent=sent,
        acked=acked,
        failed=failed,
        unknown=sent - acked - failed,
        refused=0,
        unplaced=0,
        witnessed=acked,
        moved=0,
        watched=acked // AT_ONCE_ONE_IN,
    )


def phase_of(
    name: str, *, kind: str | None = None, from_s: float = 0, seconds: float, eps: Mapping[str, float] = {}
) -> Phase:  # fmt: skip
    """A phase of the run, ``from_s`` after its start."""
    start_us = round((START_S + from_s) * 10**6)
    return Phase(
        name=name,
        kind=kind or name,
        start_us=start_us,
        end_us=start_us + round(seconds * 10**6),
        target_eps=dict(eps),
    )


def planned(*phases: Phase) -> list[dict[str, object]]:
    """What the scenario says of phases."""
    return [
        {"name": one.name, "kind": one.kind, "duration_s": one.duration_s, "load": 1.0, "ramp_s": 0.0} for one in phases
    ]


def history_of(
    *ops: Op,
    producer: Mapping[str, str] = STRICT,
    domain: str = "combat",
    planted: Mapping[str, int] | None = None,
    seconds: int = 10,
    **changes: Any,
) -> Record:
    """A record of one stream; where no event is ``handled``, every one read was processed once."""
    topic = f"game.{domain}.events"
    done = [op for op in ops if op.kind == "handled"]
    if not done:
        done = [handled(offset) for offset in dict.fromkeys(op.at for op in ops if op.kind == "read")]
    bad = _planted_at(ops, done, planted or {})
    load = _load(ops, domain, topic, producer, planted or {}, bad)
    phase = phase_of("steady", seconds=seconds, eps={domain: 0.0})
    traffic = {domain: {f"{kind}_share": 0.1 for kind in planted}} if planted else {domain: {}}
    found: dict[str, Any] = {
        "loads": (load,),
        "readback": _readback(ops, done, domain, bad),
        "phases": (phase,),
        **_of_ops(ops, done, load, domain),
        **_around(phase, [domain]),
        "run": run_info(config={"phases": planned(phase), "traffic": traffic}),
    }
    if isinstance(changes.get("run"), RunInfo):
        run: RunInfo = changes["run"]
        given = {name: value for name, value in run.config.items() if value}
        changes["run"] = replace(run, config={**found["run"].config, **given})
    found.update(changes)
    return Record(**found)


def _of_ops(ops: Iterable[Op], done: Iterable[Op], load: LoadRecord, domain: str) -> dict[str, Any]:
    """Timeline and latencies: everything happened in the first second."""
    counts = load.counts("steady")[domain]
    outcome_at = {op.at: op.outcome for op in done}
    ended = [0, 0, 0]
    for op in ops:
        if op.kind == "ack" and op.at in outcome_at:
            ended[outcome_at[op.at]] += 1
    rows = []
    for second in range(1, 11):
        first = second == 1
        rows.append(
            TimelineRow(
                t=START_S + second,
                domain=domain,
                worker="w0",
                phase="steady",
                scheduled=counts.scheduled if first else 0,
                sent=counts.sent if first else 0,
                acked=counts.acked if first else 0,
                failed=counts.failed if first else 0,
                unknown=counts.unknown if first else 0,
                refused=0,
                processed=ended[PROCESSED] if first else 0,
                rejected=ended[REJECTED] if first else 0,
                dead_lettered=ended[DEAD_LETTERED] if first else 0,
            )
        )
    return {
        "timeline": tuple(rows),
        "latency": {
            ("steady", domain, kind): histogram_of(number, value_ms)
            for kind, number, value_ms in (
                ("ack", counts.acked, 3.0),
                ("e2e", sum(ended), 10.0),
                ("late", counts.sent, 1.0),
                (AT_ONCE, counts.watched or 0, 10.0),
            )
        },
    }


def histogram_of(number: int, value_ms: float) -> HdrHistogram:
    """So many equal latencies."""
    histogram = HdrHistogram()
    if number:
        histogram.record_many(np.full(number, round(value_ms * 1000), dtype=np.int64))
    return histogram


def topic_due(topic: str, role: str, partitions: int) -> TopicDue:
    """A topic of the game's as it was asked for."""
    spec = TOPICS.get(topic)
    settings = spec.config if spec is not None else {"cleanup.policy": "delete"}
    return TopicDue(topic=topic, role=role, partitions=partitions, replicas=3, settings=settings)


def descriptions(topics: Iterable[TopicDue], when: str, end_s: float) -> Iterator[TopicConfiguration]:
    """Topics as they were asked for: at the beginning, or after all that happened."""
    for one in topics:
        settings = {**dict.fromkeys(TOPIC_GUARANTEES, ""), **(one.settings or {})}
        yield TopicConfiguration(
            t=START_S if when == BEGIN else end_s,
            when=when,
            topic=one.topic,
            partitions=one.partitions,
            replicas=3,
            settings=settings,
        )


def described(history: Record) -> Record:
    """The same run, whose topics were described each time that they had to be, and are as they were asked for."""
    assert history.due is not None
    ends = [phase.end_us for phase in history.phases] + [one.end_us or 0 for one in history.faults]
    end_s = max(ends, default=0) / 1e6
    rows = (
        row
        for when in looks(history.run.plan.experiments or ())
        for row in descriptions(history.due.topics, when, end_s)
    )
    return replace(history, topics=tuple(rows))


def _around(phase: Phase, domains: Iterable[str], busy_pct: float = 50.0, waited: float | None = 0.0) -> dict[str, Any]:
    """What is due, what the event core left, and samples of host, groups and leaders over a phase."""
    domains = list(domains)
    begin_s, end_s = phase.start_us / 1e6, phase.end_us / 1e6
    seconds = np.arange(begin_s, end_s + 1)
    topics = [topic_due(f"game.{domain}.events", "events", 1) for domain in domains]
    topics += [topic_due(f"game.{domain}.events.dlt", "dead-letters", 1) for domain in domains]
    topics += [topic_due("game.core.receipts", "receipts", 4)]
    topics += [topic_due("game.economy.ledger", "ledger", 1)] if "economy" in domains else []
    groups = [f"event-core-{domain}" for domain in domains]
    return {
        "topics": tuple(row for when in (BEGIN, END) for row in descriptions(topics, when, end_s)),
        "due": Due(
            topics=tuple(topics),
            brokers=("1",),
            groups=tuple(groups),
            listeners=(),
            access_cells=0,
            alert_rules=(),
            committed_within_s={d: COMMITTED_WITHIN_S[Domain(d)] for d in domains if d in list(Domain)},
            receipted_within_s={d: RECEIPTED_WITHIN_S[Domain(d)] for d in domains if d in list(Domain)},
            receipted_at_once={d: AT_ONCE_ONE_IN for d in domains if d in list(Domain)},
        ),
        "host": tuple(
            HostSample(t=float(t), cpu_busy_pct=busy_pct, cpu_steal_pct=0.5, target_run_s=1.0, target_wait_s=waited)
            for t in seconds
        ),
        "groups": tuple(
            GroupSample(t=float(t), group=group, state="STABLE", members=1) for t in seconds for group in groups
        ),
        "lag": tuple(LagSample(t=float(t), domain=d, lag=0) for t in seconds[::2] for d in domains),
        "isr": tuple(IsrSample(t=float(t), under_replicated=0, offline=0) for t in seconds[::2]),
        "leaders": tuple(
            LeaderSample(t=begin_s, topic=f"game.{domain}.events", partition=0, leader=1, epoch=0) for domain in domains
        ),
        "core_shutdown": CoreShutdown(exit_code=0, seconds=0.5, healthy_before=True),
    }


def _planted_at(ops: Iterable[Op], done: Iterable[Op], planted: Mapping[str, int]) -> dict[str, IntervalSet]:
    """Which events are planted: those that ended as they must, and of others the last ones."""
    ops = list(ops)
    seq_of = {op.at: op.seq for op in ops if op.kind == "read"}
    left = list(dict.fromkeys(op.seq for op in ops if op.kind in ("ack", "fail", "info")))
    found = {}
    for kind, count in planted.items():
        outcome = REJECTED if kind == "cheat" else DEAD_LETTERED
        ended = [seq_of[op.at] for op in done if op.outcome == outcome and op.at in seq_of]
        chosen = list(dict.fromkeys([*ended, *reversed(left)]))[:count]
        left = [seq for seq in left if seq not in chosen]
        found[kind] = IntervalSet([(seq, seq) for seq in chosen])
    return found


def _load(
    ops: Iterable[Op],
    domain: str,
    topic: str,
    producer: Mapping[str, str],
    planted: Mapping[str, int],
    planted_at: Mapping[str, IntervalSet],
) -> LoadRecord:
    sets = {kind: IntervalSet() for kind in ("ack", "fail", "info")}
    digest, sent, highest = 0, 0, -1
    for op in ops:
        if op.kind not in sets:
            continue
        sets[op.kind].add(op.seq, op.seq)
        sent = max(sent, op.seq + 1)
        if op.kind == "ack":
            digest += hash((op.seq, op.at))
            highest = max(highest, op.at)
    acked, failed = sets["ack"].count, sets["fail"].count
    stream = StreamRecord(
        stream=STREAM,
        domain=domain,
        topic=topic,
        key="match-0001",
        sent=sent,
        acked=sets["ack"],
        failed=sets["fail"],
        unknown=sets["info"],
        digest=digest % 2**64,
        max_acked_offset=highest,
        unplaced=0,
        planted=dict(planted_at),
    )
    at_us = START_S * 10**6
    refused = SendError(
        domain=domain, error="MSG_SIZE_TOO_LARGE", fate="failed", count=failed, first_us=at_us, last_us=at_us
    )
    return load_record(
        streams=(stream,),
        send_errors=(refused,) if failed else (),
        guarantees={domain: dict(producer)},
        planted={domain: dict(planted)},
        phases={"steady": {domain: counts_of(scheduled=sent, sent=sent, acked=acked, failed=failed)}},
        max_gap_ms={"steady": {domain: 100.0}},
        expected_totals={domain: {}},
    )


def _readback(ops: Iterable[Op], done: Iterable[Op], domain: str, planted: Mapping[str, IntervalSet]) -> Readback:
    topic = f"game.{domain}.events"
    seen, offsets, cheats = IntervalSet(), IntervalSet(), IntervalSet()
    seq_of = {op.at: op.seq for op in ops if op.kind == "read"}
    duplicates = out_of_order = digest = out_of_order_offsets = count = 0
    last, highest_at = -1, -1
    for op in ops:
        if op.kind == "ack":
            highest_at = max(highest_at, op.at)
        if op.kind != "read":
            continue
        count += 1
        highest = -1 if seen.last is None else seen.last
        if seen.add(op.seq, op.seq):
            duplicates += 1
        elif op.seq < highest:
            out_of_order += 1
        out_of_order_offsets += op.at <= last
        last = op.at
        offsets.add(op.at, op.at)
        if op.seq in planted.get("cheat", IntervalSet()):
            cheats.add(op.at, op.at)
        digest += hash((op.seq, op.at))
    accounted, rejected, letters, outcomes, twice = IntervalSet(), IntervalSet(), IntervalSet(), [0, 0, 0], 0
    for op in done:
        twice += accounted.add(op.at, op.at)
        outcomes[op.outcome] += 1
        if op.outcome == REJECTED:
            rejected.add(op.at, op.at)
        elif op.outcome == DEAD_LETTERED and op.at in seq_of:
            letters.add(seq_of[op.at], seq_of[op.at])
    high = max(highest_at, -1 if offsets.last is None else offsets.last) + 1
    return readback_of(
        events_read=count,
        partitions=(
            PartitionRead(
                topic=topic,
                partition=0,
                low=0,
                high=high,
                read=count,
                position=high,
                gaps=high - offsets.count,
                offsets=offsets,
                out_of_order_offsets=out_of_order_offsets,
                cheats=cheats,
            ),
        ),
        streams={
            STREAM: StreamRead(
                read=seen,
                duplicates=duplicates,
                out_of_order=out_of_order,
                digest=digest % 2**64,
                partitions=(0,),
            )
        },
        receipts=(
            ReceiptsRecord(
                topic=topic,
                partition=0,
                accounted=accounted,
                processed=outcomes[0],
                rejected=outcomes[1],
                dead_lettered=outcomes[2],
                duplicate_outcomes=twice,
                jumps=(),
                jumps_left_out=0,
                late=IntervalSet(),
                ended_early=0,
                rejected_at=rejected,
            ),
        ),
        dead_letters={f"{topic}.dlt": outcomes[2]},
        letters=(letters_of(f"{topic}.dlt", {STREAM: letters} if letters else {}),),
        epochs=(EpochRead(topic=topic, partition=0, highest=0, decreases=0),) if count else (),
        outputs=_outputs([domain]),
        ledger=(_ledger_of(accounted),) if domain == "economy" else (),
        totals={domain: {}},
    )


def letters_of(topic: str, streams: dict[str, IntervalSet]) -> DeadLettersRead:
    """A dead-letter topic that holds these events of these streams, as they were sent."""
    return DeadLettersRead(topic=topic, streams=streams, repeated=0, altered=0, unknown_records=0)


def _ledger_of(covered: IntervalSet) -> LedgerRead:
    return LedgerRead(
        partition=0,
        covered=covered,
        covered_twice=0,
        entries=covered.count,
        trades=0,
        repeated=0,
        torn=0,
        unfounded=0,
        overdrawn=0,
        moved={},
    )


def _outputs(domains: Iterable[str]) -> tuple[PartitionRead, ...]:
    """Receipts, dead letters and the ledger, each read to its end."""
    places = [("game.core.receipts", number) for number in range(4)]
    places += [(f"game.{domain}.events.dlt", 0) for domain in domains]
    places += [("game.economy.ledger", 0)] if "economy" in domains else []
    return tuple(
        PartitionRead(topic=topic, partition=number, low=0, high=9, read=9, position=9, gaps=0, out_of_order_offsets=0)
        for topic, number in places
    )


def found(history: Record, name: str) -> Finding:
    """What one check finds, whatever evidence is missing."""
    return CHECKS[name](history)


def judged(history: Record, *claims: str) -> Judgement:
    """The whole judgement, with some claims of the suite."""
    run = replace(history.run, config={**history.run.config, "judge": list(claims)})
    return judge_record(replace(history, run=run))


def claim_of(history: Record, claim: str) -> ClaimResult:
    """The result of one claim of the suite."""
    (result,) = judged(history, claim).claims
    return result


def finding_of(history: Record, name: str) -> Finding:
    """What one check or comparison says in the light of the evidence."""
    return next(finding for finding in judged(history).findings if finding.name == name)


def failing(history: Record) -> set[str]:
    """Names of the checks that fail on a record."""
    return {finding.name for finding in judged(history).findings if finding.verdict is Verdict.FAIL}


def unknown(history: Record) -> set[str]:
    """Names of the checks that cannot say."""
    return {finding.name for finding in judged(history).findings if finding.verdict is Verdict.UNKNOWN}


def timed_history(
    *,
    kind: str = "steady",
    seconds: int = 30,
    eps: Mapping[str, float],
    sent_eps: Mapping[str, float] | None = None,
    acked_eps: Mapping[str, float] | None = None,
    handled_eps: Mapping[str, float] | None = None,
    e2e_ms: float = 10.0,
    samples: int | None = None,
    busy_pct: float = 50.0,
    waited: float | None = 0.0,
    late_ms: float = 1.0,
    **changes: Any,
) -> Record:
    """A record of one phase with even rates, for the claims about rates and latencies.

    Of ``samples`` events of each domain the end was seen; of all that were handled by default.
    """
    sent_eps = sent_eps or eps
    acked_eps = acked_eps or sent_eps
    handled_eps = handled_eps or acked_eps
    ends = {d: round(handled_eps[d]) * seconds if samples is None else samples for d in eps}
    rows = [
        TimelineRow(
            t=START_S + second,
            domain=domain,
            worker="w0",
            phase=kind,
            scheduled=round(eps[domain]),
            sent=round(sent_eps[domain]),
            acked=round(acked_eps[domain]),
            failed=0,
            unknown=round(sent_eps[domain]) - round(acked_eps[domain]),
            refused=0,
            processed=_part(ends[domain], seconds, second),
            rejected=0,
            dead_lettered=0,
        )
        for second in range(1, seconds + 1)
        for domain in eps
    ]
    counts = {
        domain: counts_of(
            scheduled=round(eps[domain]) * seconds,
            sent=round(sent_eps[domain]) * seconds,
            acked=round(acked_eps[domain]) * seconds,
        )
        for domain in eps
    }
    latency = {}
    for domain in eps:
        latency[kind, domain, "e2e"] = histogram_of(ends[domain], e2e_ms)
        latency[kind, domain, "ack"] = histogram_of(counts[domain].acked, 3.0)
        latency[kind, domain, "late"] = histogram_of(counts[domain].sent, late_ms)
        latency[kind, domain, AT_ONCE] = histogram_of(counts[domain].watched or 0, e2e_ms)
    load = load_record(
        streams=tuple(_whole_stream(domain, counts[domain]) for domain in eps),
        guarantees={domain: dict(STRICT) for domain in eps},
        phases={kind: counts},
        max_gap_ms={kind: dict.fromkeys(eps, 100.0)},
        outcomes_seen=tuple(
            OutcomesSeen(topic=f"game.{domain}.events", partition=0, seen=_numbers(ends[domain])) for domain in eps
        ),
    )
    phase = phase_of(kind, seconds=seconds, eps=eps)
    found: dict[str, Any] = {
        "run": run_info(config={"phases": planned(phase), "traffic": {domain: {} for domain in eps}}),
        "phases": (phase,),
        "loads": (load,),
        "timeline": tuple(rows),
        "latency": latency,
        "readback": _whole_readback({domain: counts[domain].acked for domain in eps}),
        **_around(phase, eps, busy_pct, waited),
    }
    found["loads"], found["drain"] = drained((load,), phase, seconds=1.0)
    if isinstance(changes.get("run"), RunInfo):
        run: RunInfo = changes["run"]
        given = {name: value for name, value in run.config.items() if value}
        changes["run"] = replace(run, config={**found["run"].config, **given})
    found.update(changes)
    return Record(**found)


def drained(loads: Iterable[LoadRecord], phase: Phase, seconds: float) -> tuple[tuple[LoadRecord, ...], Drain]:
    """A backlog that was gone so long after a phase, by the load workers' account and by the run's."""
    at_us = phase.end_us + round(seconds * 10**6)
    drain = Drain(phase_end_us=phase.end_us, lag_at_end=100, drained_us=at_us, drain_s=seconds)
    return tuple(replace(load, last_ended_us={phase.name: at_us}) for load in loads), drain


def _part(total: int, seconds: int, second: int) -> int:
    """So much of a total falls into one second."""
    return total * second // seconds - total * (second - 1) // seconds


def _numbers(count: int) -> IntervalSet:
    return IntervalSet([(0, count - 1)]) if count else IntervalSet()


def _whole_stream(domain: str, counts: PhaseCounts) -> StreamRecord:
    acked = _numbers(counts.acked)
    unknown = IntervalSet([(counts.acked, counts.sent - 1)]) if counts.sent > counts.acked else IntervalSet()
    return StreamRecord(
        stream=f"{domain:0<8.8}",
        domain=domain,
        topic=f"game.{domain}.events",
        key="k",
        sent=counts.sent,
        acked=acked,
        failed=IntervalSet(),
        unknown=unknown,
        digest=0,
        max_acked_offset=counts.acked - 1,
        unplaced=0,
        planted={},
    )


def _whole_readback(read: Mapping[str, int]) -> Readback:
    """All of each domain's events, read and handled once."""
    return readback_of(
        events_read=sum(read.values()),
        partitions=tuple(
            PartitionRead(
                topic=f"game.{domain}.events",
                partition=0,
                low=0,
                high=count,
                read=count,
                position=count,
                gaps=0,
                offsets=_numbers(count),
                out_of_order_offsets=0,
                cheats=IntervalSet(),
            )
            for domain, count in read.items()
        ),
        streams={
            f"{domain:0<8.8}": StreamRead(read=_numbers(count), duplicates=0, out_of_order=0, digest=0, partitions=(0,))
            for domain, count in read.items()
        },
        receipts=tuple(
            ReceiptsRecord(
                topic=f"game.{domain}.events",
                partition=0,
                accounted=_numbers(count),
                processed=count,
                rejected=0,
                dead_lettered=0,
                duplicate_outcomes=0,
                jumps=(),
                jumps_left_out=0,
                late=IntervalSet(),
                ended_early=0,
                rejected_at=IntervalSet(),
            )
            for domain, count in read.items()
        ),
        epochs=tuple(EpochRead(topic=f"game.{d}.events", partition=0, highest=0, decreases=0) for d in read),
        outputs=_outputs(list(read)),
        letters=tuple(letters_of(f"game.{domain}.events.dlt", {}) for domain in read),
        ledger=(_ledger_of(_numbers(read["economy"])),) if "economy" in read else (),
        totals={domain: {} for domain in read},
    )
