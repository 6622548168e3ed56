"""Claims of the user's own: each metric with the smallest history that meets it, and one that does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from histories import START_S, ack, counts_of, history_of, planned, read, run_info, timed_history
from own import claim

from necp_validate.claims.judge import Judge
from necp_validate.claims.metrics.measures import MEASURES, Measure, add
from necp_validate.claims.metrics.windows import Second, bounds_ms
from necp_validate.claims.model import Repeats
from necp_validate.core import ClaimResult, Verdict
from necp_validate.record import (
    AT_ONCE,
    BrokerSample,
    Drain,
    ExperimentOutcome,
    FaultRecord,
    HostSample,
    IsrSample,
    LagSample,
    PartitionGap,
    Record,
)

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def judged(history: Record, metric: str, comparison: str, threshold: float, **changes: Any) -> ClaimResult:
    """By the evidence of the metric alone: whether all accounts add up is for other tests."""
    return Judge(history).result(claim(metric, comparison, threshold, **changes))


def combat(**changes: Any) -> Record:
    return timed_history(eps={"combat": 2_000.0}, **changes)


def with_rows(history: Record, second: int, **changes: Any) -> Record:
    """The same with the row of one second changed."""
    rows = tuple(replace(row, **changes) if row.t == START_S + second else row for row in history.timeline)
    return replace(history, timeline=rows)


def with_latency(history: Record, p50_ms: float, p99_ms: float) -> Record:
    rows = tuple(replace(row, e2e_p50_ms=p50_ms, e2e_p99_ms=p99_ms) for row in history.timeline)
    return replace(history, timeline=rows)


# What decides -----------------------------------------------------------------------------------------------


def test_a_figure_is_held_against_the_threshold_and_named_with_its_place() -> None:
    met = judged(combat(e2e_ms=10), "e2e_p99", "<", 20, phase="steady", domain="combat")
    assert (met.verdict, met.phase, met.source) == (PASS, "steady", "claims.toml")
    assert met.measured == "P99 10 ms"
    assert met.threshold == "e2e_p99 < 20 ms, combat, in steady"
    assert judged(combat(e2e_ms=25), "e2e_p99", "<", 20, phase="steady").verdict is FAIL


@pytest.mark.parametrize(
    ("comparison", "threshold", "verdict"),
    [("<", 2, FAIL), ("<=", 2, PASS), (">", 2, FAIL), (">=", 2, PASS), ("==", 2, PASS), ("==", 3, FAIL)],
)
def test_every_comparison(comparison: str, threshold: float, verdict: Verdict) -> None:
    history = history_of(ack(0), ack(1), ack(2), read(0))
    assert judged(history, "lost", comparison, threshold).verdict is verdict


def test_too_few_samples_are_unknown_whatever_the_figure() -> None:
    assert judged(combat(), "e2e_p99", "<", 20, min_samples=60_000).verdict is PASS
    few = judged(combat(), "e2e_p99", "<", 20, min_samples=60_001)
    assert (few.verdict, "60,001 events are the least" in few.evidence) == (UNKNOWN, True)


def test_a_percentile_needs_its_own_least_number_even_if_the_claim_asks_for_less() -> None:
    history = timed_history(eps={"combat": 20.0})
    assert judged(history, "e2e_p99", "<", 1, min_samples=1).verdict is UNKNOWN
    assert judged(history, "e2e_p50", "<", 20, min_samples=1).verdict is PASS


def test_a_miss_on_a_saturated_host_is_unknown_for_latency_and_stays_a_miss_for_loss() -> None:
    slow = judged(combat(e2e_ms=50, busy_pct=99), "e2e_p99", "<", 20)
    assert (slow.verdict, "may be the host's" in slow.evidence) == (UNKNOWN, True)
    assert judged(combat(e2e_ms=10, busy_pct=99), "e2e_p99", "<", 20).verdict is PASS
    lossy = history_of(ack(0), ack(1), read(1), host=(HostSample(t=START_S, cpu_busy_pct=100),))
    assert judged(lossy, "lost", "==", 0).verdict is FAIL


def test_events_that_were_never_handled_are_slower_than_any_limit() -> None:
    result = judged(combat(samples=58_000), "e2e_p99", "<", 20)
    assert (result.verdict, result.measured) == (FAIL, "P99 never")
    assert "2,000 acked events were never seen handled" in result.evidence


def test_a_wrong_clock_leaves_a_latency_between_bounds() -> None:
    history = combat(samples=58_000)
    histogram = history.latency["steady", "combat", "e2e"]
    histogram.negative = 2_000
    result = judged(history, "e2e_p99", "<", 20)
    assert (result.verdict, "a clock is wrong" in result.evidence) == (UNKNOWN, True)


def test_every_phase_but_warm_ups_counts_where_none_is_named() -> None:
    steady, warm = combat(e2e_ms=10), combat(kind="warmup", e2e_ms=500)
    both = replace(steady, phases=(*warm.phases, *steady.phases), latency={**warm.latency, **steady.latency})
    assert judged(both, "e2e_p99", "<", 20).verdict is PASS
    assert judged(both, "e2e_p99", "<", 20, phase="warmup").verdict is not PASS
    assert judged(both, "e2e_p99", "<", 20, phase="surge").verdict is UNKNOWN


def test_a_domain_that_the_run_does_not_have_is_unknown() -> None:
    assert judged(combat(), "e2e_p99", "<", 20, domain="social").verdict is UNKNOWN


def test_an_empty_history_proves_nothing_of_any_metric() -> None:
    """The seeded defect of all at once: a metric that passes on nothing would be no evidence."""
    empty = Record(run=run_info())
    for name, measure in MEASURES.items():
        comparison = ">=" if measure.higher_is_better else "<="
        assert judged(empty, name, comparison, 0.0).verdict is UNKNOWN, name


def test_a_metric_that_crashes_is_unknown_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(MEASURES["lost"], measure=lambda _: 1 // 0)
    monkeypatch.setitem(MEASURES, "lost", broken)
    result = judged(combat(), "lost", "==", 0)
    assert (result.verdict, "ZeroDivisionError" in result.evidence) == (UNKNOWN, True)


def test_two_metrics_cannot_share_a_name() -> None:
    measure: Measure = MEASURES["lost"]
    with pytest.raises(ValueError, match="two metrics"):
        add(measure)


# Each metric ------------------------------------------------------------------------------------------------


def lossy() -> Record:
    return history_of(ack(0), ack(1), ack(2), read(0), read(2))


def doubled() -> Record:
    return history_of(ack(0), ack(1), read(0), read(1, at=1), read(1, at=2))


def shuffled() -> Record:
    return history_of(ack(0), ack(1), read(1, at=0), read(0, at=1))


def sampled(**changes: Any) -> Record:
    brokers = tuple(
        BrokerSample(t=START_S + s, broker=b, cpu_pct=30.0 + s, rss_bytes=2.0**29, read_ios=10.0, write_ios=90.0)
        for s in range(30)
        for b in ("1", "2")
    )
    host = tuple(
        HostSample(t=START_S + s, cpu_busy_pct=50, cpu_steal_pct=2, load_cpu_pct=20, core_cpu_pct=30) for s in range(30)
    )
    lag = tuple(LagSample(t=START_S + s, domain="combat", lag=10.0 * s) for s in range(30))
    isr = tuple(IsrSample(t=START_S + s, under_replicated=4 if s == 7 else 0, offline=0) for s in range(30))
    history = combat(**{"brokers": brokers, "host": host, "lag": lag, "isr": isr, **changes})
    assert history.due is not None
    return replace(history, due=replace(history.due, brokers=("1", "2")))


DRAIN = Drain(phase_end_us=START_S * 10**6, lag_at_end=9, drained_us=START_S * 10**6 + 4_000_000, drain_s=4.0)


def faulted() -> Record:
    begin_us = (START_S + 5) * 10**6
    history = combat()
    gap = PartitionGap(domain="combat", partition=0, from_us=begin_us, to_us=begin_us + 3_000_000)
    fault = FaultRecord(
        id="broker-kill-1",
        experiment="broker-kill",
        kind="broker-kill",
        target="broker-1",
        begin_us=begin_us,
        effective_us=begin_us,
        evidence="pid gone",
        end_us=begin_us + 5_000_000,
        needs="",
        claims=(),
    )
    outcome = ExperimentOutcome(
        experiment="broker-kill",
        title="a broker is killed",
        status="completed",
        steady_before=True,
        steady_after=True,
        failed=(),
        missed=(),
        seconds=9.0,
        faults=(fault.id,),
    )
    config = {**history.run.config, "experiments": ["broker-kill"]}
    return replace(
        history,
        run=replace(history.run, config=config),
        faults=(fault,),
        experiments=(outcome,),
        loads=(replace(history.loads[0], gaps=(gap,)),),
    )


@pytest.mark.parametrize(
    ("history", "metric", "value", "shown"),
    [
        (lossy(), "lost", 1, "1 events"),
        (doubled(), "duplicates", 1, "1 events"),
        (shuffled(), "out_of_order", 1, "1 events"),
        (
            combat(drain=Drain(phase_end_us=START_S * 10**6, lag_at_end=9, drained_us=1, drain_s=4.0)),
            "drain_time",
            4000,
            "4 s",
        ),
        (faulted(), "recovery_time", 3000, "3 s"),
        (combat(), "longest_gap", 100, "100 ms"),
        (sampled(), "broker_cpu_mean", 44.5, "44.5%"),
        (sampled(), "broker_cpu_max", 59, "59%"),
        (sampled(), "broker_memory_max", 2.0**29, "512 MiB"),
        (sampled(), "broker_iops_max", 100, "100 /s"),
        (sampled(), "host_cpu_mean", 50, "50%"),
        (sampled(), "host_steal_mean", 2, "2%"),
        (sampled(), "core_cpu_mean", 30, "30%"),
        (sampled(), "load_cpu_mean", 20, "20%"),
        (sampled(), "lag_max", 290, "290 events"),
        (sampled(), "lag_mean", 145, "145 events"),
        (sampled(), "under_replicated_max", 4, "4 partitions"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_metric_is_measured_and_both_sides_of_it_are_told_apart(
    history: Record, metric: str, value: float, shown: str
) -> None:
    at = judged(history, metric, "<=", value)
    assert (at.verdict, at.measured.endswith(shown)) == (PASS, True), at
    assert judged(history, metric, "<", value).verdict is FAIL


@pytest.mark.parametrize(
    ("changes", "metric", "value"),
    [
        ({}, "throughput", 2_000),
        ({"handled_eps": {"combat": 1_500.0}}, "throughput", 1_500),
        ({"handled_eps": {"combat": 1_500.0}}, "handled_rate", 1_500),
        ({"acked_eps": {"combat": 1_800.0}}, "acked_rate", 1_800),
        ({"sent_eps": {"combat": 1_900.0}}, "sent_rate", 1_900),
    ],
)
def test_a_rate_is_measured(changes: dict[str, Any], metric: str, value: float) -> None:
    assert judged(combat(**changes), metric, ">=", value - 1e-6).verdict is PASS
    assert judged(combat(**changes), metric, ">=", value + 1, phase="steady").verdict is (
        UNKNOWN if value == 2_000 else FAIL
    )


def test_a_rate_that_was_not_planned_is_unknown() -> None:
    result = judged(combat(), "throughput", ">=", 20_000)
    assert (result.verdict, "no more than 2,000 events/s was planned" in result.evidence) == (UNKNOWN, True)


def test_a_rate_that_a_saturated_host_could_not_offer_is_unknown() -> None:
    sent = {"combat": 1_500.0}
    assert judged(combat(sent_eps=sent, busy_pct=99), "throughput", ">=", 1_990).verdict is UNKNOWN
    assert judged(combat(acked_eps=sent, busy_pct=99), "throughput", ">=", 1_990).verdict is FAIL


def test_shares_are_of_what_they_say() -> None:
    history = combat(sent_eps={"combat": 1_900.0}, acked_eps={"combat": 1_800.0})
    assert judged(history, "acked_share", ">=", 0.9).verdict is PASS
    assert judged(history, "acked_share", ">=", 0.91).verdict is FAIL
    assert judged(with_failed(57, unknown=0), "failed", "<=", 56).verdict is FAIL
    assert judged(with_failed(57, unknown=0), "failed_share", "<=", 0.001).verdict is PASS
    assert judged(with_failed(57, unknown=0), "failed_share", "<", 0.001).verdict is FAIL


def with_failed(failed: int, unknown: int) -> Record:
    history = combat(sent_eps={"combat": 1_900.0})
    counts = replace(counts_of(scheduled=60_000, sent=57_000, acked=57_000 - failed - unknown, failed=failed))
    load = replace(history.loads[0], phases={"steady": {"combat": counts}})
    return replace(history, loads=(load,))


def test_a_send_of_unknown_outcome_may_have_failed_and_was_not_fast() -> None:
    """A broker that is gone for good: 387 of 600 events acked, the others never answered."""
    assert judged(with_failed(0, unknown=0), "failed", "==", 0).verdict is PASS
    lost = with_failed(0, unknown=20_000)
    assert judged(lost, "failed", "==", 0).verdict is UNKNOWN
    assert judged(lost, "failed_share", "<=", 0.1).verdict is UNKNOWN
    assert judged(with_failed(6_000, unknown=20_000), "failed_share", "<=", 0.1).verdict is FAIL
    slow = judged(lost, "ack_p95", "<", 500)
    assert (slow.verdict, slow.measured) == (FAIL, "P95 never")


def test_a_bound_on_disk_operations_proves_and_an_exceeded_one_does_not() -> None:
    bound = sampled(run=run_info(stack={"io_source": "upper bound: the whole disk"}))
    assert judged(bound, "broker_iops_max", "<=", 100).verdict is PASS
    assert judged(bound, "broker_iops_max", "<", 100).verdict is UNKNOWN


def test_a_fault_that_was_never_seen_proves_no_recovery() -> None:
    history = faulted()
    unseen = replace(history, faults=(replace(history.faults[0], effective_us=None),))
    assert judged(unseen, "recovery_time", "<", 30_000).verdict is UNKNOWN
    assert judged(combat(), "recovery_time", "<", 30_000).verdict is UNKNOWN
    assert judged(history, "recovery_time", "<", 30_000, phase="steady").verdict is PASS


# Windows ----------------------------------------------------------------------------------------------------


def test_the_worst_window_fails_where_the_phase_as_a_whole_passes() -> None:
    history = combat()
    for second in range(10, 15):
        history = with_rows(history, second, acked=500, processed=500)
    assert judged(history, "throughput", ">=", 1_700).verdict is PASS
    worst = judged(history, "throughput", ">=", 1_700, window_s=5)
    assert (worst.verdict, worst.measured) == (FAIL, "end to end 500 events/s in the slowest 5 s")
    assert "began 9 s into the phase" in worst.evidence


def test_a_row_that_comes_late_is_no_dip() -> None:
    history = combat()
    rows = tuple(
        replace(row, t=row.t + 0.9, acked=3_800, processed=3_800)
        if row.t == START_S + 10
        else replace(row, acked=200, processed=200)
        if row.t == START_S + 11
        else row
        for row in history.timeline
    )
    assert judged(replace(history, timeline=rows), "throughput", ">=", 1_999, window_s=5).verdict is PASS


def test_a_worker_that_died_counts_nothing_in_later_windows() -> None:
    history = combat()
    other = tuple(replace(row, worker="w1") for row in history.timeline if row.t <= START_S + 15)
    both = replace(history, timeline=(*history.timeline, *other))
    assert judged(both, "acked_rate", ">=", 2_000, window_s=5).measured == ("acked 2,000 events/s in the slowest 5 s")


def test_a_stretch_without_any_event_is_a_miss_and_not_a_lack_of_samples() -> None:
    history = combat()
    rows = tuple(replace(row, acked=0) if row.t > START_S + 20 else row for row in history.timeline)
    assert judged(replace(history, timeline=rows), "acked_rate", ">=", 1_000, window_s=5).verdict is FAIL


def test_a_phase_shorter_than_the_window_is_unknown() -> None:
    result = judged(combat(seconds=8), "throughput", ">=", 1_000, window_s=10)
    assert (result.verdict, "less than 10 s" in result.evidence) == (UNKNOWN, True)


def test_a_percentile_of_a_window_is_known_between_bounds() -> None:
    """One slow second of ten: a hundredth of its events at least, all of them at most, are above its P99."""
    slow = with_rows(with_latency(combat(), 5, 10), 10, e2e_p50_ms=6.0, e2e_p99_ms=80.0)
    assert judged(slow, "e2e_p99", "<=", 80, window_s=10).verdict is PASS
    assert judged(slow, "e2e_p99", "<", 50, window_s=10).verdict is UNKNOWN
    assert judged(slow, "e2e_p99", "<", 10, window_s=10).verdict is FAIL
    stuck = with_rows(with_latency(combat(), 5, 10), 10, e2e_p50_ms=70.0, e2e_p99_ms=80.0)
    assert judged(stuck, "e2e_p99", "<", 50, window_s=10).verdict is FAIL, "half of a tenth is over a hundredth"


def test_missing_events_may_lie_in_any_window() -> None:
    history = with_latency(combat(samples=59_000), 5, 10)
    assert judged(history, "e2e_p99", "<", 50, window_s=10).verdict is UNKNOWN


@pytest.mark.parametrize("q", [50.0, 99.0])
def test_the_bounds_hold_for_real_percentiles(q: float) -> None:
    """Against all values themselves, over many mixtures of seconds."""
    random = np.random.default_rng(8)
    for _ in range(60):
        values = [random.lognormal(random.normal(2, 1), 0.7, size=random.integers(20, 400)) for _ in range(8)]
        seconds = [Second(t=0, events=len(v), p50_ms=_rank(v, 50), p99_ms=_rank(v, 99)) for v in values]
        low, high = bounds_ms(seconds, q)
        true = _rank(np.concatenate(values), q)
        assert low <= true <= high


def _rank(values: Any, q: float) -> float:
    ordered = np.sort(values)
    return float(ordered[int(np.ceil(round(q / 100 * len(ordered), 6))) - 1])


# Repeats ----------------------------------------------------------------------------------------------------


def runs(*latencies_ms: float) -> list[Record]:
    histories = [combat(e2e_ms=ms) for ms in latencies_ms]
    return [replace(one, run=replace(one.run, id=f"r{number}")) for number, one in enumerate(histories)]


@pytest.mark.parametrize(
    ("latencies_ms", "verdict"),
    [
        ((10, 10, 30), PASS),
        ((10, 30, 30), FAIL),
        ((10, 10), UNKNOWN),
        ((30, 30), FAIL),
        ((30, 30, 10, 10, 30), PASS),
        ((10,), UNKNOWN),
    ],
    ids=str,
)
def test_two_of_the_last_three_runs(latencies_ms: tuple[float, ...], verdict: Verdict) -> None:
    *earlier, last = runs(*latencies_ms)
    of_three = claim("e2e_p99", "<", 20, phase="steady", repeats=Repeats(hold=2, of=3))
    result = Judge(last).result(of_three, earlier)
    assert result.verdict is verdict, result.evidence


def test_phases_of_one_kind_are_repeats_too() -> None:
    first, second = combat(e2e_ms=10), combat(e2e_ms=30)
    phases = tuple(replace(first.phases[0], name=name) for name in ("one", "two"))
    latency = {(name, d, k): h.latency["steady", d, k] for name, h in (("one", first), ("two", second)) for d, k in
               [("combat", "e2e"), ("combat", "ack"), ("combat", "late"), ("combat", AT_ONCE)]}  # fmt: skip
    load = first.loads[0]
    loads = (replace(load, phases=dict.fromkeys(("one", "two"), load.phases["steady"])),)
    run = replace(first.run, config={**first.run.config, "phases": planned(*phases)})
    history = replace(first, run=run, phases=phases, latency=latency, loads=loads)
    assert judged(history, "e2e_p99", "<", 20, phase="steady", repeats=Repeats(hold=1, of=2)).verdict is PASS
    assert judged(history, "e2e_p99", "<", 20, phase="steady", repeats=Repeats(hold=2, of=2)).verdict is FAIL
    assert judged(history, "e2e_p99", "<", 20, phase="steady").verdict is FAIL
    assert judged(history, "e2e_p99", "<", 20, phase="two").verdict is FAIL
