"""Alerts: which provocation each belongs to, how fast it came, whether it went, and what fires without a cause."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import run_info

from necp_validate.claims import CHECKS, judge_claims
from necp_validate.claims.checks.monitoring.alerts import firing_spans, provocations
from necp_validate.claims.checks.monitoring.causes import CAUSES
from necp_validate.core import ClaimResult, Finding, Verdict
from necp_validate.record import (
    FIRING,
    PENDING,
    RESOLVED,
    AlertRule,
    AlertTransition,
    FaultRecord,
    History,
    LagSample,
    MonitoringRecord,
    Phase,
    SecurityRound,
)

S = 1_000_000
RULES = tuple(
    AlertRule(name=name, severity="critical", window_s=60.0 if c.rounds else 0.0) for name, c in CAUSES.items()
)
RECORD = MonitoringRecord(prometheus="2.42", begin_us=0, end_us=500 * S, looks=500, interval_s=2.0, rules=RULES)
DOWN, DENIED, LAG = "KafkaClusterDown", "KafkaAclDenials", "KafkaHighConsumerLag"


def fault(
    kind: str, begin_s: float, end_s: float | None, claims: tuple[str, ...] = ("OBS-ALERTS",), **more: Any
) -> Any:
    end_us = None if end_s is None else round(end_s * S)
    begin_us = round(begin_s * S)
    given = {
        "id": f"{kind}-1",
        "experiment": "e",
        "target": "t",
        "evidence": "seen",
        "effective_us": begin_us + S,
        **more,
    }
    return FaultRecord(kind=kind, begin_us=begin_us, end_us=end_us, claims=claims, **given)


def fires(name: str, from_s: float, until_s: float | None = None, **labels: str) -> list[AlertTransition]:
    rows = [AlertTransition(t_us=round(from_s * S), name=name, state=FIRING, labels=labels)]
    if until_s is not None:
        rows.append(AlertTransition(t_us=round(until_s * S), name=name, state=RESOLVED, labels=labels))
    return rows


def history(*rows: list[AlertTransition], **changes: Any) -> History:
    found: dict[str, Any] = {
        "run": run_info(config={"monitoring": {"interval_s": 2.0}}),
        "phases": (Phase(name="steady", kind="steady", start_us=10 * S, end_us=400 * S, target_eps={}),),
        "monitoring": RECORD,
        "alerts": tuple(sorted((row for group in rows for row in group), key=lambda row: row.t_us)),
    }
    return History(**(found | changes))


def finding(name: str, of: History) -> Finding:
    return CHECKS[name](of)


def claim(claim_id: str, of: History) -> ClaimResult:
    findings = [CHECKS[name](of) for name in ("alert-missed", "alert-without-cause")]
    (result,) = judge_claims(of, findings, [claim_id])
    return result


def test_an_alert_fires_from_its_first_series_to_its_last() -> None:
    of = history(fires(DOWN, 20, 40, broker="1"), fires(DOWN, 30, 50, broker="2"), fires(DENIED, 60))
    assert firing_spans(of) == {DOWN: [(20 * S, 50 * S)], DENIED: [(60 * S, float("inf"))]}


def test_one_that_is_pending_does_not_fire() -> None:
    rows = [AlertTransition(t_us=20 * S, name=DOWN, state=PENDING)]
    assert firing_spans(history(rows)) == {}


def test_detection_and_recovery_count_from_when_the_cause_was_seen() -> None:
    of = history(fires(DOWN, 24.5, 33), faults=(fault("broker-kill", 20, 30),))
    (one,) = provocations(of, RECORD)
    assert (one.detection_s, one.recovered_s, one.already, one.stuck) == (3.5, 12.0, False, False)


def test_a_fault_that_is_not_made_for_an_alert_need_not_raise_it() -> None:
    of = history(faults=(fault("broker-kill", 20, 30, claims=("FT-BROKER",)),))
    assert provocations(of, RECORD) == []
    assert finding("alert-missed", of).verdict is Verdict.PASS


def test_a_cause_without_its_alert_is_a_miss() -> None:
    of = history(faults=(fault("broker-kill", 20, 30),))
    found = finding("alert-missed", of)
    assert (found.verdict, found.count) == (Verdict.FAIL, 1)
    assert claim("OBS-ALERTS", of).verdict is Verdict.FAIL


def test_an_alert_that_comes_long_after_its_cause_is_a_miss() -> None:
    of = history(fires(DOWN, 70, 80), faults=(fault("broker-kill", 20, 30),))
    assert finding("alert-missed", of).count == 1


def test_a_rule_under_another_name_is_a_miss() -> None:
    wrong = tuple(replace(rule, name="KafkaIsDown") if rule.name == DOWN else rule for rule in RULES)
    found = finding("alert-missed", history(monitoring=replace(RECORD, rules=wrong)))
    assert [example.where for example in found.examples] == [DOWN]


def test_a_rule_that_cannot_be_evaluated_is_a_miss() -> None:
    sick = tuple(replace(rule, healthy=rule.name != DOWN) for rule in RULES)
    assert finding("alert-missed", history(monitoring=replace(RECORD, rules=sick))).count == 1


@pytest.mark.parametrize(
    ("rows", "faults", "count"),
    [
        (fires(DOWN, 100, 110), (), 1),
        (fires(DOWN, 100, 110), (fault("broker-stop", 95, 105, claims=("FT-BROKER",)),), 0),
        (fires(DOWN, 100, 110), (fault("core-kill", 95, 105, claims=("FT-CONSUMER",)),), 1),
        (fires(DOWN, 100, 110), (fault("broker-kill", 20, 30),), 1),
        (fires("SomethingElse", 100, 110), (fault("broker-kill", 95, 105),), 1),
        (fires(LAG, 100, 110), (fault("core-kill", 95, 105, claims=("FT-CONSUMER",)),), 0),
    ],
)
def test_what_fires_must_have_a_cause(rows: list[AlertTransition], faults: tuple[FaultRecord, ...], count: int) -> None:
    kinds = {one.kind for one in faults}
    extra = fires(DOWN, 24, 31) if kinds == {"broker-kill"} and faults[0].begin_us == 20 * S else []
    assert finding("alert-without-cause", history(rows, extra, faults=faults)).count == count


def test_attempts_that_are_refused_explain_the_alerts_on_refusals() -> None:
    one = SecurityRound(when="start", begin_us=20 * S, end_us=30 * S)
    of = history(fires(DENIED, 25, 95), security=(one,))
    assert finding("alert-without-cause", of).verdict is Verdict.PASS
    assert finding("alert-without-cause", history(fires(DENIED, 25, 95))).count == 1


def test_an_alert_that_stays_when_its_cause_has_gone_fires_without_one() -> None:
    of = history(fires(DOWN, 24), faults=(fault("broker-kill", 20, 30),))
    found = finding("alert-without-cause", of)
    assert found.count == 1
    assert "still fired" in found.examples[0].detail


def test_an_alert_that_looks_back_may_stay_for_as_long() -> None:
    causes = (fault("denied-requests", 20, 21, claims=("SEC-ALERTS",)),)
    assert finding("alert-without-cause", history(fires(DENIED, 24, 85), faults=causes)).count == 0
    assert finding("alert-without-cause", history(fires(DENIED, 24, 200), faults=causes)).count == 1


def test_an_alert_is_not_stuck_before_its_time_is_over() -> None:
    short = replace(RECORD, end_us=400 * S)
    of = history(fires(DOWN, 384), faults=(fault("broker-kill", 380, 390),), monitoring=short)
    assert finding("alert-without-cause", of).count == 0


def test_a_backlog_goes_by_and_by() -> None:
    causes = (fault("consumers-paused", 20, 30),)
    rows = fires(LAG, 25, 90)
    high = tuple(LagSample(t=t, domain="combat", lag=150_000) for t in range(24, 88, 2))
    assert finding("alert-without-cause", history(rows, faults=causes, lag=high)).count == 0
    assert finding("alert-without-cause", history(rows, faults=causes)).count == 1


def test_a_claim_is_unknown_while_one_of_its_alerts_was_not_raised() -> None:
    result = claim("OBS-ALERTS", history(fires(DOWN, 24, 31), faults=(fault("broker-kill", 20, 30),)))
    assert result.verdict is Verdict.UNKNOWN
    assert result.measured == "1 of 5 alerts raised by their cause, the slowest after 3.0 s"
    assert "KafkaDiskUsageHigh: nothing was done that must raise it" in result.evidence


def test_a_cause_that_this_machine_cannot_make_is_told() -> None:
    needs = fault("disk-usage", 20, None, effective_us=None, needs="needs root")
    assert "KafkaDiskUsageHigh: needs root" in claim("OBS-ALERTS", history(faults=(needs,))).evidence


def test_an_alert_that_fired_before_its_cause_shows_nothing() -> None:
    of = history(fires(DOWN, 12, 31), faults=(fault("broker-kill", 20, 30), fault("broker-stop", 11, 13)))
    assert finding("alert-missed", of).count == 0
    assert "it was firing before its cause was made" in claim("OBS-ALERTS", of).evidence


def test_every_alert_raised_is_a_pass() -> None:
    kinds = dict.fromkeys(kind for cause in CAUSES.values() for kind in cause.raised_by)
    faults = tuple(fault(kind, 20, 30, claims=("OBS-ALERTS", "SEC-ALERTS")) for kind in kinds)
    of = history(*(fires(name, 24, 32) for name in CAUSES), faults=faults)
    assert claim("OBS-ALERTS", of).verdict is Verdict.PASS
    assert claim("SEC-ALERTS", of).verdict is Verdict.PASS
    assert claim("MTTR", of).measured == "mean 11 s, longest 11 s over 9 of 9 incidents"


def test_an_incident_of_a_quarter_of_an_hour_is_too_long() -> None:
    record = replace(RECORD, end_us=2000 * S)
    of = history(fires(DOWN, 24, 930), faults=(fault("broker-kill", 20, 925),), monitoring=record)
    assert claim("MTTR", of).verdict is Verdict.FAIL


def test_an_incident_that_was_not_seen_to_end_leaves_it_unknown() -> None:
    record = replace(RECORD, end_us=400 * S)
    of = history(fires(DOWN, 384), faults=(fault("broker-kill", 380, 390),), monitoring=record)
    assert claim("MTTR", of).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"monitoring": None}, "left no record"),
        ({"monitoring": replace(RECORD, needs="needs prometheus: none")}, "needs prometheus: none"),
        ({"monitoring": replace(RECORD, missed=100)}, "did not answer 100 of 500"),
        ({"monitoring": replace(RECORD, begin_us=20 * S)}, "not watched for the whole"),
        ({"monitoring": replace(RECORD, end_us=300 * S)}, "not watched for the whole"),
    ],
)
def test_without_a_watch_nothing_is_known(changes: dict[str, Any], words: str) -> None:
    of = history(**changes)
    for name in ("alert-missed", "alert-without-cause"):
        found = finding(name, of)
        assert found.verdict is Verdict.UNKNOWN
        assert words in found.summary
    assert claim("SEC-ALERTS", of).verdict is Verdict.UNKNOWN


def test_a_scenario_without_monitoring_misses_nothing() -> None:
    of = history(monitoring=None, run=run_info())
    assert finding("alert-missed", of).verdict is Verdict.PASS
    assert claim("OBS-ALERTS", of).evidence == "the scenario has no [monitoring]"
