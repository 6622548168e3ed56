"""What is due of the monitoring: alerts, rules, values of metrics."""

from __future__ import annotations

from collections.abc import Iterator

from necp_validate.evidence.inventory.counting import (
    KAFKA_EVERY_S,
    SHARE_COVERED,
    Asked,
    Evidence,
    Holding,
    disturbed,
    named,
    present,
    sampled,
)
from necp_validate.record import MonitoringRecord, Record

_LOOKS_EVERY_S = 1.0


def _prometheus(history: Record, _: Asked) -> Iterator[Holding]:
    file = "history/monitoring.json"
    record = history.monitoring
    yield present("record of the monitoring", record is not None and not record.needs, file)
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
        yield present("list of the alert rules that had to be loaded", False, "history/due.json")
    yield named("alert rules that Prometheus has loaded", due, (rule.name for rule in record.rules or ()), file)


def _metric_values(history: Record, asked: Asked) -> Iterator[Holding]:
    yield from _prometheus(history, asked)
    record = history.monitoring
    if record is not None and not record.needs:
        yield from _metrics(history, record, asked)


def _metrics(history: Record, record: MonitoringRecord, asked: Asked) -> Iterator[Holding]:
    """By domain, topic and broker: a metric that is not there at all must not be left out of what is compared."""
    brokers = history.due.brokers if history.due is not None else ()
    topics = [topic for topic, domain in history.domain_of_topic.items() if domain in asked.domains]
    of_brokers = ("connections", "tls-connections", "listener-tls")
    due = [f"{query} of {domain}" for query in ("events", "latency-bucket") for domain in asked.domains]
    due += [f"messages-in of {topic}" for topic in topics]
    due += [f"{query} of {broker}" for query in of_brokers for broker in brokers]
    values = (f"{one.query} of {name}" for one in record.values or () for name in one.labels.values())
    file = "history/monitoring.json"
    yield named("values of metrics", due, values, f"{file}: values", misleads=True)
    lag = {
        topic: [one.t for one in record.points or () if one.labels.get("topic") == topic and one.query == "lag"]
        for topic in topics
    }
    every_s = max(record.interval_s or 0.0, KAFKA_EVERY_S)
    what = "seconds of samples of metrics over time"
    yield sampled(what, f"{file}: points", asked, every_s, lag, disturbed(history))
    due = [f"messages-in of {topic}" for topic in topics] + [f"connections of {broker}" for broker in brokers]
    counted = (f"{one.what} of {name}" for one in record.counted or () for name in one.labels.values())
    yield named("independent counts", due, counted, f"{file}: counted")


MONITORING = Evidence(name="monitoring", parts=("monitoring", "alerts"), count=_monitoring)
METRIC_VALUES = Evidence(name="metrics", parts=("monitoring",), count=_metric_values)
