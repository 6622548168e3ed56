"""Sends that were refused, that failed, or of which nothing was heard."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import START_S, ack, claim_of, fail, finding_of, history_of, info, load_record, read, run_info

from necp_validate.core import Verdict
from necp_validate.record import ExperimentOutcome, FaultRecord, Record
from necp_validate.record.model import SendError

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
REFUSED = (ack(0), ack(1, at=1), read(0), read(1), fail(2), fail(3), fail(4))


def with_error(history: Record, error: str, fate: str, count: int) -> Record:
    at_us = START_S * 10**6
    of_client = SendError(domain="combat", error=error, fate=fate, count=count, first_us=at_us, last_us=at_us)
    return replace(history, loads=(replace(history.loads[0], send_errors=(of_client,)),))


def under_fault(history: Record, *, kind: str = "broker-kill", begin_s: float = 0.0, **changes: Any) -> Record:
    """The same with a broker killed in the first second, for three seconds."""
    begin_us = round((START_S + begin_s) * 10**6)
    fault = FaultRecord(
        id=f"{kind}-1",
        experiment=kind,
        kind=kind,
        target="broker-1",
        begin_us=begin_us,
        effective_us=begin_us,
        evidence="pid gone",
        end_us=begin_us + 3_000_000,
        needs="",
        claims=(),
    )
    outcome = ExperimentOutcome(
        experiment=kind,
        title=kind,
        status="completed",
        steady_before=True,
        steady_after=True,
        failed=(),
        missed=(),
        seconds=3.0,
        faults=(fault.id,),
    )
    run = replace(history.run, config={**history.run.config, "experiments": [kind]})
    return replace(history, run=run, faults=(replace(fault, **changes),), experiments=(outcome,))


def test_what_brokers_refuse_without_a_fault_is_not_served() -> None:
    """Records too large for the topic: half of them refused, and nothing else wrong."""
    history = with_error(history_of(*REFUSED), "MSG_SIZE_TOO_LARGE", "failed", 3)
    finding = finding_of(history, "failed-send")
    assert (finding.verdict, finding.count) == (FAIL, 3)
    assert finding.summary == "3 of 5 sends failed, with no fault to explain it"
    assert finding.examples[0].detail == "combat: 3 x MSG_SIZE_TOO_LARGE"


def test_a_fault_explains_a_failed_send_and_only_while_it_may() -> None:
    found = finding_of(under_fault(history_of(*REFUSED)), "failed-send")
    assert (found.verdict, found.count) == (PASS, 0)
    assert "3 more failed under faults" in found.summary
    assert finding_of(under_fault(history_of(*REFUSED), begin_s=5.0), "failed-send").verdict is FAIL
    assert finding_of(under_fault(history_of(*REFUSED), effective_us=None), "failed-send").verdict is FAIL
    poison = under_fault(history_of(*REFUSED), kind="poison-breaker")
    poison = replace(poison, drill_loads=(load_record(worker="drill"),))
    assert finding_of(poison, "failed-send").verdict is FAIL, "poison is set aside, and upsets nobody"


@pytest.mark.parametrize(("share", "verdict"), [(0.7, UNKNOWN), (0.0, FAIL)])
def test_the_share_that_may_fail_is_nothing_and_cannot_be_raised(share: float, verdict: Verdict) -> None:
    history = history_of(*REFUSED, run=run_info(config={"thresholds": {"failed_share": share}}))
    finding = finding_of(history, "failed-send")
    assert finding.verdict is verdict
    assert ("judged by a looser limit than claimed" in finding.summary) is (verdict is UNKNOWN)


def test_an_event_of_unknown_outcome_is_neither_failed_nor_not_failed() -> None:
    history = with_error(history_of(ack(0), read(0), info(1)), "_MSG_TIMED_OUT", "unknown", 1)
    finding = finding_of(history, "failed-send")
    assert (finding.verdict, finding.count) == (UNKNOWN, 1)
    assert finding.examples[0].detail == "combat: 1 x _MSG_TIMED_OUT"
    assert finding_of(under_fault(history), "failed-send").verdict is PASS


def test_an_event_of_unknown_outcome_makes_no_latency() -> None:
    """It was never acknowledged: it may have been slow, or lost, and nobody saw it end."""
    ops = [op for seq in range(1_200) for op in (ack(seq), read(seq))]
    quick = claim_of(history_of(*ops), "LAT-COMBAT")
    assert quick.verdict is PASS
    more = history_of(*ops, *(info(1_200 + n) for n in range(100)))
    assert claim_of(more, "LAT-COMBAT").verdict is UNKNOWN


def test_a_send_that_certainly_failed_must_not_be_in_the_log() -> None:
    """Jepsen: read of a failed write."""
    history = history_of(ack(0), read(0), fail(1), read(1, at=1))
    finding = finding_of(history, "failed-write-read")
    assert (finding.verdict, finding.count) == (FAIL, 1)
    assert finding.examples[0].detail == "reported as failed, and read: 1"
    assert finding_of(history_of(ack(0), read(0), fail(1)), "failed-write-read").verdict is PASS
    assert finding_of(history_of(ack(0), read(0), info(1), read(1, at=1)), "failed-write-read").verdict is PASS


def test_which_sends_failed_has_to_be_recorded() -> None:
    history = history_of(ack(0), read(0))
    (load,) = history.loads
    silent = replace(history, loads=(replace(load, streams=(replace(load.streams[0], failed=None),)),))
    assert finding_of(silent, "failed-write-read").verdict is UNKNOWN
