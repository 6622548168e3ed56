"""The inventory of evidence: for each kind, how much of it a run owes, and how much of that is in its record.

Checks and metrics declare the kinds that they rest on. What is due follows from the scenario and from
``history/due.json``, never from what was found: of a record with half of its rows, the rows cannot say what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from necp_validate.evidence.coverage import Span, covered_s, length_s, without
from necp_validate.evidence.load_workers import expected_players, expected_workers, lost_workers
from necp_validate.evidence.subjects import AUDITED, CALM_ROUNDS, TRANSACTIONAL
from necp_validate.record import FaultRecord, FuzzRecord, PartitionRead, Phase, Readback, Record

SHARE_COVERED = 0.8
"""So much of a time must be covered by samples: on a saturated host, some come late or not at all."""

_SETTLING_S = 30.0
"""So long after a fault of the brokers, those who are asked may not answer yet."""

_MISSING_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a check or a metric looks at.

    Args:
        phases: in order; all of them where it looks at the whole run.
        domains: of the events.
    """

    phases: tuple[Phase, ...]
    domains: tuple[str, ...]

    @property
    def spans(self) -> list[Span]:
        """The phases as times in epoch seconds."""
        return [(phase.start_us / 1e6, phase.end_us / 1e6) for phase in self.phases]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What is due of one thing, and what there is.

    Args:
        what: the thing, in the plural, e.g. ``partitions read back``.
        due: how many there must be.
        found: how many there are.
        file: where they are, in the run directory.
        missing: names of those that are not there, as far as they are known.
        misleads: whether what there is may look worse than the truth: then nothing in it proves a violation.
    """

    what: str
    due: float
    found: float
    file: str
    missing: tuple[str, ...] = ()
    misleads: bool = False

    @property
    def complete(self) -> bool:
        """Whether all that is due is there."""
        return self.found >= self.due

    def __str__(self) -> str:
        names = ", ".join(self.missing[:_MISSING_SHOWN])
        more = f" and {len(self.missing) - _MISSING_SHOWN} more" if len(self.missing) > _MISSING_SHOWN else ""
        lacking = f"; missing: {names}{more}" if names and not self.complete else ""
        if self.due == 1 and not self.found:
            return f"no {self.what} ({self.file}){lacking}"
        return f"{self.found:,.0f} of {self.due:,.0f} {self.what} ({self.file}){lacking}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One kind of evidence.

    Args:
        name: in a word or two.
        parts: names of the parts of the record that it lies in.
        count: what of it is due and found.
    """

    name: str
    parts: tuple[str, ...]
    count: Callable[[Record, Asked], Iterable[Holding]]


def whole_run(history: Record) -> Asked:
    """All phases and all domains."""
    return Asked(phases=history.phases, domains=history.domains)


def _named(what: str, due: Iterable[str], found: Iterable[str], file: str, *, misleads: bool = False) -> Holding:
    """A holding of things that have names."""
    wanted = list(dict.fromkeys(due))
    there = set(found)
    missing = tuple(name for name in wanted if name not in there)
    return Holding(
        what=what, due=len(wanted), found=len(wanted) - len(missing), file=file, missing=missing, misleads=misleads
    )


def _present(what: str, there: object, file: str, *, misleads: bool = False) -> Holding:
    """A holding of one thing."""
    return Holding(what=what, due=1, found=int(bool(there)), file=file, misleads=misleads)


# The load ---------------------------------------------------------------------------------------------------


def _phases(history: Record, _: Asked) -> Iterator[Holding]:
    planned = [one.name for one in history.run.plan.phases or ()]
    if not planned:
        yield _present("plan of the phases", False, "run.json: config.phases", misleads=True)
    file = "history/phases.json"
    yield _named("phases", planned, (phase.name for phase in history.phases), file, misleads=True)
    yield _named(
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
    told = [load for load in history.loads if load.lost_us is None]
    lost = tuple(load.worker for load in lost_workers(history))
    yield Holding(
        what="records of load workers",
        due=max(expected_workers(history), 1),
        found=len(told),
        file="history/load-*.json",
        missing=lost,
    )
    yield _present(
        "records of what was sent",
        any(stream.sent for load in history.loads for stream in load.streams),
        "history/load-*.json",
    )
    if expected_players(history):
        yield from _players(history, _)
        yield _present("record of what the gateway sent", history.gateway_record, "history/gateway.json", misleads=True)
    if history.run.plan.audited and not (history.audit is not None and history.audit.needs):
        yield _present(
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
    yield _present("acked event of the economy", acked, "history/load-*.json")


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
        yield _named(
            f"{kind} latency histograms",
            (f"{phase} {domain}" for phase, domain in due),
            (
                f"{phase} {domain}"
                for (phase, domain, of_kind), histogram in history.latency.items()
                if of_kind == kind and histogram.total + histogram.negative
            ),
            "history/latency-*.npz",
            misleads=True,
        )

    return count


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
ACK_LATENCY = Evidence(name="ack latencies", parts=("latency",), count=_latencies("ack"))
LATENESS = Evidence(name="the generator's lateness", parts=("latency",), count=_latencies("late"))
WORKERS = Evidence(name="load workers", parts=("workers",), count=_workers)


# What the fresh reader found ----------------------------------------------------------------------------------


def _read(roles: Sequence[str]) -> Callable[[Record, Asked], Iterator[Holding]]:
    """Every partition that was due is there, and was read up to its high watermark."""

    def count(history: Record, _: Asked) -> Iterator[Holding]:
        file = "history/readback.json"
        readback = history.readback
        if readback is None:
            yield _present("readback", False, file, misleads=True)
            return
        if history.due is None:
            yield _present("list of the topics that had to be read", False, "history/due.json")
        topics = [one for one in history.due.topics if one.role in roles] if history.due is not None else []
        names = {one.topic for one in topics}
        due = [f"{one.topic}-{number}" for one in topics for number in range(one.partitions)]
        yield from _topics_due(history, roles, names)
        there = [part for part in (*readback.partitions, *(readback.outputs or ())) if part.topic in names]
        yield _named("partitions read back", due, (f"{p.topic}-{p.partition}" for p in there), file, misleads=True)
        yield from _positions(there, file)

    return count


def _topics_due(history: Record, roles: Sequence[str], names: Collection[str]) -> Iterator[Holding]:
    """What is said to be due covers what was sent to: a list with half of its topics cannot say what is missing."""
    file = "history/due.json"
    if history.due is not None and not names:
        yield _present(f"topics with the role {' or '.join(roles)}", False, file)
    elif "events" in roles:
        yield _named("topics sent to, in the list of those to be read", history.domain_of_topic, names, file)
    elif "dead-letters" in roles and not history.own_topics:
        due = len(history.domains)
        yield Holding(what="topics of dead letters to be read", due=due, found=len(names), file=file)


def _positions(there: Sequence[PartitionRead], file: str) -> Iterator[Holding]:
    unknown = [f"{p.topic}-{p.partition}" for p in there if p.position is None]
    yield Holding(
        what="positions that the reader reached",
        due=len(there),
        found=len(there) - len(unknown),
        file=file,
        missing=tuple(unknown),
    )
    short = [f"{p.topic}-{p.partition}" for p in there if p.position is not None and p.position < p.high]
    yield Holding(
        what="partitions read to their high watermark",
        due=len(there) - len(unknown),
        found=len(there) - len(unknown) - len(short),
        file=file,
        missing=tuple(short),
        misleads=True,
    )


def _receipts(history: Record, asked: Asked) -> Iterator[Holding]:
    yield from _read(("receipts",))(history, asked)
    if history.readback is not None:
        written = (f"{p.topic}-{p.partition}" for p in _written(history, history.readback))
        found = (f"{one.topic}-{one.partition}" for one in history.readback.receipts)
        yield _named("partitions with outcomes", written, found, "history/readback.json: receipts")


def _ledger(history: Record, asked: Asked) -> Iterator[Holding]:
    yield from _read(("ledger",))(history, asked)
    if history.readback is not None:
        yield _present("ledger", history.readback.ledger, "history/readback.json: ledger", misleads=True)
        topics = {topic for topic, domain in history.domain_of_topic.items() if domain == TRANSACTIONAL}
        handled = (f"{one.partition}" for one in history.readback.receipts if one.topic in topics)
        booked = (f"{book.partition}" for book in history.readback.ledger or ())
        yield _named("partitions with a ledger", handled, booked, "history/readback.json: ledger")


def _written(history: Record, readback: Readback) -> list[PartitionRead]:
    """The partitions of the events' topics that have records."""
    topics = history.domain_of_topic
    return [part for part in readback.partitions if part.read and part.topic in topics]


def _epochs(history: Record, _: Asked) -> Iterator[Holding]:
    if history.readback is None:
        return
    written = [f"{p.topic}-{p.partition}" for p in _written(history, history.readback)]
    found = (f"{one.topic}-{one.partition}" for one in history.readback.epochs or ())
    yield _named("partitions with leader epochs", written, found, "history/readback.json: epochs")


EVENTS_READ = Evidence(name="events read back", parts=("readback",), count=_read(("events",)))
RECEIPTS = Evidence(name="receipts", parts=("readback",), count=_receipts)
LEDGER = Evidence(name="ledger", parts=("readback",), count=_ledger)
DEAD_LETTERS = Evidence(name="dead letters", parts=("readback",), count=_read(("dead-letters",)))
EPOCHS = Evidence(name="leader epochs", parts=("readback",), count=_epochs)


def _misleading(
    count: Callable[[Record, Asked], Iterable[Holding]],
) -> Callable[[Record, Asked], Iterator[Holding]]:
    """The same where it is looked at for an explanation: without it, what is explained looks like a violation."""

    def counted(history: Record, asked: Asked) -> Iterator[Holding]:
        return (replace(one, misleads=True) for one in count(history, asked))

    return counted


# Samples --------------------------------------------------------------------------------------------------------


def _disturbed(history: Record, *, brokers_only: bool = False) -> list[Span]:
    """When those who are asked may not answer: under faults, and shortly after them."""
    return [_span(fault) for fault in history.faults if fault.upsets and (not brokers_only or _of_brokers(fault))]


def _of_brokers(fault: FaultRecord) -> bool:
    return not fault.kind.startswith(("core-", "gateway-", "scale-", "consumers-"))


def _span(fault: FaultRecord) -> Span:
    end_s = float("inf") if fault.end_us is None else fault.end_us / 1e6 + _SETTLING_S
    return fault.begin_us / 1e6, end_s


def _sampled(
    what: str, file: str, asked: Asked, every_s: float, series: dict[str, list[float]], excused: Iterable[Span] = ()
) -> Holding:
    """How much of the phases each of several series of samples covers."""
    spans = [piece for span in asked.spans for piece in without(span, excused)]
    due = found = 0.0
    missing = []
    for name, times in series.items():
        length = length_s(spans)
        there = sum(covered_s(times, span, every_s) for span in spans)
        due, found = due + SHARE_COVERED * length, found + min(there, SHARE_COVERED * length)
        if there < SHARE_COVERED * length:
            missing.append(f"{name}: {there:.0f} of {length:.0f} s" if name else f"{there:.0f} of {length:.0f} s")
    if not series:
        return _present(what, False, file)
    return Holding(
        what=what, due=due, found=found if not missing else min(found, due - 1), file=file, missing=tuple(missing)
    )


HOST_EVERY_S = BROKERS_EVERY_S = GATEWAY_EVERY_S = 1.0
KAFKA_EVERY_S = 2.0
"""Intervals at which host and brokers, and at which lag, replicas and groups are sampled, seconds."""


def _host(history: Record, asked: Asked) -> Iterator[Holding]:
    times = [s.t for s in history.host if s.cpu_busy_pct is not None and s.cpu_steal_pct is not None]
    yield _sampled("seconds of samples of the host", "metrics/host.csv", asked, HOST_EVERY_S, {"": times})


def _brokers(history: Record, asked: Asked) -> Iterator[Holding]:
    file = "metrics/brokers.csv"
    if history.due is None:
        yield _present("list of the brokers that had to be sampled", False, "history/due.json")
        return
    if not history.due.brokers:
        yield Holding(what="brokers whose process can be seen from here", due=1, found=0, file=file)
        return
    of_stack = [one for one in history.run.target.brokers or () if isinstance(one, dict)]
    due = dict.fromkeys([*history.due.brokers, *(str(one["id"]) for one in of_stack if "id" in one)])
    filled = [s for s in history.brokers if any(one is not None for one in (s.cpu_pct, s.rss_bytes, s.read_ios))]
    series = {f"broker {broker}": [s.t for s in filled if s.broker == broker] for broker in due}
    excused = _disturbed(history, brokers_only=True)
    yield _sampled("seconds of samples of the brokers", file, asked, BROKERS_EVERY_S, series, excused)


def _lag(history: Record, asked: Asked) -> Iterator[Holding]:
    series = {
        domain: [s.t for s in history.lag if s.domain == domain and s.lag is not None] for domain in asked.domains
    }
    file = "metrics/lag.csv"
    yield _sampled("seconds of samples of consumer lag", file, asked, KAFKA_EVERY_S, series, _disturbed(history))


def _commit_times(history: Record, _: Asked) -> Iterator[Holding]:
    promised = history.due.committed_within_s if history.due is not None else {}
    yield _named("times within which consumers commit", history.domains, promised, "history/due.json")


def _replicas(history: Record, asked: Asked) -> Iterator[Holding]:
    times = [s.t for s in history.isr if s.under_replicated is not None and s.offline is not None]
    file = "metrics/isr.csv"
    excused = _disturbed(history, brokers_only=True)
    yield _sampled("seconds of samples of the replicas", file, asked, KAFKA_EVERY_S, {"": times}, excused)


def _groups(history: Record, asked: Asked) -> Iterator[Holding]:
    file = "metrics/groups.csv"
    if history.due is None:
        yield _present("list of the groups that had to be watched", False, "history/due.json")
        return
    due, listed = len(history.domains), len(history.due.groups)
    yield Holding(what="consumer groups to be watched", due=due, found=listed, file="history/due.json")
    series = {group: [s.t for s in history.groups if s.group == group] for group in history.due.groups}
    excused = _disturbed(history, brokers_only=True)
    yield _sampled("seconds of samples of consumer groups", file, asked, KAFKA_EVERY_S, series, excused)


def _leaders(history: Record, _: Asked) -> Iterator[Holding]:
    due = [one for one in history.due.topics if one.role == "events"] if history.due is not None else []
    if not due:
        yield _present("list of the partitions that had to be watched", False, "history/due.json")
    wanted = (f"{one.topic}-{number}" for one in due for number in range(one.partitions))
    found = (f"{one.topic}-{one.partition}" for one in history.leaders)
    yield _named("partitions with a known leader", wanted, found, "metrics/leaders.csv")


HOST = Evidence(name="host", parts=("host",), count=_host)
BROKERS = Evidence(name="brokers", parts=("brokers",), count=_brokers)
LAG = Evidence(name="consumer lag", parts=("lag",), count=_lag)
EXPLAINING_LAG = Evidence(name="consumer lag that may explain it", parts=("lag",), count=_misleading(_lag))
COMMIT_TIMES = Evidence(name="commit times", parts=("due",), count=_commit_times)
REPLICAS = Evidence(name="replicas", parts=("isr",), count=_replicas)
GROUPS = Evidence(name="consumer groups", parts=("groups",), count=_groups)
LEADERS = Evidence(name="leaders", parts=("leaders",), count=_leaders)


# Faults -----------------------------------------------------------------------------------------------------------


def _experiments(history: Record, _: Asked) -> Iterator[Holding]:
    planned = history.run.plan.experiments or ()
    ended = {one.experiment for one in history.experiments}
    yield _named("experiments with a record of how they ended", planned, ended, "history/experiments.jsonl")


def _faults(history: Record, asked: Asked) -> Iterator[Holding]:
    """Every experiment left its faults: those that its own record names, and one at least."""
    yield from _experiments(history, asked)
    named = [fault_id for one in history.experiments for fault_id in one.faults or ()]
    there = {fault.id for fault in history.faults}
    yield _named("faults that experiments have injected", named, there, "history/faults.jsonl")
    silent = [one.experiment for one in history.experiments if one.faults is None]
    yield Holding(
        what="experiments that name their faults",
        due=len(history.experiments),
        found=len(history.experiments) - len(silent),
        file="history/experiments.jsonl",
        missing=tuple(silent),
    )


def _for_faults(
    what: str, kinds: Sequence[str], rows: Callable[[Record], Iterable[str]], file: str
) -> Callable[[Record, Asked], Iterator[Holding]]:
    """A row for each fault of some kinds that took effect."""

    def count(history: Record, _: Asked) -> Iterator[Holding]:
        due = [fault.id for fault in history.faults if fault.kind in kinds and fault.effective_us is not None]
        yield _named(what, due, rows(history), file)

    return count


def _floods(history: Record, _: Asked) -> Iterator[Holding]:
    due = [fault for fault in history.faults if fault.kind == "publisher-flood" and fault.effective_us is not None]
    yield Holding(what="records of floods", due=len(due), found=len(history.floods), file="history/limits.jsonl")


def _breakers(history: Record, _: Asked) -> Iterator[Holding]:
    """Samples of a breaker from before its poison until the fault was over."""
    every_s = 1.0  # ten a second are taken; a second without any is a hole
    due = found = 0.0
    for fault in history.faults:
        if fault.kind != "poison-breaker" or fault.effective_us is None:
            continue
        domain = fault.target.split(" ")[0]
        times = [one.t_us / 1e6 for one in history.breakers if one.domain == domain]
        end_us = (
            max([fault.effective_us, *(phase.end_us for phase in history.phases)])
            if fault.end_us is None
            else fault.end_us
        )
        span = (fault.effective_us / 1e6, end_us / 1e6)
        due += SHARE_COVERED * length_s([span])
        found += min(covered_s(times, span, every_s), SHARE_COVERED * length_s([span]))
    if due:
        yield Holding(
            what="seconds of samples of circuit breakers", due=due, found=found, file="history/breakers.jsonl"
        )


EXPERIMENTS = Evidence(name="experiments", parts=("experiments",), count=_experiments)
FAULTS = Evidence(name="faults", parts=("faults", "experiments"), count=_faults)
EXPLAINING_FAULTS = Evidence(
    name="faults that may explain it", parts=("faults", "experiments"), count=_misleading(_faults)
)
FLOODS = Evidence(name="floods", parts=("floods", "drill_loads"), count=_floods)
BREAKERS = Evidence(name="circuit breakers", parts=("breakers",), count=_breakers)
PASSWORDS = Evidence(
    name="password changes",
    parts=("password_changes",),
    count=_for_faults(
        "password changes whose clients were watched",
        ("password-rotation",),
        lambda history: (one.fault for one in history.password_changes),
        "history/password-changes.jsonl",
    ),
)
CERTIFICATES = Evidence(
    name="certificate swaps",
    parts=("certificate_swaps",),
    count=_for_faults(
        "certificate swaps that were looked at",
        ("certificate-reload", "ca-rollover"),
        lambda history: (one.fault for one in history.certificate_swaps),
        "history/certificate-swaps.jsonl",
    ),
)


# Security and monitoring ------------------------------------------------------------------------------------------


def _calm(history: Record) -> list[Any]:
    return [one for one in history.security if one.when in CALM_ROUNDS]


def _rounds(history: Record, _: Asked) -> Iterator[Holding]:
    yield _named(
        "rounds of attempts", history.run.plan.rounds, (one.when for one in history.security), "history/security.jsonl"
    )


def _listeners(mutual: bool | None) -> Callable[[Record, Asked], Iterator[Holding]]:
    def count(history: Record, asked: Asked) -> Iterator[Holding]:
        yield from _rounds(history, asked)
        due = history.due.listeners if history.due is not None else ()
        if not due:
            yield _present("list of the attempts that had to be made", False, "history/due.json")
        for one in _calm(history):
            wanted = [
                f"{attempt} at {of.listener} of broker {of.broker}"
                for of in due
                if mutual is None or of.mutual == mutual
                for attempt in of.attempts
            ]
            made = (
                f"{p.attempt} at {p.listener} of broker {p.broker}" for p in one.listeners if p.outcome != "untried"
            )
            yield _named(f"attempts to get in, {one.when}", wanted, made, "history/security.jsonl")

    return count


def _rounds_under_faults(history: Record, asked: Asked) -> Iterator[Holding]:
    """While a broker is down, the others answer: every attempt was made at some broker."""
    yield from _rounds(history, asked)
    due = history.due.listeners if history.due is not None else ()
    wanted = [f"{attempt} at {of.listener}" for of in due for attempt in of.attempts]
    for one in history.security:
        if one.when not in CALM_ROUNDS:
            made = (f"{p.attempt} at {p.listener}" for p in one.listeners if p.outcome != "untried")
            yield _named(f"attempts that a broker answered, {one.when}", wanted, made, "history/security.jsonl")


def _access(history: Record, asked: Asked) -> Iterator[Holding]:
    yield from _rounds(history, asked)
    due = history.due.access_cells if history.due is not None else 0
    if not due:
        yield _present("number of the cells that had to be tried", False, "history/due.json")
    for one in _calm(history):
        cells = {(p.principal, p.resource, p.operation) for p in one.access if p.outcome != "untried"}
        what = f"cells of the access matrix, {one.when}"
        yield Holding(what=what, due=due, found=len(cells), file="history/security.jsonl")


_LOOKS_EVERY_S = 1.0


def _prometheus(history: Record, _: Asked) -> Iterator[Holding]:
    file = "history/monitoring.json"
    record = history.monitoring
    yield _present("record of the monitoring", record is not None and not record.needs, file)
    if record is None or record.needs:
        return
    targets = record.targets or {}
    down = tuple(name for name, up in targets.items() if not up)
    yield Holding(
        what="targets that Prometheus reached in the end",
        due=max(len(targets), 1),
        found=len(targets) - len(down),
        file=file,
        missing=down,
    )


def _monitoring(history: Record, asked: Asked) -> Iterator[Holding]:
    yield from _prometheus(history, asked)
    file = "history/monitoring.json"
    record = history.monitoring
    if record is None or record.needs:
        return
    begin_us = min((phase.start_us for phase in asked.phases), default=record.begin_us or 0)
    end_us = max((phase.end_us for phase in asked.phases), default=record.end_us or 0)
    length_s_ = (end_us - begin_us) / 1e6
    watched_s = (min(record.end_us or 0, end_us) - max(record.begin_us or end_us, begin_us)) / 1e6
    # An alert that nobody looked for is no alert that did not come.
    yield Holding(
        what="seconds watched for alerts",
        due=round(length_s_),
        found=round(max(watched_s, 0.0)),
        file=file,
        misleads=True,
    )
    if record.transitions is not None:
        changes, found = record.transitions, len(history.alerts)
        yield Holding(what="changes of alerts", due=changes, found=found, file="history/alerts.jsonl", misleads=True)
    due_looks = SHARE_COVERED * ((record.end_us or 0) - (record.begin_us or 0)) / 1e6 / _LOOKS_EVERY_S
    yield Holding(
        what="looks at the alerts that were answered",
        due=round(max(due_looks, 1)),
        found=(record.looks or 0) - (record.missed or 0),
        file=file,
        misleads=True,
    )
    due = history.due.alert_rules if history.due is not None else ()
    if not due:
        yield _present("list of the alert rules that had to be loaded", False, "history/due.json")
    yield _named("alert rules that Prometheus has loaded", due, (rule.name for rule in record.rules or ()), file)


def _metric_values(history: Record, asked: Asked) -> Iterator[Holding]:
    yield from _prometheus(history, asked)
    record = history.monitoring
    if record is not None and not record.needs:
        file = "history/monitoring.json"
        yield _present("values of metrics", record.values, f"{file}: values", misleads=True)
        yield _present("samples of metrics over time", record.points, f"{file}: points")
        yield _present("independent counts", record.counted, f"{file}: counted")


def _audit(history: Record, _: Asked) -> Iterator[Holding]:
    file = "history/audit.json"
    yield _present("record of the audit trail", history.audit is not None and not history.audit.needs, file)


ROUNDS = Evidence(name="rounds of attempts", parts=("security",), count=_rounds)
EXPLAINING_ROUNDS = Evidence(name="rounds that may explain it", parts=("security",), count=_misleading(_rounds))
ROUNDS_UNDER_FAULTS = Evidence(name="rounds under faults", parts=("security",), count=_rounds_under_faults)
MUTUAL_LISTENERS = Evidence(name="listeners with mutual TLS", parts=("security",), count=_listeners(True))
LOGIN_LISTENERS = Evidence(name="listeners with a login", parts=("security",), count=_listeners(False))
ALL_LISTENERS = Evidence(name="listeners", parts=("security",), count=_listeners(None))
ACCESS = Evidence(name="access matrix", parts=("security",), count=_access)
MONITORING = Evidence(name="monitoring", parts=("monitoring", "alerts"), count=_monitoring)
METRIC_VALUES = Evidence(name="metrics", parts=("monitoring",), count=_metric_values)
AUDIT = Evidence(name="audit trail", parts=("audit",), count=_audit)


# Ends, players, campaigns -------------------------------------------------------------------------------------------


def _drain(history: Record, _: Asked) -> Iterator[Holding]:
    yield _present("record of how the backlog drained", history.drain, "history/drain.json")


def _core_shutdown(history: Record, _: Asked) -> Iterator[Holding]:
    if history.run.target.backend == "external":
        return  # it is not the suite's own to stop
    yield _present("record of the event core's end", history.core_shutdown, "history/core-shutdown.json")


def _players(history: Record, _: Asked) -> Iterator[Holding]:
    due = max(expected_players(history), 1)
    yield Holding(
        what="records of players' processes", due=due, found=len(history.players), file="history/players-*.json"
    )


def _players_timeline(history: Record, asked: Asked) -> Iterator[Holding]:
    yield from _players(history, asked)
    series = {
        one.worker: [row.t for row in history.players_timeline if row.worker == one.worker] for one in history.players
    }
    excused = _disturbed(history)
    file = "history/players-timeline-*.csv"
    yield _sampled("seconds of the players' timeline", file, asked, GATEWAY_EVERY_S, series, excused)


def _campaign(history: Record, _: Asked) -> Iterator[Holding]:
    file, record = "history/fuzz.json", history.fuzz
    yield _present("record of the campaign", record is not None and record.sent, file)
    if record is not None:
        counted, due = record.events, max(record.asked, _planned_events(history))
        yield Holding(what="fuzzed events with an end", due=due, found=counted, file=f"{file}: groups")
        if any(group.found == "processed" for group in record.of("economy")):
            yield _present("books of the economy", record.ledger, f"{file}: ledger")


def _planned_events(history: Record) -> int:
    """How many events the campaign was to send; 0 where a time limit, or what is replayed, decides that."""
    plan = history.run.plan.fuzz
    return 0 if plan is None or plan.replay or plan.max_time_s else plan.events or 0


def _fuzzed(record: FuzzRecord) -> list[str]:
    """The domains that events of the campaign are of."""
    return sorted({group.type_name.partition(".")[0] for group in record.groups})


def _effects(history: Record, _: Asked) -> Iterator[Holding]:
    record = history.fuzz
    if record is not None:
        # The audit trail of somebody else's stack cannot be opened.
        sealed = history.run.target.backend == "external"
        due = (domain for domain in _fuzzed(record) if not (sealed and domain == AUDITED))
        found = (effect.domain for effect in record.effects)
        yield _named("domains whose events' effects were read", due, found, "history/fuzz.json: effects")


def _consumers(history: Record, _: Asked) -> Iterator[Holding]:
    record = history.fuzz
    if record is not None:
        written: dict[str, int] = {}
        for group in record.groups:
            if group.found not in ("refused", "missing"):
                domain = group.type_name.partition(".")[0]
                written[domain] = written.get(domain, 0) + group.count
        # A topic that ends before all that was written into it was not looked at in the end.
        found = (one.domain for one in record.consumers if one.end >= written.get(one.domain, 0))
        file = "history/fuzz.json: consumers"
        yield _named("consumers whose progress was learned", _fuzzed(record), found, file)


def _settings(history: Record, _: Asked) -> Iterator[Holding]:
    record = history.fuzz
    if record is not None:
        yield _present("settings of the topics", record.settings, "history/fuzz.json: settings")


DRAIN = Evidence(name="drain", parts=("drain",), count=_drain)
CORE_SHUTDOWN = Evidence(name="shutdown of the event core", parts=("core_shutdown",), count=_core_shutdown)
PLAYERS = Evidence(name="players", parts=("players",), count=_players)
PLAYERS_TIMELINE = Evidence(name="players' timeline", parts=("players", "players_timeline"), count=_players_timeline)
CAMPAIGN = Evidence(name="campaign", parts=("fuzz",), count=_campaign)
EFFECTS = Evidence(name="effects of fuzzed events", parts=("fuzz",), count=_effects)
CONSUMERS = Evidence(name="progress of the consumers", parts=("fuzz",), count=_consumers)
SETTINGS = Evidence(name="settings of the topics", parts=("fuzz",), count=_settings)


def shortfalls(history: Record, kinds: Iterable[Evidence], asked: Asked | None = None) -> list[Holding]:
    """What is missing of some kinds of evidence; none of it is missing if the list is empty.

    A part that something of the suite's own would have written and did not is missing whatever is there of it.

    Args:
        history: the record.
        kinds: of evidence.
        asked: which phases and domains; the whole run by default.
    """
    looked_at = whole_run(history) if asked is None else asked
    kinds = list(kinds)
    found = [holding for kind in kinds for holding in kind.count(history, looked_at) if not holding.complete]
    parts = {part for kind in kinds for part in kind.parts}
    for failure in history.suite_failures:
        if parts & set(failure.parts):
            what = f"parts of the suite at work to the end ({failure.component}: {failure.problem})"
            found.append(Holding(what=what, due=1, found=0, file="history/suite-failures.jsonl", misleads=True))
    return list(dict.fromkeys(found))


def inventory(history: Record, kinds: Iterable[Evidence]) -> list[Holding]:
    """What is due and found of some kinds of evidence over the whole run, each thing once."""
    asked = whole_run(history)
    return list(dict.fromkeys(holding for kind in dict.fromkeys(kinds) for holding in kind.count(history, asked)))
