"""What is due of the load: phases, senders, rows of the timeline, latencies, workers, and how it all ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from necp_validate.evidence import subjects
from necp_validate.evidence.coverage import covered_s, length_s
from necp_validate.evidence.inventory.counting import (
    SHARE_COVERED,
    Asked,
    Evidence,
    Holding,
    named,
    present,
)
from necp_validate.evidence.inventory.players import processes
from necp_validate.evidence.load_workers import expected_players, expected_workers, lost_workers
from necp_validate.record import AT_ONCE, Phase, Record


def _phases(history: Record, _: Asked) -> Iterator[Holding]:
    planned = [one.name for one in history.run.plan.phases or ()]
    if not planned:
        yield present("plan of the phases", False, "run.json: config.phases", misleads=True)
    file = "history/phases.json"
    yield named("phases", planned, (phase.name for phase in history.phases), file, misleads=True)
    yield named(
        "phases of the kind, length and rate that were planned",
        (phase.name for phase in history.phases),
        (phase.name for phase in history.phases if _as_planned(history, phase)),
        file,
        misleads=True,
    )


_CLOSE = 0.01


def _as_planned(history: Record, phase: Phase) -> bool:
    """Whether a phase is recorded as the scenario has it, as far as that says so."""
    plan = history.run.plan.phase(phase.name)
    if plan.kind not in (phase.kind, None):
        return False
    if plan.duration_s is not None and not math.isclose(plan.duration_s, phase.duration_s, rel_tol=_CLOSE):
        return False
    for domain, eps in phase.target_eps.items():
        planned = history.run.plan.of_domain(domain).rate_eps
        if planned is not None and not math.isclose(planned * plan.of_peak, eps, rel_tol=_CLOSE):
            return False
    return True


def _senders(history: Record, _: Asked) -> Iterator[Holding]:
    told = history.known_loads
    lost = tuple(load.worker for load in lost_workers(history))
    yield Holding(
        what="records of load workers",
        due=max(expected_workers(history), 1),
        found=len(told),
        file="history/load-*.json",
        missing=lost,
    )
    yield present(
        "records of what was sent",
        any(stream.sent for load in history.loads for stream in load.streams),
        "history/load-*.json",
    )
    if expected_players(history):
        yield processes(history)
        yield present("record of what the gateway sent", history.gateway_record, "history/gateway.json", misleads=True)
    if history.run.plan.audited and not (history.audit is not None and history.audit.needs):
        yield present(
            "record of what the collector sent", history.collector_record, "history/collector.json", misleads=True
        )
    drills = [fault for fault in history.faults if fault.kind in _SENDING_DRILLS and fault.effective_us is not None]
    if drills:
        yield Holding(
            what="records of what drills sent",
            due=len(drills),
            found=len(history.drill_loads),
            file="history/drill-*.json",
            misleads=True,
        )


_SENDING_DRILLS = ("publisher-flood", "poison-breaker")


def _transactions(history: Record, _: Asked) -> Iterator[Holding]:
    """Without one event of theirs, no transaction can have been wrong."""
    acked = any(s.acked for sender in history.senders for s in sender.streams if s.domain == "economy")
    yield present("acked event of the economy", acked, "history/load-*.json")


def _timeline(history: Record, asked: Asked) -> Iterator[Holding]:
    due = found = 0.0
    missing = []
    for load in history.loads:
        if load.lost_us is not None:
            continue
        for domain in asked.domains:
            times = [row.t for row in history.timeline if row.worker == load.worker and row.domain == domain]
            if not any(
                counts.scheduled for by in (load.phases or {}).values() for name, counts in by.items() if name == domain
            ):
                continue  # this worker's share has no server of the domain
            length = length_s(asked.spans)
            there = sum(covered_s(times, span, 2.0) for span in asked.spans)
            due, found = due + length, found + there
            if there < SHARE_COVERED * length:
                missing.append(f"{domain} of {load.worker}")
    yield Holding(
        what="seconds of the load's timeline",
        due=SHARE_COVERED * due if due else 1,
        found=0 if missing else found,
        file="history/timeline-*.jsonl",
        missing=tuple(missing),
        misleads=True,
    )


def _latencies(kind: str) -> Callable[[Record, Asked], Iterator[Holding]]:
    def count(history: Record, asked: Asked) -> Iterator[Holding]:
        due = [
            (phase.name, domain)
            for phase in asked.phases
            for domain in asked.domains
            if history.counts(phase.name, [domain]).acked
        ]
        yield named(
            f"{kind} latency histograms",
            (f"{phase} {domain}" for phase, domain in due),
            (
                f"{phase} {domain}"
                for (phase, domain, of_kind), histogram in history.latency.items()
                if of_kind == kind and histogram.values
            ),
            "history/latency-*.npz",
            misleads=True,
        )

    return count


def _witness(history: Record, asked: Asked) -> Iterator[Holding]:
    """Of every end that was seen on the suite's own stack, somebody beside the target knows when it was."""
    promised = (history.due.receipted_within_s if history.due is not None else None) or {}
    if subjects.EVENT_CORE.there(history) and history.run.target.backend != "external":
        yield named("domains whose ends are to be witnessed", asked.domains, promised, "history/due.json")
    ends = witnessed = 0
    for phase in asked.phases:
        for domain in asked.domains:
            if domain in promised:
                count = history.histogram(phase.name, "e2e", [domain]).values
                ends += count
                witnessed += min(history.counts(phase.name, [domain]).witnessed or 0, count)
    if ends:
        file = "history/load-*.json: phases"
        yield Holding(what="ends that brokers bear witness to", due=ends, found=witnessed, file=file)


def _at_once(history: Record, asked: Asked) -> Iterator[Holding]:
    """Of every event whose outcome was to be written at once a broker says when; of each domain there was one."""
    promised = history.due.receipted_at_once if history.due is not None else None
    if subjects.EVENT_CORE.there(history) and history.run.target.backend != "external":
        loaded = [
            domain for domain in asked.domains if any(history.counts(p.name, [domain]).acked for p in asked.phases)
        ]
        yield named("domains of which some outcomes are written at once", loaded, promised or {}, "history/due.json")
    for phase in asked.phases:
        for domain in asked.domains:
            counts = history.counts(phase.name, [domain])
            if domain in (promised or {}) and counts.acked:
                yield Holding(
                    what=f"outcomes of {domain} in {phase.name} that were to be written at once",
                    due=max(counts.watched or 0, 1),
                    found=history.histogram(phase.name, AT_ONCE, [domain]).values,
                    file="history/latency-*.npz, history/load-*.json: phases",
                )


def _workers(history: Record, _: Asked) -> Iterator[Holding]:
    due = expected_workers(history)
    if due > 1:
        yield Holding(
            what="load workers with a record of their clock",
            due=due,
            found=sum(bool(worker.clocks) for worker in history.workers),
            file="history/workers.json",
        )


PHASES = Evidence(name="phases", parts=("phases",), count=_phases)
SENDERS = Evidence(
    name="what was sent",
    parts=("loads", "players", "drill_loads", "gateway_record", "collector_record"),
    count=_senders,
)
TRANSACTIONS = Evidence(name="transactions", parts=("loads", "players"), count=_transactions)
TIMELINE = Evidence(name="timeline", parts=("timeline",), count=_timeline)
END_TO_END = Evidence(name="end-to-end latencies", parts=("latency",), count=_latencies("e2e"))
WITNESS = Evidence(name="witness of the ends", parts=("loads", "due"), count=_witness)
OUTCOMES_AT_ONCE = Evidence(name="outcomes written at once", parts=("loads", "latency", "due"), count=_at_once)
ACK_LATENCY = Evidence(name="ack latencies", parts=("latency",), count=_latencies("ack"))
LATENESS = Evidence(name="the generator's lateness", parts=("latency",), count=_latencies("late"))
WORKERS = Evidence(name="load workers", parts=("workers",), count=_workers)


def _drain(history: Record, _: Asked) -> Iterator[Holding]:
    yield present("record of how the backlog drained", history.drain, "history/drain.json")


def _core_shutdown(history: Record, _: Asked) -> Iterator[Holding]:
    if history.run.target.backend == "external":
        return  # it is not the suite's own to stop
    yield present("record of the event core's end", history.core_shutdown, "history/core-shutdown.json")


DRAIN = Evidence(name="drain", parts=("drain",), count=_drain)
CORE_SHUTDOWN = Evidence(name="shutdown of the event core", parts=("core_shutdown",), count=_core_shutdown)
