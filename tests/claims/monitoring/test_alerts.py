"""Alerts: which incident each belongs to, how fast it came, whether it went, and what fires without a cause."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import claim_of, failing, finding_of, timed_history, unknown
from sound.faults import START_S, at_us, with_config
from sound.monitoring import DENIED, DOWN, LAG, LOGINS, RULES, WATCH, cause, every_alert, fires, monitored
from sound.security import round_of, tried

from necp_validate.claims.metrics.alert_causes import CAUSES
from necp_validate.claims.metrics.incidents import GRACE_S, firing_spans, incidents
from necp_validate.core import Verdict
from necp_validate.record import (
    PENDING,
    AlertTransition,
    Counted,
    FaultRecord,
    LagSample,
    MonitoringRecord,
    Record,
    SecurityRound,
)


def examples(history: Record, name: str) -> list[str]:
    """Where and what a check complains of."""
    return [f"{one.where}: {one.detail}" for one in finding_of(history, name).examples]


def test_an_alert_fires_from_its_first_series_to_its_last() -> None:
    history = monitored(fires(DOWN, 20, 40, broker="1"), fires(DOWN, 30, 50, broker="2"), fires(DENIED, 60))
    assert firing_spans(history) == {DOWN: [(at_us(20), at_us(50))], DENIED: [(at_us(60), float("inf"))]}


def test_one_that_is_pending_does_not_fire() -> None:
    row = AlertTransition(t_us=at_us(20), name=DOWN, state=PENDING, labels={}, active_us=None, value=None)
    assert firing_spans(monitored([row])) == {}


def test_detection_and_recovery_count_from_when_the_cause_was_seen() -> None:
    history = monitored(fires(DOWN, 24.5, 33), faults=(cause("broker-kill", 20, 30),))
    (one,) = incidents(history, WATCH)
    assert (one.detection_s, one.recovered_s, one.already) == (3.5, 12.0, False)


def test_a_fault_that_is_not_made_for_an_alert_need_not_raise_it() -> None:
    history = monitored(faults=(cause("broker-kill", 20, 30, "FT-BROKER"),))
    assert incidents(history, WATCH) == []
    finding = finding_of(history, "alert-missed")
    assert (finding.verdict, "no cause was made on purpose" in finding.summary) == (Verdict.PASS, True)


# Missed -----------------------------------------------------------------------------------------------------------


def test_a_cause_without_its_alert_is_a_miss() -> None:
    history = monitored(faults=(cause("broker-kill", 20, 30),))
    assert examples(history, "alert-missed") == [f"{DOWN}: silent under broker-kill-1: pid 1 gone"]
    assert finding_of(history, "alert-missed").verdict is Verdict.FAIL
    assert claim_of(history, "OBS-ALERTS").verdict is Verdict.FAIL


@pytest.mark.parametrize(("fired_s", "missed"), [(16, 1), (18, 0), (52, 0), (54, 1), (70, 1)])
def test_an_alert_that_comes_long_before_or_after_its_cause_is_a_miss(fired_s: float, missed: int) -> None:
    """Three seconds before it was seen at the earliest; half a minute after it began, or when it is over."""
    history = monitored(fires(DOWN, fired_s, fired_s + 2), faults=(cause("broker-kill", 20, 30),))
    assert finding_of(history, "alert-missed").count == missed


def test_a_rule_under_another_name_is_a_miss() -> None:
    wrong = tuple(replace(rule, name="KafkaIsDown") if rule.name == DOWN else rule for rule in RULES)
    history = monitored(monitoring=replace(WATCH, rules=wrong))
    assert examples(history, "alert-missed") == [f"{DOWN}: there is no rule of this name"]
    assert finding_of(history, "alert-missed").verdict is Verdict.FAIL


def test_a_rule_that_cannot_be_evaluated_is_a_miss() -> None:
    sick = tuple(replace(rule, healthy=rule.name != DOWN) for rule in RULES)
    history = monitored(monitoring=replace(WATCH, rules=sick))
    assert examples(history, "alert-missed") == [f"{DOWN}: its rule cannot be evaluated"]


# Without a cause --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "faults", "count"),
    [
        (fires(DOWN, 100, 110), (), 1),
        (fires(DOWN, 100, 110), (cause("broker-stop", 95, 105, "FT-BROKER"),), 0),
        (fires(DOWN, 100, 110), (cause("core-kill", 95, 105, "FT-CONSUMER"),), 1),
        (fires(DOWN, 100, 110), (cause("broker-kill", 20, 30, "FT-BROKER"),), 1),
        (fires("SomethingElse", 100, 110), (cause("broker-kill", 95, 105, "FT-BROKER"),), 1),
        (fires(LAG, 100, 110), (cause("core-kill", 95, 105, "FT-CONSUMER"),), 0),
    ],
)
def test_what_fires_must_have_a_cause(rows: list[AlertTransition], faults: tuple[FaultRecord, ...], count: int) -> None:
    history = monitored(rows, faults=faults)
    assert finding_of(history, "alert-without-cause").count == count
    if count:
        assert examples(history, "alert-without-cause") == [
            f"{rows[0].name}: it began to fire 100 s after the load began, and nothing explains it"
        ]


def test_an_alert_without_a_cause_on_a_saturated_host_may_be_the_hosts() -> None:
    """Who is not scraped in time counts as down; a host that was busy for a moment, or long ago, explains nothing."""
    history = monitored(fires(DOWN, 100, 110))
    for (from_s, to_s), verdict in (((80, 102), Verdict.UNKNOWN), ((90, 91), Verdict.FAIL), ((0, 80), Verdict.FAIL)):
        host = tuple(
            replace(one, cpu_busy_pct=99.0) if START_S + from_s <= one.t < START_S + to_s else one
            for one in history.host
        )
        finding = finding_of(replace(history, host=host), "alert-without-cause")
        assert finding.verdict is verdict
        assert ("nothing explains it but the host, which was 99% busy" in finding.summary) == (
            verdict is Verdict.UNKNOWN
        )


def test_a_full_disk_of_this_machine_explains_the_alert_on_it() -> None:
    """For as long as it likes; one that is not that full does not."""
    alert = fires("KafkaDiskUsageHigh", 20)
    for percent, count in ((85.0, 0), (75.0, 1)):
        record = replace(WATCH, counted=(Counted(what="disk-used-percent", labels={}, value=percent),))
        assert finding_of(monitored(alert, monitoring=record), "alert-without-cause").count == count


def tries(*rounds: tuple[float, float]) -> tuple[SecurityRound, ...]:
    """Rounds of attempts at these times."""
    return tuple(replace(round_of(f"round {n}", *times), listeners=(), access=()) for n, times in enumerate(rounds))


@pytest.mark.parametrize("alert", [DENIED, LOGINS])
def test_attempts_that_are_refused_explain_the_alerts_on_refusals(alert: str) -> None:
    """For as long as they go on, and a minute and a half longer; and no other alert."""
    one = tries((20, 30))
    assert finding_of(monitored(fires(alert, 25, 95), security=one), "alert-without-cause").verdict is Verdict.PASS
    assert finding_of(monitored(fires(alert, 25, 95)), "alert-without-cause").count == 1
    assert finding_of(monitored(fires(DOWN, 25, 35), security=one), "alert-without-cause").count == 1


@pytest.mark.parametrize(("alert", "lasts_s"), [(LOGINS, 118), (DENIED, 150)])
def test_the_suites_own_attempts_while_a_broker_is_down_explain_what_they_raise(alert: str, lasts_s: int) -> None:
    """Rounds under a fault and after it keep an alert firing: neither the check nor the claim on it fails."""
    down = cause("broker-kill", 200, 280, "SEC-UNDER-CHAOS", id="broker-kill-2")
    rounds = tries((205, 240), (285, 320))
    history = every_alert(fires(DOWN, 203, 282), fires(alert, 210, 210 + lasts_s), faults=(down,), security=rounds)
    assert finding_of(history, "alert-without-cause").verdict is Verdict.PASS
    assert claim_of(history, "SEC-ALERTS").verdict is Verdict.PASS
    assert claim_of(history, "OBS-ALERTS").verdict is Verdict.PASS


def test_an_alert_fires_on_from_one_cause_to_the_next_and_is_not_stuck() -> None:
    """The rule looks back over a minute: a new round comes before the last one has left it."""
    rounds = tries((100, 110), (190, 200), (280, 290))
    assert finding_of(monitored(fires(DENIED, 105, 380), security=rounds), "alert-without-cause").count == 0


@pytest.mark.parametrize(("gone_s", "count"), [(379, 0), (381, 1), (None, 1)])
def test_an_alert_that_goes_on_when_the_last_of_its_causes_has_left_its_range_is_stuck(
    gone_s: float | None, count: int
) -> None:
    """A minute and the grace after the last round; that nothing was broken for its sake does not matter."""
    assert GRACE_S == 30
    history = monitored(fires(DENIED, 105, gone_s), security=tries((100, 110), (190, 200), (280, 290)))
    finding = finding_of(history, "alert-without-cause")
    assert finding.count == count
    if count:
        assert finding.verdict is Verdict.FAIL
        assert examples(history, "alert-without-cause") == [
            f"{DENIED}: it began to fire 105 s after the load began, and still fired 30 s after its last cause was "
            "over and out of its range"
        ]


def test_a_stuck_alert_fails_the_claim_that_names_it_and_no_other() -> None:
    history = every_alert(fires(DENIED, 105), security=tries((100, 110)))
    assert claim_of(history, "SEC-ALERTS").verdict is Verdict.FAIL
    assert claim_of(history, "OBS-ALERTS").verdict is Verdict.PASS


def test_an_alert_that_stays_when_its_cause_has_gone_fires_without_one() -> None:
    history = monitored(fires(DOWN, 24), faults=(cause("broker-kill", 20, 30),))
    finding = finding_of(history, "alert-without-cause")
    assert finding.count == 1
    assert "still fired" in finding.examples[0].detail


def test_an_alert_that_looks_back_may_stay_for_as_long() -> None:
    causes = (cause("denied-requests", 20, 21, "SEC-ALERTS"),)
    assert finding_of(monitored(fires(DENIED, 24, 85), faults=causes), "alert-without-cause").count == 0
    assert finding_of(monitored(fires(DENIED, 24, 200), faults=causes), "alert-without-cause").count == 1


def test_an_alert_is_not_stuck_before_its_time_is_over() -> None:
    short = replace(WATCH, end_us=at_us(400), looks=410)
    history = monitored(fires(DOWN, 384), faults=(cause("broker-kill", 380, 390),), monitoring=short)
    assert finding_of(history, "alert-without-cause").count == 0


def test_a_backlog_goes_by_and_by() -> None:
    causes = (cause("consumers-paused", 20, 30),)
    rows = fires(LAG, 25, 90)
    high = tuple(LagSample(t=START_S + t, domain="combat", lag=150_000) for t in range(24, 88, 2))
    assert finding_of(monitored(rows, faults=causes), "alert-without-cause").count == 1
    sampled = monitored(rows, faults=causes, lag=high)
    assert finding_of(sampled, "alert-without-cause").count == 0


# Claims -----------------------------------------------------------------------------------------------------------


def test_a_claim_is_unknown_while_one_of_its_alerts_was_not_raised() -> None:
    history = monitored(fires(DOWN, 24, 31), faults=(cause("broker-kill", 20, 30),))
    finding = finding_of(history, "operational-alerts")
    assert finding.verdict is Verdict.NOT_APPLICABLE
    result = claim_of(history, "OBS-ALERTS")
    assert result.verdict is Verdict.UNKNOWN
    assert "1 of 5 alerts raised by their cause, the slowest after 3.0 s" in result.evidence
    assert "KafkaDiskUsageHigh: nothing was done that must raise it" in result.evidence


def test_a_cause_that_this_machine_cannot_make_is_told() -> None:
    needs = cause("disk-usage", 20, None, effective_us=None, needs="needs root")
    assert "KafkaDiskUsageHigh: needs root" in claim_of(monitored(faults=(needs,)), "OBS-ALERTS").evidence
    unseen = replace(needs, needs="")
    words = "KafkaDiskUsageHigh: disk-usage-1 was never seen to take effect"
    assert words in claim_of(monitored(faults=(unseen,)), "OBS-ALERTS").evidence


def test_an_alert_that_fired_before_its_cause_shows_nothing() -> None:
    history = monitored(
        fires(DOWN, 12, 31), faults=(cause("broker-kill", 20, 30), cause("broker-stop", 11, 13, "FT-BROKER"))
    )
    assert finding_of(history, "alert-missed").count == 0
    assert "it was firing before its cause was made" in claim_of(history, "OBS-ALERTS").evidence
    assert "no incident of severity critical or high" in claim_of(history, "MTTR").evidence


def test_every_alert_raised_is_a_pass() -> None:
    history = every_alert()
    assert failing(history) == set()
    assert unknown(history) == {"metric-mismatch", "metric-series"}, "few metrics are part of this record"
    for claim in ("OBS-ALERTS", "SEC-ALERTS"):
        result = claim_of(history, claim)
        assert result.verdict is Verdict.PASS
        assert result.measured == "5 of 5 alerts raised by their cause, the slowest after 3.0 s"
        assert result.sees == "one of 5 alerts that is silent, or fires 30 s too long"
    mttr = claim_of(history, "MTTR")
    assert (mttr.verdict, mttr.measured) == (Verdict.PASS, "longest 11 s")
    assert "9 incidents; mean 11 s" in mttr.evidence


@pytest.mark.parametrize("alert", CAUSES)
def test_one_alert_of_a_claim_that_stays_silent_fails_it(alert: str) -> None:
    """And leaves the mean time to recover unknown: when it was over is not known."""
    history = every_alert()
    silent = replace(history, alerts=tuple(row for row in history.alerts if row.name != alert))
    assert failing(silent) == {
        "alert-missed",
        *(
            name
            for name, claim in (("operational-alerts", "OBS-ALERTS"), ("security-alerts", "SEC-ALERTS"))
            if claim in CAUSES[alert].claims
        ),
    }
    for claim in CAUSES[alert].claims:
        assert claim_of(silent, claim).verdict is Verdict.FAIL
    assert "an incident was not noticed" in claim_of(silent, "MTTR").evidence
    assert claim_of(silent, "MTTR").verdict is Verdict.UNKNOWN


def test_an_incident_of_a_quarter_of_an_hour_is_too_long() -> None:
    """The longest of them, not the mean."""
    long = replace(WATCH, end_us=at_us(2000), looks=2010)
    faults = (cause("broker-kill", 20, 925), cause("plaintext-listener", 30, 40))
    for gone_s, verdict in ((920, Verdict.PASS), (922, Verdict.FAIL)):
        history = monitored(
            fires(DOWN, 24, gone_s), fires("KafkaUnencryptedConnections", 33, 42), faults=faults, monitoring=long
        )
        assert claim_of(history, "MTTR").verdict is verdict


def test_only_urgent_incidents_count_for_the_time_to_recover() -> None:
    mild = tuple(replace(rule, severity="warning") for rule in RULES)
    result = claim_of(every_alert(), "MTTR")
    assert result.verdict is Verdict.PASS
    history = monitored(
        fires(DOWN, 24, 32), faults=(cause("broker-kill", 20, 30),), monitoring=replace(WATCH, rules=mild)
    )
    unknown_ = claim_of(history, "MTTR")
    assert (unknown_.verdict, "no incident of severity critical or high" in unknown_.evidence) == (
        Verdict.UNKNOWN,
        True,
    )


def test_an_incident_that_was_not_seen_to_end_leaves_it_unknown() -> None:
    short = replace(WATCH, end_us=at_us(400), looks=410)
    history = monitored(fires(DOWN, 384), faults=(cause("broker-kill", 380, 390),), monitoring=short)
    result = claim_of(history, "MTTR")
    assert (result.verdict, "only known between bounds" in result.evidence) == (Verdict.UNKNOWN, True)


# Evidence ---------------------------------------------------------------------------------------------------------

_BY_ALERTS = ("alert-missed", "alert-without-cause", "operational-alerts", "security-alerts")
_CLAIMS = ("OBS-ALERTS", "SEC-ALERTS", "MTTR")


def looked(**changes: Any) -> MonitoringRecord:
    """What was monitored by another watch, as every alert has it."""
    record = every_alert().monitoring
    assert record is not None
    return replace(record, **changes)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (None, "no record of the monitoring (history/monitoring.json)"),
        (MonitoringRecord(needs="needs prometheus: none"), "needs prometheus: none"),
        (looked(looks=0), "0 of 408 looks at the alerts that were answered"),
        (looked(looks=None, missed=None), "0 of 408 looks at the alerts that were answered"),
        (looked(missed=110), "400 of 408 looks at the alerts that were answered"),
        (looked(begin_us=at_us(10)), "390 of 400 seconds watched for alerts"),
        (looked(end_us=at_us(300)), "300 of 400 seconds watched for alerts"),
        (looked(rules=RULES[1:]), "8 of 9 alert rules that Prometheus has loaded"),
        (looked(rules=()), "0 of 9 alert rules that Prometheus has loaded"),
        (looked(targets={"kafka 1": True, "kafka 2": False}), "1 of 2 targets that Prometheus reached in the end"),
        (looked(targets={}), "no targets that Prometheus reached in the end"),
    ],
)
def test_without_a_whole_watch_nothing_is_known(record: MonitoringRecord | None, words: str) -> None:
    """Neither of what came nor of what did not; a rule that is not loaded is a miss besides."""
    history = replace(every_alert(), monitoring=record)
    unloaded = bool(record and record.rules is not None and len(record.rules) < len(RULES))
    for name in _BY_ALERTS:
        finding = finding_of(history, name)
        expected = {Verdict.UNKNOWN, Verdict.FAIL} if unloaded else {Verdict.UNKNOWN}
        assert finding.verdict in expected, (name, finding.summary)
        assert finding.verdict is Verdict.FAIL or words in finding.summary
    for claim in _CLAIMS:
        result = claim_of(history, claim)
        assert result.verdict is not Verdict.PASS
        assert result.verdict is Verdict.FAIL or words in result.evidence


def test_a_miss_that_nobody_looked_for_is_not_known_to_be_one() -> None:
    """The suite's own watch ended before the broker died."""
    short = replace(WATCH, end_us=at_us(8), looks=18)
    history = monitored(faults=(cause("broker-kill", 20, 30),), monitoring=short)
    finding = finding_of(history, "alert-missed")
    assert finding.verdict is Verdict.UNKNOWN
    assert "8 of 400 seconds watched for alerts" in finding.summary


def test_an_alert_whose_cause_may_be_missing_from_the_record_is_not_known_to_have_none() -> None:
    """An experiment, or a round of attempts, that left no row may have raised it."""
    broken = with_config(monitored(fires(DOWN, 100, 110)), experiments=["alert-broker-down"])
    finding = finding_of(broken, "alert-without-cause")
    assert finding.verdict is Verdict.UNKNOWN
    assert "no experiments with a record of how they ended" in finding.summary

    untold = replace(tried(of=monitored(fires(DENIED, 410, 420))), security=())
    finding = finding_of(untold, "alert-without-cause")
    assert finding.verdict is Verdict.UNKNOWN
    assert "0 of 2 rounds of attempts (history/security.jsonl); missing: start, end" in finding.summary


def test_without_a_list_of_the_rules_nobody_knows_which_are_missing() -> None:
    history = replace(every_alert(), due=None)
    assert "no list of the alert rules that had to be loaded (history/due.json)" in (
        finding_of(history, "alert-missed").summary
    )


def test_a_scenario_without_monitoring_misses_nothing() -> None:
    history = timed_history(seconds=30, eps={"combat": 10.0})
    for name in _BY_ALERTS:
        finding = finding_of(history, name)
        assert (finding.verdict, finding.summary) == (Verdict.NOT_APPLICABLE, "the scenario has no monitoring")
    for claim in _CLAIMS:
        assert claim_of(history, claim).verdict is Verdict.UNKNOWN
