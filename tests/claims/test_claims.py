from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import START_S, ack, handled, history_of, read, run_info, timed_history

from necp_validate.claims import judge_claims, not_judged, run_checks, verify_history
from necp_validate.claims.catalogue import CLAIMS
from necp_validate.core import ClaimResult, UsageError, Verdict
from necp_validate.record import BrokerSample, CoreShutdown, Drain, HdrHistogram, History, HostSample

PEAK = {"combat": 20_000.0, "economy": 5_000.0, "social": 1_000.0, "system": 500.0}
DOUBLE = {domain: 2 * eps for domain, eps in PEAK.items()}


def judged(claim_id: str, history: History) -> ClaimResult:
    (result,) = judge_claims(history, run_checks(history), [claim_id])
    return result


def combat(**changes: Any) -> History:
    return timed_history(eps={"combat": 20_000.0}, **changes)


def at_scale(history: History, scale: float) -> History:
    return replace(history, run=replace(history.run, scale=scale))


# Rates ------------------------------------------------------------------------------------------------------


def test_a_rate_is_acked_and_handled() -> None:
    """End to end: what the brokers have and the event core has not handled does not count."""
    result = judged("THR-COMBAT", combat())
    assert (result.verdict, result.measured) == (Verdict.PASS, "20,000 EPS end to end")
    slow_core = judged("THR-COMBAT", combat(handled_eps={"combat": 18_000.0}))
    assert (slow_core.verdict, slow_core.measured) == (Verdict.FAIL, "18,000 EPS end to end")
    assert "did not keep up" in slow_core.evidence
    slow_brokers = judged("THR-COMBAT", combat(acked_eps={"combat": 15_000.0}))
    assert (slow_brokers.verdict, slow_brokers.measured) == (Verdict.FAIL, "15,000 EPS end to end")


def test_a_rate_may_miss_by_one_percent() -> None:
    assert judged("THR-COMBAT", combat(handled_eps={"combat": 19_801.0})).verdict is Verdict.PASS
    assert judged("THR-COMBAT", combat(handled_eps={"combat": 19_799.0})).verdict is Verdict.FAIL


def test_rejected_and_dead_lettered_events_are_handled() -> None:
    history = combat()
    rows = tuple(replace(row, processed=19_000, rejected=900, dead_lettered=100) for row in history.timeline)
    assert judged("THR-COMBAT", replace(history, timeline=rows)).verdict is Verdict.PASS


def test_a_claim_about_rates_is_unknown_below_scale_1() -> None:
    result = judged("THR-COMBAT", at_scale(timed_history(eps={"combat": 2_000.0}), 0.1))
    assert result.verdict is Verdict.UNKNOWN
    assert "run at scale 0.1, claim is about scale 1" in result.evidence
    assert result.measured == "2,000 EPS end to end"


def test_a_rate_that_no_phase_planned_is_unknown() -> None:
    result = judged("THR-HEADLINE", timed_history(eps=PEAK))
    assert result.verdict is Verdict.UNKNOWN
    assert "no phase was planned at 100,000 EPS" in result.evidence


def test_the_headline_is_judged_over_all_domains() -> None:
    eps = {domain: 4 * rate for domain, rate in PEAK.items()}
    assert judged("THR-HEADLINE", timed_history(eps=eps)).verdict is Verdict.PASS


def test_a_rate_that_a_saturated_host_could_not_offer_is_unknown() -> None:
    """Only where the generator itself fell short; a miss of the target stays a miss."""
    sent = {"combat": 15_000.0}
    assert judged("THR-COMBAT", combat(sent_eps=sent, busy_pct=99)).verdict is Verdict.UNKNOWN
    assert judged("THR-COMBAT", combat(sent_eps=sent, busy_pct=60)).verdict is Verdict.FAIL
    assert judged("THR-COMBAT", combat(acked_eps=sent, busy_pct=99)).verdict is Verdict.FAIL


def test_a_few_seconds_are_not_sustained() -> None:
    result = judged("THR-COMBAT", combat(seconds=8))
    assert result.verdict is Verdict.UNKNOWN


def test_without_outcomes_in_the_timeline_a_rate_is_unknown() -> None:
    history = combat()
    rows = tuple(replace(row, processed=None) for row in history.timeline)
    assert judged("THR-COMBAT", replace(history, timeline=rows)).verdict is Verdict.UNKNOWN
    assert judged("THR-COMBAT", replace(history, timeline=())).verdict is Verdict.UNKNOWN
    assert judged("THR-COMBAT", timed_history(eps={"social": 1_000.0})).verdict is Verdict.UNKNOWN


def test_workers_add_up_and_one_that_died_counts_nothing_after() -> None:
    history = combat()
    half = [replace(row, sent=10_000, acked=10_000, processed=10_000) for row in history.timeline]
    other = [replace(row, worker="w1") for row in half]
    both = replace(history, timeline=(*half, *other))
    assert judged("THR-COMBAT", both).measured == "20,000 EPS end to end"
    died = replace(history, timeline=(*half, *[row for row in other if row.t <= START_S + 16]))
    assert judged("THR-COMBAT", died).verdict is Verdict.FAIL


# 200% of peak -----------------------------------------------------------------------------------------------


def test_load_200_needs_the_rate_no_loss_and_a_drained_backlog() -> None:
    surge = timed_history(kind="surge", eps=DOUBLE)
    assert judged("LOAD-200", surge).verdict is Verdict.PASS
    slow = replace(surge, drain=Drain(phase_end_us=0, lag_at_end=9, drain_s=12.0))
    assert judged("LOAD-200", slow).verdict is Verdict.FAIL
    late = timed_history(kind="surge", eps=DOUBLE, sent_eps={d: eps * 0.97 for d, eps in DOUBLE.items()})
    assert judged("LOAD-200", late).verdict is Verdict.FAIL
    assert judged("LOAD-200", timed_history(eps=PEAK)).verdict is Verdict.UNKNOWN
    assert judged("LOAD-200", timed_history(kind="surge", eps=PEAK)).verdict is Verdict.UNKNOWN


def test_a_saturated_host_that_could_not_send_leaves_load_200_unknown() -> None:
    late = timed_history(kind="surge", eps=DOUBLE, sent_eps={d: eps * 0.9 for d, eps in DOUBLE.items()}, busy_pct=99)
    assert judged("LOAD-200", late).verdict is Verdict.UNKNOWN


def test_a_loss_fails_load_200_at_any_scale() -> None:
    """Nothing turns a loss into unknown: not the scale, not a missing timeline."""
    surge = at_scale(timed_history(kind="surge", eps=PEAK), 0.5)
    assert judged("LOAD-200", surge).verdict is Verdict.UNKNOWN
    assert surge.readback is not None
    streams = {name: replace(read, read=type(read.read)()) for name, read in surge.readback.streams.items()}
    lossy = replace(surge, readback=replace(surge.readback, streams=streams), timeline=())
    assert judged("LOAD-200", lossy).verdict is Verdict.FAIL


# Latency ----------------------------------------------------------------------------------------------------


def test_latency_is_judged_by_p99_of_the_steady_phase() -> None:
    result = judged("LAT-COMBAT", combat(e2e_ms=29.0))
    assert (result.verdict, result.phase) == (Verdict.PASS, "steady")
    assert result.measured.startswith("P50 29.")
    assert judged("LAT-COMBAT", combat(e2e_ms=31.0)).verdict is Verdict.FAIL
    assert judged("LAT-COMBAT", combat(kind="surge", e2e_ms=5.0)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "host",
    [{"busy_pct": 95.0}, {"late_ms": 11.0}],
    ids=["busy", "late generator"],
)
def test_a_miss_on_a_saturated_host_is_unknown_and_a_pass_stays_one(host: dict[str, float]) -> None:
    missed = judged("LAT-COMBAT", combat(e2e_ms=31.0, **host))
    assert missed.verdict is Verdict.UNKNOWN
    assert "may be the host's" in missed.evidence
    assert judged("LAT-COMBAT", combat(e2e_ms=20.0, **host)).verdict is Verdict.PASS


def test_stolen_cpu_is_a_reason_too() -> None:
    stolen = (HostSample(t=START_S + 1, cpu_busy_pct=40, cpu_steal_pct=6.0),)
    assert judged("LAT-COMBAT", combat(e2e_ms=31.0, host=stolen)).verdict is Verdict.UNKNOWN


def test_the_limits_of_the_witness_come_from_the_scenario() -> None:
    run = run_info(config={"thresholds": {"host_busy_pct": 70.0}})
    assert judged("LAT-COMBAT", combat(e2e_ms=31.0, busy_pct=75.0, run=run)).verdict is Verdict.UNKNOWN


def few(events: int, e2e_ms: float = 10.0) -> History:
    return timed_history(eps={"combat": events / 30}, e2e_ms=e2e_ms)


def test_percentiles_need_samples() -> None:
    """No P99 under 1,000 samples, no P99.9 under 10,000."""
    assert judged("LAT-COMBAT", few(990)).verdict is Verdict.UNKNOWN
    thousand = judged("LAT-COMBAT", few(1_020))
    assert thousand.verdict is Verdict.PASS
    assert "P99.9" not in thousand.measured
    assert "P99.9" in judged("LAT-COMBAT", few(10_020)).measured


def test_events_never_seen_handled_are_slower_than_any_limit() -> None:
    """2% of the events have no end: P99 lies among them."""
    result = judged("LAT-COMBAT", timed_history(eps={"combat": 100.0}, e2e_ms=1.0, samples=2_940))
    assert result.verdict is Verdict.FAIL
    assert "P99 never" in result.measured
    assert "60 of them acked but never seen handled" in result.evidence
    assert judged("LAT-COMBAT", timed_history(eps={"combat": 100.0}, samples=2_980)).verdict is Verdict.PASS


def with_ends_before_they_were_due(events: int) -> History:
    """Thirty thousand events whose ends were seen, and some more whose ends a clock that is behind put too early."""
    history = timed_history(eps={"combat": 1_000.0}, samples=30_000 - events)
    histogram = HdrHistogram()
    histogram.merge(history.latency["steady", "combat", "e2e"])
    histogram.negative = events
    return replace(history, latency={**history.latency, ("steady", "combat", "e2e"): histogram})


def test_a_few_ends_before_they_were_due_are_reported() -> None:
    result = judged("LAT-COMBAT", with_ends_before_they_were_due(7))
    assert result.verdict is Verdict.PASS
    assert "7 said to have ended before they were due" in result.evidence


def test_a_clock_that_is_behind_makes_no_pass() -> None:
    """Left out, these events could be the slow ones."""
    result = judged("LAT-COMBAT", with_ends_before_they_were_due(1_200))
    assert result.verdict is Verdict.UNKNOWN
    assert "cannot be told by a clock that is wrong" in result.evidence
    assert "acked but never seen handled" not in result.evidence


def test_the_headline_latency_is_over_all_domains() -> None:
    history = timed_history(eps=PEAK, e2e_ms=49.0)
    assert judged("LAT-HEADLINE", history).verdict is Verdict.PASS
    assert judged("LAT-ECONOMY", history).verdict is Verdict.PASS
    assert judged("LAT-COMBAT", history).verdict is Verdict.FAIL


# Durability, processing, resources, operations --------------------------------------------------------------


def test_acked_is_durable_or_not() -> None:
    assert judged("DUR-ACKED", history_of(ack(0), ack(1), read(0), read(1))).verdict is Verdict.PASS
    lost = judged("DUR-ACKED", history_of(ack(0), ack(1), read(1)))
    assert (lost.verdict, lost.measured) == (Verdict.FAIL, "1 of 2 lost")
    assert judged("DUR-ACKED", history_of(ack(0), readback=None)).verdict is Verdict.UNKNOWN


def test_a_loss_that_the_configuration_allows_is_still_no_durability() -> None:
    weak = {"acks": "1", "enable.idempotence": "false"}
    result = judged("DUR-ACKED", history_of(ack(0), ack(1), read(1), producer=weak))
    assert result.verdict is Verdict.FAIL
    assert "configuration permits it" in result.evidence


def test_cheats_and_poison() -> None:
    ops = (ack(0), ack(1), ack(2), read(0), read(1), read(2), handled(0))
    good = history_of(*ops, handled(1, 1), handled(2, 2), planted={"cheat": 1, "poison": 1})
    assert judged("EVT-COMBAT", good).verdict is Verdict.PASS
    assert judged("EVT-REGISTRY", good).verdict is Verdict.PASS
    processed = history_of(*ops, handled(1), handled(2), planted={"cheat": 1, "poison": 1})
    assert judged("EVT-COMBAT", processed).verdict is Verdict.FAIL
    assert judged("EVT-REGISTRY", processed).verdict is Verdict.FAIL
    nothing_planted = history_of(*ops, handled(1), handled(2))
    assert judged("EVT-COMBAT", nothing_planted).verdict is Verdict.UNKNOWN
    assert judged("EVT-REGISTRY", nothing_planted).verdict is Verdict.UNKNOWN


def test_dead_letters_must_be_in_their_topics() -> None:
    history = history_of(ack(0), ack(1), read(0), read(1), handled(0), handled(1, 2), planted={"poison": 1})
    assert history.readback is not None
    empty = replace(history, readback=replace(history.readback, dead_letters={}))
    assert judged("EVT-REGISTRY", empty).verdict is Verdict.FAIL


def test_memory_and_iops_are_judged_by_the_worst_broker() -> None:
    samples = (
        BrokerSample(t=1, broker="1", rss_bytes=1e9, read_ios=10, write_ios=20),
        BrokerSample(t=2, broker="2", rss_bytes=3.99e9, read_ios=4_999, write_ios=5_000),
    )
    history = history_of(ack(0), read(0), brokers=samples)
    assert judged("RES-MEMORY", history).measured == "3.99 GB (broker 2)"
    assert judged("RES-MEMORY", history).verdict is Verdict.PASS
    assert judged("RES-IOPS", history).verdict is Verdict.PASS
    worse = (*samples, BrokerSample(t=3, broker="1", rss_bytes=4e9, read_ios=1, write_ios=9_999))
    history = history_of(ack(0), read(0), brokers=worse)
    assert judged("RES-MEMORY", history).verdict is Verdict.FAIL
    assert judged("RES-IOPS", history).verdict is Verdict.FAIL
    assert judged("RES-MEMORY", history_of(ack(0), read(0))).verdict is Verdict.UNKNOWN


def test_an_upper_bound_of_iops_proves_only_a_pass() -> None:
    """Where the whole disk is counted, its load is not only the broker's."""
    run = run_info(stack={"io_source": "operations of the whole disk (an upper bound)"})
    for ios, verdict in ((9_999, Verdict.PASS), (10_000, Verdict.UNKNOWN)):
        samples = (BrokerSample(t=1, broker="1", read_ios=0, write_ios=ios),)
        assert judged("RES-IOPS", history_of(ack(0), read(0), brokers=samples, run=run)).verdict is verdict


@pytest.mark.parametrize(
    ("shutdown", "verdict"),
    [
        (CoreShutdown(exit_code=0, seconds=4.0, healthy_before=True), Verdict.PASS),
        (CoreShutdown(exit_code=0, seconds=31.0, healthy_before=True), Verdict.FAIL),
        (CoreShutdown(exit_code=1, seconds=4.0, healthy_before=True), Verdict.FAIL),
        (CoreShutdown(exit_code=0, seconds=4.0, healthy_before=False), Verdict.FAIL),
        (None, Verdict.UNKNOWN),
    ],
)
def test_a_graceful_shutdown(shutdown: CoreShutdown | None, verdict: Verdict) -> None:
    history = history_of(ack(0), read(0), core_shutdown=shutdown)
    assert verdict is judged("OPS-HEALTH", history).verdict


def test_a_graceful_shutdown_loses_nothing() -> None:
    shutdown = CoreShutdown(exit_code=0, seconds=4.0, healthy_before=True)
    history = history_of(ack(0), ack(1), read(0), read(1), handled(0), core_shutdown=shutdown)
    assert judged("OPS-HEALTH", history).verdict is Verdict.FAIL


# The whole --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim_id", sorted(CLAIMS))
def test_no_claim_passes_without_evidence(claim_id: str) -> None:
    result = judged(claim_id, History(run=run_info()))
    assert result.verdict is Verdict.UNKNOWN
    assert result.evidence


def test_the_scenario_says_which_claims_are_judged() -> None:
    history = history_of(ack(0), read(0), run=run_info(config={"judge": ["DUR-ACKED"]}))
    findings, claims, verdict = verify_history(history)
    assert [claim.id for claim in claims] == ["DUR-ACKED"]
    assert verdict is Verdict.PASS
    assert {finding.verdict for finding in findings} == {Verdict.PASS}
    rest = not_judged(history)
    assert len(CLAIMS) == len(rest) + 1
    assert {"not judged by the scenario s"} == {claim.evidence for claim in rest}


def test_the_verdict_is_the_worst_of_claims_and_checks() -> None:
    history = history_of(ack(0), read(0), run=run_info(config={"judge": ["DUR-ACKED", "SEC-ACL"]}))
    assert verify_history(history)[2] is Verdict.UNKNOWN
    double = history_of(ack(0), read(0), read(0, at=1), run=run_info(config={"judge": ["DUR-ACKED"]}))
    assert verify_history(double)[2] is Verdict.FAIL


def test_a_claim_that_does_not_exist_is_an_error() -> None:
    history = history_of(ack(0), read(0), run=run_info(config={"judge": ["THR-COMBATT"]}))
    with pytest.raises(UsageError, match="THR-COMBATT"):
        verify_history(history)


def test_a_judge_that_crashes_leaves_its_claim_unknown() -> None:
    history = combat(run=run_info(config={"thresholds": {"rate_tolerance": "much"}}))
    result = judged("THR-COMBAT", history)
    assert result.verdict is Verdict.UNKNOWN
    assert "the checker itself failed: ValueError" in result.evidence
