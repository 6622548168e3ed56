"""What can be taken away of each kind of evidence: less of it than is due, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from necp_validate.record import (
    AT_ONCE,
    LAYOUTS,
    HdrHistogram,
    MonitoringRecord,
    PartitionRead,
    Record,
    RunInfo,
    SecurityRound,
)
from necp_validate.record.audit import AuditRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One thing that is missing from a record.

    Args:
        what: what must be said to be missing: a part of the holding's own words.
        record: without it.
    """

    what: str
    record: Record


def _half(rows: tuple[Any, ...]) -> tuple[Any, ...]:
    """Rows with a time: those of the first half of it."""
    first, last = min(row.t for row in rows), max(row.t for row in rows)
    return tuple(row for row in rows if row.t <= (first + last) / 2)


def _config(history: Record, **changes: Any) -> RunInfo:
    return replace(history.run, config={**history.run.config, **changes})


def _phases(history: Record) -> Iterator[Removal]:
    plan = list(history.run.config["phases"])
    more = [*plan, {"name": "another", "kind": "steady", "duration_s": 5.0}]
    yield Removal(
        what=f"{len(plan)} of {len(plan) + 1} phases", record=replace(history, run=_config(history, phases=more))
    )
    yield Removal(what="no plan of the phases", record=replace(history, run=_config(history, phases=[])))


def _sent(history: Record) -> Iterator[Removal]:
    yield Removal(what="no records of load workers", record=replace(history, loads=()))
    lost = tuple(replace(load, lost_us=history.phases[0].end_us) for load in history.loads)
    yield Removal(what="no records of load workers", record=replace(history, loads=lost))
    two = replace(history, run=_config(history, load={"processes": 2}))
    yield Removal(what="1 of 2 records of load workers", record=two)
    if history.drill_loads:
        yield Removal(what="no records of what drills sent", record=replace(history, drill_loads=()))
    if history.players:
        yield Removal(what="1 of 2 records of players", record=replace(history, players=history.players[:1]))
        yield Removal(what="no record of what the gateway sent", record=replace(history, gateway_record=None))
    if history.audit is not None:
        yield Removal(what="no record of what the collector sent", record=replace(history, collector_record=None))


def _transactions(history: Record) -> Iterator[Removal]:
    idle = tuple(
        replace(load, streams=tuple(one for one in load.streams if one.domain != "economy")) for load in history.loads
    )
    yield Removal(what="no acked event of the economy", record=replace(history, loads=idle))


def _timeline(history: Record) -> Iterator[Removal]:
    words = "seconds of the load's timeline"
    yield Removal(what=words, record=replace(history, timeline=()))
    yield Removal(what=words, record=replace(history, timeline=_half(history.timeline)))
    sparse = tuple(row for row in history.timeline if round(row.t) % 8 == 0)
    yield Removal(what=words, record=replace(history, timeline=sparse))
    for domain in history.domains:
        others = tuple(row for row in history.timeline if row.domain != domain)
        yield Removal(what=words, record=replace(history, timeline=others))


def _end_to_end(history: Record) -> Iterator[Removal]:
    for key in history.latency:
        if key[2] == "e2e":
            kept = {other: one for other, one in history.latency.items() if other != key}
            yield Removal(what="e2e latency histograms", record=replace(history, latency=kept))


def _host(history: Record) -> Iterator[Removal]:
    yield Removal(what="0 of 24 seconds of samples of the host", record=replace(history, host=()))
    yield Removal(what="seconds of samples of the host", record=replace(history, host=_half(history.host)))
    blind = tuple(replace(one, cpu_steal_pct=None) for one in history.host)
    yield Removal(what="seconds of samples of the host", record=replace(history, host=blind))


def _changed_reading(history: Record, **changes: Any) -> Record:
    assert history.readback is not None
    return replace(history, readback=replace(history.readback, **changes))


def _with_first(parts: tuple[PartitionRead, ...], **changes: Any) -> tuple[PartitionRead, ...]:
    return (replace(parts[0], **changes), *parts[1:])


def _events_read(history: Record) -> Iterator[Removal]:
    assert history.readback is not None
    parts = history.readback.partitions
    yield Removal(what="no readback", record=replace(history, readback=None))
    yield Removal(what="no list of the topics that had to be read", record=replace(history, due=None))
    due = sum(topic.partitions for topic in history.due.topics if topic.role == "events") if history.due else 0
    lacking = "no partitions read back" if due == 1 else f"{due - 1} of {due} partitions read back"
    yield Removal(what=lacking, record=_changed_reading(history, partitions=parts[1:]))
    unknown = _with_first(parts, position=None)
    yield Removal(what="positions that the reader reached", record=_changed_reading(history, partitions=unknown))
    short = _with_first(parts, position=parts[0].high - 1)
    yield Removal(what="partitions read to their high watermark", record=_changed_reading(history, partitions=short))


def _outputs(history: Record, topic: str) -> Iterator[Removal]:
    assert history.readback is not None
    outputs = history.readback.outputs or ()
    first = next(one for one in outputs if one.topic.endswith(topic))
    kept = tuple(one for one in outputs if one is not first)
    yield Removal(what="partitions read back", record=_changed_reading(history, outputs=kept))
    short = tuple(replace(one, position=one.high - 1) if one is first else one for one in outputs)
    yield Removal(what="partitions read to their high watermark", record=_changed_reading(history, outputs=short))
    yield Removal(what="partitions read back", record=_changed_reading(history, outputs=None))


def _receipts(history: Record) -> Iterator[Removal]:
    yield from _outputs(history, "receipts")
    yield Removal(what="partitions with outcomes", record=_changed_reading(history, receipts=()))


def _ledger(history: Record) -> Iterator[Removal]:
    yield from _outputs(history, "ledger")
    for ledger in (None, ()):
        yield Removal(what="no ledger", record=_changed_reading(history, ledger=ledger))


def _dead_letters(history: Record) -> Iterator[Removal]:
    yield from _outputs(history, ".dlt")
    words = "topics of which it is known which events they hold"
    yield Removal(what=words, record=_changed_reading(history, letters=None))
    yield Removal(what=words, record=_changed_reading(history, letters=()))


def _epochs(history: Record) -> Iterator[Removal]:
    yield Removal(what="partitions with leader epochs", record=_changed_reading(history, epochs=None))


def _replicas(history: Record) -> Iterator[Removal]:
    begin_s = history.phases[0].start_us / 1e6
    for left in ((), tuple(one for one in history.isr if one.t < begin_s + 4)):
        yield Removal(what="seconds of samples of the replicas", record=replace(history, isr=left))


def _core_stops(history: Record) -> Iterator[Removal]:
    yield Removal(what="no stops of an event core under load", record=replace(history, core_stops=()))


def _topics(history: Record) -> Iterator[Removal]:
    for when in dict.fromkeys(one.when for one in history.topics):
        left = tuple(one for one in history.topics if one.when != when)
        yield Removal(what="descriptions of topics", record=replace(history, topics=left))
    without = tuple(replace(one, settings={}) for one in history.topics)
    yield Removal(what="descriptions of topics", record=replace(history, topics=without))
    too_early = tuple(replace(one, t=history.topics[0].t) for one in history.topics)
    yield Removal(what="descriptions of topics", record=replace(history, topics=too_early))
    assert history.due is not None
    made = tuple(replace(one, replicas=None) for one in history.due.topics)
    what = "topics of which it is recorded how they were made"
    yield Removal(what=what, record=replace(history, due=replace(history.due, topics=made)))
    yield Removal(what="no list of the topics that had to be described", record=replace(history, due=None))


def _groups(history: Record) -> Iterator[Removal]:
    words = "seconds of samples of consumer groups"
    yield Removal(what=words, record=replace(history, groups=()))
    yield Removal(what=words, record=replace(history, groups=_half(history.groups)))
    first = tuple(one for one in history.groups if one.t == history.groups[0].t)
    yield Removal(what=words, record=replace(history, groups=first))


def _lag(history: Record) -> Iterator[Removal]:
    words = "seconds of samples of consumer lag"
    yield Removal(what=words, record=replace(history, lag=()))
    yield Removal(what=words, record=replace(history, lag=_half(history.lag)))


def _leaders(history: Record) -> Iterator[Removal]:
    yield Removal(what="partitions with a known leader", record=replace(history, leaders=()))
    first = history.leaders[0]
    left = tuple(one for one in history.leaders if (one.topic, one.partition) != (first.topic, first.partition))
    yield Removal(what="partitions with a known leader", record=replace(history, leaders=left))


def _experiments(history: Record) -> Iterator[Removal]:
    if history.run.config.get("experiments"):
        words = "experiments with a record of how they ended"
        yield Removal(what=words, record=replace(history, experiments=history.experiments[1:]))
        yield Removal(what=words, record=replace(history, experiments=()))
        more = [*history.run.config["experiments"], "another"]
        yield Removal(what=words, record=replace(history, run=_config(history, experiments=more)))


def _faults(history: Record) -> Iterator[Removal]:
    yield from _experiments(history)
    if history.run.config.get("experiments"):
        words = "faults that experiments have injected"
        yield Removal(what=words, record=replace(history, faults=history.faults[1:]))
        silent = tuple(replace(one, faults=None) for one in history.experiments)
        yield Removal(what="experiments that name their faults", record=replace(history, experiments=silent))
    else:
        more = replace(history, run=_config(history, experiments=["another"]))
        yield Removal(what="no experiments with a record of how they ended", record=more)


def _floods(history: Record) -> Iterator[Removal]:
    yield Removal(what="no records of floods", record=replace(history, floods=()))


def _breakers(history: Record) -> Iterator[Removal]:
    words = "seconds of samples of circuit breakers"
    samples = history.breakers
    yield Removal(what=words, record=replace(history, breakers=()))
    yield Removal(what=words, record=replace(history, breakers=samples[: len(samples) // 2]))
    yield Removal(what=words, record=replace(history, breakers=samples[::20]))


def _passwords(history: Record) -> Iterator[Removal]:
    yield Removal(what="no password changes whose clients were watched", record=replace(history, password_changes=()))


def _certificates(history: Record) -> Iterator[Removal]:
    yield Removal(what="no certificate swaps that were looked at", record=replace(history, certificate_swaps=()))


def _rounds(history: Record) -> Iterator[Removal]:
    for missing in (history.run.config.get("security") or {}).get("at", ()):
        kept = tuple(one for one in history.security if one.when != missing)
        yield Removal(what="1 of 2 rounds of attempts", record=replace(history, security=kept))
    if not history.run.config.get("security"):
        more = replace(history, run=_config(history, security={"at": ["start"]}))
        yield Removal(what="no rounds of attempts", record=more)


def _changed_round(history: Record, when: str, change: Callable[[SecurityRound], SecurityRound]) -> Record:
    rounds = tuple(change(one) if one.when == when else one for one in history.security)
    return replace(history, security=rounds)


def _listeners(history: Record) -> Iterator[Removal]:
    yield from _rounds(history)
    yield Removal(what="no list of the attempts that had to be made", record=replace(history, due=None))

    def two_brokers(one: SecurityRound) -> SecurityRound:
        return replace(one, listeners=tuple(probe for probe in one.listeners if probe.broker != 3))

    for when in ("start", "end"):
        record = _changed_round(history, when, two_brokers)
        yield Removal(what=f"attempts to get in, {when}", record=record)


def _rounds_under_faults(history: Record) -> Iterator[Removal]:
    yield from _rounds(history)

    def one_listener(one: SecurityRound) -> SecurityRound:
        return replace(one, listeners=tuple(probe for probe in one.listeners if probe.listener == "internal"))

    for when in ("fault", "after the fault"):
        record = _changed_round(history, when, one_listener)
        yield Removal(what=f"attempts that a broker answered, {when}", record=record)


def _access(history: Record) -> Iterator[Removal]:
    yield from _rounds(history)
    yield Removal(what="no number of the cells that had to be tried", record=replace(history, due=None))
    for when in ("start", "end"):
        record = _changed_round(history, when, lambda one: replace(one, access=one.access[:1]))
        yield Removal(what=f"cells of the access matrix, {when}", record=record)


def _prometheus(history: Record, **changes: Any) -> Record:
    assert history.monitoring is not None
    return replace(history, monitoring=replace(history.monitoring, **changes))


def _prometheus_itself(history: Record) -> Iterator[Removal]:
    words = "no record of the monitoring"
    yield Removal(what=words, record=replace(history, monitoring=None))
    yield Removal(what=words, record=replace(history, monitoring=MonitoringRecord(needs="needs prometheus: none")))
    down = {"kafka 1": True, "kafka 2": False}
    yield Removal(what="1 of 2 targets that Prometheus reached", record=_prometheus(history, targets=down))
    yield Removal(what="no targets that Prometheus reached", record=_prometheus(history, targets=None))


def _monitoring(history: Record) -> Iterator[Removal]:
    assert history.monitoring is not None
    yield from _prometheus_itself(history)
    looks = "looks at the alerts that were answered"
    yield Removal(what=looks, record=_prometheus(history, looks=0))
    yield Removal(what=looks, record=_prometheus(history, missed=history.monitoring.looks))
    late = history.phases[0].start_us + 60 * 10**6
    yield Removal(what="seconds watched for alerts", record=_prometheus(history, begin_us=late))
    yield Removal(
        what="seconds watched for alerts", record=_prometheus(history, end_us=history.phases[0].end_us - 10**7)
    )
    assert history.due is not None
    unlisted = replace(history, due=replace(history.due, alert_rules=()))
    yield Removal(what="no list of the alert rules that had to be loaded", record=unlisted)
    more = replace(history.due, alert_rules=(*history.due.alert_rules, "KafkaAnother"))
    yield Removal(what="9 of 10 alert rules that Prometheus has loaded", record=replace(history, due=more))


def _metrics(history: Record) -> Iterator[Removal]:
    yield from _prometheus_itself(history)
    yield Removal(what="values of metrics", record=_prometheus(history, values=()))
    yield Removal(what="samples of metrics over time", record=_prometheus(history, points=()))
    yield Removal(what="independent counts", record=_prometheus(history, counted=()))


def _audit(history: Record) -> Iterator[Removal]:
    words = "no record of the audit trail"
    yield Removal(what=words, record=replace(history, audit=None))
    yield Removal(what=words, record=replace(history, audit=AuditRecord(needs="needs a stack of the suite's own")))


def _layouts(history: Record) -> Iterator[Removal]:
    yield from _processes(history)
    for left in (LAYOUTS[:1], ()):
        players = tuple(
            replace(one, layouts=tuple(row for row in one.layouts if row.record in left)) for one in history.players
        )
        yield Removal(what="layouts of records of p0", record=replace(history, players=players))


def _players(history: Record) -> Iterator[Removal]:
    yield from _processes(history)


def _processes(history: Record) -> Iterator[Removal]:
    words = "records of players' processes"
    yield Removal(what=f"1 of 2 {words}", record=replace(history, players=history.players[:1]))
    yield Removal(what=f"0 of 2 {words}", record=replace(history, players=()))


def _players_timeline(history: Record) -> Iterator[Removal]:
    yield from _players(history)
    words = "seconds of the players' timeline"
    rows = history.players_timeline
    yield Removal(what=words, record=replace(history, players_timeline=()))
    yield Removal(what=words, record=replace(history, players_timeline=_half(rows)))
    one = tuple(row for row in rows if row.worker == "p0")
    yield Removal(what=words, record=replace(history, players_timeline=one))


def _campaign(history: Record) -> Iterator[Removal]:
    assert history.fuzz is not None
    yield Removal(what="no record of the campaign", record=replace(history, fuzz=None))
    yield Removal(what="100 of 101 fuzzed events with an end", record=_changed_campaign(history, asked=101))
    yield Removal(what="no books of the economy", record=_changed_campaign(history, ledger=()))


def _changed_campaign(history: Record, **changes: Any) -> Record:
    assert history.fuzz is not None
    return replace(history, fuzz=replace(history.fuzz, **changes))


def _effects(history: Record) -> Iterator[Removal]:
    yield from _campaign_rows(history, "effects", "domains whose events' effects were read")


def _consumers(history: Record) -> Iterator[Removal]:
    yield from _campaign_rows(history, "consumers", "consumers whose progress was learned")


def _campaign_rows(history: Record, field: str, what: str) -> Iterator[Removal]:
    assert history.fuzz is not None
    rows = getattr(history.fuzz, field)
    yield Removal(what=f"{len(rows) - 1} of {len(rows)} {what}", record=_changed_campaign(history, **{field: rows[1:]}))
    yield Removal(what=f"0 of {len(rows)} {what}", record=_changed_campaign(history, **{field: ()}))


def _settings(history: Record) -> Iterator[Removal]:
    yield Removal(what="no settings of the topics", record=_changed_campaign(history, settings=()))


def _core_shutdown(history: Record) -> Iterator[Removal]:
    yield Removal(what="no record of the event core's end", record=replace(history, core_shutdown=None))


def _witness(history: Record) -> Iterator[Removal]:
    """Of the first domain, nobody beside the target knows when anything ended; or it is not said who should."""
    assert history.due is not None
    if history.due.receipted_within_s:
        loads = tuple(
            replace(
                load,
                phases={
                    name: {domain: replace(counts, witnessed=0) for domain, counts in by.items()}
                    for name, by in (load.phases or {}).items()
                },
            )
            for load in history.loads
        )
        yield Removal(what="ends that brokers bear witness to", record=replace(history, loads=loads))
    silent = replace(history.due, receipted_within_s=None)
    yield Removal(what="no domains whose ends are to be witnessed", record=replace(history, due=silent))


def _at_once(history: Record) -> Iterator[Removal]:
    """Half of what the brokers say of outcomes that are written at once, or all; or none is said to be."""
    assert history.due is not None
    for (phase, domain, kind), histogram in history.latency.items():
        if kind == AT_ONCE and histogram.values:
            what = f"outcomes of {domain} in {phase} that were to be written at once"
            half = HdrHistogram.from_array(histogram.to_array() // 2)
            latency = {**history.latency, (phase, domain, kind): half}
            yield Removal(what=what, record=replace(history, latency=latency))
            break
    without = {key: one for key, one in history.latency.items() if key[2] != AT_ONCE}
    if len(without) < len(history.latency):
        yield Removal(what="that were to be written at once", record=replace(history, latency=without))
    silent = replace(history.due, receipted_at_once=None)
    yield Removal(what="domains of which some outcomes are written at once", record=replace(history, due=silent))


REMOVALS: Mapping[str, Callable[[Record], Iterator[Removal]]] = {
    "phases": _phases,
    "what was sent": _sent,
    "transactions": _transactions,
    "timeline": _timeline,
    "end-to-end latencies": _end_to_end,
    "witness of the ends": _witness,
    "outcomes written at once": _at_once,
    "host": _host,
    "events read back": _events_read,
    "receipts": _receipts,
    "ledger": _ledger,
    "dead letters": _dead_letters,
    "leader epochs": _epochs,
    "consumer groups": _groups,
    "consumer groups that may explain it": _groups,
    "consumer lag that may explain it": _lag,
    "configuration of the topics": _topics,
    "stops of the event core": _core_stops,
    "replicas": _replicas,
    "leaders": _leaders,
    "experiments": _experiments,
    "faults": _faults,
    "faults that may explain it": _faults,
    "floods": _floods,
    "circuit breakers": _breakers,
    "password changes": _passwords,
    "certificate swaps": _certificates,
    "rounds of attempts": _rounds,
    "rounds that may explain it": _rounds,
    "listeners with mutual TLS": _listeners,
    "listeners with a login": _listeners,
    "rounds under faults": _rounds_under_faults,
    "access matrix": _access,
    "monitoring": _monitoring,
    "metrics": _metrics,
    "audit trail": _audit,
    "players": _players,
    "layouts of records": _layouts,
    "players' timeline": _players_timeline,
    "campaign": _campaign,
    "effects of fuzzed events": _effects,
    "progress of the consumers": _consumers,
    "settings of the topics": _settings,
    "shutdown of the event core": _core_shutdown,
}
"""By the name of the kind of evidence."""
