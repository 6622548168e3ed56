"""When events ended: the target's word against the time at which a broker appended the outcome."""

from __future__ import annotations

from dataclasses import replace

import pytest
from histories import claim_of, finding_of, histogram_of, timed_history
from sound.drills import under
from sound.faults import fault

from necp_validate.claims.metrics.latencies import AtOnce, certainly_ms, most_by_chance
from necp_validate.core import Verdict
from necp_validate.record import AT_ONCE, Record

EVENTS = 30_000


def reported(*, moved: int = 0, witnessed: int | None = None, seconds: int = 30, **changes: float) -> Record:
    """1,000 combat events a second, by default for half a minute; some ends were moved by the brokers' word."""
    history = timed_history(eps={"combat": 1_000.0}, seconds=seconds, **changes)
    (load,) = history.loads
    counts = load.counts("steady")["combat"]
    assert counts.acked == 1_000 * seconds
    counts = replace(counts, moved=moved, witnessed=1_000 * seconds if witnessed is None else witnessed)
    history = replace(history, loads=(replace(load, phases={"steady": {"combat": counts}}),))
    assert history.readback is not None
    (receipts,) = history.readback.receipts
    return replace(history, readback=replace(history.readback, receipts=(replace(receipts, ended_early=moved),)))


@pytest.mark.parametrize(("moved", "verdict"), [(0, Verdict.PASS), (1_500, Verdict.PASS), (1_501, Verdict.FAIL)])
def test_one_in_twenty_may_be_written_late(moved: int, verdict: Verdict) -> None:
    finding = finding_of(reported(moved=moved), "implausible-end")
    assert finding.verdict is verdict
    assert f"{moved:,}" in finding.summary


def test_what_is_said_to_have_ended_too_early_is_named() -> None:
    finding = finding_of(reported(moved=EVENTS), "implausible-end")
    assert finding.examples[0].where == "combat"
    assert "30,000 of 30,000 events are said to have ended over 150 ms before" in finding.examples[0].detail


def test_a_saturated_host_or_a_fault_may_delay_what_is_written() -> None:
    """Nothing is hidden by it: the later end counts as the latency."""
    busy = finding_of(reported(moved=EVENTS, busy_pct=99), "implausible-end")
    assert busy.verdict is Verdict.NOT_APPLICABLE
    assert "30,000 ends count as later than the target says" in busy.summary
    faulted = under(reported(moved=EVENTS), fault("broker-kill", at=1, until=3))
    assert finding_of(faulted, "implausible-end").verdict is Verdict.NOT_APPLICABLE


def test_a_latency_without_a_witness_is_unknown() -> None:
    claim = claim_of(reported(witnessed=EVENTS // 2), "LAT-COMBAT")
    assert claim.verdict is Verdict.UNKNOWN
    assert "15,000 of 30,000 ends that brokers bear witness to" in claim.evidence


def test_without_the_promise_of_a_witness_there_is_none() -> None:
    history = reported()
    assert history.due is not None
    for promised in (None, {}, {"social": 0.3}):
        silent = replace(history, due=replace(history.due, receipted_within_s=promised))
        assert claim_of(silent, "LAT-COMBAT").verdict is Verdict.UNKNOWN
        assert finding_of(silent, "implausible-end").verdict is Verdict.UNKNOWN


def test_in_a_few_seconds_one_pause_of_a_broker_is_a_large_share() -> None:
    finding = finding_of(reported(moved=400, seconds=4), "implausible-end")
    assert finding.verdict is Verdict.NOT_APPLICABLE
    assert "less than 10 s without a fault" in finding.summary
    assert "400 ends count as later" in finding.summary


def test_more_ends_moved_than_witnessed_do_not_add_up() -> None:
    assert finding_of(reported(moved=9, witnessed=8), "histogram-account").verdict is Verdict.UNKNOWN


# Outcomes that are written at once --------------------------------------------------------------------------------


def written(*, slow: int, slow_ms: float = 120.0, quick: int | None = None, busy_pct: float = 50.0) -> Record:
    """Every event took 10 ms, says the target; of 300 a broker says when it had the outcome."""
    history = timed_history(eps={"combat": 1_000.0}, busy_pct=busy_pct)
    histogram = histogram_of(300 - slow if quick is None else quick, 12.0)
    histogram.merge(histogram_of(slow, slow_ms))
    return replace(history, latency={**history.latency, ("steady", "combat", AT_ONCE): histogram})


@pytest.mark.parametrize(("slow", "verdict"), [(0, "pass"), (10, "pass"), (11, "fail"), (300, "fail")])
def test_a_latency_must_hold_where_the_outcome_was_written_at_once(slow: int, verdict: str) -> None:
    """Three of 300 may be slow; eleven are so by chance in less than one case of a thousand."""
    result = claim_of(written(slow=slow), "LAT-COMBAT")
    assert result.verdict is Verdict(verdict), result.evidence
    assert "no better than 12" in result.evidence or (verdict == "fail" and "no better than 11" in result.evidence)


def test_what_is_written_late_on_a_saturated_host_may_be_the_hosts() -> None:
    assert claim_of(written(slow=300, busy_pct=99.0), "LAT-COMBAT").verdict is Verdict.UNKNOWN


def test_without_the_outcomes_that_were_to_be_written_at_once_no_latency_passes() -> None:
    result = claim_of(written(slow=0, quick=299), "LAT-COMBAT")
    assert result.verdict is Verdict.UNKNOWN
    assert "299 of 300 outcomes of combat in steady that were to be written at once" in result.evidence


@pytest.mark.parametrize(("samples", "most"), [(0, 0), (1, 1), (10, 2), (100, 5), (300, 10), (10_000, 132)])
def test_how_many_may_be_slow_by_chance(samples: int, most: int) -> None:
    """The 99.9th percentile of a binomial distribution (scipy.stats.binom.ppf(0.999, n, 0.01))."""
    assert most_by_chance(samples, 0.01) == most


def test_domains_count_by_their_events_and_not_by_their_samples() -> None:
    """A hundred slow samples of a domain with one event in a thousand say nothing of all events' P99."""
    few = AtOnce(histogram=histogram_of(100, 500.0), events=100)
    many = AtOnce(histogram=histogram_of(100, 10.0), events=100_000)
    assert certainly_ms([few, many], 100_100, 99.0) < 11
    assert certainly_ms([few], 100, 99.0) > 499
    assert certainly_ms([], 100_100, 99.0) == 0


def test_a_target_that_promised_nothing_of_the_kind_is_not_held_to_it() -> None:
    """An event core of somebody else's, on a cluster of theirs, writes outcomes when it likes."""
    history = written(slow=300)
    assert history.due is not None
    theirs = replace(history, due=replace(history.due, receipted_at_once={}))
    result = claim_of(replace(theirs, run=replace(theirs.run, stack={"backend": "external"})), "LAT-COMBAT")
    assert result.verdict is not Verdict.FAIL, result.evidence
    assert "written at once" not in result.evidence
