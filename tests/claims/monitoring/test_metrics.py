"""Metrics against independent counts: what agrees, what does not, and what cannot be compared."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from histories import claim_of, failing, finding_of, timed_history, unknown
from sound.faults import COMBAT, START_S, fault, faulted
from sound.monitoring import COUNTED, VALUES, WATCH, count, measured, monitored, value, watched_by

from necp_validate.claims.checks.monitoring.metrics import CLAIMED, bounds_of, comparisons
from necp_validate.core import Verdict
from necp_validate.record import Counted, HdrHistogram, LagSample, MonitoringRecord, Record, SeriesPoint, SeriesValue


def record(*values: SeriesValue, counted: tuple[Counted, ...] = (), **changes: Any) -> MonitoringRecord:
    """What was monitored of 4,000 combat events."""
    return replace(WATCH, values=values, counted=counted, points=(), **changes)


def right(of: MonitoringRecord, **changes: Any) -> dict[str, bool]:
    """What was compared, and whether it agrees."""
    return {one.what: one.right for one in comparisons(monitored(monitoring=of, **changes), of)}


EVENTS = "necp_core_events_total combat processed"


@pytest.mark.parametrize(("counted", "fits"), [(4000, True), (3992, True), (3960, False), (3600, False), (4400, False)])
def test_the_event_cores_count_is_that_of_its_receipts(counted: int, fits: bool) -> None:
    assert right(record(value("events", counted, domain="combat", outcome="processed"))) == {EVENTS: fits}


def test_a_restart_may_take_the_last_counts_with_it_and_adds_none() -> None:
    resets = value("resets", 1, of="events")
    assert right(record(value("events", 3840, domain="combat", outcome="processed"), resets)) == {EVENTS: True}
    assert right(record(value("events", 4160, domain="combat", outcome="processed"), resets)) == {EVENTS: False}


def test_brokers_count_what_the_logs_grew_by() -> None:
    counted = (count("messages-in", 5000, topic=COMBAT), count("messages-in", 0, topic="game.social.events"))
    found = right(record(value("messages-in", 5005, topic=COMBAT), counted=counted))
    assert found == {f"kafka_server_messages_in_total {COMBAT}": True}
    assert right(record(counted=counted)) == {f"kafka_server_messages_in_total {COMBAT}": False}


@pytest.mark.parametrize(("seen", "restarts", "fits"), [(5200, 1, True), (5200, 0, False), (5300, 1, False)])
def test_what_a_dead_broker_had_not_answered_is_sent_and_counted_again(seen: int, restarts: int, fits: bool) -> None:
    values = (value("messages-in", seen, topic=COMBAT), value("resets", restarts, of="messages-in"))
    found = right(record(*values, counted=(count("messages-in", 5000, topic=COMBAT),)))
    assert found == {f"kafka_server_messages_in_total {COMBAT}": fits}


def test_refusals_are_those_of_the_logs() -> None:
    counted = (count("failed-authentications", 20), count("acl-denials", 80))
    found = right(record(value("failed-authentications", 20), value("acl-denials", 60), counted=counted))
    assert found == {
        "kafka_server_failed_authentication_total": True,
        "kafka_network_request_errors_total *AUTHORIZATION_FAILED": False,
    }


def test_what_the_controller_answers_as_well_is_one_denial() -> None:
    values = (value("acl-denials", 60, request="Produce"), value("acl-denials", 40, request="CreateTopics"))
    assert set(right(record(*values, counted=(count("acl-denials", 80),))).values()) == {True}


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
    """These latencies."""
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
        SeriesPoint(query="lag", labels={"topic": COMBAT}, t=float(START_S + t), value=5_000.0) for t in range(0, 20, 2)
    )
    rows = tuple(LagSample(t=START_S + t + 0.5, domain="combat", lag=lag) for t in range(0, 20, 2))
    assert right(replace(record(), points=points), lag=rows) == {"kafka_consumer_lag": fits}


# The claim --------------------------------------------------------------------------------------------------------


def test_metrics_that_agree_in_every_series_pass() -> None:
    history = measured()
    assert (failing(history), unknown(history)) == (set(), set())
    result = claim_of(history, "OBS-METRICS")
    assert result.verdict is Verdict.PASS
    assert result.measured == "13 of 13 comparisons agree, 8 of 8 series compared"
    assert "consumer lag: kafka_consumer_lag 1 (share of 15 own samples that fit)" in result.evidence


@pytest.mark.parametrize("wrong", [one for one in VALUES if one.query not in ("latency-bucket", "listener-tls")])
def test_one_metric_that_is_wrong_fails_it(wrong: SeriesValue) -> None:
    """Three times as many, or some where there were none."""
    values = tuple(replace(one, value=3 * one.value + 100) if one is wrong else one for one in VALUES)
    assert finding_of(measured(*values), "metric-mismatch").verdict is Verdict.FAIL
    assert claim_of(measured(*values), "OBS-METRICS").verdict is Verdict.FAIL


def test_logs_that_cannot_be_read_are_nothing_to_compare_with() -> None:
    """A counter of refusals is not wrong because nobody could count them."""
    logged = ("failed-authentications", "acl-denials")
    history = measured(counted=tuple(one for one in COUNTED if one.what not in logged))
    assert finding_of(history, "metric-mismatch").verdict is Verdict.PASS
    assert "6 of 8 series compared" in finding_of(history, "metric-series").summary


@pytest.mark.parametrize(
    ("missing", "query"),
    [("authentication failures", "failed-authentications"), ("ACL denials", "acl-denials")],
)
def test_a_series_that_has_nothing_to_be_compared_with_leaves_it_unknown(missing: str, query: str) -> None:
    """All the others agree."""
    values = tuple(one for one in VALUES if one.query != query)
    history = measured(*values, counted=tuple(one for one in COUNTED if one.what != query))

    finding = finding_of(history, "metric-series")
    words = f"7 of {len(CLAIMED)} series compared, nothing to compare with: {missing}"
    assert (finding.verdict, finding.summary) == (Verdict.NOT_APPLICABLE, words)
    result = claim_of(history, "OBS-METRICS")
    assert (result.verdict, words in result.evidence) == (Verdict.UNKNOWN, True)


@pytest.mark.parametrize(
    "query", ["events", "messages-in", "latency-bucket", "connections", "tls-connections", "listener-tls"]
)
def test_a_metric_that_every_domain_or_broker_has_is_due(query: str) -> None:
    """What is not there would otherwise be left out of what is compared, or count as 0."""
    values = tuple(one for one in VALUES if one.query != query)
    for name in ("metric-mismatch", "metric-series"):
        finding = finding_of(measured(*values), name)
        assert (finding.verdict, f"missing: {query} of " in finding.summary) == (Verdict.UNKNOWN, True), finding.summary


@pytest.mark.parametrize("what", ["messages-in", "connections"])
def test_a_count_that_every_topic_or_broker_has_is_due(what: str) -> None:
    finding = finding_of(measured(counted=tuple(one for one in COUNTED if one.what != what)), "metric-mismatch")
    assert (finding.verdict, f"missing: {what} of " in finding.summary) == (Verdict.UNKNOWN, True), finding.summary


def test_listeners_of_which_the_metric_says_that_they_have_no_tls_leave_it_unknown() -> None:
    values = tuple(replace(one, value=0.0) if one.query == "listener-tls" else one for one in VALUES)
    assert "nothing to compare with: TLS status" in finding_of(measured(*values), "metric-series").summary
    assert claim_of(measured(*values), "OBS-METRICS").verdict is Verdict.UNKNOWN


def test_a_metric_that_is_no_number_decides_nothing() -> None:
    nothing = replace(VALUES[0], value=math.nan)
    finding = finding_of(measured(nothing, *VALUES[1:]), "metric-mismatch")
    assert finding.verdict is Verdict.UNKNOWN
    assert "necp_core_events_total social processed: it is not a number" in finding.summary

    both = finding_of(measured(nothing, replace(VALUES[1], value=1e6), *VALUES[2:]), "metric-mismatch")
    assert (both.verdict, both.count) == (Verdict.FAIL, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"values": None}, "0 of 6 values of metrics (history/monitoring.json: values)"),
        ({"values": ()}, "0 of 6 values of metrics (history/monitoring.json: values)"),
        ({"points": None}, "0 of 24 seconds of samples of metrics over time (history/monitoring.json: points)"),
        ({"counted": ()}, "0 of 2 independent counts (history/monitoring.json: counted)"),
        ({"targets": {"kafka 1": True, "core": False}}, "1 of 2 targets that Prometheus reached in the end"),
        ({"needs": "needs prometheus: none"}, "needs prometheus: none"),
    ],
)
def test_without_values_or_counts_nothing_is_known(changes: dict[str, Any], words: str) -> None:
    history = measured()
    assert history.monitoring is not None
    thin: Record = replace(history, monitoring=replace(history.monitoring, **changes))
    for name in ("metric-mismatch", "metric-series"):
        finding = finding_of(thin, name)
        assert (finding.verdict, words in finding.summary) == (Verdict.UNKNOWN, True), finding.summary
    assert claim_of(thin, "OBS-METRICS").verdict is Verdict.UNKNOWN


def test_without_monitoring_nothing_is_compared() -> None:
    history = timed_history(seconds=30, eps={"combat": 10.0})
    for name in ("metric-mismatch", "metric-series"):
        assert finding_of(history, name).verdict is Verdict.NOT_APPLICABLE
    assert claim_of(history, "OBS-METRICS").verdict is Verdict.UNKNOWN

    unread = watched_by(replace(faulted(fault()), readback=None))
    finding = finding_of(unread, "metric-mismatch")
    assert (finding.verdict, "no readback (history/readback.json)" in finding.summary) == (Verdict.UNKNOWN, True)
