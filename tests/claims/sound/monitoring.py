"""Sound records of runs that a Prometheus watches: causes and their alerts, metrics and independent counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from histories import timed_history

from necp_validate.claims.metrics.alert_causes import CAUSES
from necp_validate.record import (
    FIRING,
    RESOLVED,
    AlertRule,
    AlertTransition,
    Counted,
    FaultRecord,
    LagSample,
    MonitoringRecord,
    Record,
    SeriesPoint,
    SeriesValue,
)

from .drills import FLOOD, SOCIAL, flooded, under, with_drill
from .faults import COMBAT, START_S, at_us, fault, with_config

DOWN, DENIED, LOGINS, LAG = (
    "KafkaClusterDown",
    "KafkaAclDenials",
    "KafkaSaslAuthenticationFailures",
    "KafkaHighConsumerLag",
)
RULES = tuple(
    AlertRule(name=name, severity="critical", window_s=60.0 if cause.rounds else 0.0, healthy=True)
    for name, cause in CAUSES.items()
)
WATCH = MonitoringRecord(
    prometheus="2.42",
    begin_us=at_us(-10),
    end_us=at_us(500),
    looks=510,
    missed=0,
    interval_s=2.0,
    rules=RULES,
    targets={"kafka 1": True, "kafka 2": True, "exporter": True},
    values=(SeriesValue(query="events", labels={"domain": "combat", "outcome": "processed"}, value=4_000.0),),
    points=(SeriesPoint(query="lag", labels={"topic": COMBAT}, t=float(START_S), value=0.0),),
    counted=(Counted(what="messages-in", labels={"topic": COMBAT}, value=0.0),),
    scrape_s={"kafka": 0.1},
)
"""Ten seconds before a load of 400 s until 100 s after it, once a second."""


def cause(kind: str, begin_s: float, end_s: float | None, *claims: str, **changes: Any) -> FaultRecord:
    """A fault that is made for the sake of an alert, seen a second after it was asked for."""
    return fault(
        kind,
        at=begin_s,
        until=end_s,
        **{"effective_us": at_us(begin_s + 1), "claims": claims or ("OBS-ALERTS",), **changes},
    )


def fires(name: str, from_s: float, until_s: float | None = None, **labels: str) -> list[AlertTransition]:
    """An alert that fires, and goes if it does."""
    return [
        AlertTransition(t_us=at_us(at), name=name, state=state, labels=labels, active_us=None, value=None)
        for at, state in ((from_s, FIRING), (until_s, RESOLVED))
        if at is not None
    ]


def monitored(*rows: list[AlertTransition], faults: tuple[FaultRecord, ...] = (), **changes: Any) -> Record:
    """Four hundred seconds of load under watch, with alerts and their causes."""
    history = timed_history(seconds=400, eps={"combat": 10.0})
    history = replace(history, loads=tuple(replace(one, expected_totals={"combat": {}}) for one in history.loads))
    history = under(history, *faults) if faults else history
    return watched_by(
        replace(
            history,
            alerts=tuple(sorted((row for group in rows for row in group), key=lambda row: row.t_us)),
            **changes,
        )
    )


def watched_by(history: Record, record: MonitoringRecord | None = WATCH) -> Record:
    """The same run with monitoring; a record of it that is there already stays."""
    assert history.due is not None
    due = replace(history.due, alert_rules=tuple(CAUSES))
    monitoring = history.monitoring or record
    return with_config(replace(history, due=due, monitoring=monitoring), monitoring={"interval_s": 2.0})


def every_alert(*rows: list[AlertTransition], faults: tuple[FaultRecord, ...] = (), **changes: Any) -> Record:
    """Each claimed alert, raised by its cause and gone when that was over; and further alerts and faults."""
    kinds = dict.fromkeys(kind for one in CAUSES.values() for kind in one.raised_by)
    causes = tuple(cause(kind, 20, 30, "OBS-ALERTS", "SEC-ALERTS", "MTTR") for kind in kinds)
    history = monitored(*(fires(name, 24, 32) for name in CAUSES), *rows, faults=(*causes, *faults), **changes)
    flood = replace(FLOOD, topic=SOCIAL, begin_us=at_us(21), end_us=at_us(36))
    hits = value("rate-limit-hits", flood.refused * 0.9, topic=SOCIAL)
    record = replace(
        WATCH, values=(*(WATCH.values or ()), hits, value("events", 309_000, domain="social", outcome="processed"))
    )
    history = replace(history, floods=(flood,), monitoring=record)
    return with_drill(history, topic=SOCIAL, events=309_000, worker="flood-0")


# Metrics ----------------------------------------------------------------------------------------------------------


def value(query: str, number: float, **labels: str) -> SeriesValue:
    """What Prometheus has."""
    return SeriesValue(query=query, labels=labels, value=number)


def count(what: str, number: float, **labels: str) -> Counted:
    """What was counted without it."""
    return Counted(what=what, labels=labels, value=number)


VALUES = (
    value("events", 8_991, domain="social", outcome="processed"),
    value("events", 9, domain="social", outcome="rejected"),
    value("events", 309_000, domain="combat", outcome="processed"),
    value("messages-in", 9_000, topic=SOCIAL),
    *(value("latency-bucket", number, domain="social", le=le) for le, number in (("0.005", 0), ("0.02", 9_000))),
    value("failed-authentications", 20),
    value("acl-denials", 80, request="Produce"),
    value("rate-limit-hits", 20_000, topic="game.combat.events"),
    *(value(name, 30.0, broker="1") for name in ("connections", "tls-connections")),
    value("listener-tls", 1.0, broker="1", listener="EXTERNAL"),
)
COUNTED = (
    count("messages-in", 9_000, topic=SOCIAL),
    count("failed-authentications", 20),
    count("acl-denials", 80),
    count("connections", 30, broker="1"),
)


def measured(*values: SeriesValue, counted: tuple[Counted, ...] = COUNTED) -> Record:
    """Half a minute of social events beside a flood, whose metrics are right; the values given, or all."""
    history = flooded()
    assert history.readback is not None
    (receipts, flood) = history.readback.receipts
    # One event of a thousand is a cheat that was rejected, so that there is an error rate to speak of.
    mixed = replace(receipts, processed=8_991, rejected=9)
    first = history.timeline[0]
    rows = (replace(first, processed=(first.processed or 0) - 9, rejected=9), *history.timeline[1:])
    loads = tuple(replace(load, planted={"social": {"cheat": 9}}) for load in history.loads)
    lag = tuple(LagSample(t=START_S + second + 0.5, domain="social", lag=30) for second in range(0, 30, 2))
    points = tuple(
        SeriesPoint(query="lag", labels={"topic": SOCIAL}, t=float(START_S + second), value=30.0)
        for second in range(0, 32, 2)
    )
    record = replace(
        WATCH,
        end_us=at_us(40),
        looks=50,
        values=values or VALUES,
        points=points,
        counted=counted,
    )
    history = replace(
        history,
        loads=loads,
        timeline=rows,
        readback=replace(history.readback, receipts=(mixed, flood)),
        lag=lag,
        monitoring=record,
    )
    return watched_by(history)
