"""What is due of the monitoring: alerts, rules, values of metrics."""

from __future__ import annotations

from collections.abc import Iterator

from necp_validate.evidence.inventory.counting import (
    SHARE_COVERED,
    Asked,
    Evidence,
    Holding,
    named,
    present,
)
from necp_validate.record import Record

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
        file = "history/monitoring.json"
        yield present("values of metrics", record.values, f"{file}: values", misleads=True)
        yield present("samples of metrics over time", record.points, f"{file}: points")
        yield present("independent counts", record.counted, f"{file}: counted")


MONITORING = Evidence(name="monitoring", parts=("monitoring", "alerts"), count=_monitoring)
METRIC_VALUES = Evidence(name="metrics", parts=("monitoring",), count=_metric_values)
