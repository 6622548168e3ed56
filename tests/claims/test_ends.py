"""When events ended: the target's word against the time at which a broker appended the outcome."""

from __future__ import annotations

from dataclasses import replace

import pytest
from histories import claim_of, finding_of, timed_history
from sound.drills import under
from sound.faults import fault

from necp_validate.core import Verdict
from necp_validate.record import Record

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
