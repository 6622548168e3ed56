"""Metrics against independent counts: what agrees, what does not, and what cannot be compared."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from histories import ack, handled, history_of, read, run_info

from necp_validate.claims import CHECKS, judge_claims
from necp_validate.claims.checks.monitoring.metrics import bounds_of, comparisons
from necp_validate.core import Verdict
from necp_validate.record import (
    Counted,
    HdrHistogram,
    History,
    LagSample,
    MonitoringRecord,
    SeriesPoint,
    SeriesValue,
)

TOPIC = "game.combat.events"
OPS = [op for seq in range(1000) for op in (ack(seq), read(seq))]


def value(query: str, number: float, **labels: str) -> SeriesValue:
    return SeriesValue(query=query, labels=labels, value=number)


def count(what: str, number: float, **labels: str) -> Counted:
    return Counted(what=what, labels=labels, value=number)


def record(*values: SeriesValue, counted: tuple[Counted, ...] = (), **changes: Any) -> MonitoringRecord:
    return MonitoringRecord(
        prometheus="2.42", end_us=10, looks=10, interval_s=2.0, values=values, counted=counted, **changes
    )


def history(of: MonitoringRecord | None, **changes: Any) -> History:
    run = run_info(config={"monitoring": {"interval_s": 2.0}})
    return history_of(*OPS, handled(0), *(handled(at) for at in range(1, 1000)), monitoring=of, run=run, **changes)


def right(of: MonitoringRecord, **changes: Any) -> dict[str, bool]:
    return {one.what: one.right for one in comparisons(history(of, **changes), of)}


EVENTS = "necp_core_events_total combat processed"


@pytest.mark.parametrize(("counted", "fits"), [(1000, True), (999, True), (990, False), (900, False), (1100, False)])
def test_the_event_cores_count_is_that_of_its_receipts(counted: int, fits: bool) -> None:
    assert right(record(value("events", counted, domain="combat", outcome="processed"))) == {EVENTS: fits}


def test_a_restart_may_take_the_last_counts_with_it_and_adds_none() -> None:
    resets = value("resets", 1, of="events")
    assert right(record(value("events", 960, domain="combat", outcome="processed"), resets)) == {EVENTS: True}
    assert right(record(value("events", 1040, domain="combat", outcome="processed"), resets)) == {EVENTS: False}


def test_brokers_count_what_the_logs_grew_by() -> None:
    counted = (count("messages-in", 5000, topic=TOPIC), count("messages-in", 0, topic="game.social.events"))
    found = right(record(value("messages-in", 5005, topic=TOPIC), counted=counted))
    assert found == {f"kafka_server_messages_in_total {TOPIC}": True}
    assert right(record(counted=counted)) == {f"kafka_server_messages_in_total {TOPIC}": False}


@pytest.mark.parametrize(("measured", "restarts", "fits"), [(5200, 1, True), (5200, 0, False), (5300, 1, False)])
def test_what_a_dead_broker_had_not_answered_is_sent_and_counted_again(
    measured: int, restarts: int, fits: bool
) -> None:
    values = (value("messages-in", measured, topic=TOPIC), value("resets", restarts, of="messages-in"))
    found = right(record(*values, counted=(count("messages-in", 5000, topic=TOPIC),)))
    assert found == {f"kafka_server_messages_in_total {TOPIC}": fits}


def test_refusals_are_those_of_the_logs() -> None:
    counted = (count("failed-authentications", 20), count("acl-denials", 80))
    found = right(record(value("failed-authentications", 20), value("acl-denials", 60), counted=counted))
    assert found == {
        "kafka_server_failed_authentication_total": True,
        "kafka_network_request_errors_total *AUTHORIZATION_FAILED": False,
    }


def test_what_the_controller_answers_as_well_is_one_denial() -> None:
    values = (value("acl-denials", 60, request="Produce"), value("acl-denials", 40, request="CreateTopics"))
    counted = (count("acl-denials", 80),)
    assert set(right(record(*values, counted=counted)).values()) == {True}


@pytest.mark.parametrize(("secured", "fits"), [(30.0, True), (28.0, True), (20.0, False)])
def test_where_all_listeners_have_tls_all_connections_have(secured: float, fits: bool) -> None:
    values = (value("connections", 30.0, broker="1"), value("tls-connections", secured, broker="1"))
    found = right(record(*values, value("listener-tls", 1.0, broker="1", listener="EXTERNAL")))
    assert found == {"kafka_server_tls_connections of broker 1": fits}


def test_connections_are_those_of_the_kernel() -> None:
    listener = value("listener-tls", 0.0, broker="1", listener="OPEN")
    counted = (count("connections", 30, broker="1"),)
    assert right(record(value("connections", 28.0, broker="1"), listener, counted=counted)) == {
        "kafka_server_connections of broker 1": True
    }
    assert right(record(listener, counted=counted)) == {"kafka_server_connections of broker 1": False}


def histogram(*latencies_ms: float) -> HdrHistogram:
    made = HdrHistogram()
    for ms in latencies_ms:
        made.record(round(ms * 1000))
    return made


def test_a_quantile_lies_in_the_histograms_bucket() -> None:
    own = {("steady", "combat", "e2e"): histogram(*[8] * 95, *[40] * 5)}
    bounds = {"0.005": 0, "0.01": 95, "0.05": 100, "+Inf": 100}
    good = [value("latency-bucket", number, domain="combat", le=le) for le, number in bounds.items()]
    assert set(right(record(*good), latency=own).values()) == {True}
    bad = [value("latency-bucket", 100, domain="combat", le=le) for le in bounds]
    assert set(right(record(*bad), latency=own).values()) == {False}


def test_the_buckets_that_may_hold_an_event() -> None:
    cumulative = [(1.0, 50.0), (2.0, 99.0), (3.0, 100.0)]
    assert bounds_of(cumulative, 50, 100) == (0.0, 1.0)
    assert bounds_of(cumulative, 99, 100) == (1.0, 2.0)
    assert bounds_of(cumulative, 45, 90) == (0.0, 2.0), "ten strangers, which may all have been faster"
    assert bounds_of(cumulative, 52, 104) == (0.0, 2.0), "four are missing, and may have been the fastest"
    assert bounds_of(cumulative, 103, 104) == (1.0, math.inf)


@pytest.mark.parametrize(("lag", "fits"), [(5_000, True), (50_000, False)])
def test_lag_is_what_the_suite_saw_around_the_same_time(lag: int, fits: bool) -> None:
    points = tuple(
        SeriesPoint(query="lag", labels={"topic": TOPIC}, t=float(t), value=5_000.0) for t in range(0, 20, 2)
    )
    rows = tuple(LagSample(t=t + 0.5, domain="combat", lag=lag) for t in range(0, 20, 2))
    assert right(record(points=points), lag=rows) == {"kafka_consumer_lag": fits}


def test_a_wrong_metric_fails_the_claim_and_a_missing_one_leaves_it_unknown() -> None:
    good = record(value("events", 1000, domain="combat", outcome="processed"))
    for of, verdict in (
        (good, Verdict.UNKNOWN),
        (replace(good, values=(replace(good.values[0], value=900),)), Verdict.FAIL),
    ):
        made = history(of)
        (result,) = judge_claims(made, [CHECKS["metric-mismatch"](made)], ["OBS-METRICS"])
        assert result.verdict is verdict
    assert (
        "nothing to compare: latency, consumer lag"
        in judge_claims(history(good), [CHECKS["metric-mismatch"](history(good))], ["OBS-METRICS"])[0].evidence
    )


def test_without_prometheus_nothing_is_compared() -> None:
    found = CHECKS["metric-mismatch"](history(MonitoringRecord(needs="needs prometheus: none")))
    assert (found.verdict, found.summary) == (Verdict.UNKNOWN, "needs prometheus: none")
    assert CHECKS["metric-mismatch"](history_of(*OPS)).verdict is Verdict.PASS
