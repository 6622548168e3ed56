"""Histories of a few hand-written operations on one stream, in the manner of Jepsen's checker tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from necp_validate.claims import CHECKS, run_checks
from necp_validate.core import Finding, Verdict
from necp_validate.record import (
    Drain,
    HdrHistogram,
    History,
    HostSample,
    IntervalSet,
    LoadRecord,
    PartitionRead,
    Phase,
    PhaseCounts,
    Readback,
    ReceiptsRecord,
    RunInfo,
    StreamRead,
    StreamRecord,
    TimelineRow,
)

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
    run = RunInfo(id="r", scenario="s", scale=1.0, seed=1, status="finished")
    return replace(run, **changes)


def history_of(
    *ops: Op,
    producer: Mapping[str, str] = STRICT,
    domain: str = "combat",
    planted: Mapping[str, int] | None = None,
    **changes: Any,
) -> History:
    """A history of one stream; where no event is ``handled``, every one read was processed once."""
    topic = f"game.{domain}.events"
    done = [op for op in ops if op.kind == "handled"]
    if not done:
        done = [handled(offset) for offset in dict.fromkeys(op.at for op in ops if op.kind == "read")]
    load = _load(ops, domain, topic, producer, planted or {})
    found = {
        "run": run_info(),
        "loads": (load,),
        "readback": _readback(ops, done, topic),
        "phases": (Phase(name="steady", kind="steady", start_us=0, end_us=1, target_eps={domain: 0.0}),),
    }
    found.update(changes)
    return History(**found)


def _load(
    ops: Iterable[Op], domain: str, topic: str, producer: Mapping[str, str], planted: Mapping[str, int]
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
    acked = sets["ack"].count
    return LoadRecord(
        worker="w0",
        streams=(
            StreamRecord(
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
            ),
        ),
        guarantees={domain: dict(producer)},
        planted={domain: dict(planted)},
        phases={"steady": {domain: PhaseCounts(scheduled=sent, sent=sent, acked=acked)}},
        max_gap_ms={"steady": {domain: 100.0}},
    )


def _readback(ops: Iterable[Op], done: Iterable[Op], topic: str) -> Readback:
    seen, offsets = IntervalSet(), IntervalSet()
    duplicates = out_of_order = digest = out_of_order_offsets = count = 0
    for op in ops:
        if op.kind != "read":
            continue
        count += 1
        highest = -1 if seen.last is None else seen.last
        if seen.add(op.seq, op.seq):
            duplicates += 1
        elif op.seq < highest:
            out_of_order += 1
        out_of_order_offsets += offsets.last is not None and op.at <= offsets.last
        offsets.add(op.at, op.at)
        digest += hash((op.seq, op.at))
    accounted, outcomes, twice = IntervalSet(), [0, 0, 0], 0
    for op in done:
        twice += accounted.add(op.at, op.at)
        outcomes[op.outcome] += 1
    high = (offsets.last or 0) + 1
    return Readback(
        events_read=count,
        partitions=(
            PartitionRead(
                topic=topic,
                partition=0,
                low=0,
                high=high,
                read=count,
                offsets=offsets,
                out_of_order_offsets=out_of_order_offsets,
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
            ),
        ),
        dead_letters={f"{topic}.dlt": outcomes[2]},
        epochs=(),
    )


def found(history: History, name: str) -> Finding:
    return CHECKS[name](history)


def failing(history: History) -> set[str]:
    """Names of the checks that fail on a history."""
    return {finding.name for finding in run_checks(history) if finding.verdict is Verdict.FAIL}


def unknown(history: History) -> set[str]:
    """Names of the checks that cannot say."""
    return {finding.name for finding in run_checks(history) if finding.verdict is Verdict.UNKNOWN}


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
    late_ms: float = 1.0,
    **changes: Any,
) -> History:
    """A history of one phase with even rates, for the claims about rates and latencies."""
    sent_eps = sent_eps or eps
    acked_eps = acked_eps or sent_eps
    handled_eps = handled_eps or acked_eps
    rows = [
        TimelineRow(
            t=START_S + second,
            domain=domain,
            worker="w0",
            phase=kind,
            scheduled=round(eps[domain]),
            sent=round(sent_eps[domain]),
            acked=round(acked_eps[domain]),
            processed=round(handled_eps[domain]),
            rejected=0,
            dead_lettered=0,
        )
        for second in range(1, seconds + 1)
        for domain in eps
    ]
    latency = {}
    counts = {}
    for domain in eps:
        events = round(acked_eps[domain] * seconds)
        seen = events if samples is None else samples
        for what, value_ms in (("e2e", e2e_ms), ("late", late_ms)):
            latency[kind, domain, what] = HdrHistogram()
            latency[kind, domain, what].record_many(np.full(seen, round(value_ms * 1000), dtype=np.int64))
        counts[domain] = PhaseCounts(
            scheduled=round(eps[domain] * seconds), sent=round(sent_eps[domain] * seconds), acked=events
        )
    load = LoadRecord(
        worker="w0",
        streams=tuple(_whole_stream(domain, counts[domain].acked) for domain in eps),
        phases={kind: counts},
        max_gap_ms={kind: dict.fromkeys(eps, 100.0)},
    )
    parts: dict[str, Any] = {
        "run": run_info(),
        "phases": (
            Phase(
                name=kind,
                kind=kind,
                start_us=START_S * 10**6,
                end_us=(START_S + seconds) * 10**6,
                target_eps=dict(eps),
            ),
        ),
        "loads": (load,),
        "timeline": tuple(rows),
        "latency": latency,
        "host": tuple(HostSample(t=START_S + s, cpu_busy_pct=busy_pct, cpu_steal_pct=0.5) for s in range(seconds)),
        "readback": Readback(
            events_read=sum(c.acked for c in counts.values()),
            partitions=(),
            streams={s.stream: StreamRead(read=s.acked, digest=s.digest) for s in load.streams},
        ),
        "drain": Drain(phase_end_us=0, lag_at_end=100, drained_us=10**6, drain_s=1.0) if kind == "surge" else None,
    }
    parts.update(changes)
    return History(**parts)


def _whole_stream(domain: str, events: int) -> StreamRecord:
    numbers = IntervalSet([(0, events - 1)]) if events else IntervalSet()
    return StreamRecord(
        stream=f"{domain:0<8.8}",
        domain=domain,
        topic=f"game.{domain}.events",
        key="k",
        sent=events,
        acked=numbers,
    )
